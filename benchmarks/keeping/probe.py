"""Measurements of one cube before and after: duplicates, stale answers, bytes, latency.

Knows the store's own count of bytes and the verbs; the truth comes from the year.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from memos.benchmarks.keeping.year import ASKED, Year
from memos.protocols import Held
from memos.types import ActionKind, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memos.service import MemoryOS, Service

_PAGE = 2000
_HITS = 3


def held(service: Service, cube_id: str) -> list[Held]:
    """All live memories."""
    found: list[Held] = []
    while rows := service.stores.keeping.held(
        cube_id, after=found[-1].memory.position if found else 0, limit=_PAGE
    ):
        found += rows
    return found


def live(service: Service, cube_id: str, year: Year) -> dict[str, Any]:
    """Counts of the live set: how many say what another says already, by the year's truth. Two
    corrections are two events, whatever they say."""
    items = held(service, cube_id)
    said: Counter[tuple[str, str, str]] = Counter()
    corrected: set[tuple[str, str, str]] = set()
    for item in items:
        number = item.memory.provenance.external_id
        fact = None if number is None else year.truth.states[int(number)]
        if fact is not None and int(number or 0) in year.truth.corrections:
            corrected.add(fact)
        elif fact is not None:
            said[fact] += 1
    duplicates = sum(count - (fact not in corrected) for fact, count in said.items())
    return {
        "memories": len(items),
        "bytes": sum(item.bytes for item in items),
        "text_bytes": sum(len(item.memory.content.encode()) for item in items),
        "duplicates": duplicates,
        "duplicate_share": round(duplicates / max(1, len(items)), 5),
        "made": sum(item.memory.kind is not Kind.EPISODIC for item in items),
    }


def actions(memory: MemoryOS, cube: str) -> Counter[str]:
    """How often each action was taken in a cube, by its events."""
    kinds = [f"memory.{kind.value}" for kind in ActionKind] + ["summary.make"]
    found: Counter[str] = Counter()
    cursor = None
    while True:
        page = memory.events(kinds=kinds, cube=cube, limit=100, cursor=cursor)
        found.update(event.kind for event in page.items)
        cursor = page.next_cursor
        if cursor is None:
            return found


def stale(service: Service, memory: MemoryOS, cube: str, year: Year) -> dict[str, Any]:
    """Of questions about what was corrected: how often the first hit that states such a fact
    states a former one, and how often `facts` has a former one as current."""
    asked = wrong = unknown = facts_asked = facts_wrong = 0
    for (name, predicate), former in sorted(year.truth.former.items()):
        outdated = former - {year.truth.now[name, predicate]}
        for question in ASKED[predicate]:
            first = _answer(service, memory, cube, year, question, name, predicate)
            asked += 1
            unknown += first is None
            wrong += first in outdated
        believed = memory.facts(subject=name, predicate=predicate, cube=cube).items
        values = {_value(fact) for fact in believed if fact.invalid_at is None and not fact.negated}
        if values:
            facts_asked += 1
            facts_wrong += bool(values & {value.lower() for value in outdated})
    return {
        "questions": asked,
        "search_stale": wrong,
        "search_stale_share": round(wrong / max(1, asked), 5),
        "search_unanswered": unknown,
        "facts_known": facts_asked,
        "facts_stale": facts_wrong,
        "facts_stale_share": round(facts_wrong / max(1, facts_asked), 5),
    }


def _answer(
    service: Service,
    memory: MemoryOS,
    cube: str,
    year: Year,
    question: str,
    name: str,
    predicate: str,
) -> str | None:
    """The value that the first of the hits that states such a fact has for it."""
    hits = memory.search(
        question.format(name), cube=cube, user_id=name.replace(" ", "-").lower(), limit=_HITS
    ).hits
    said = (_said(service, hit.memory, year, name, predicate) for hit in hits)
    return next((value for value in said if value is not None), None)


def _said(service: Service, memory: Any, year: Year, name: str, predicate: str) -> str | None:
    """The value that a hit states; a memory that was made states what its newest source does."""
    if memory.provenance.parents:
        found = service.stores.memories.get(memory.cube_id, memory.provenance.parents)
        memory = max(found.values(), key=lambda one: one.position)
    number = memory.provenance.external_id
    fact = None if number is None else year.truth.states[int(number)]
    return fact[2] if fact is not None and fact[:2] == (name, predicate) else None


def _value(fact: Any) -> str:
    if fact.object is not None:
        return str(fact.object.name).lower()
    return str(fact.value).lower()


@contextmanager
def timed(into: dict[str, Any], name: str) -> Iterator[None]:
    """Writes the seconds of a block."""
    begun = time.perf_counter()
    yield
    into[name] = round(time.perf_counter() - begun, 3)


def latencies(
    ask: Callable[[str], object], questions: Sequence[str], *, until: Callable[[], bool]
) -> list[float]:
    """Milliseconds of searches, one after the other, until `until` says so."""
    found: list[float] = []
    while not until():
        begun = time.perf_counter()
        ask(questions[len(found) % len(questions)])
        found.append((time.perf_counter() - begun) * 1000)
    return found
