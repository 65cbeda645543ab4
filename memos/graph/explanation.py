"""Why a fact is believed and why it ended, in sentences.

Knows facts and what they rest on; no store.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from memos.graph.deriving.endings import AFFIRMED, ENDED, NEGATED, SUPERSEDED
from memos.graph.sentences import moment, span, told
from memos.types import Assertion, Fact, Granularity, Ruling, RulingKind

_SHOWN = 5
"""Sources that are named one by one."""


def sentences(
    fact: Fact,
    assertions: Sequence[Assertion],
    closed_by: Fact | None,
    closes: Sequence[Fact],
    revisions: Sequence[Fact],
    rulings: Sequence[Ruling],
) -> tuple[str, ...]:
    """What the fact says, who says so, what ended it and by which rule, what it ended, how often
    the belief changed, and what people ruled."""
    found = [_what(fact)]
    found += _sources(assertions)
    if fact.invalid_at is not None:
        found.append(_end(fact, closed_by))
    elif fact.event:
        found.append("It happened, and nothing ends what has happened.")
    else:
        found.append("Nothing that is known has ended it.")
    found += [
        f"It closed: {told(other)}, {_on(other.invalid_at, other.invalid_granularity)}."
        for other in closes
        if other.invalid_at is not None
    ]
    if len(revisions) > 1:
        found.append(
            f"Believed as it is now since {_day(fact)}, after {len(revisions) - 1} other "
            f"{'form' if len(revisions) == 2 else 'forms'}; first believed on "
            f"{_day(revisions[0])}."
        )
    found += [_ruling(ruling) for ruling in rulings]
    return tuple(found)


def _what(fact: Fact) -> str:
    times = span(
        fact.valid_at, fact.granularity, fact.invalid_at, fact.invalid_granularity, event=fact.event
    )
    text = " ".join(part for part in (told(fact), times) if part)
    return f"{text} (confidence {fact.confidence:.2f})."


def _sources(assertions: Sequence[Assertion]) -> Iterator[str]:
    for item in assertions[:_SHOWN]:
        stated = moment(item.stated_at, Granularity.DAY)
        how = "corrects what was said before" if item.corrects else "says so"
        yield (
            f"Memory {item.memory_id}, of {stated}, {how} (read by {item.extractor}, confidence "
            f"{item.confidence:.2f})."
        )
    if len(assertions) > _SHOWN:
        yield f"{len(assertions) - _SHOWN} more memories say so."


def _end(fact: Fact, closed_by: Fact | None) -> str:
    on = _on(fact.invalid_at, fact.invalid_granularity)
    if closed_by is None:
        if fact.rule == ENDED or fact.rule is None:
            return f"Closed {on} because its own source says when it ended."
        return f"Closed {on} by rule {fact.rule}."
    said = _said(closed_by)
    if fact.rule == SUPERSEDED:
        thing = closed_by.object.name if closed_by.object is not None else closed_by.value
        return (
            f"Closed {on} because {fact.predicate} takes one value at a time and {said} says "
            f"{thing} since then."
        )
    if fact.rule == NEGATED:
        return f"Closed {on} because {said} denies it: {told(closed_by)}."
    if fact.rule == AFFIRMED:
        return f"This denial was closed {on} because {said} says: {told(closed_by)}."
    return f"Closed {on} by rule {fact.rule}, by fact {closed_by.id}: {told(closed_by)}."


def _said(fact: Fact) -> str:
    return f"memory {fact.sources[0].memory_id}" if fact.sources else f"fact {fact.id}"


def _on(time: datetime | None, grain: Granularity | None) -> str:
    return span(time, grain, None, None, event=True) or "at an unknown time"


def _day(fact: Fact) -> str:
    return moment(fact.created_at, Granularity.DAY)


def _ruling(ruling: Ruling) -> str:
    by = f" by {ruling.actor}" if ruling.actor else ""
    why = f": {ruling.reason}" if ruling.reason else ""
    on = moment(ruling.created_at, Granularity.DAY)
    what = {
        RulingKind.KEEP_OPEN: "Kept open",
        RulingKind.MERGE: "One of its entities was merged with another",
        RulingKind.SPLIT: "It was moved from one entity to another",
    }[ruling.kind]
    return f"{what} on {on}{by}{why} (ruling {ruling.id})."
