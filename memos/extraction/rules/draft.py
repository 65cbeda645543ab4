"""A memory's claims in the making: what all rules share.

A rule says which predicate holds of what; here tense, phase, negation and the clause's times turn
that into a claim, or into none where the clause does not state it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from memos.extraction.rules.clause import Clause, Mood, Phase, Tense
from memos.extraction.rules.lexicon import words
from memos.extraction.rules.people import People
from memos.extraction.rules.when import When, ending, now, when
from memos.graph.vocabulary import Vocabulary
from memos.types import Claim, Granularity, Period, Ref

if TYPE_CHECKING:
    from spacy.tokens import Token

_HUMAN = words(
    """live work marry date break split separate divorce quit retire graduate move love like hate
    enjoy study speak resign relocate eat drink smoke volunteer"""
)
_ONCE = words("once originally formerly previously initially then earlier first")
_AGES = words(
    """kid child teenager teen student boy girl college university school childhood youth twenties
    thirties baby highschool undergrad time days"""
)
_VOCABULARY = Vocabulary()
_BRIEF = (
    Granularity.SECOND,
    Granularity.MINUTE,
    Granularity.HOUR,
    Granularity.DAY,
    Granularity.WEEK,
)
_ALIKE = words("read quit put cut hit let set split hurt shut")
"""Verbs that look the same in the present and in the past."""
_HARMLESS = frozenset({"aux", "auxpass", "neg", "punct", "intj", "cc", "expl", "mark", "conj"})
_STRESS = words(
    """really actually even personally also either just honestly n't not never all anymore longer
    more now"""
)


_LONG_AGO = re.compile(
    r"\b(?:(?:years|ages|decades|long) ago|at (?:the age of )?(?:1\d|2[0-5])(?=\s*[,.;!?]|\s*$)"
    r"|(?:my|his|her|their) (?:very )?first (?:job|flat|apartment|house|home|place)"
    r"|after (?:high ?school|college|uni|university|school|graduation|graduating)"
    r"|when (?:i|he|she|we|they) (?:was|were) \d+"
    r"|(?:and|but|then) (?:came|moved|went) back|turned (?:it|them|that) down)\b",
    re.I,
)


@dataclass(slots=True)
class Draft:
    """What the rules have found so far in one piece of text."""

    people: People
    said_at: datetime
    claims: list[Claim] = field(default_factory=list)
    handled: set[int] = field(default_factory=set)
    """Verbs, by token index, that a rule has read: others leave them alone."""

    def when(self, clause: Clause) -> When:
        return when(clause, self.said_at)

    def subjects(self, clause: Clause) -> list[Ref]:
        return self.people.subjects(
            clause.subject, elliptic=clause.elliptic, human=clause.lemma in _HUMAN
        )

    def add(
        self,
        clause: Clause,
        subject: Ref,
        predicate: str,
        *,
        object: Ref | None = None,
        value: str | None = None,
        negated: bool = False,
        since: Period | None = None,
        until: Period | None = None,
        place: str | None = None,
        quantity: float | None = None,
        unit: str | None = None,
        confidence: float = 0.8,
        told: bool = True,
    ) -> None:
        """Adds a claim as it is, less sure where the clause is a report, lacks its subject, or
        speaks of the one spoken to. A claim of a thing about itself is none. `told` False: the
        clause is not about it ("my son fell ill": there is a son, whenever that was)."""
        if object is not None and object.name.lower() == subject.name.lower():
            return
        if subject == self.people.you and (object is None or clause.mood is Mood.REPORT):
            return  # praise, hearsay
        if value is not None and not value.strip():
            return
        state = not _VOCABULARY.predicate(predicate).event
        undated = since is None and until is None
        if told and state and undated and _reminisces(clause):
            return
        if clause.mood is Mood.REPORT:
            confidence *= 0.8
        if clause.elliptic:
            confidence *= 0.85
        if self.people.you is not None and subject == self.people.you:
            confidence *= 0.6
        start, end = extent(clause)
        self.claims.append(
            Claim(
                subject=subject,
                predicate=predicate,
                object=object,
                value=value,
                negated=negated,
                since=since,
                until=until,
                place=place,
                quantity=quantity,
                unit=unit,
                confidence=round(confidence, 3),
                start=start,
                end=end,
            )
        )
        self.handled.add(clause.verb.i)

    def state(
        self,
        clause: Clause,
        subject: Ref,
        predicate: str,
        *,
        object: Ref | None = None,
        value: str | None = None,
        about: tuple[Token, ...] = (),
        confidence: float = 0.8,
        past: bool = True,
        quantity: float | None = None,
        unit: str | None = None,
    ) -> None:
        """A claim that something is so, by the clause's tense. `about`: the words that the rule has
        read; a denial with more beside them ("I don't play with strangers") denies less than the
        whole and is left alone. `past` False: what was so then may still be so, and is left alone.
        """
        times = self._course(clause, about, past=past)
        if times is None:
            return
        negated, since, until = times
        self.add(
            clause,
            subject,
            predicate,
            object=object,
            value=value,
            negated=negated,
            since=since,
            until=until,
            confidence=confidence,
            quantity=quantity,
            unit=unit,
        )

    def _course(
        self, clause: Clause, about: tuple[Token, ...], *, past: bool
    ) -> tuple[bool, Period | None, Period | None] | None:
        """(negated, since, until), or None if nothing is stated."""
        if not clause.states:
            return None
        time = self.when(clause)
        if time.future:
            return None
        if clause.phase is Phase.END:
            return None if limited(clause, about) else (True, time.at or time.since, None)
        if clause.phase is Phase.FORMER:
            if clause.negated or not past:
                return None
            return self._former(time)
        if clause.negated:
            if clause.ended:
                return None if limited(clause, about) else (True, time.at, None)
            if clause.tense is not Tense.PRESENT or clause.times or not bare(clause, about):
                return None
            return True, None, None
        if clause.phase is Phase.BEGIN:
            return False, time.at or time.since, None
        if clause.tense is Tense.PAST:
            brief = time.at is not None and time.at.granularity in _BRIEF
            if clause.progressive or not past or brief:
                return None  # what was so for a day is no state of affairs
            return self._former(time)
        return False, time.since, time.until

    def _former(self, time: When) -> tuple[bool, Period | None, Period | None]:
        if time.at is not None:
            if time.until is not None:
                return False, time.at, time.until
            return False, time.at, ending(time.at, self.said_at)
        return False, time.since, time.until or now(self.said_at)

    def event(
        self,
        clause: Clause,
        subject: Ref,
        predicate: str,
        *,
        object: Ref | None = None,
        value: str | None = None,
        place: str | None = None,
        confidence: float = 0.75,
    ) -> bool:
        """A claim that something happened; False if the clause does not state that it did."""
        if not happened(clause):
            return False
        if subject == self.people.you and (object is None or object.name[:1].islower()):
            return False  # "you did a great job" is said for kindness
        time = self.when(clause)
        if time.future:
            return False
        self.add(
            clause,
            subject,
            predicate,
            object=object,
            value=value,
            since=time.at or time.since,
            place=place,
            confidence=confidence,
        )
        return True

    def since(self, clause: Clause) -> Period | None:
        time = self.when(clause)
        return time.at or time.since

    def mention(self, ref: Ref, token_start: int, token_end: int) -> None:
        self.people.places[token_start] = (ref, token_start, token_end)


def happened(clause: Clause) -> bool:
    """Whether the clause states that its verb took place."""
    if not clause.states or clause.negated:
        return False
    if clause.phase in (Phase.FORMER, Phase.END):
        return False
    if clause.tense in (Tense.PAST, Tense.PERFECT) or clause.elliptic:
        return True
    dated = any(m.role == "at" and not clause.progressive for m in clause.times)
    return dated and clause.verb.lower_ in _ALIKE and clause.verb.tag_ != "VBZ"


def _reminisces(clause: Clause) -> bool:
    """Whether it tells, without a date, of something that may be long ago: "when I moved to Rome",
    "as a student I started at Fiat". What began then says nothing of today."""
    if clause.tense is Tense.PRESENT and not clause.elliptic:
        return False
    if clause.verb.dep_ in ("advcl", "relcl", "acl", "pcomp"):
        return True
    if clause.tense is Tense.PAST and any(
        c.dep_ == "aux" and c.lower_ in ("had", "'d") for c in clause.children
    ):
        return True  # "I had moved to Rome before that"
    if _LONG_AGO.search(clause.verb.sent.text):
        return True
    if clause.words & _ONCE:
        return True
    for child in clause.children:
        if child.dep_ == "advcl" and any(
            c.lower_ in ("when", "while", "after", "before", "as") for c in child.children
        ):
            return True
        if child.dep_ == "prep" and any(c.lower_ in _AGES for c in child.children):
            return True
    return False


_LIMITS = words("to with in at on around near for during by before")


def limited(clause: Clause, about: tuple[Token, ...]) -> bool:
    """Whether what has ended is less than the whole: "no longer play in a band", "stopped speaking
    Italian to my kids", "stopped drinking coffee for a week". A date is no limit."""
    read = {token.i for token in about}
    for child in (*clause.children, *(c for token in about for c in token.children)):
        if child.dep_ not in ("prep", "dative") or child.lower_ not in _LIMITS or child.i in read:
            continue
        below = [c for c in child.children if c.dep_ in ("pobj", "pcomp")]
        if any(c.i in read or c.lower_ in ("all", "good", "ever") for c in below):
            continue
        timed = bool(below) and all(c.ent_type_ in ("DATE", "TIME") or c.like_num for c in below)
        if child.lower_ == "for" or not timed:
            return True
    return False


