"""Made-up facts with the shape of real graphs: few things are known by very many, most by few.

The same seed gives the same facts. People move and change jobs (functional predicates that close
one another), know and like what is popular (a power law), and go places (events).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import islice

import numpy as np

BEGIN = datetime(2015, 1, 1, tzinfo=timezone.utc)
DAYS = 3650
# Facts per entity, on average.
DENSITY = 5
_BLOCK = 1000
PREDICATES = ("lives_in", "works_at", "knows", "likes", "visited", "owns", "age")
SHARES = (0.15, 0.1, 0.3, 0.2, 0.15, 0.05, 0.05)
# One object at a time. Their subject is anybody alike: nobody moves ten thousand times.
FUNCTIONAL = frozenset({"lives_in", "works_at", "age"})


@dataclass(frozen=True, slots=True)
class Fact:
    """Entities by number; `object` None: `value` it is."""

    subject: int
    predicate: str
    object: int | None
    value: str | None
    since: datetime
    confidence: float


class Facts:
    """`count` facts about `entities` entities. Entity 0 is the one with the most facts."""

    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self.entities = max(10, count // DENSITY)
        self._seed = seed
        # Zipf's law: how often the n-th most popular is named falls with 1 / n.
        weights = 1.0 / np.arange(1, self.entities + 1)
        self._cumulated = np.cumsum(weights) / weights.sum()

    def batches(self, size: int) -> Iterator[list[Fact]]:
        """In the order of their dates, as they would be told; the same facts in any batches."""
        told = self._told()
        while batch := list(islice(told, size)):
            yield batch

    def _told(self) -> Iterator[Fact]:
        chance = np.random.default_rng(self._seed)
        for start in range(0, self.count, _BLOCK):
            yield from self._block(chance, start, min(_BLOCK, self.count - start))

    def _block(self, chance: np.random.Generator, start: int, size: int) -> list[Fact]:
        kinds = chance.choice(len(PREDICATES), size, p=SHARES)
        popular = np.searchsorted(self._cumulated, chance.random((2, size)))
        even = chance.integers(0, self.entities, size)
        confidences = chance.integers(50, 100, size) / 100
        found = []
        for n in range(size):
            name = PREDICATES[kinds[n]]
            subject = int(even[n] if name in FUNCTIONAL or n % 4 else popular[0, n])
            value = str(20 + n % 60) if name == "age" else None
            object = None if value is not None else int(popular[1, n])
            if object == subject:
                object = (subject + 1) % self.entities
            day = timedelta(days=DAYS * (start + n) / self.count)
            found.append(Fact(subject, name, object, value, BEGIN + day, float(confidences[n])))
        return found

    def asked(self, count: int, seed: int) -> list[int]:
        """Entities to ask for: half of them any, half as often as they are named, so that hubs come
        as often as in facts; the greatest hub is among them."""
        chance = np.random.default_rng(seed)
        any_ = chance.integers(0, self.entities, count - count // 2)
        popular = np.searchsorted(self._cumulated, chance.random(count // 2))
        popular[:1] = 0
        found = [int(n) for n in np.concatenate([any_, popular])]
        chance.shuffle(found)
        return found
