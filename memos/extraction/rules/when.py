"""The times of a clause: since when, until when, and whether that is still to come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from memos.extraction.rules.clause import Clause
from memos.types import Granularity, Period

if TYPE_CHECKING:
    from spacy.tokens import Doc

    from memos.extraction.times import TimeMention

_NOT = frozenset({"not", "n't"})
_FORTHCOMING = frozenset({"soon", "tomorrow", "tonight", "eventually", "someday"})


@dataclass(frozen=True, slots=True)
class When:
    """`at`: the period in which it happened. `since`: with which a state began. `until`: with
    which it ended. `future`: it is still to come."""

    at: Period | None = None
    since: Period | None = None
    until: Period | None = None
    future: bool = False


def assign(doc: Doc, clauses: list[Clause], times: tuple[TimeMention, ...]) -> None:
    """Gives each time to the clause whose words it belongs to."""
    by_verb = {clause.verb.i: clause for clause in clauses}
    for mention in times:
        token = next((t for t in doc if t.idx <= mention.start < t.idx + len(t.text_with_ws)), None)
        if token is None or (token.i > 0 and doc[token.i - 1].lower_ in _NOT):
            continue
        sentence = token.sent
        if token.i > 1 and doc[token.i - 1].dep_ == "prep" and doc[token.i - 2].lower_ in _NOT:
            continue
        owner = None
        for _ in range(50):
            if token.i in by_verb:
                owner = by_verb[token.i]
                break
            if token.head.i == token.i:
                break
            token = token.head
        if owner is None:
            inside = [c for c in clauses if sentence.start <= c.verb.i < sentence.end]
            owner = inside[0] if len(inside) == 1 else None
        if owner is not None:
            owner.times.append(mention)
    for clause in clauses:
        before = by_verb.get(clause.verb.head.i)
        if clause.verb.dep_ == "conj" and before is not None and not clause.times:
            told = {clause.verb.tag_, before.verb.tag_} <= {"VBD"} and before.subject is not None
            same = clause.subject is before.subject or (
                clause.subject is not None
                and before.subject is not None
                and clause.subject.lower_ == before.subject.lower_
            )
            if told and same:  # "I ran a marathon in April and won a medal"
                clause.times += [m for m in before.times if m.role == "at"]


def now(said_at: datetime) -> Period:
    return Period(start=said_at, end=said_at, granularity=Granularity.SECOND)


def when(clause: Clause, said_at: datetime) -> When:
    """What the times of a clause say. A state's "for three years" begins three years ago."""
    at = since = until = None
    future = bool(clause.words & _FORTHCOMING)
    for mention in clause.times:
        period, role = mention.period, mention.role
        if role == "since":
            since = since or Period(
                start=period.start, end=period.end, granularity=period.granularity
            )
        elif role == "for":
            since = since or Period(start=period.start, end=None, granularity=period.granularity)
        elif role == "until":
            until = until or period
        elif role == "before":
            continue
        elif period.start is not None and period.start > said_at:
            future = True
        else:
            at = at or period
    return When(at=at, since=since, until=until, future=future)


def ending(period: Period, said_at: datetime) -> Period:
    """The moment at which a period is over, at the latest when it is talked about."""
    end = said_at if period.end is None else min(period.end, said_at)
    return Period(start=end, end=end, granularity=period.granularity)
