"""Which entities names mean, and what claims say of them.

A name means the entity that goes by it, in a type that fits; else one that it may be a misspelling,
short form or other wording of, if that is the only one; else a new one. Deterministic, given what
the cube knows. Knows the store of the graph; not how names were found in a text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from memos.extraction.structured import given
from memos.graph.resolving import names
from memos.graph.resolving.claims import Claims
from memos.graph.resolving.known import Known, KnownNames
from memos.graph.resolving.names import normal
from memos.graph.resolving.naming import PERSON, Name, names_of, replaced_name
from memos.graph.vocabulary import ANY, Vocabulary
from memos.protocols import (
    IMPORTED,
    Clock,
    Embedder,
    GraphStore,
    NewEntity,
    NewId,
    Reading,
)
from memos.types import (
    Cube,
    Entity,
    Extraction,
    Memory,
)

if TYPE_CHECKING:
    from memos.protocols.models import Vector


@dataclass
class _Resolution:
    """What names mean, as far as they are resolved."""

    meant: dict[Name, str] = field(default_factory=dict)
    new: list[NewEntity] = field(default_factory=list)


class Resolver:
    """Thread-safe. Keeps the names of the cubes used last, to compare others with."""

    def __init__(self, store: GraphStore, embedder: Embedder, new_id: NewId, clock: Clock) -> None:
        self._store = store
        self._embedder = embedder
        self._new_id = new_id
        self._clock = clock
        self._known = KnownNames(store)

    def resolve(
        self, cube: Cube, read: Sequence[tuple[Memory, Extraction]], *, extractor: str
    ) -> tuple[list[NewEntity], list[Reading]]:
        """Entities to be made, and one reading per memory, for `GraphStore.record`.

        Claims that contradict themselves (ended before they began, link a thing to itself, are not
        numbers, have names too long) are left out. A reading is an error only if nothing is left of
        what had claims.
        """
        vocabulary = Vocabulary(*self._store.definitions(cube.id))
        wanted = {
            name: None for memory, found in read for name in names_of(memory, found, vocabulary)
        }
        resolution = self._meanings(cube, list(wanted), vocabulary)
        self._replaced(cube, read, vocabulary, resolution)
        readings = [
            Claims(cube, memory, vocabulary, resolution.meant, self._clock()).reading(
                found, IMPORTED if _was_given(memory) else extractor
            )
            for memory, found in read
        ]
        return resolution.new, readings

    def forget(self, cube_id: str) -> None:
        """Drops what is kept of names of a cube, after one was erased."""
        self._known.drop(cube_id)
        names.forget()

    def _meanings(self, cube: Cube, wanted: Sequence[Name], vocabulary: Vocabulary) -> _Resolution:
        named = self._store.by_alias(cube.id, sorted({name.normal for name in wanted}))
        done = _Resolution()
        left = []
        # Who speaks comes first, so that others can be taken for them; what has a type before what
        # has none.
        for name in sorted(wanted, key=lambda name: (not name.speaker, name.type == ANY)):
            found = _of_alias(name, named.get(name.normal, ()), vocabulary)
            if found is None:
                left.append(name)
            else:
                done.meant[name] = found
        if left:
            self._unknown(cube, left, named, vocabulary, done)
        return done

    def _replaced(
        self,
        cube: Cube,
        read: Sequence[tuple[Memory, Extraction]],
        vocabulary: Vocabulary,
        resolution: _Resolution,
    ) -> None:
        """What corrections say was wrong; it is looked up, but never made."""
        wanted = {
            name
            for memory, found in read
            for claim in found.claims
            if (name := replaced_name(memory, claim, vocabulary)) is not None
        }
        left = sorted(wanted - resolution.meant.keys(), key=lambda name: name.normal)
        if not left:
            return
        named = self._store.by_alias(cube.id, [name.normal for name in left])
        for name in left:
            found = _of_alias(name, named.get(name.normal, ()), vocabulary)
            if found is not None:
                resolution.meant[name] = found

    def _unknown(
        self,
        cube: Cube,
        left: Sequence[Name],
        named: Mapping[str, Sequence[Entity]],
        vocabulary: Vocabulary,
        done: _Resolution,
    ) -> None:
        known = self._known.of(cube.id)
        vectors = self._vectors(left)
        made: dict[str, list[NewEntity]] = {}
        for name in left:
            own = next(
                (n for n in made.get(name.normal, ()) if _fits(name, n.name, n.type, vocabulary)),
                None,
            )
            if own is not None:
                done.meant[name] = own.id
                continue
            vector = vectors.get(name.normal)
            found = (
                None if name.speaker else self._like(cube, name, known, vector, vocabulary, done)
            )
            if found is not None:
                done.meant[name] = found
                continue
            others = [*named.get(name.normal, ()), *made.get(name.normal, ())]
            # With its title: the same name and type would be the same entity.
            apart = any(names.apart(name.text, other.name) for other in others)
            new = NewEntity(
                id=self._new_id(),
                name=name.text,
                type=name.type,
                normal=names.titled(name.text) if apart else name.normal,
                vector=vector,
            )
            made.setdefault(name.normal, []).append(new)
            done.new.append(new)
            done.meant[name] = new.id
            known.add(new)

    def _vectors(self, left: Sequence[Name]) -> dict[str, Vector]:
        """Of names of several words, people's excepted: their names have no meaning."""
        texts = {name.normal: name.text for name in left if _is_worded(name)}
        if not texts:
            return {}
        return dict(zip(texts, self._embedder.embed(list(texts.values())), strict=True))

    def _like(
        self,
        cube: Cube,
        name: Name,
        known: Known,
        vector: Vector | None,
        vocabulary: Vocabulary,
        done: _Resolution,
    ) -> str | None:
        """The one entity whose name is like `name`."""
        for ids in _alike(name, known, vector):
            new = {entity.id: (entity.name, entity.type) for entity in done.new}
            fitting = {id for id in ids if id in new and _fits(name, *new[id], vocabulary)}
            for entity in self._store.entities(cube.id, [id for id in ids if id not in new]):
                if _fits(name, entity.name, entity.type, vocabulary):
                    fitting.add(entity.merged_into or entity.id)
            if len(fitting) == 1:
                return fitting.pop()
            if fitting:
                return None
        return None


def _alike(name: Name, known: Known, vector: Vector | None) -> Iterator[list[str]]:
    person = name.type == PERSON
    if person:
        yield known.short(name.text)
    elif name.text == name.text.lower():
        yield known.plural(name.normal)
    if name.text != name.text.lower():
        yield known.misspelt(name.normal, person=person)
    if vector is not None:
        yield known.meaning(name.normal, name.type, vector)


def _is_worded(name: Name) -> bool:
    return name.type != PERSON and " " in name.normal and not name.speaker


def _fits(name: Name, other: str, type: str, vocabulary: Vocabulary) -> bool:
    """Whether `name` can mean one called `other` of such a type."""
    return vocabulary.compatible(name.type, type) and not names.apart(name.text, other)


def _of_alias(name: Name, named: Sequence[Entity], vocabulary: Vocabulary) -> str | None:
    """Of those that go by a name the one of the same type, else whose own name it is, else the
    eldest."""
    fitting = [entity for entity in named if _fits(name, entity.name, entity.type, vocabulary)]

    def order(entity: Entity) -> tuple[bool, bool, str]:
        return (entity.type != name.type, normal(entity.name) != name.normal, entity.id)

    return min(fitting, key=order).id if fitting else None


def _was_given(memory: Memory) -> bool:
    return given(memory) is not None