def bare(clause: Clause, about: tuple[Token, ...]) -> bool:
    """Whether the clause says nothing beside subject, verb and what stands in `about`."""
    read = {token.i for token in about}
    for child in clause.children:
        if child.i in read or child.dep_ in _HARMLESS or child is clause.subject:
            continue
        if child.dep_ in ("nsubj", "nsubjpass") or child.lower_ in _STRESS:
            continue
        if child.lower_ == "at" and [c.lower_ for c in child.children] == ["all"]:
            continue
        if child.lower_ in ("well", "so") and child.i < clause.verb.i:
            continue  # "well, I don't", but not "I don't play well"
        if any(listed.i in read for listed in child.conjuncts):
            continue  # "I don't like tea or coffee"
        if child.dep_ in ("prep", "dative", "prt") and any(c.i in read for c in child.children):
            continue
        if child.dep_ in ("ccomp", "parataxis") or child.dep_ == "dep":
            continue
        return False
    for token in about:
        for child in token.children:
            if child.i in read or child.dep_ in ("det", "amod", "compound", "punct", "conj", "cc"):
                continue
            if child.dep_ in ("poss", "case", "nmod", "neg", "preconj"):
                continue
            if child.lower_ in _STRESS:
                continue
            if child.dep_ == "prep" and any(c.i in read for c in child.children):
                continue
            return False
    return True


def extent(clause: Clause) -> tuple[int, int]:
    """Characters from the clause's first word to its last, other clauses beside it left out."""
    verb = clause.verb
    doc = verb.doc
    start, end = verb.i, verb.i
    for child in clause.children:
        if child.dep_ in ("conj", "cc", "punct", "ccomp", "advcl", "parataxis"):
            continue
        start, end = min(start, child.left_edge.i), max(end, child.right_edge.i)
    if clause.subject is not None and clause.subject.sent == verb.sent:
        start = min(start, clause.subject.left_edge.i)
    last = doc[end]
    return doc[start].idx, last.idx + len(last.text)


def shifted(claim: Claim, offset: int) -> Claim:
    """The claim as one of a longer text, whose piece begins at `offset`."""
    if not offset:
        return claim
    return replace(claim, start=claim.start + offset, end=claim.end + offset)


def each(refs: list[Ref]) -> Iterator[tuple[Ref, list[Ref]]]:
    """Each of several with the others."""
    for ref in refs:
        yield ref, [other for other in refs if other != ref]
