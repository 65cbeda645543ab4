"""The graph as callers see it: facts, entities, rulings, the vocabulary, and ways between entities.

Knows stores, the projection in RAM and the rules of resolution; not who asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypeVar

from memos.config import Settings
from memos.errors import EntityNotFound, FactNotFound, InvalidInput
from memos.extraction.structured import given, read
from memos.graph import explanation, importing, walking
from memos.graph.names import LONGEST, normal
from memos.graph.projections import GraphProjections
from memos.graph.resolution import Resolver
from memos.graph.vocabulary import Vocabulary as Words
from memos.graph.vocabulary import folded
from memos.messages import Defaults
from memos.protocols import IMPORTED, Clock, NewEntity, NewId, Stores
from memos.service import cursors
from memos.service.writing import Writer
from memos.types import (
    AddedFacts,
    Cube,
    Entity,
    EntityRef,
    EntityType,
    Extraction,
    Fact,
    FactExplanation,
    FactQuery,
    GraphDiff,
    Memory,
    Neighbour,
    NewFact,
    Page,
    Path,
    PredicateType,
    Ruling,
    RulingKind,
    State,
    Step,
    Vocabulary,
)
from memos.validation import (
    check_known,
    check_label,
    check_limit,
    check_priority,
    check_text,
    check_time,
    to_utc,
)

_PAGE = 1000
_TRIES = 3
_NEVER = datetime.min
_T = TypeVar("_T", Entity, Fact)


class Graph:
    """The verbs of the graph, for cubes that the caller may use. Thread-safe."""

    def __init__(
        self,
        stores: Stores,
        writer: Writer,
        resolver: Resolver,
        settings: Settings,
        *,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._stores = stores
        self._store = stores.graph
        self._writer = writer
        self._resolver = resolver
        self._settings = settings
        self._clock = clock
        self._new_id = new_id
        self.projections = GraphProjections(
            stores.graph,
            most_facts=settings.graph_facts,
            budget=settings.projection_bytes // 4,
        )

    # Facts

    def facts(self, cube: Cube, wanted: FactQuery, *, cursor: str | None, limit: int) -> Page[Fact]:
        """By id. What nobody goes by has no facts; a name of several means them all."""
        check_limit("limit", limit, self._settings)
        check_priority("min_confidence", wanted.min_confidence)
        for name, text in (("subject", wanted.subject), ("predicate", wanted.predicate)):
            check_label(name, text)
        listing = f"facts {cube.id} {wanted!r}"
        after = cursors.decode(listing, cursor) if cursor else None
        asked = self._asked(cube, wanted)
        found: dict[str, Fact] = {}
        for filters in asked:
            rows = self._store.facts(cube.id, **filters, after=after, limit=limit + 1)
            found.update((row.id, row) for row in rows)
        rows = [found[id] for id in sorted(found)]
        more = len(rows) > limit
        return Page(
            items=tuple(rows[:limit]),
            next_cursor=cursors.encode(listing, rows[limit - 1].id) if more else None,
        )

    def _asked(self, cube: Cube, wanted: FactQuery) -> list[dict[str, Any]]:
        """What to ask the store: an object can be an entity, a value, or both by turns."""
        filters: dict[str, Any] = {
            "as_of": wanted.as_of,
            "known_as_of": wanted.known_as_of,
            "since": wanted.since,
            "until": wanted.until,
            "min_confidence": wanted.min_confidence,
            "include_negated": wanted.include_negated,
        }
        if wanted.predicate is not None:
            filters["predicates"] = [self._words(cube).canonical(wanted.predicate)]
        if wanted.subject is not None:
            subjects = self._named(cube, wanted.subject, wanted.known_as_of)
            if not subjects:
                return []
            filters["subjects"] = [entity.id for entity in subjects]
        if wanted.object is None:
            return [filters]
        check_text("object", wanted.object)
        asked = [{**filters, "values": [wanted.object]}] if wanted.object.strip() else []
        objects = self._named(cube, wanted.object, wanted.known_as_of)
        if objects:
            asked.append({**filters, "objects": [entity.id for entity in objects]})
        return asked

    def fact(self, cube: Cube, fact_id: str, *, known_as_of: datetime | None) -> Fact:
        """FactNotFound if there is none such, or it is (or was then) not believed."""
        check_label("id", fact_id)
        found = self._store.facts(cube.id, ids=[fact_id], known_as_of=known_as_of, limit=1)
        if not found:
            raise FactNotFound(
                f"cube {cube.name!r} has no fact {fact_id!r} that "
                f"{'was believed then' if known_as_of else 'is believed'}",
                fact_id=fact_id,
            )
        return found[0]

    def why(self, cube: Cube, fact_id: str, *, known_as_of: datetime | None) -> FactExplanation:
        """All that a fact rests on, what ended it and what it ended, as known at a time."""
        fact = self.fact(cube, fact_id, known_as_of=known_as_of)
        assertions = self._store.assertions(cube.id, [s.assertion_id for s in fact.sources])
        closed_by = None
        if fact.closed_by is not None:
            rows = self._store.facts(cube.id, ids=[fact.closed_by], known_as_of=known_as_of)
            closed_by = rows[0] if rows else None
        group = self._all_facts(
            cube,
            subjects=[fact.subject.id],
            predicates=[fact.predicate],
            known_as_of=known_as_of,
        )
        closes = tuple(other for other in group if other.closed_by == fact.id)
        revisions = tuple(
            one
            for one in self._store.revisions(cube.id, fact_id)
            if known_as_of is None or one.created_at <= known_as_of
        )
        rulings = tuple(self._bearing(cube, fact, known_as_of))
        return FactExplanation(
            fact=fact,
            assertions=tuple(assertions),
            closed_by=closed_by,
            closes=closes,
            revisions=revisions,
            rulings=rulings,
            text=explanation.sentences(fact, assertions, closed_by, closes, revisions, rulings),
        )

    def _bearing(self, cube: Cube, fact: Fact, known: datetime | None) -> Iterator[Ruling]:
        """Rulings in force that a fact owes something to."""
        ends = {fact.subject.id} | ({fact.object.id} if fact.object else set())
        said = {source.assertion_id for source in fact.sources}
        for ruling in self._store.rulings(cube.id):
            if ruling.revoked_at is not None and (known is None or ruling.revoked_at <= known):
                continue
            if known is not None and ruling.created_at > known:
                continue
            if ruling.kind is RulingKind.MERGE:
                bears = ruling.target_id in ends
            elif ruling.kind is RulingKind.KEEP_OPEN:
                bears = ruling.source_id == fact.id
            else:
                bears = not said.isdisjoint(ruling.assertions)
            if bears:
                yield ruling

    def _all_facts(self, cube: Cube, **filters: Any) -> Iterator[Fact]:
        after = None
        while True:
            rows = self._store.facts(cube.id, **filters, after=after, limit=_PAGE)
            yield from rows
            if len(rows) < _PAGE:
                return
            after = rows[-1].id

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
        added = self._writer.add(
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
        live = [memory for memory in memories if memory.state is State.ACTIVATED]
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

    # Rulings

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
        new_name = _checked_name("name", name)
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

    def rulings(self, cube: Cube) -> tuple[Ruling, ...]:
        """Oldest first."""
        return tuple(self._store.rulings(cube.id))

    def revoke(self, cube: Cube, ruling_id: str) -> Ruling:
        """RulingNotFound; StateConflict if it was revoked."""
        check_label("id", ruling_id)
        return self._store.revoke(cube.id, ruling_id, at=self._clock())

    # Entities

    def entities(
        self,
        cube: Cube,
        *,
        text: str | None,
        type: str | None,
        known_as_of: datetime | None,
        cursor: str | None,
        limit: int,
    ) -> Page[Entity]:
        """By id; `text` is part of a folded name or alias."""
        check_limit("limit", limit, self._settings)
        check_label("text", text)
        check_label("type", type)
        listing = f"entities {cube.id} {text!r} {type!r} {known_as_of!r}"
        after = cursors.decode(listing, cursor) if cursor else None
        part = None if text is None else normal(text)
        kind = None if type is None else self._words(cube).type(type).name
        found: list[Entity] = []
        while len(found) <= limit:
            size = limit + 1 if part is None else _PAGE
            rows = self._store.entities(
                cube.id, type=kind, after=after, limit=size, known_as_of=known_as_of
            )
            found += [row for row in rows if part is None or _goes_by_part(row, part)]
            if len(rows) < size:
                break
            after = rows[-1].id
        more = len(found) > limit
        return Page(
            items=tuple(found[:limit]),
            next_cursor=cursors.encode(listing, found[limit - 1].id) if more else None,
        )

    def entity(self, cube: Cube, entity: str, *, known_as_of: datetime | None) -> Entity:
        return self._one(cube, entity, known_as_of)

    def _one(self, cube: Cube, name_or_id: str, known: datetime | None = None) -> Entity:
        """EntityNotFound if nothing goes by it; InvalidInput if several do."""
        check_label("entity", name_or_id)
        found = self._named(cube, name_or_id, known)
        if not found:
            raise EntityNotFound(
                f"cube {cube.name!r} has no entity {name_or_id[:80]!r}"
                + (" that was known then" if known else ""),
                entity=name_or_id,
            )
        own = [entity for entity in found if normal(entity.name) == normal(name_or_id)]
        if len(found) > 1 and len(own) != 1:
            kinds = ", ".join(f"{entity.id} ({entity.name}, {entity.type})" for entity in found)
            raise InvalidInput(
                f"several entities go by {name_or_id!r}: {kinds}; name one by its id",
                field="entity",
                entities=[entity.id for entity in found],
            )
        return found[0] if len(found) == 1 else own[0]

    def _named(self, cube: Cube, name_or_id: str, known: datetime | None) -> list[Entity]:
        """What goes by a name, or the entity of this id, or what stands for it."""
        if not name_or_id.strip() or len(name_or_id) > LONGEST:
            return []
        by_id = self._standing(cube, [name_or_id], known)
        if by_id:
            return by_id
        name = normal(name_or_id)
        ids = [entity.id for entity in self._store.by_alias(cube.id, [name]).get(name, ())]
        if known is not None:
            # What has been merged since went by its own name then.
            merged = [r for r in self._store.rulings(cube.id) if r.kind is RulingKind.MERGE]
            ids += [ruling.source_id for ruling in merged if ruling.created_at > known]
        return [one for one in self._standing(cube, ids, known) if name in one.aliases]

    def _standing(self, cube: Cube, ids: Sequence[str], known: datetime | None) -> list[Entity]:
        rows = self._store.entities(cube.id, ids, known_as_of=known) if ids else []
        roots = {row.merged_into: None for row in rows if row.merged_into is not None}
        if roots:
            rows = [row for row in rows if row.merged_into is None]
            rows += self._store.entities(cube.id, list(roots), known_as_of=known)
        return list({row.id: row for row in rows}.values())

    def timeline(
        self,
        cube: Cube,
        entity: str,
        *,
        predicate: str | None,
        known_as_of: datetime | None,
        since: datetime | None,
        until: datetime | None,
        limit: int,
    ) -> tuple[Fact, ...]:
        """The first `limit` by when they became true, those of unknown beginning first."""
        check_limit("limit", limit, self._settings)
        check_label("predicate", predicate)
        one = self._one(cube, entity, known_as_of)
        predicates = [] if predicate is None else [self._words(cube).canonical(predicate)]
        rows = self._all_facts(
            cube,
            touching=[one.id],
            predicates=predicates,
            known_as_of=known_as_of,
            since=since,
            until=until,
        )
        return tuple(sorted(rows, key=_begun)[:limit])

    def neighbours(
        self,
        cube: Cube,
        entity: str,
        *,
        hops: int,
        limit: int,
        as_of: datetime | None,
        known_as_of: datetime | None,
    ) -> tuple[Neighbour, ...]:
        """The nearest first, then those with the surest facts."""
        check_limit("limit", limit, self._settings)
        _check_hops("hops", hops)
        one = self._one(cube, entity, known_as_of)
        rings = self._walk(
            cube,
            as_of,
            known_as_of,
            lambda near: walking.neighbours(near, one.id, hops=hops, limit=limit),
        )
        facts = self._by_id(cube, (j for ring in rings for j in ring.facts), known_as_of)
        refs = _refs(facts.values())
        return tuple(
            Neighbour(
                entity=refs[ring.entity_id],
                distance=ring.distance,
                facts=tuple(facts[j.fact_id] for j in ring.facts if j.fact_id in facts),
            )
            for ring in rings
            if ring.entity_id in refs
        )

    def paths(
        self,
        cube: Cube,
        source: str,
        target: str,
        *,
        max_hops: int,
        limit: int,
        as_of: datetime | None,
        known_as_of: datetime | None,
    ) -> tuple[Path, ...]:
        """The surest first; denials connect nothing."""
        check_limit("limit", limit, self._settings)
        _check_hops("max_hops", max_hops)
        start, end = self._one(cube, source, known_as_of), self._one(cube, target, known_as_of)
        ways = self._walk(
            cube,
            as_of,
            known_as_of,
            lambda near: walking.paths(near, start.id, end.id, max_hops=max_hops, limit=limit),
        )
        facts = self._by_id(cube, (joint for way in ways for joint in way), known_as_of)
        refs = _refs(facts.values())
        return tuple(
            _path(way, start.id, facts, refs)
            for way in ways
            if all(joint.fact_id in facts for joint in way)
        )

    def drop(self, cube_id: str) -> None:
        """Takes a deleted cube out of RAM."""
        self.projections.drop(cube_id)
        self._resolver.forget(cube_id)

    def forget_names(self, cube_id: str) -> None:
        """After an erase: no name is kept for comparison. The graph in RAM follows by itself."""
        self._resolver.forget(cube_id)

    def _walk(
        self,
        cube: Cube,
        as_of: datetime | None,
        known: datetime | None,
        walk: Callable[[walking.Near], list[_Walked]],
    ) -> list[_Walked]:
        """In RAM; in SQL where the graph is too large, and for what was believed once."""
        if known is None:
            with self.projections.fresh(cube.id) as projection:
                if projection is not None:
                    return walk(_in_ram(projection, as_of))

        def near(ids: Sequence[str], most: int) -> Iterator[walking.Joint]:
            rows = self._store.around(
                cube.id, ids, hops=1, as_of=as_of, known_as_of=known, limit=most
            )
            for _, fact in rows:
                if fact.object is not None and not fact.negated:
                    yield walking.Joint(fact.id, fact.subject.id, fact.object.id, fact.confidence)

        return walk(near)

    def _by_id(
        self, cube: Cube, joints: Iterable[walking.Joint], known: datetime | None
    ) -> dict[str, Fact]:
        ids = list(dict.fromkeys(joint.fact_id for joint in joints))
        if not ids:
            return {}
        return {fact.id: fact for fact in self._all_facts(cube, ids=ids, known_as_of=known)}

    # The whole

    def diff(
        self, cube: Cube, since: datetime, until: datetime, *, axis: Literal["known", "valid"]
    ) -> GraphDiff:
        """Reads both views side by side, in pages: as long as the cube has facts."""
        if axis not in ("known", "valid"):
            raise InvalidInput(f"axis is {axis!r}; it must be known or valid", field="axis")
        for name, time in (("since", since), ("until", until)):
            if time is None:
                raise InvalidInput(f"{name} is missing; give a time", field=name)
            check_time(name, time)
            if axis == "known":
                check_known(name, time, self._clock())
        first, last = to_utc(since), to_utc(until)
        if first > last:
            raise InvalidInput(
                f"since is {since.isoformat()}, after until {until.isoformat()}; exchange them",
                field="since",
            )
        view = "known_as_of" if axis == "known" else "as_of"
        before = {fact.id: fact for fact in self._all_facts(cube, **{view: first})}
        appeared, changed = [], []
        for fact in self._all_facts(cube, **{view: last}):
            old = before.pop(fact.id, None)
            if old is None:
                appeared.append(fact)
            elif old.revision != fact.revision:
                changed.append((old, fact))
        return GraphDiff(
            appeared=tuple(appeared),
            disappeared=tuple(before.values()),
            changed=tuple(changed),
        )

    def vocabulary(self, cube: Cube) -> Vocabulary:
        words = self._words(cube)
        return Vocabulary(predicates=words.predicates, types=words.types)

    def _words(self, cube: Cube) -> Words:
        return Words(*self._store.definitions(cube.id))

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
        above = None if parent is None else words.type(_checked_name("parent", parent)).name
        if above is not None and key in words.ancestors(above):
            raise InvalidInput(f"{above!r} is a kind of {key!r} already", field="parent")
        kind = EntityType(name=key, description=description, parent=above)
        self._store.define(cube.id, type=kind)
        return kind


_Walked = TypeVar("_Walked")


def _in_ram(projection: Any, as_of: datetime | None) -> walking.Near:
    def near(ids: Sequence[str], most: int) -> Iterator[walking.Joint]:
        for count, (fact_id, span) in enumerate(projection.around(ids, as_of)):
            if count >= most:
                return
            yield walking.Joint(fact_id, span.subject_id, span.object_id, span.confidence)

    return near


def _path(
    way: Sequence[walking.Joint],
    start: str,
    facts: Mapping[str, Fact],
    refs: Mapping[str, EntityRef],
) -> Path:
    steps, here, confidence = [], start, 1.0
    for joint in way:
        fact, there = facts[joint.fact_id], joint.other(here)
        forward = joint.subject_id == here
        steps.append(Step(source=refs[here], target=refs[there], fact=fact, forward=forward))
        here, confidence = there, confidence * fact.confidence
    return Path(steps=tuple(steps), confidence=confidence)


def _refs(facts: Iterable[Fact]) -> dict[str, EntityRef]:
    found: dict[str, EntityRef] = {}
    for fact in facts:
        found[fact.subject.id] = fact.subject
        if fact.object is not None:
            found[fact.object.id] = fact.object
    return found


def _begun(fact: Fact) -> tuple[bool, datetime, str]:
    moment = _NEVER if fact.valid_at is None else fact.valid_at.replace(tzinfo=None)
    return (fact.valid_at is not None, moment, fact.id)


def _goes_by_part(entity: Entity, part: str) -> bool:
    return any(part in alias for alias in (*entity.aliases, normal(entity.name)))


def _check_hops(name: str, value: int) -> None:
    if not 1 <= value <= walking.MOST_HOPS:
        raise InvalidInput(
            f"{name} is {value}; it must be from 1 to {walking.MOST_HOPS}", field=name
        )


def _checked_name(field: str, name: str) -> str:
    check_text(field, name)
    text = name.strip()
    if not normal(text) or len(text) > LONGEST:
        raise InvalidInput(
            f"{field} is {name[:40]!r}, with {len(name)} characters; a name has 1 to {LONGEST}",
            field=field,
        )
    return text


def _types(field: str, names: Sequence[str], words: Words) -> tuple[str, ...]:
    return tuple(words.type(_checked_name(field, name)).name for name in names)


def _defined(field: str, name: str) -> str:
    key = folded(_checked_name(field, name))
    if not key:
        raise InvalidInput(f"{field} is {name!r}; it needs a letter or a digit", field=field)
    return key
