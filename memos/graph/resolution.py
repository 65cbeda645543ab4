"""Which entities names mean, and what claims say of them.

A name means the entity that goes by it, in a type that fits; else one that it may be a misspelling,
short form or other wording of, if that is the only one; else a new one. Deterministic, given what
the cube knows. Knows the store of the graph; not how names were found in a text.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from memos.extraction.structured import given
from memos.graph import names
from memos.graph.known import Known, KnownNames
from memos.graph.names import normal
from memos.graph.vocabulary import ANY, Vocabulary
from memos.protocols import (
    IMPORTED,
    Clock,
    Embedder,
    EntityMention,
    GraphStore,
    NewEntity,
    NewId,
    Reading,
)
from memos.types import (
    Assertion,
    Claim,
    Cube,
    Entity,
    Extraction,
    Granularity,
    Memory,
    MentionDraft,
    Period,
    PredicateType,
    Ref,
)

if TYPE_CHECKING:
    from memos.protocols.models import Vector

log = logging.getLogger(__name__)

PERSON = "person"
_LONGEST_VALUE = 10_000
_ROLES = {"user": "user_id", "assistant": "agent_id"}
"""Speakers who are named after their part in a conversation are told apart by whom it was with."""


@dataclass(frozen=True, slots=True)
class _Name:
    """A name to be resolved. `speaker`: it is who says something, whom nobody else stands for."""

    text: str
    normal: str
    type: str
    speaker: bool


class _Refused(Exception):
    """A claim that can't be kept; the text says why."""


