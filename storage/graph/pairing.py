"""Which fact that is believed already each derived fact is, so that facts keep their ids.

Knows facts as rows and as derived; neither how they are derived nor how they are stored.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from memos.protocols import Stretch
from memos.storage.graph.records import END

VALID, INVALID = 11, 13
"""Places in a fact's belief."""


@dataclass
class Old:
    """A fact as stored: its newest revision, and the assertions that it rests (or rested) on."""

    row: Sequence[Any]
    sources: set[str] = field(default_factory=set)
    former: set[str] = field(default_factory=set)

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
    """Facts keep their ids: by the assertions they share, then by their object and time, then by
    the assertions that they once rested on. The same whatever the order of anything."""
    if not olds:
        return
    by_assertion = {item: n for n, new in enumerate(news) for item in new.stretch.assertions}
    believed = {id: old for id, old in olds.items() if old.believed}
    taken: set[str] = set()

    def match(candidates: Iterable[tuple[int, str, int]]) -> None:
        """Of (assertions shared, id of the fact, number of the new one)."""

        def order(candidate: tuple[int, str, int]) -> tuple[Any, ...]:
            count, id, n = candidate
            return (-count, id, news[n].belief[VALID], min(news[n].stretch.assertions))

        for _, id, n in sorted(candidates, key=order):
            if news[n].old is None and id not in taken:
                news[n].old = olds[id]
                taken.add(id)

    def shared(sources: Mapping[str, set[str]]) -> Iterator[tuple[int, str, int]]:
        for id, items in sources.items():
            counts = Counter(by_assertion[item] for item in items if item in by_assertion)
            yield from ((count, id, n) for n, count in counts.items())

    match(shared({id: old.sources for id, old in believed.items()}))
    alike: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for n, new in enumerate(news):
        if new.old is None:
            alike[new.key].append(n)
    match(
        (0, id, n)
        for id, old in believed.items()
        if id not in taken
        for n in alike.get(key_of(old.row), ())
        if old.row[15] < news[n].belief[INVALID] and news[n].belief[VALID] < old.row[17]
    )
    former = shared({id: old.former for id, old in olds.items() if not old.believed})
    match(item for item in former if key_of(olds[item[1]].row) == news[item[2]].key)
