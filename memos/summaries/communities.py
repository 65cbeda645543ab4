"""A summary of each community of entities: what its members' facts rest on, most telling first.

A community is a group of entity ids, found elsewhere. Its passages are the memories whose facts
touch members, those with more such facts counting more; those of different users are summarised
apart. The heading names only members that the quoted memories name, so that nothing in the text
outlives what it was made from.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from memos.protocols import Clock, NewId, Stores
from memos.retrieval.projection.projection import Projections
from memos.summaries.extractive import length_of
from memos.summaries.passages import days, line, passages
from memos.summaries.writing import EXTRACTIVE
from memos.types import LIVE, Cube, Entity, Memory, Summary, SummaryKind

_MOST_FACTS = 2000
"""Facts read of one community, the first by id; beyond them the rest says little new."""
_MOST_MEMORIES = 2000
_NAMES = 6


class CommunitySummaries:
    def __init__(
        self, stores: Stores, projections: Projections, *, clock: Clock, new_id: NewId
    ) -> None:
        self._stores = stores
        self._projections = projections
        self._clock = clock
        self._new_id = new_id

    def make(
        self,
        cube: Cube,
        communities: Sequence[Sequence[str]],
        *,
        beat: Callable[[float], None] = lambda progress: None,
    ) -> int:
        """Puts summaries of these communities (entity ids; the place in the sequence is the key) in
        the place of all former ones; the store keeps those that come out as they were. Answers how
        many there are."""
        new: list[Summary] = []
        for number, members in enumerate(communities):
            new.extend(self._summaries(cube, str(number), members))
            beat(number / len(communities))
        self._stores.summaries.replace(cube.id, SummaryKind.COMMUNITY, new, keys=())
        return len(new)

    def _summaries(self, cube: Cube, key: str, members: Sequence[str]) -> Iterator[Summary]:
        facts = self._stores.graph.facts(cube.id, touching=list(members), limit=_MOST_FACTS)
        told = Counter(source.memory_id for fact in facts for source in fact.sources)
        ids = sorted(told, key=lambda id: (-told[id], id))[:_MOST_MEMORIES]
        users: dict[str | None, list[Memory]] = {}
        for memory in self._live(cube, ids):
            users.setdefault(memory.user_id, []).append(memory)
        entities = self._stores.graph.entities(cube.id, list(members), limit=len(members))
        for user in sorted(users, key=lambda name: name or ""):
            summary = self._summary(cube, key, entities, users[user], told)
            if summary is not None:
                yield summary

    def _live(self, cube: Cube, ids: Sequence[str]) -> list[Memory]:
        now = self._clock()
        found = self._stores.memories.get(cube.id, ids).values()
        live = [
            memory
            for memory in found
            if memory.state in LIVE and (memory.expires_at is None or memory.expires_at > now)
        ]
        return sorted(live, key=lambda memory: memory.position)

    def _summary(
        self,
        cube: Cube,
        key: str,
        entities: Sequence[Entity],
        memories: Sequence[Memory],
        told: Mapping[str, int],
    ) -> Summary | None:
        found = passages(self._projections, cube.id, memories)
        boost = np.array([1 + math.log(told[memory.id]) for memory in found.memories])
        chosen, said = found.chosen(length_of(len(found.memories)), boost)
        if not chosen:
            return None
        heading = ", ".join(self._named(cube, entities, chosen))
        lines = "\n".join(map(line, chosen, said))
        return Summary(
            id=self._new_id(),
            cube_id=cube.id,
            kind=SummaryKind.COMMUNITY,
            key=key,
            text=f"{heading or 'Facts'}, {days(chosen)}\n{lines}",
            memory_ids=tuple(memory.id for memory in chosen),
            entity_ids=tuple(entity.id for entity in entities),
            method=EXTRACTIVE,
            created_at=self._clock(),
        )

    def _named(self, cube: Cube, entities: Sequence[Entity], chosen: Sequence[Memory]) -> list[str]:
        """Members that the chosen memories name, as they name them, most often named first."""
        mentions = self._stores.graph.mentions(cube.id, [memory.id for memory in chosen])
        members = {entity.id for entity in entities}
        times: Counter[str] = Counter()
        surface: dict[str, str] = {}
        for memory in chosen:
            for mention in mentions.get(memory.id, ()):
                if mention.entity_id in members and mention.surface:
                    times[mention.entity_id] += 1
                    surface.setdefault(mention.entity_id, mention.surface)
        order = sorted(times, key=lambda id: (-times[id], surface[id], id))
        return [surface[id] for id in order[:_NAMES]]
