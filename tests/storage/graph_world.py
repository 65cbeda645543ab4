"""A cube in which memories say things, for the tests of the graph's tables."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone

from memos.protocols import EntityMention, NewEntity, Reading, Recorded, Stores
from memos.types import Assertion, Cube, Fact, Memory
from tests.storage import samples
from tests.storage.samples import NOTHING, Clock

DAY = timedelta(days=1)
T0 = datetime(2024, 1, 1, tzinfo=timezone.utc)


def day(number: float) -> datetime:
    return T0 + number * DAY


@dataclass(frozen=True)
class Saying:
    """Subject, predicate and object by name; an object in quotes is a value."""

    subject: str
    predicate: str
    object: str | None
    since: datetime | None = None
    until: datetime | None = None
    negated: bool = False
    corrects: bool = False
    confidence: float = 0.8
    place: str | None = None


@dataclass
class World:
    """Memories in one cube. Entities have their folded name for an id within `ids`, so that what
    other worlds make of the same sayings can be compared."""

    stores: Stores
    cube: Cube
    clock: Clock
    extractor: str = "test-1"
    memories: dict[str, Memory] = field(default_factory=dict)

    def remember(self, text: str = "hello", **fields: object) -> Memory:
        item = samples.memory(self.clock, self.cube.id, text, **fields)
        (stored,), _ = self.stores.memories.insert(self.cube.id, [item], [NOTHING])
        self.memories[stored.id] = stored
        return stored

    def say(self, *sayings: Saying, text: str = "hello", at: datetime | None = None) -> Memory:
        """A memory that says this, read."""
        at = at or next((s.since or s.until for s in sayings if s.since or s.until), T0)
        item = self.remember(text, occurred_at=at)
        self.read([(item, sayings)])
        return item

    def read(self, said: Sequence[tuple[Memory, Sequence[Saying]]]) -> Recorded:
        names = {
            name
            for _, sayings in said
            for saying in sayings
            for name in (saying.subject, saying.object)
            if name is not None and not name.startswith('"')
        }
        return self.stores.graph.record(
            self.cube.id,
            [NewEntity(entity_id(name), name, "thing", name.casefold()) for name in sorted(names)],
            [self.reading(item, sayings) for item, sayings in said],
        )

    def reading(self, item: Memory, sayings: Sequence[Saying]) -> Reading:
        named = dict.fromkeys(
            name
            for saying in sayings
            for name in (saying.subject, saying.object)
            if name is not None and not name.startswith('"')
        )
        return Reading(
            item.id,
            item.version,
            self.extractor,
            tuple(
                EntityMention(entity_id(name), name, name.casefold(), n, n + len(name))
                for n, name in enumerate(named)
            ),
            tuple(self.assertion(item, saying, number) for number, saying in enumerate(sayings)),
        )

    def assertion(self, item: Memory, said: Saying, number: int) -> Assertion:
        value = said.object is not None and said.object.startswith('"')
        return Assertion(
            # The same in every world, for the rules decide by it in the end.
            id=f"{item.id}-{item.version}-{self.extractor}-{number}",
            cube_id=self.cube.id,
            memory_id=item.id,
            subject_id=entity_id(said.subject),
            predicate=said.predicate,
            object_id=None if value or said.object is None else entity_id(said.object),
            value=said.object.strip('"') if value and said.object else None,
            quantity=None,
            unit=None,
            negated=said.negated,
            corrects=said.corrects,
            replaces=None,
            valid_at=said.since,
            granularity=None,
            invalid_at=said.until,
            invalid_granularity=None,
            stated_at=item.occurred_at or item.created_at,
            place=said.place,
            confidence=said.confidence,
            extractor=self.extractor,
            start=0,
            end=5,
            created_at=self.clock(),
        )

    def archive(self, item: Memory) -> None:
        self._to(item, samples.State.ARCHIVED)

    def restore(self, item: Memory) -> None:
        self._to(item, samples.State.ACTIVATED)

    def update(self, item: Memory, text: str) -> Memory:
        present = self.stores.memories.get(self.cube.id, [item.id])[item.id]
        return self._replace(replace(present, content=text))

    def erase(self, item: Memory) -> None:
        self.stores.memories.erase(self.cube.id, item.id, actor=None, reason=None)

    def _to(self, item: Memory, state: samples.State) -> None:
        present = self.stores.memories.get(self.cube.id, [item.id])[item.id]
        self._replace(replace(present, state=state))

    def _replace(self, item: Memory) -> Memory:
        return self.stores.memories.replace(
            replace(item, updated_at=self.clock()),
            expected_version=item.version,
            operation="update",
            actor=None,
            reason=None,
            indexed=None,
        )

    def facts(self, **asked: object) -> list[Fact]:
        return self.stores.graph.facts(self.cube.id, **asked)

    def view(self, **asked: object) -> list[tuple[object, ...]]:
        """Facts without their ids, in an order of their own."""
        return sorted(map(plain, self.facts(**asked)), key=repr)


def entity_id(name: str) -> str:
    """Opaque, for the bytes of an erased name are looked for; in the order of the names."""
    folded = name.casefold()
    return f"e-{folded[:2]}{hashlib.sha256(folded.encode()).hexdigest()[:8]}"


def plain(fact: Fact) -> tuple[object, ...]:
    """What a fact says, whatever its id."""
    return (
        fact.subject.id,
        fact.predicate,
        fact.object.id if fact.object else fact.value,
        fact.negated,
        fact.valid_at,
        fact.invalid_at,
        fact.rule,
        round(fact.confidence, 6),
        tuple(source.assertion_id for source in fact.sources),
    )


def brief(fact: Fact) -> tuple[object, ...]:
    return (
        fact.subject.name,
        fact.predicate,
        fact.object.name if fact.object else fact.value,
        fact.valid_at,
        fact.invalid_at,
    )
