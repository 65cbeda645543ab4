"""Where somebody lives, moved to, comes from, was born."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from memos.extraction.rules.clause import Clause, Phase, Tense
from memos.extraction.rules.draft import Draft, happened
from memos.extraction.rules.lexicon import COUNTRIES, PLATFORMS, SOFTWARE, words
from memos.extraction.rules.phrases import is_name, name_span
from memos.extraction.rules.when import now
from memos.types import Ref

if TYPE_CHECKING:
    from spacy.tokens import Token

_LIVE = frozenset({"live", "reside", "dwell", "base", "stay"})
_MOVE = frozenset({"move", "relocate", "emigrate", "immigrate", "settle"})
_DWELLINGS = words(
    """flat apartment house home place condo studio room cottage villa bungalow loft dorm street
    neighbourhood neighborhood area suburb suburbs city town village part outskirts"""
)
_NO_PLACES = frozenset(
    {
        *("DATE", "TIME", "NORP", "MONEY", "WORK_OF_ART", "LANGUAGE", "PRODUCT", "LAW", "EVENT"),
        *("CARDINAL", "ORDINAL", "PERCENT", "QUANTITY"),
    }
)
_NUMBERED = words("plan chapter windows version phase part step level stage team room page section")
_CHANGED = re.compile(r"\b(now|these days|currently|nowadays|at the moment|again)\b", re.I)


def read_home(clause: Clause, draft: Draft) -> None:
    lemma = clause.lemma
    if lemma in _MOVE:
        _moved(clause, draft)
    elif lemma in _LIVE and (lemma != "base" or clause.passive):
        _lives(clause, draft)
    elif lemma in ("bear", "born") or clause.verb.lower_ == "born":
        _born(clause, draft)
    elif lemma in ("grow", "raise") and (clause.passive or "up" in clause.words):
        _grew_up(clause, draft)
    elif lemma in ("come", "be"):
        _comes_from(clause, draft)
    elif lemma == "leave":
        _left(clause, draft)


def place(token: Token | None, draft: Draft) -> Ref | None:
    """A place by its name, or that in which a dwelling stands: "a flat in Leipzig"."""
    if token is None or any(c.dep_ == "cc" and c.lower_ == "or" for c in token.children):
        return None
    if token.lower_ in _DWELLINGS:
        inner = (
            c
            for p in token.children
            if p.dep_ == "prep" and p.lower_ in ("in", "of", "near")
            for c in p.children
            if c.dep_ == "pobj"
        )
        return next((ref for each in inner if (ref := place(each, draft))), None)
    if not (is_name(token) or _lower_case_name(token)) or token.ent_type_ in _NO_PLACES:
        return None
    if draft.people.known.get(token.lower_):
        return None
    span = name_span(token)
    text = span.text if is_name(token) else token.text
    if span[0].lower_ in _NUMBERED or any(c.isdigit() for c in text):
        return None
    if any(t.lower_ in SOFTWARE or t.lower_ in PLATFORMS for t in span):
        return None
    if any(t.lower_ in ("to", "from") for t in span):
        return None  # "Slack to Teams" taken for one name
    ref = Ref(name=text, type="country" if text.lower() in COUNTRIES else "place")
    draft.mention(ref, span.start_char, span.end_char)
    return ref


def _lower_case_name(token: Token) -> bool:
    """A bare word where a place must stand, in a text that does without capitals."""
    if token.pos_ not in ("NOUN", "PROPN", "ADJ", "X") or any(True for _ in token.children):
        return False
    if token.lower_ in (
        "town",
        "peace",
        "fear",
        "hell",
        "heaven",
        "work",
        "school",
        "college",
        "bed",
        "tears",
        "here",
        "there",
        "abroad",
        "downtown",
        "denial",
        "person",
    ):
        return False
    return (
        token.is_alpha
        and token.tag_ in ("NN", "NNP")
        and not any(t.shape_[:1] == "X" for t in token.sent if t.is_alpha)
    )


def _lives(clause: Clause, draft: Draft) -> None:
    where = clause.after("in", "at", "near") or (
        clause.after("outside") if clause.lemma == "live" else None
    )
    if clause.lemma == "stay":
        return
    home = place(where, draft)
    if home is None or where is None:
        _lives_with(clause, draft)
        return
    if clause.tense is Tense.PERFECT and not clause.negated and clause.phase is Phase.WHOLE:
        time = draft.when(clause)
        if time.since is None and not clause.words & {"always"}:
            return  # "I've lived in Paris" is over as a rule
    confidence = 0.9 if home.type == "country" or where.ent_type_ in ("GPE", "LOC") else 0.8
    for subject in draft.subjects(clause):
        if home.type == "country":
            draft.state(
                clause,
                subject,
                "lives_in_country",
                object=home,
                about=(where,),
                confidence=confidence,
            )
            changed = clause.words & {"now", "again"} or _CHANGED.search(clause.verb.sent.text)
            if not changed and clause.phase is Phase.WHOLE:
                continue
        draft.state(clause, subject, "lives_in", object=home, about=(where,), confidence=confidence)
    _lives_with(clause, draft)


def _lives_with(clause: Clause, draft: Draft) -> None:
    if clause.lemma != "live":
        return
    for token in clause.all_after("with"):
        other = draft.people.person(token)
        if other is None:
            continue
        for subject in draft.subjects(clause):
            draft.state(clause, subject, "lives_with", object=other, about=(token,))


def _moved(clause: Clause, draft: Draft) -> None:
    if not happened(clause) or "on" in {c.lower_ for c in clause.children if c.dep_ == "prt"}:
        return
    if clause.words & {"on"}:
        return  # "moved on to another thing"
    if clause.object is not None and clause.object.lower_ not in ("house", "houses", "home"):
        return  # "moved the sofa to Rome"
    to = place(_target(clause), draft)
    origin = place(clause.after("from"), draft)
    if origin is None and clause.words & {"away", "out"}:
        origin = place(clause.after("of"), draft)
    subjects = draft.subjects(clause)
    if clause.subject is not None and clause.subject.lower_ == "you":
        subjects = subjects if to is not None else []
    for subject in subjects:
        if subject.type != "person":
            continue
        since = draft.since(clause)
        if to is not None and draft.event(clause, subject, "moved_to", object=to, confidence=0.85):
            draft.add(clause, subject, "lives_in", object=to, since=since, confidence=0.85)
            if to.type == "country":
                draft.add(
                    clause, subject, "lives_in_country", object=to, since=since, confidence=0.85
                )
        if origin is not None and draft.event(clause, subject, "moved_from", object=origin):
            end = since or now(draft.said_at)
            kind = "lives_in_country" if origin.type == "country" else "lives_in"
            draft.add(clause, subject, kind, object=origin, until=end, confidence=0.75)


def _target(clause: Clause) -> Token | None:
    found = clause.after("to", "into")
    if found is None and clause.lemma == "settle":
        found = clause.after("in")
    if found is None and clause.words & {"back", "down", "in", "over"}:
        found = clause.after("in") or found
    if found is not None:
        return found
    for child in clause.children:  # "moved again, this time to Seattle"; "moved here to Rome"
        if child.dep_ in ("npadvmod", "advmod", "prt"):
            for below in child.children:
                if below.dep_ == "prep" and below.lower_ in ("to", "into"):
                    return next((c for c in below.children if c.dep_ == "pobj"), None)
    return None


def _born(clause: Clause, draft: Draft) -> None:
    if not clause.states or clause.negated or not clause.passive:
        return
    where = next((t for t in clause.all_after("in") if t.ent_type_ not in ("DATE", "TIME")), None)
    home = place(where, draft)
    for subject in draft.subjects(clause):
        if home is not None:
            draft.add(clause, subject, "born_in", object=home, confidence=0.9)
        day = next(
            (m for m in clause.times if m.exact and m.period.granularity.value == "day"), None
        )
        if day is not None:
            draft.add(clause, subject, "birthday", value=day.text, confidence=0.85)


def _grew_up(clause: Clause, draft: Draft) -> None:
    if not clause.states or clause.negated or clause.phase is not Phase.WHOLE:
        return
    home = place(clause.after("in"), draft)
    if home is None:
        return
    for subject in draft.subjects(clause):
        predicate = "comes_from" if home.type == "country" else "home_town"
        draft.add(clause, subject, predicate, object=home, confidence=0.85)


def _comes_from(clause: Clause, draft: Draft) -> None:
    if not clause.states or clause.negated or clause.tense is not Tense.PRESENT:
        return
    if clause.progressive:
        return
    home = place(clause.after("from"), draft)
    if home is None:
        return
    for subject in draft.subjects(clause):
        if subject.type == "person":
            draft.add(clause, subject, "comes_from", object=home, confidence=0.8)


def _left(clause: Clause, draft: Draft) -> None:
    """To leave a place for good ends living there; to leave it says less."""
    thing = clause.object
    if thing is None or thing.ent_type_ not in ("GPE", "LOC") or not happened(clause):
        return
    good = "for good" in clause.verb.sent.text.lower()
    home = place(thing, draft) if good else None
    if home is None:
        return
    for subject in draft.subjects(clause):
        if draft.event(clause, subject, "moved_from", object=home):
            draft.add(
                clause,
                subject,
                "lives_in",
                object=home,
                negated=True,
                since=draft.since(clause),
                confidence=0.75,
            )
