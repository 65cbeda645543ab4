"""Which fact that is believed already each derived fact is, so that facts keep their ids.

Knows facts as rows and as derived; neither how they are derived nor how they are stored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from memos.protocols import Stretch
from memos.storage.graph.records import END

VALID, INVALID = 11, 13
"""Places in a fact's belief."""


@dataclass
class Old:
    """A fact as stored: its newest revision, the assertions that it rests on, and those that it
    ever rested on with the time since when (microseconds)."""

    row: Sequence[Any]
    sources: set[str] = field(default_factory=set)
    ever: dict[str, int] = field(default_factory=dict)

    @property
    def believed(self) -> bool:
        return bool(self.row[20] == END)


@dataclass
class New:
    """A fact as derived; `belief` are its columns from `subject_id` on."""

    stretch: Stretch
    belief: tuple[Any, ...]
    key: tuple[Any, ...]
    old: Old | None = None
    id: str = ""


def pair(
    news: Sequence[New], olds: dict[str, Old], key_of: Callable[[Sequence[Any]], tuple[Any, ...]]
) -> None:
    """Gives each derived fact the stored one that it continues, if any.

    The one that first rested on one of its assertions, believed or not: so facts are the same again
    once what was forgotten is restored, whatever they were joined or split into meanwhile. Else one
    of the same object and time, if what it rested on was read anew. The order of neither matters.
    """
    if not olds:
        return
    by_assertion = {item: n for n, new in enumerate(news) for item in new.stretch.assertions}
    taken: set[str] = set()

    def match(candidates: Iterable[tuple[tuple[int, int], str, int]]) -> None:
        """Of (age and number of links, id of the fact, number of the new one)."""

        def order(candidate: tuple[tuple[int, int], str, int]) -> tuple[Any, ...]:
            links, id, n = candidate
            return (links, id, news[n].belief[VALID], min(news[n].stretch.assertions))

        for _, id, n in sorted(candidates, key=order):
            if news[n].old is None and id not in taken:
                news[n].old = olds[id]
                taken.add(id)

    match(
        ((min(times), -len(times)), id, n)
        for id, old in olds.items()
        for n, times in _links(old, by_assertion).items()
    )
    alike: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for n, new in enumerate(news):
        if new.old is None:
            alike[new.key].append(n)
    match(
        ((0, 0), id, n)
        for id, old in olds.items()
        if old.believed and id not in taken
        for n in alike.get(key_of(old.row), ())
        if old.row[15] < news[n].belief[INVALID] and news[n].belief[VALID] < old.row[17]
    )


def _links(old: Old, by_assertion: Mapping[str, int]) -> Mapping[int, list[int]]:
    """By number of a derived fact: since when the stored one rests on each of its assertions."""
    found: dict[int, list[int]] = defaultdict(list)
    for item, at in old.ever.items():
        if item in by_assertion:
            found[by_assertion[item]].append(at)
    return found