@dataclass
class _Resolution:
    """What names mean, as far as they are resolved."""

    meant: dict[_Name, str] = field(default_factory=dict)
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
            name: None for memory, found in read for name in _names(memory, found, vocabulary)
        }
        resolution = self._meanings(cube, list(wanted), vocabulary)
        self._replaced(cube, read, vocabulary, resolution)
        readings = [
            _Memory(cube, memory, vocabulary, resolution, self._clock()).reading(
                found, IMPORTED if _was_given(memory) else extractor
            )
            for memory, found in read
        ]
        return resolution.new, readings

    def forget(self, cube_id: str) -> None:
        """Drops what is kept of names of a cube, after one was erased."""
        self._known.drop(cube_id)
        names.forget()

    def _meanings(self, cube: Cube, wanted: Sequence[_Name], vocabulary: Vocabulary) -> _Resolution:
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
            self._unknown(cube, left, vocabulary, done)
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
            if (name := _replaced_name(memory, claim, vocabulary)) is not None
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
        self, cube: Cube, left: Sequence[_Name], vocabulary: Vocabulary, done: _Resolution
    ) -> None:
        known = self._known.of(cube.id)
        vectors = self._vectors(left)
        made: dict[str, list[NewEntity]] = {}
        for name in left:
            own = next(
                (new for new in made.get(name.normal, ()) if _fits(name, new.type, vocabulary)),
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
            new = NewEntity(
                id=self._new_id(), name=name.text, type=name.type, normal=name.normal, vector=vector
            )
            made.setdefault(name.normal, []).append(new)
            done.new.append(new)
            done.meant[name] = new.id
            known.add(new)

    def _vectors(self, left: Sequence[_Name]) -> dict[str, Vector]:
        """Of names of several words, people's excepted: their names have no meaning."""
        texts = {name.normal: name.text for name in left if _is_worded(name)}
        if not texts:
            return {}
        return dict(zip(texts, self._embedder.embed(list(texts.values())), strict=True))

    def _like(
        self,
        cube: Cube,
        name: _Name,
        known: Known,
        vector: Vector | None,
        vocabulary: Vocabulary,
        done: _Resolution,
    ) -> str | None:
        """The one entity whose name is like `name`."""
        for ids in _alike(name, known, vector):
            new = {entity.id: entity.type for entity in done.new}
            fitting = {id for id in ids if id in new and _fits(name, new[id], vocabulary)}
            for entity in self._store.entities(cube.id, [id for id in ids if id not in new]):
                if _fits(name, entity.type, vocabulary):
                    fitting.add(entity.merged_into or entity.id)
            if len(fitting) == 1:
                return fitting.pop()
            if fitting:
                return None
        return None


def _alike(name: _Name, known: Known, vector: Vector | None) -> Iterator[list[str]]:
    person = name.type == PERSON
    if person:
        yield known.short(name.text)
    elif name.text == name.text.lower():
        yield known.plural(name.normal)
    if name.text != name.text.lower():
        yield known.misspelt(name.normal, person=person)
    if vector is not None:
        yield known.meaning(name.normal, name.type, vector)


def _is_worded(name: _Name) -> bool:
    return name.type != PERSON and " " in name.normal and not name.speaker


def _fits(name: _Name, type: str, vocabulary: Vocabulary) -> bool:
    return vocabulary.compatible(name.type, type)


def _of_alias(name: _Name, named: Sequence[Entity], vocabulary: Vocabulary) -> str | None:
    """Of those that go by a name the one of the same type, else whose own name it is, else the
    eldest."""
    fitting = [entity for entity in named if _fits(name, entity.type, vocabulary)]

    def order(entity: Entity) -> tuple[bool, bool, str]:
        return (entity.type != name.type, normal(entity.name) != name.normal, entity.id)

    return min(fitting, key=order).id if fitting else None


def _names(memory: Memory, found: Extraction, vocabulary: Vocabulary) -> Iterator[_Name]:
    refs = [(mention.ref, ANY) for mention in found.mentions]
    for claim in found.claims:
        kind = vocabulary.predicate(claim.predicate)
        refs.append((claim.subject, _only(kind.subject_types)))
        if claim.object is not None:
            refs.append((claim.object, _only(kind.object_types)))
    for ref, expected in refs:
        name = _name(memory, ref, expected)
        if name is not None:
            yield name


def _name(memory: Memory, ref: Ref, expected: str = ANY) -> _Name | None:
    """None for what is no name."""
    text = ref.name.strip()
    folded = normal(text) if len(text) <= names.LONGEST else ""
    if not folded or "\x00" in text:
        return None
    speaker = memory.speaker is not None and folded == normal(memory.speaker)
    if folded in _ROLES and (whom := getattr(memory, _ROLES[folded])):
        whom = whom[: names.LONGEST]
        return _Name(whom, normal(whom), PERSON, True)
    return _Name(text, folded, ref.type if ref.type != ANY else expected, speaker)


def _replaced_name(memory: Memory, claim: Claim, vocabulary: Vocabulary) -> _Name | None:
    if claim.replaces is None:
        return None
    type = claim.object.type if claim.object is not None else ANY
    expected = _only(vocabulary.predicate(claim.predicate).object_types)
    return _name(memory, Ref(name=claim.replaces, type=type), expected)


def _only(types: Sequence[str]) -> str:
    return types[0] if len(types) == 1 else ANY


def _was_given(memory: Memory) -> bool:
    return given(memory) is not None


class _Memory:
    """One memory's extraction on its way to a reading."""

    def __init__(
        self,
        cube: Cube,
        memory: Memory,
        vocabulary: Vocabulary,
        resolution: _Resolution,
        now: datetime,
    ) -> None:
        self._cube = cube
        self._memory = memory
        self._vocabulary = vocabulary
        self._meant = resolution.meant
        self._now = now
        self._stated = memory.occurred_at or memory.created_at
        self._ids: Counter[str] = Counter()

    def reading(self, found: Extraction, extractor: str) -> Reading:
        mentions = [made for draft in found.mentions if (made := self._mention(draft))]
        assertions: list[Assertion] = []
        refused: list[str] = []
        for claim in found.claims:
            try:
                assertions.append(self._assertion(claim, extractor))
            except _Refused as why:
                refused.append(str(why))
        if refused:
            log.info("memory %s: %d claims left out: %s", self._memory.id, len(refused), refused[0])
        return Reading(
            memory_id=self._memory.id,
            version=self._memory.version,
            extractor=extractor,
            mentions=tuple(mentions),
            assertions=tuple(assertions),
            error=refused[0] if refused and not assertions and not mentions else None,
        )

    def _mention(self, draft: MentionDraft) -> EntityMention | None:
        name = _name(self._memory, draft.ref)
        if name is None:
            return None
        surface = self._memory.content[draft.start : draft.end] or draft.ref.name
        return EntityMention(
            entity_id=self._meant[name],
            surface=surface[: names.LONGEST],
            normal=name.normal,
            start=draft.start,
            end=draft.end,
        )

    def _entity(self, ref: Ref, expected: str, what: str) -> tuple[str, str]:
        name = _name(self._memory, ref, expected)
        if name is None:
            raise _Refused(f"its {what} is no name: {ref.name[:40]!r} ({len(ref.name)} characters)")
        return self._meant[name], name.normal

    def _assertion(self, claim: Claim, extractor: str) -> Assertion:
        kind = self._vocabulary.predicate(claim.predicate)
        if not kind.name or len(kind.name) > names.LONGEST:
            raise _Refused(f"its predicate is no name: {claim.predicate[:40]!r}")
        subject_id, subject = self._entity(claim.subject, _only(kind.subject_types), "subject")
        object_id, thing = None, ""
        if claim.object is not None:
            object_id, thing = self._entity(claim.object, _only(kind.object_types), "object")
        value = None if object_id is not None else _value(claim)
        if object_id == subject_id:
            raise _Refused(f"{claim.subject.name!r} {kind.name} itself")
        if not 0.0 <= claim.confidence <= 1.0:
            raise _Refused(f"a confidence of {claim.confidence}")
        said = (subject, kind.name, thing or normal(value or ""), claim.negated)
        valid_at, grain, invalid_at, end_grain = self._times(claim, kind)
        replaced = _replaced_name(self._memory, claim, self._vocabulary)
        return Assertion(
            id=self._id(said),
            cube_id=self._cube.id,
            memory_id=self._memory.id,
            subject_id=subject_id,
            predicate=kind.name,
            object_id=object_id,
            value=value,
            quantity=_quantity(claim),
            unit=claim.unit,
            negated=claim.negated,
            corrects=claim.corrects,
            replaces=None if replaced is None else self._meant.get(replaced, claim.replaces),
            valid_at=valid_at,
            granularity=grain,
            invalid_at=invalid_at,
            invalid_granularity=end_grain,
            stated_at=self._stated,
            place=claim.place or self._memory.place,
            confidence=claim.confidence,
            extractor=extractor,
            start=claim.start,
            end=claim.end,
            created_at=self._now,
        )

    def _id(self, said: tuple[object, ...]) -> str:
        """The same for the same claim of the same memory, so that what people ruled over it holds
        when it is read again. It begins with a digest of what is said alone: what is otherwise
        equal sorts the same, whatever the order in which memories arrived."""
        text = repr(said)
        self._ids[text] += 1
        one = f"{self._memory.id} {text} {self._ids[text]}"
        bits = int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") << 80
        bits |= int.from_bytes(hashlib.sha256(one.encode()).digest()[:10], "big")
        return "".join(_ALPHABET[bits >> shift & 31] for shift in range(125, -1, -5))

    def _times(
        self, claim: Claim, kind: PredicateType
    ) -> tuple[datetime | None, Granularity | None, datetime | None, Granularity | None]:
        since, grain = _start(claim.since)
        until, end_grain = _start(claim.until)
        if claim.until is not None and until is None:
            until = claim.until.end
            end_grain = claim.until.granularity if until else None
        if kind.event:
            return (since or self._stated), grain, None, None
        if since is not None and until is not None and until <= since:
            # "From March to May 2020" in years: both begin with the year.
            assert claim.until is not None
            until = claim.until.end
            if until is None or until <= since:
                raise _Refused(
                    f"it ended before it began: {claim.predicate} since {since.isoformat()}"
                )
        begun_before = until is not None and until <= self._stated
        if since is None and not begun_before and not (claim.corrects and until is None):
            since = self._stated
        return since, grain, until, end_grain


def _start(period: Period | None) -> tuple[datetime | None, Granularity | None]:
    if period is None or period.start is None:
        return None, None
    return period.start, period.granularity


def _value(claim: Claim) -> str | None:
    value = claim.value
    if value is None:
        return None
    if not normal(value) or "\x00" in value:
        raise _Refused(f"its value is no text: {value[:40]!r}")
    if len(value) > _LONGEST_VALUE:
        raise _Refused(f"its value has {len(value)} characters")
    return value.strip()


def _quantity(claim: Claim) -> float | None:
    if claim.quantity is not None and not math.isfinite(claim.quantity):
        raise _Refused(f"a quantity of {claim.quantity}")
    return claim.quantity


_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
