"""Records made-up facts as `add_facts` does: a memory with a sentence for each, then what it says.

Knows the stores' way from memories to facts, and takes the time of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from memos.benchmarks.temporal.facts import Fact, Facts
from memos.identity import utc_now
from memos.protocols import (
    IMPORTED,
    EntityMention,
    Indexed,
    NewEntity,
    Reading,
    Stores,
)
from memos.types import (
    Assertion,
    Cube,
    Granularity,
    Kind,
    Memory,
    Provenance,
    State,
)


class Loader:
    """Records facts as `add_facts` does: a memory with a sentence for each, then what it says."""

    def __init__(
        self,
        stores: Stores,
        facts: Facts,
        new_id: Callable[[], str],
        *,
        kept: Mapping[str, Any] | None = None,
    ) -> None:
        """`kept` is what `keep` gave when these facts were recorded in these stores."""
        self._stores = stores
        self._facts = facts
        self._new_id = new_id
        # Ids in no order of popularity.
        order = np.random.default_rng(1).permutation(facts.entities)
        self._ids = [f"{n:026d}" for n in order]
        self._known: set[int] = set()
        self.between = utc_now() if kept is None else datetime.fromisoformat(kept["between"])
        self.cube = self._new_cube() if kept is None else stores.cubes.get("bench", kept["cube"])

    def keep(self) -> dict[str, Any]:
        """What another process needs to ask about the facts that were recorded."""
        return {"cube": self.cube.id, "between": self.between.isoformat()}

    def _new_cube(self) -> Cube:
        return self._stores.cubes.create(
            Cube(
                id=self._new_id(),
                tenant_id="bench",
                name="graph",
                description="",
                metadata={},
                embedding=None,
                created_at=utc_now(),
            )
        )

    def entity_id(self, number: int) -> str:
        return self._ids[number]

    def load(self, batch: int) -> dict[str, Any]:
        recording, remembering, rates = 0.0, 0.0, []
        done = 0
        for facts in self._facts.batches(batch):
            memories = self._memories(facts)
            begun = time.perf_counter()
            stored = self._remember(memories)
            remembered = time.perf_counter()
            entities, readings = self._readings(facts, stored)
            ready = time.perf_counter()
            self._stores.graph.record(self.cube.id, entities, readings)
            ended = time.perf_counter()
            remembering += remembered - begun
            recording += ended - ready
            rates.append(len(facts) / (ended - ready))
            if done < self._facts.count // 2 <= done + len(facts):
                self.between = utc_now()
            done += len(facts)
        return {
            "record_per_s": round(done / recording, 1),
            "all_per_s": round(done / (recording + remembering), 1),
            "slowest_per_s": round(min(rates), 1),
            "record_s": round(recording, 1),
            "memories_s": round(remembering, 1),
        }

    def _memories(self, facts: Sequence[Fact]) -> list[Memory]:
        return [
            Memory(
                id=self._new_id(),
                cube_id=self.cube.id,
                content=f"e{fact.subject} {fact.predicate} {_object(fact)}",
                kind=Kind.SEMANTIC,
                state=State.ACTIVATED,
                version=1,
                position=0,
                user_id=None,
                agent_id=None,
                session_id=None,
                speaker=None,
                occurred_at=fact.since,
                place=None,
                images=(),
                metadata={},
                priority=0.5,
                expires_at=None,
                provenance=Provenance(source="import"),
                created_at=self.cube.created_at,
                updated_at=self.cube.created_at,
            )
            for fact in facts
        ]

    def _remember(self, memories: list[Memory]) -> Sequence[Memory]:
        forms = [Indexed(item.content, "bench", None, None) for item in memories]
        return self._stores.memories.insert(self.cube.id, memories, forms)[0]

    def _readings(
        self, facts: Sequence[Fact], memories: Sequence[Memory]
    ) -> tuple[list[NewEntity], list[Reading]]:
        named = {n for fact in facts for n in (fact.subject, fact.object) if n is not None}
        new = [
            NewEntity(self._ids[n], f"E{n}", "thing", f"e{n}") for n in sorted(named - self._known)
        ]
        self._known |= named
        readings = []
        for fact, memory in zip(facts, memories, strict=True):
            ends = [n for n in (fact.subject, fact.object) if n is not None]
            mentions = tuple(
                EntityMention(self._ids[n], f"E{n}", f"e{n}", 0, len(f"e{n}")) for n in ends
            )
            said = self._assertion(fact, memory)
            readings.append(Reading(memory.id, 1, IMPORTED, mentions, (said,)))
        return new, readings

    def _assertion(self, fact: Fact, memory: Memory) -> Assertion:
        return Assertion(
            id=self._new_id(),
            cube_id=self.cube.id,
            memory_id=memory.id,
            subject_id=self._ids[fact.subject],
            predicate=fact.predicate,
            object_id=None if fact.object is None else self._ids[fact.object],
            value=fact.value,
            quantity=None,
            unit=None,
            negated=False,
            corrects=False,
            replaces=None,
            valid_at=fact.since,
            granularity=Granularity.DAY,
            invalid_at=None,
            invalid_granularity=None,
            stated_at=fact.since,
            place=None,
            confidence=fact.confidence,
            extractor=IMPORTED,
            start=0,
            end=0,
            created_at=memory.created_at,
        )


def _object(fact: Fact) -> str:
    return str(fact.value) if fact.object is None else f"e{fact.object}"
