"""What somebody likes, is fond or afraid of, is a member of, and may not eat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memos.extraction.rules.clause import Clause, Phase, Tense
from memos.extraction.rules.draft import Draft
from memos.extraction.rules.lexicon import DIETS, EMPTY_DOINGS, HOBBY_VERBS
from memos.extraction.rules.phrases import conjuncts, doing, is_name, is_thing, name_span, phrase
from memos.types import Ref

if TYPE_CHECKING:
    from spacy.tokens import Token

_LIKE = frozenset({"like", "love", "enjoy", "adore", "dig"})
_HATE = frozenset({"hate", "dislike", "detest", "loathe", "despise"})
_COMPLEMENTS = {
    "allergic": ("allergic_to", "to", "thing"),
    "afraid": ("afraid_of", "of", "thing"),
    "scared": ("afraid_of", "of", "thing"),
    "terrified": ("afraid_of", "of", "thing"),
    "interested": ("interested_in", "in", "thing"),
    "passionate": ("interested_in", "about", "thing"),
    "fluent": ("speaks", "in", "language"),
    "good": ("good_at", "at", "activity"),
    "fond": ("likes", "of", "thing"),
    "obsessed": ("likes", "with", "thing"),
    "keen": ("likes", "on", "thing"),
}


def read_taste(clause: Clause, draft: Draft) -> None:
    if clause.lemma in _LIKE or clause.lemma in _HATE:
        _likes(clause, draft, "likes" if clause.lemma in _LIKE else "dislikes")
    elif clause.lemma == "be":
        _is(clause, draft)


def things(token: Token | None, draft: Draft, type: str = "thing") -> list[tuple[Ref, Token]]:
    """The things in a list of nouns, each with its noun."""
    if token is None:
        return []
    found = []
    for noun in conjuncts(token):
        if not is_thing(noun) or any(
            c.dep_ == "poss" and c.lower_ not in ("my", "our") for c in noun.children
        ):
            continue
        if any(c.dep_ in ("relcl", "acl") for c in noun.children) and not is_name(noun):
            continue
        if any(
            c.lower_ in ("this", "that", "these", "those", "such", "what") for c in noun.children
        ):
            continue
        gerund = noun.tag_ == "VBG" and noun.pos_ == "VERB"
        name = doing(noun) if gerund else phrase(noun)
        if not name or (gerund and noun.lower_ in EMPTY_DOINGS):
            continue
        ref = Ref(name=name, type="activity" if gerund else type)
        if is_name(noun):
            span = name_span(noun)
            draft.mention(ref, span.start_char, span.end_char)
        found.append((ref, noun))
    return found


def _likes(clause: Clause, draft: Draft, predicate: str) -> None:
    if clause.tense is Tense.PAST and clause.phase is Phase.WHOLE:
        return  # "I loved the concert" is of one evening
    if not clause.states:
        return
    token = clause.first("dobj", "xcomp")
    if token is None:
        return
    found: list[tuple[Ref, Token]]
    if token.dep_ == "xcomp" or token.tag_ == "VBG":
        if token.tag_ == "VB" and not any(c.lower_ == "to" for c in token.children):
            return
        if token.lower_ in EMPTY_DOINGS:
            return
        if token.tag_ == "VBG" or token.pos_ == "NOUN":
            if not doing(token):
                return
            found = [(Ref(name=doing(token), type="activity"), token)]
        elif token.tag_ == "VB" and token.lower_ not in ("be", "have", "know", "see", "hear"):
            found = [(Ref(name=as_gerund(token), type="activity"), token)]
        else:
            return
    else:
        if any(c.dep_ == "poss" for c in token.children):
            return  # "I love my new job", "your idea"
        definite = any(c.lower_ == "the" for c in token.children)
        found = [(ref, noun) for ref, noun in things(token, draft) if is_name(noun) or not definite]
    for subject in draft.subjects(clause):
        for ref, noun in found:
            below = [c for c in noun.children if c.dep_ == "dobj"]
            draft.state(
                clause, subject, predicate, object=ref, about=(noun, *below), confidence=0.8
            )


def as_gerund(verb: Token) -> str:
    """ "to paint" as an activity."""
    word = verb.lower_
    if word in HOBBY_VERBS:
        form = HOBBY_VERBS[word]
    elif word.endswith("e") and not word.endswith(("ee", "ye", "oe")):
        form = word[:-1] + "ing"
    else:
        form = word + "ing"
    thing = next((c for c in verb.children if c.dep_ == "dobj"), None)
    return form if thing is None or not is_thing(thing) else f"{form} {phrase(thing)}"


def _is(clause: Clause, draft: Draft) -> None:
    """ "I'm vegan", "allergic to nuts", "afraid of dogs", "a member of the club", "German"."""
    token = clause.first("acomp", "attr")
    if token is None:
        fluent = clause.after("into")
        for subject in draft.subjects(clause) if fluent is not None else []:
            for ref, noun in things(fluent, draft):
                draft.state(clause, subject, "likes", object=ref, about=(noun,), past=False)
        return
    word = token.lower_
    reader = _COMPLEMENTS.get(word)
    for subject in draft.subjects(clause):
        if word in DIETS:
            draft.state(
                clause, subject, "follows_diet", value=word, about=(token,), confidence=0.85
            )
        elif (
            token.ent_type_ == "NORP"
            and token.pos_ in ("ADJ", "PROPN", "NOUN")
            and (subject.type == "person" and token.dep_ == "acomp")
        ):
            draft.state(
                clause,
                subject,
                "nationality",
                object=Ref(name=token.text, type="group"),
                about=(token,),
                past=False,
            )
        elif word == "member":
            _member(clause, draft, subject, token)
        elif word == "fan" and (target := _of(token, "of")) is not None:
            for ref, noun in things(target, draft):
                draft.state(
                    clause, subject, "likes", object=ref, about=(token, target, noun), past=False
                )
        elif reader is not None:
            predicate, preposition, kind = reader
            target = _of(token, preposition)
            for ref, noun in things(target, draft, kind):
                draft.state(clause, subject, predicate, object=ref, about=(token, noun), past=False)


def _of(token: Token, preposition: str) -> Token | None:
    for child in token.children:
        if child.lower_ == preposition and child.dep_ == "prep":
            return next((c for c in child.children if c.dep_ in ("pobj", "pcomp")), None)
    # "allergic to shellfish" read as an infinitive
    for child in token.children:
        if child.dep_ == "xcomp" and any(c.lower_ == preposition for c in child.children):
            return child
    return None


def _member(clause: Clause, draft: Draft, subject: Ref, token: Token) -> None:
    target = _of(token, "of")
    if target is None or not is_thing(target):
        return
    ref = Ref(name=phrase(target), type="group")
    draft.mention(ref, target.left_edge.idx, target.idx + len(target.text))
    draft.state(clause, subject, "member_of", object=ref, about=(token, target), confidence=0.85)
