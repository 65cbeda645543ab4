"""What happened once: visits, purchases, meetings, works read and made. Nothing of it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memos.extraction.rules.clause import Clause, Mood, Phase, Tense
from memos.extraction.rules.draft import Draft, happened
from memos.extraction.rules.homes import place
from memos.extraction.rules.lexicon import RELATIONS, words
from memos.extraction.rules.phrases import (
    conjuncts,
    is_name,
    is_thing,
    joined,
    name_span,
    phrase,
    words_from,
)
from memos.extraction.rules.tastes import things
from memos.types import Ref

if TYPE_CHECKING:
    from spacy.tokens import Token

_EVENTS = {
    "attend": "attended", "host": "hosted", "perform": "performed", "celebrate": "celebrated",
    "read": "read", "watch": "watched", "make": "made", "build": "made", "paint": "made",
    "write": "made", "cook": "made", "bake": "made", "create": "made", "draw": "made",
    "compose": "made", "design": "made", "publish": "published", "plant": "planted", "win": "won",
    "try": "tried", "donate": "donated", "receive": "received", "find": "found", "lose": "lost",
    "break": "broke", "finish": "finished", "complete": "finished", "pass": "passed",
    "fail": "failed", "found": "founded", "open": "founded", "launch": "founded",
    "close": "closed", "injure": "injured", "play": "played", "sell": "sold", "meet": "met",
    "start": "started", "organise": "hosted", "organize": "hosted", "earn": "won",
    "catch": "found", "see": "watched",
}  # fmt: skip
_WEAK = frozenset(
    {
        "make",
        "try",
        "find",
        "lose",
        "break",
        "start",
        "play",
        "open",
        "close",
        "see",
        "pass",
        "catch",
        "fail",
    }
)
"""Said of so much else that only things that are told apart count."""
_GO = frozenset({"go", "travel", "fly", "drive", "head", "trip", "be", "sail", "return"})
_TRIPS = words("trip vacation holiday visit tour roadtrip honeymoon journey getaway weekend")
_OCCASIONS = words(
    """concert festival conference workshop wedding party museum class event exhibition fair parade
    retreat show game match meeting ceremony camp race marathon"""
)


def read_event(clause: Clause, draft: Draft) -> None:
    if clause.mood in (Mood.PLAN, Mood.WISH):
        _intends(clause, draft)
        return
    if not happened(clause):
        return
    _read(clause, draft)
    if clause.verb.i not in draft.handled:
        _did(clause, draft)


def _read(clause: Clause, draft: Draft) -> None:
    lemma = clause.lemma
    if lemma == "visit":
        _visited(clause, draft, clause.object)
    elif lemma in _GO:
        _went(clause, draft)
    elif lemma == "graduate":
        _graduated(clause, draft)
    elif lemma == "sign" and "up" in {c.lower_ for c in clause.children}:
        _things(clause, draft, "signed_up_for", clause.after("for"))
    elif lemma == "apply":
        _things(clause, draft, "applied_to", clause.after("to"))
    elif lemma == "listen":
        _things(clause, draft, "listened_to", clause.after("to"))
    elif (
        lemma == "run"
        and clause.object is not None
        and clause.object.lower_ in ("marathon", "race", "half-marathon", "5k", "10k")
    ):
        _things(clause, draft, "finished", clause.object)
    elif lemma in ("take", "have", "get", "return", "come"):
        _tripped(clause, draft)
    elif lemma in _EVENTS and clause.verb.i not in draft.handled:
        _things(clause, draft, _EVENTS[lemma], clause.object)


def where(clause: Clause, draft: Draft) -> str | None:
    """The named place at which it happened."""
    for token in clause.all_after("in", "at"):
        if token.ent_type_ in ("GPE", "LOC", "FAC") and is_name(token):
            found = place(token, draft)
            return None if found is None else found.name
    return None


_NOTHING = words(
    """be have do see know say tell think let hear love like hate look feel wait understand believe
    need want mean hope guess seem sound appear remember forget wonder realize realise mention agree
    appreciate miss enjoy wish bet remind excite stoke last chat talk speak use gon keep happen
    become notice thank hope try allow help"""
)
_BELONGING = words("dobj prt prep dative advmod xcomp")
_NO_OBJECTS = frozenset({"time", "chance", "lot", "way", "sense", "feeling", "look", "difference"})


def _did(clause: Clause, draft: Draft) -> None:
    """Anything else that somebody did, in the words of the text, if it is of something or dated."""
    if clause.lemma in _NOTHING - {"have"} or clause.passive or clause.phase is not Phase.WHOLE:
        return
    thing = clause.object
    if clause.lemma == "have" and (thing is None or not clause.times):
        return
    of_something = thing is not None and is_thing(thing) and thing.lower_ not in _NO_OBJECTS
    if not (of_something or (clause.times and len(clause.children) > 2)):
        return
    if clause.first("xcomp", "ccomp") is not None and not of_something:
        return
    value = _action(clause)
    if len(value.split()) < 2:
        return
    for subject in draft.subjects(clause):
        if subject.type == "person" and subject != draft.people.you:
            draft.event(
                clause, subject, "did", value=value, place=where(clause, draft), confidence=0.5
            )


def _action(clause: Clause) -> str:
    """Verb and what it is done to, without times and side clauses."""
    verb = clause.verb
    kept = [verb]
    dated = {i for m in clause.times for i in range(m.start, m.end)}
    for child in clause.children:
        if child.i < verb.i or child.dep_ not in (
            "dobj",
            "prt",
            "prep",
            "dative",
            "advmod",
            "xcomp",
        ):
            continue
        below = [t for t in child.subtree if t.idx not in dated]
        if child.dep_ in ("prep", "advmod") and len(below) < (2 if child.dep_ == "prep" else 1):
            continue
        kept += below
    kept = sorted({t.i: t for t in kept}.values(), key=lambda t: t.i)[:12]
    while len(kept) > 1 and kept[-1].pos_ in ("PUNCT", "CCONJ", "ADP", "DET", "SCONJ"):
        kept.pop()
    return joined(kept)


def _visited(clause: Clause, draft: Draft, token: Token | None) -> None:
    if token is None:
        return
    for noun in conjuncts(token):
        if noun.lower_ in RELATIONS or (
            noun.ent_type_ == "PERSON" and (noun.lower_ in draft.people.known)
        ):
            continue
        to = place(noun, draft)
        if to is None:
            if noun.lower_ in _OCCASIONS and is_thing(noun):
                to = Ref(name=phrase(noun), type="place")
            else:
                continue
        for subject in draft.subjects(clause):
            draft.event(clause, subject, "visited", object=to, confidence=0.8)


def _went(clause: Clause, draft: Draft) -> None:
    token = clause.after("to")
    if clause.lemma == "be" and clause.tense is not Tense.PERFECT:
        _was_in(clause, draft)
        return
    if token is None:
        _was_in(clause, draft)
        return
    if token.lower_ in _OCCASIONS and not any(c.dep_ == "poss" for c in token.children):
        ref = Ref(name=phrase(token), type="event")
        for subject in draft.subjects(clause):
            draft.event(clause, subject, "attended", object=ref, place=where(clause, draft))
        return
    _visited(clause, draft, token)


def _was_in(clause: Clause, draft: Draft) -> None:
    """ "I was in Rome last week": a stay, since it is dated."""
    at = draft.when(clause).at
    if clause.lemma != "be" or at is None or clause.tense is not Tense.PAST:
        return
    if at.granularity.value in ("year", "decade"):
        return
    token = clause.after("in")
    if token is not None and token.ent_type_ in ("GPE", "LOC"):
        _visited(clause, draft, token)


def _tripped(clause: Clause, draft: Draft) -> None:
    """ "took a trip to Rome", "had a holiday in Crete", "got back from a trip to Oslo"."""
    nouns = [clause.object, clause.after("from", "on")]
    for noun in nouns:
        if noun is None or noun.lower_ not in _TRIPS:
            continue
        for child in noun.children:
            if child.dep_ == "prep" and child.lower_ in ("to", "in", "around", "through"):
                target = next((c for c in child.children if c.dep_ == "pobj"), None)
                _visited(clause, draft, target)


def _graduated(clause: Clause, draft: Draft) -> None:
    token = clause.after("from")
    for subject in draft.subjects(clause):
        if subject.type != "person":
            continue
        if token is None or not is_name(token):
            draft.event(clause, subject, "graduated_from")
            continue
        span = name_span(token)
        ref = Ref(name=span.text, type="organisation")
        draft.mention(ref, span.start_char, span.end_char)
        if draft.event(clause, subject, "graduated_from", object=ref, confidence=0.85):
            draft.add(
                clause,
                subject,
                "studies_at",
                object=ref,
                negated=True,
                since=draft.since(clause),
                confidence=0.75,
            )


def _things(clause: Clause, draft: Draft, predicate: str, token: Token | None) -> None:
    if token is None or token.lower_ in ("me", "him", "her", "them", "us"):
        return
    found: list[Ref] = []
    if predicate == "met":
        person = draft.people.person(token, sure=True)
        found = [person] if person is not None else []
    else:
        for ref, noun in things(token, draft):
            weak = clause.lemma in _WEAK and not is_name(noun)
            if weak and not any(c.dep_ in ("compound", "amod") for c in noun.children):
                continue
            found.append(ref)
    spot = where(clause, draft)
    for subject in draft.subjects(clause):
        for ref in found:
            if ref != subject:
                draft.event(clause, subject, predicate, object=ref, place=spot, confidence=0.7)


_IDLE = words(
    """be have do see know say tell think let check talk hear love like get keep look ask share
    make take give help feel wait understand believe need want"""
)


def _intends(clause: Clause, draft: Draft) -> None:
    """Wishes and plans of the speaker, in their own words: no fact of what they are about."""
    if clause.negated or clause.lemma in _IDLE or clause.verb.tag_ not in ("VB", "VBG"):
        return
    if clause.mood is Mood.WISH and clause.verb.dep_ not in ("xcomp", "conj"):
        return  # "I'd suggest …"
    if any(c.lower_ == "you" for c in clause.children):
        return
    subjects = draft.subjects(clause)
    if len(subjects) != 1 or subjects[0] != draft.people.me:
        return
    if not any(c.dep_ in ("dobj", "prep", "xcomp") for c in clause.children):
        return
    if clause.object is not None and clause.object.pos_ == "PRON":
        return  # "try it"
    value = words_from(clause.verb)
    if len(value.split()) < 2:
        return
    predicate = "plans" if clause.mood is Mood.PLAN else "wants"
    draft.add(clause, subjects[0], predicate, value=value, confidence=0.55)
