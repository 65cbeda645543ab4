"""The verbs that change the graph: facts given, rulings of people, own predicates and types.

Knows the order in which things are stored, so that nothing is lost in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from memos.errors import EntityNotFound, FactNotFound, InvalidInput
from memos.extraction.structured import given, read
from memos.graph.deriving import importing
from memos.graph.resolving.names import normal
from memos.graph.vocabulary import Vocabulary as Words
from memos.graph.vocabulary import folded
from memos.messages import Defaults
from memos.protocols import IMPORTED, NewEntity
from memos.service.graph.base import GraphBase, checked_name
from memos.types import (
    LIVE,
    AddedFacts,
    Cube,
    Entity,
    EntityType,
    Extraction,
    Fact,
    Memory,
    NewFact,
    PredicateType,
    Ruling,
    RulingKind,
)
from memos.validation import (
    check_label,
    check_text,
)

_TRIES = 3


class GraphWrites(GraphBase):
    """add_facts, add_records, keep_open, merge_entities, split_entity, revoke, define_*."""

    def add_facts(
        self,
        cube: Cube,
        facts: Sequence[NewFact | Mapping[str, Any]],
        *,
        session_id: str | None,
        idempotency_key: str | None,
        actor: str | None,
    ) -> AddedFacts:
        """Each fact gets a memory that says it and keeps what was given, stored first; what it
        means is stored right after. If the process ends in between, the job that reads memories (or
        the same call with its key) completes it to the same result."""
        words = self._words(cube)
        checked = importing.ready(facts, words, self._settings)
        self._check_links(cube, checked, words)
        added = self._adder.add(
            cube,
            [importing.memory_of(fact, words, session_id) for fact in checked],
            Defaults(),
            wait=True,
            idempotency_key=idempotency_key,
            actor=actor,
        )
        ids = [memory.id for memory in added.memories]
        self._complete(cube, added.memories)
        order = {id: place for place, id in enumerate(ids)}
        found = {fact.id: fact for fact in self._all_facts(cube, memories=ids)}

        def place(fact: Fact) -> tuple[int, str]:
            return min(order.get(s.memory_id, len(ids)) for s in fact.sources), fact.id

        return AddedFacts(facts=tuple(sorted(found.values(), key=place)), memory_ids=tuple(ids))

    def add_records(
        self,
        cube: Cube,
        records: Sequence[Mapping[str, Any]],
        *,
        name_field: str,
        type: str,
        time_field: str | None,
        session_id: str | None,
        idempotency_key: str | None,
        actor: str | None,
    ) -> AddedFacts:
        """See `add_facts`."""
        return self.add_facts(
            cube,
            importing.facts_of(records, name_field=name_field, type=type, time_field=time_field),
            session_id=session_id,
            idempotency_key=idempotency_key,
            actor=actor,
        )

    def _check_links(self, cube: Cube, facts: Sequence[NewFact], words: Words) -> None:
        """Two names of one entity are a link to itself, too."""
        pairs = [
            (number, normal(fact.subject), normal(str(fact.object)))
            for number, fact in enumerate(facts)
            if fact.object_type is not None and fact.object is not None
        ]
        named = self._store.by_alias(cube.id, sorted({name for _, *two in pairs for name in two}))
        for number, subject, thing in pairs:
            same = {e.id for e in named.get(subject, ())} & {e.id for e in named.get(thing, ())}
            if same and len(named[subject]) == len(named[thing]) == 1:
                fact = facts[number]
                raise InvalidInput(
                    f"fact {number}: {fact.subject!r} and {fact.object!r} are names of one entity, "
                    f"{same.pop()}; name another object",
                    field="object",
                    fact=number,
                )

    def _complete(self, cube: Cube, memories: Sequence[Memory]) -> None:
        """Records what the memories of facts mean, as far as that was not done."""
        live = [memory for memory in memories if memory.state in LIVE]
        unread = {memory.id for memory in live}
        for fact in self._all_facts(cube, memories=[memory.id for memory in live]):
            unread -= {s.memory_id for s in fact.sources if s.extractor == IMPORTED}
        left: list[tuple[Memory, Extraction]] = []
        for memory in live:
            fact_given = given(memory) if memory.id in unread else None
            if fact_given is not None:
                left.append((memory, read(fact_given, memory.content)))
        for tries in range(1, _TRIES + 1):
            if not left:
                return
            entities, readings = self._resolver.resolve(cube, left, extractor=IMPORTED)
            try:
                self._store.record(cube.id, entities, readings)
                return
            except EntityNotFound:
                # Erased between being found and being used.
                if tries == _TRIES:
                    raise

    def keep_open(
        self, cube: Cube, fact_id: str, *, reason: str | None, actor: str | None
    ) -> Ruling:
        """FactNotFound; StateConflict if no other fact closes it."""
        check_label("id", fact_id)
        return self._rule(cube, RulingKind.KEEP_OPEN, fact_id, None, (), reason, actor)

    def merge_entities(
        self, cube: Cube, source: str, into: str, *, reason: str | None, actor: str | None
    ) -> Ruling:
        """Conflict for an entity with itself."""
        gone, target = self._one(cube, source), self._one(cube, into)
        return self._rule(cube, RulingKind.MERGE, gone.id, target.id, (), reason, actor)

    def split_entity(
        self,
        cube: Cube,
        entity: str,
        *,
        name: str,
        type: str | None,
        facts: Sequence[str],
        memories: Sequence[str],
        reason: str | None,
        actor: str | None,
    ) -> Ruling:
        """FactNotFound for a fact that is not there; InvalidInput if nothing of the entity's would
        move, or the new name means the old entity."""
        old = self._one(cube, entity)
        new_name = checked_name("name", name)
        kind = old.type if type is None else self._words(cube).type(type).name
        moved = self._assertions(cube, old, facts, memories)
        if not moved:
            raise InvalidInput(
                f"nothing of {old.name!r} ({old.id}) is in the facts and memories named; name "
                "those that are about the other entity",
                field="facts",
            )
        new = NewEntity(self._new_id(), new_name, kind, normal(new_name))
        made = self._store.record(cube.id, [new], []).entities[new.id]
        (target,) = self._store.entities(cube.id, [made])
        if (target.merged_into or target.id) == old.id:
            raise InvalidInput(
                f"{name!r} is a name of {old.name!r} ({old.id}) already; give the new entity "
                "another",
                field="name",
            )
        return self._rule(cube, RulingKind.SPLIT, old.id, made, tuple(moved), reason, actor)

    def _assertions(
        self, cube: Cube, entity: Entity, facts: Sequence[str], memories: Sequence[str]
    ) -> list[str]:
        """Of what these facts and memories say about an entity."""
        wanted = list(dict.fromkeys(facts))
        held = {fact.id: fact for fact in self._all_facts(cube, ids=wanted)} if wanted else {}
        for id in wanted:
            if id not in held:
                raise FactNotFound(f"cube {cube.name!r} has no fact {id!r}", fact_id=id)
        touching = [
            source.assertion_id
            for fact in held.values()
            if entity.id in (fact.subject.id, fact.object.id if fact.object else None)
            for source in fact.sources
        ]
        if memories:
            named = set(memories)
            touching += [
                source.assertion_id
                for fact in self._all_facts(cube, memories=list(named), touching=[entity.id])
                for source in fact.sources
                if source.memory_id in named
            ]
        return sorted(set(touching))

    def _rule(
        self,
        cube: Cube,
        kind: RulingKind,
        source_id: str,
        target_id: str | None,
        assertions: tuple[str, ...],
        reason: str | None,
        actor: str | None,
    ) -> Ruling:
        if reason is not None:
            check_text("reason", reason)
        return self._store.rule(
            Ruling(
                id=self._new_id(),
                cube_id=cube.id,
                kind=kind,
                source_id=source_id,
                target_id=target_id,
                assertions=assertions,
                actor=actor,
                reason=reason,
                created_at=self._clock(),
                revoked_at=None,
            )
        )

    def revoke(self, cube: Cube, ruling_id: str) -> Ruling:
        """RulingNotFound; StateConflict if it was revoked."""
        check_label("id", ruling_id)
        return self._store.revoke(cube.id, ruling_id, at=self._clock())

    def define_predicate(
        self,
        cube: Cube,
        name: str,
        *,
        functional: bool,
        event: bool,
        inverse: str | None,
        subject_types: Sequence[str],
        object_types: Sequence[str],
        description: str,
    ) -> PredicateType:
        """InvalidInput for what can't be: an event that is true of one thing at a time."""
        if functional and event:
            raise InvalidInput(
                "a predicate is functional or an event, not both: what has happened stays true",
                field="functional",
            )
        check_text("description", description)
        words = self._words(cube)
        kind = PredicateType(
            name=_defined("name", name),
            functional=bool(functional),
            event=bool(event),
            inverse=None if inverse is None else _defined("inverse", inverse),
            subject_types=_types("subject_types", subject_types, words),
            object_types=_types("object_types", object_types, words),
            description=description,
        )
        self._store.define(cube.id, predicate=kind)
        return kind

    def define_type(
        self, cube: Cube, name: str, *, description: str, parent: str | None
    ) -> EntityType:
        """InvalidInput for a type that would be a kind of itself."""
        check_text("description", description)
        words = self._words(cube)
        key = _defined("name", name)
        above = None if parent is None else words.type(checked_name("parent", parent)).name
        if above is not None and key in words.ancestors(above):
            raise InvalidInput(f"{above!r} is a kind of {key!r} already", field="parent")
        kind = EntityType(name=key, description=description, parent=above)
        self._store.define(cube.id, type=kind)
        return kind


def _types(field: str, names: Sequence[str], words: Words) -> tuple[str, ...]:
    return tuple(words.type(checked_name(field, name)).name for name in names)


def _defined(field: str, name: str) -> str:
    key = folded(checked_name(field, name))
    if not key:
        raise InvalidInput(f"{field} is {name!r}; it needs a letter or a digit", field=field)
    return key
