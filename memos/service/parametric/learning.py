"""What an adapter learns: its memories chosen and scored, and the training set that they make.

Knows stores and facts, and no model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from memos.activation.opening import canonical
from memos.activation.selection import Selection
from memos.errors import InvalidInput
from memos.graph.sentences import shown, span
from memos.graph.vocabulary import Vocabulary
from memos.parametric import neutral, unrelated
from memos.parametric.examples import Taught, examples, question
from memos.parametric.naming import keyed, names, unnamed
from memos.parametric.policy import Signs, diverse, refused, room, scored
from memos.parametric.request import Distilling
from memos.protocols import Clock, Embedder, Stores
from memos.service.local_model.choosing import Chooser
from memos.types import Cube, Fact, LeftAlone, Memory, Scored, Substrate, TrainingSet

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PART = 256
ALONE = LeftAlone(
    held=neutral.REPLAY,
    asked=neutral.PROBES,
    held_texts=(*neutral.SENTENCES[::2], *neutral.prose()),
    texts=neutral.SENTENCES[1::2],
)
"""What no adapter may change."""


def left_alone(held: str) -> LeftAlone:
    """With "few" questions that are held in training, or "many"."""
    if held == "few":
        return ALONE
    return replace(ALONE, held=(*ALONE.held, *unrelated.questions()))


class Learning:
    """Of all cubes."""

    def __init__(
        self,
        stores: Stores,
        chooser: Chooser,
        embedder: Embedder,
        *,
        held: str = "few",
        clock: Clock,
    ) -> None:
        self._stores = stores
        self._chooser = chooser
        self._embedder = embedder
        self._clock = clock
        self.alone = left_alone(held)

    def chosen(
        self, cube: Cube, wanted: Distilling, *, parameters: int
    ) -> tuple[list[Memory], tuple[Scored, ...]]:
        """(memories in canonical order, why these and others not). InvalidInput for none, or one
        that was named and may not go into weights."""
        now = self._clock()
        if not wanted.memories and wanted.query is None and wanted.kind is None:
            found = self._all(cube, wanted.limit)
        else:
            asked = Selection(
                memories=wanted.memories, query=wanted.query, kind=wanted.kind, limit=wanted.limit
            )
            found, _ = self._chooser.chosen(cube, asked)
        signs = self._signs(cube, found)
        ranked = scored(found, signs, now)
        if wanted.memories:
            _check_named(found, signs, now)
        by_id = {memory.id: memory for memory in found}
        count = min(wanted.limit, room(parameters)) if not wanted.memories else len(found)
        taken = diverse(
            ranked, self._vectors(ranked, by_id, wanted), count, weight=wanted.diversity
        )
        if not taken:
            reasons = sorted({one.refused for one in ranked if one.refused})
            raise InvalidInput(
                "there is no memory to distill"
                + (f": {'; '.join(reasons)}" if reasons else "; add some first, or choose others"),
                field="memories",
            )
        return canonical([by_id[one.memory_id] for one in taken]), tuple(ranked)

    def learnable(self, cube: Cube, memories: Sequence[Memory]) -> list[str]:
        """The ids of those that may go into weights."""
        signs, now = self._signs(cube, memories), self._clock()
        return [memory.id for memory in memories if refused(memory, signs, now) is None]

    def training_set(
        self,
        cube: Cube,
        memories: Sequence[Memory],
        *,
        when: str,
        seed: int = 0,
        begin: str | None = None,
        known: Sequence[str] = (),
        wordings: Mapping[str, Sequence[str]] | None = None,
    ) -> TrainingSet:
        """`when` it will be at work: "named" or "always"; `known`: memories that the adapter
        `begin` has learnt; `wordings`: other ways to ask, by question. InvalidInput if the memories
        say nothing; Contradiction."""
        facts, others = self._split(cube, memories)
        made, probes = examples(facts, others, seed=seed, wordings=wordings or {})
        asked = [probe.prompt for probe in probes] + [*self.alone.asked, *self.alone.texts]
        salt = self._stores.artifacts.salt(cube.tenant_id)
        keys = keyed(names(facts, others), salt)
        return TrainingSet(
            examples=made,
            probes=probes,
            alone=self.alone,
            begin=begin,
            known=tuple(known),
            idle=() if when == "always" else unnamed(asked, keys, salt),
        )

    def questions(self, cube: Cube, memories: Sequence[Memory]) -> dict[str, str]:
        """One about each fact, with the name that it is about."""
        return {question(fact): fact.subject for fact in self._taught(cube, memories)}

    def keys(self, cube: Cube, memories: Sequence[Memory]) -> list[str]:
        """Digests of the names that the memories tell of."""
        facts, others = self._split(cube, memories)
        return keyed(names(facts, others), self._stores.artifacts.salt(cube.tenant_id))

    def _split(self, cube: Cube, memories: Sequence[Memory]) -> tuple[list[Taught], list[Memory]]:
        """(facts of these memories, memories without one)."""
        facts = self._taught(cube, memories)
        told = {fact.source for fact in facts}
        return facts, [memory for memory in memories if memory.id not in told]

    def _taught(self, cube: Cube, memories: Sequence[Memory]) -> list[Taught]:
        now = self._clock()
        predicates, types = self._stores.graph.definitions(cube.id)
        words = Vocabulary(predicates, types)
        order = {memory.id: number for number, memory in enumerate(memories)}
        found: list[tuple[int, str, Taught]] = []
        for fact in self._facts(cube, list(order)):
            if fact.negated or not _holds(fact, now):
                continue
            thing = fact.object.name if fact.object is not None else shown(fact.value, fact.unit)
            mine = [s.memory_id for s in fact.sources if s.memory_id in order]
            if thing is None or not mine:
                continue
            source = min(mine, key=lambda id: order[id])
            taught = Taught(
                subject=fact.subject.name,
                predicate=fact.predicate,
                object=thing,
                source=source,
                when=_when(fact),
                one=words.predicate(fact.predicate).functional,
            )
            found.append((order[source], fact.id, taught))
        return [taught for _, _, taught in sorted(found, key=lambda one: one[:2])]

    def _facts(self, cube: Cube, ids: Sequence[str]) -> Iterator[Fact]:
        for start in range(0, len(ids), _PART):
            after = None
            while rows := self._stores.graph.facts(
                cube.id, memories=ids[start : start + _PART], after=after, limit=1000
            ):
                yield from rows
                after = rows[-1].id

    def _signs(self, cube: Cube, memories: Sequence[Memory]) -> Signs:
        now, ids = self._clock(), [memory.id for memory in memories]
        facts: dict[str, int] = {}
        contradicted: set[str] = set()
        for fact in self._facts(cube, ids):
            for source in fact.sources:
                facts[source.memory_id] = facts.get(source.memory_id, 0) + 1
                if fact.closed_by is not None and not _holds(fact, now):
                    contradicted.add(source.memory_id)
        return Signs(uses=self._uses(cube), facts=facts, contradicted=contradicted)

    def _uses(self, cube: Cube) -> dict[str, int]:
        """Uses of the activation memories that a memory is in."""
        found: dict[str, int] = {}
        after = None
        while rows := self._stores.artifacts.page(
            cube.id, Substrate.ACTIVATION, after=after, limit=_PART
        ):
            after = rows[-1].id
            for row in rows:
                for source in row.sources:
                    found[source.memory_id] = found.get(source.memory_id, 0) + row.hits
        return found

    def _all(self, cube: Cube, limit: int) -> list[Memory]:
        """More than `limit`, so that the policy has something to choose from."""
        found: list[Memory] = []
        after = 0
        while len(found) < 20 * limit and (
            rows := self._stores.memories.page(cube.id, after=after, limit=_PART)
        ):
            found += rows
            after = rows[-1].position
        return found

    def _vectors(
        self, ranked: Sequence[Scored], by_id: dict[str, Memory], wanted: Distilling
    ) -> dict[str, NDArray[np.float32]]:
        if not wanted.diversity:
            return {}
        ids = [one.memory_id for one in ranked if one.refused is None]
        vectors = self._embedder.embed([by_id[id].content for id in ids])
        return dict(zip(ids, vectors, strict=True))


def _check_named(memories: Sequence[Memory], signs: Signs, now: datetime) -> None:
    for memory in memories:
        reason = refused(memory, signs, now)
        if reason is not None:
            raise InvalidInput(f"memory {memory.id} can't be distilled: {reason}", field="memories")


def _holds(fact: Fact, now: datetime) -> bool:
    if fact.event:
        return True
    return fact.invalid_at is None or fact.invalid_at > now


def _when(fact: Fact) -> str:
    if fact.valid_at is None or fact.granularity is None:
        return ""
    return span(
        fact.valid_at,
        fact.granularity,
        fact.invalid_at,
        fact.invalid_granularity,
        event=fact.event,
    )
