"""What somebody does again and again: plays, eats, speaks, learns, takes up and gives up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memos.extraction.rules.clause import Clause, Mood, Phase, Tense
from memos.extraction.rules.draft import Draft
from memos.extraction.rules.lexicon import (
    CLUBS,
    DRINKS,
    EMPTY_DOINGS,
    FOODS,
    HOBBY_VERBS,
    INSTRUMENTS,
    PASTIMES,
    SMOKES,
    SPORTS,
    words,
)
from memos.extraction.rules.phrases import conjuncts, doing, is_name, is_thing, name_span, phrase
from memos.types import Ref

if TYPE_CHECKING:
    from spacy.tokens import Token

_DO = words("play eat drink speak collect teach do practice practise own use smoke learn study")
_HABIT_TIMES = frozenset(
    {
        "every",
        "each",
        "daily",
        "weekly",
        "often",
        "regularly",
        "usually",
        "always",
        "sometimes",
        "mornings",
        "weekends",
    }
)


def read_doing(clause: Clause, draft: Draft) -> None:
    lemma = clause.lemma
    if lemma in _DO:
        _does(clause, draft)
    elif lemma == "go":
        _goes(clause, draft)
    if lemma in HOBBY_VERBS:
        _hobby(clause, draft)
    elif clause.phase is Phase.BEGIN and clause.verb.tag_ == "VBG":
        _takes_up(clause, draft)
    elif lemma in ("give", "quit", "stop"):
        _gives_up(clause, draft)


def _does(clause: Clause, draft: Draft) -> None:
    lemma, token = clause.lemma, clause.object
    if token is None and lemma == "speak":
        token = next((c for c in clause.children if c.ent_type_ in ("NORP", "LANGUAGE")), None)
    if token is None:
        if lemma == "study":
            _studies_at(clause, draft)
        return
    once = clause.tense is Tense.PAST and clause.phase is Phase.WHOLE
    going_on = clause.progressive and clause.phase is Phase.WHOLE
    for subject in draft.subjects(clause):
        for noun in conjuncts(token):
            found = _doing(lemma, noun, once=once, going_on=going_on, mood=clause.mood)
            if found is None:
                continue
            predicate, ref = found
            mood = clause.mood
            if mood is Mood.ABILITY and predicate == "speaks":
                clause.mood = Mood.FACT
            draft.state(
                clause,
                subject,
                predicate,
                object=ref,
                about=(noun,),
                confidence=0.8,
                past=predicate in ("plays", "studies"),
            )
            clause.mood = mood
    if lemma == "study":
        _studies_at(clause, draft)


def _doing(
    lemma: str, noun: Token, *, once: bool, going_on: bool, mood: Mood
) -> tuple[str, Ref] | None:
    word, text = noun.lower_, phrase(noun)
    if lemma == "speak":
        if noun.ent_type_ in ("NORP", "LANGUAGE") or noun.tag_ == "NNP":
            return "speaks", Ref(name=text, type="language")
        return None
    if once and lemma not in ("study",):
        return None
    if not is_thing(noun) or any(c.dep_ == "poss" for c in noun.children):
        return None
    if lemma == "play":
        if word in INSTRUMENTS or word in SPORTS:
            return "plays", Ref(name=text, type="thing" if word in INSTRUMENTS else "activity")
        return ("plays", Ref(name=text, type="product")) if is_name(noun) and not going_on else None
    if lemma in ("eat", "drink"):
        known = word in (FOODS if lemma == "eat" else DRINKS) or text.lower() in FOODS
        if going_on or not known:
            return None
        return ("eats" if lemma == "eat" else "drinks"), Ref(name=text, type="food")
    if lemma == "smoke":
        return "practises", Ref(name="smoking", type="activity")
    if lemma == "collect":
        return "collects", Ref(name=text)
    if lemma == "teach":
        return ("teaches", Ref(name=text, type="subject")) if noun.tag_ != "NNS" else None
    if lemma in ("do", "practice", "practise"):
        return ("practises", Ref(name=text, type="activity")) if word in PASTIMES else None
    if lemma == "learn":
        return (
            ("learns", Ref(name=text, type="subject")) if going_on or noun.tag_ == "NNP" else None
        )
    if lemma == "study":
        named = (
            noun.dep_ == "dobj"
            and noun.tag_ in ("NN", "NNP")
            and not any(c.dep_ == "det" for c in noun.children)
        )
        return ("studies", Ref(name=text, type="subject")) if named else None
    if lemma == "own":
        return "owns", Ref(name=text)
    return None


def _studies_at(clause: Clause, draft: Draft) -> None:
    token = clause.after("at")
    if token is None or not is_name(token):
        return
    span = name_span(token)
    ref = Ref(name=span.text, type="organisation")
    draft.mention(ref, span.start_char, span.end_char)
    for subject in draft.subjects(clause):
        draft.state(clause, subject, "studies_at", object=ref, about=(token,), confidence=0.85)


def _hobby(clause: Clause, draft: Draft) -> None:
    """ "I smoke", "I run every morning", "stopped swimming"; one run is no hobby."""
    if clause.object is not None and clause.lemma != "smoke":
        return
    habit = clause.phase is not Phase.WHOLE or (
        clause.tense is Tense.PRESENT
        and not clause.progressive
        and (clause.lemma in ("smoke", "vape") or _recurs(clause))
    )
    if clause.verb.head.lower_ in ("go", "goes", "went", "going"):
        return
    if clause.negated and clause.tense is Tense.PRESENT and clause.lemma in ("smoke", "vape"):
        habit = True
    if clause.ended:
        habit = True
    if not habit or clause.verb.i in draft.handled:
        return
    ref = Ref(name=HOBBY_VERBS[clause.lemma], type="activity")
    for subject in draft.subjects(clause):
        draft.state(clause, subject, "practises", object=ref, past=clause.phase is Phase.FORMER)


def _takes_up(clause: Clause, draft: Draft) -> None:
    """ "I started making jewellery": something that goes on from then."""
    thing = clause.object
    if thing is None or not is_thing(thing) or clause.verb.lower_ in EMPTY_DOINGS - {"making"}:
        return
    if clause.verb.i in draft.handled or thing.pos_ != "NOUN":
        return
    if any(c.dep_ in ("det", "poss", "relcl") and c.lower_ != "the" for c in thing.children):
        return
    if not doing(clause.verb):
        return
    ref = Ref(name=doing(clause.verb), type="activity")
    for subject in draft.subjects(clause):
        draft.state(clause, subject, "practises", object=ref, confidence=0.6)


def _goes(clause: Clause, draft: Draft) -> None:
    """ "I go running": what one goes and does as a rule."""
    verb = clause.verb
    if verb.tag_ not in ("VBP", "VBZ") or verb.i + 1 >= len(verb.doc) or clause.times:
        return
    word = verb.nbor(1)
    if word.lower_ not in PASTIMES or word.i in draft.handled:
        return
    ref = Ref(name=word.lower_, type="activity")
    for subject in draft.subjects(clause):
        draft.state(clause, subject, "practises", object=ref, about=(word,), past=False)


def _recurs(clause: Clause) -> bool:
    words = {
        t.lower_ for c in clause.children if c.dep_ in ("advmod", "npadvmod") for t in c.subtree
    }
    return bool(words & _HABIT_TIMES)


def _gives_up(clause: Clause, draft: Draft) -> None:
    """ "gave up coffee", "quit hockey": ends what a thing of that kind is done with."""
    if clause.lemma == "give" and "up" not in clause.words | {
        c.lower_ for c in clause.children if c.dep_ == "prt"
    }:
        return
    if (
        not clause.states
        or clause.negated
        or (clause.tense is Tense.PRESENT and not clause.elliptic)
    ):
        return
    if draft.when(clause).future:
        return
    token = clause.object or clause.first("xcomp")
    if token is None:
        return
    for subject in draft.subjects(clause):
        for noun in conjuncts(token):
            found = _kind(noun)
            if found is not None:
                predicate, ref = found
                draft.add(
                    clause,
                    subject,
                    predicate,
                    object=ref,
                    negated=True,
                    since=draft.since(clause),
                    confidence=0.8,
                )


def _kind(noun: Token) -> tuple[str, Ref] | None:
    if any(c.dep_ == "poss" and c.lower_ not in ("my",) for c in noun.children):
        return None
    word, text = noun.lower_, phrase(noun)
    if word in SMOKES:
        return "practises", Ref(name="smoking", type="activity")
    if word in DRINKS:
        return "drinks", Ref(name=text, type="food")
    if word in FOODS:
        return "eats", Ref(name=text, type="food")
    if word in SPORTS or word in INSTRUMENTS:
        return "plays", Ref(name=text, type="thing" if word in INSTRUMENTS else "activity")
    if word in PASTIMES and noun.pos_ == "NOUN":
        return "practises", Ref(name=text, type="activity")
    if word in CLUBS and word not in ("course", "class", "crew", "project"):
        return "member_of", Ref(name=text, type="group")
    return None
