"""What the core needs from the store of the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol

from memos.types import (
    Assertion,
    Entity,
    EntityType,
    Fact,
    Memory,
    PredicateType,
    Ruling,
)

if TYPE_CHECKING:
    from memos.protocols.models import Vector


IMPORTED = "import"
"""The extractor of readings that a caller gave as facts."""

NAME_LIMIT = 500
"""Characters of a name, folded or not."""


@dataclass(frozen=True, slots=True)
class NewEntity:
    """An entity to be made, unless by then one of this type goes by `normal` (the folded name)."""

    id: str
    name: str
    type: str
    normal: str
    vector: Vector | None = None


@dataclass(frozen=True, slots=True)
class EntityMention:
    """A memory names an entity, by `surface`; `normal` is its folded form, an alias (empty where
    the surface is no name, as of a pronoun)."""

    entity_id: str
    surface: str
    normal: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What an extractor made of one version of a memory; with `error`, that it failed and why (then
    what was read of that version before still holds)."""

    memory_id: str
    version: int
    extractor: str
    mentions: tuple[EntityMention, ...] = ()
    assertions: tuple[Assertion, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """`entities`: the id that each NewEntity got (another's, if that was faster)."""

    entities: Mapping[str, str]
    facts_changed: int


@dataclass(frozen=True, slots=True)
class GraphChange:
    """One node or edge as the projection needs it, at graph change number `seq`.

    kind `entity`: id, name, type, aliases (folded), merged_into in `target_id`.
    kind `fact`: subject_id → target_id (None: a value), the predicate in `name`, times in Unix
    seconds; the present revision of the fact; `gone` if none is believed any more.
    kind `mention`: memory `subject_id` names entity `target_id`; its id is both, with a space
    between.
    """

    seq: int
    kind: Literal["entity", "fact", "mention"]
    id: str
    gone: bool
    name: str = ""
    type: str = ""
    aliases: tuple[str, ...] = ()
    subject_id: str = ""
    target_id: str | None = None
    value: str | None = None
    negated: bool = False
    event: bool = False
    confidence: float = 0.0
    valid_at: float | None = None
    invalid_at: float | None = None
    memory_ids: tuple[str, ...] = ()


class GraphStore(Protocol):
    """The truth of the graph. Each write is one transaction: it takes the cube's lock, stores,
    derives the facts of every group it touched, writes what changed as new revisions and stamps all
    with graph change numbers (`cube.graph_seq`).

    MemoryStore keeps the graph in step by itself: archiving a memory makes its assertions and
    mentions inactive, restoring it active, erasing it removes them, and with them every fact,
    revision, alias, entity, note, summary that nothing else supports, in the same transaction.
    """

    # Writing

    def record(
        self, cube_id: str, entities: Sequence[NewEntity], readings: Sequence[Reading]
    ) -> Recorded:
        """Stores readings; each replaces what was read of that memory before. A reading of a
        version that is no longer the memory's, or of an erased memory, is passed over, and so is an
        extractor's of a memory that was read by `IMPORTED`: what a caller gave as facts stays.

        The entities of assertions count as mentioned. EntityNotFound if one was erased meanwhile
        (resolve again); InvalidInput for names of more than `NAME_LIMIT` characters."""
        ...

    def rule(self, ruling: Ruling) -> Ruling:
        """Stores a ruling and applies it. `merge`: the target takes over names, mentions and facts
        of the source. `split`: the assertions named (and the mentions of their memories) move to
        the target, which must exist. `keep_open`: see RulingKind. EntityNotFound, FactNotFound;
        Conflict for a merge with itself or in a circle."""
        ...

    def revoke(self, cube_id: str, ruling_id: str, *, at: datetime) -> Ruling:
        """Undoes a ruling, restoring what was before. RulingNotFound; StateConflict if revoked."""
        ...

    def define(
        self,
        cube_id: str,
        *,
        predicate: PredicateType | None = None,
        type: EntityType | None = None,
    ) -> None:
        """Stores a predicate or entity type of the cube's own, replacing one of this name, and
        derives the predicate's facts anew."""
        ...

    # Reading

    def definitions(self, cube_id: str) -> tuple[tuple[PredicateType, ...], tuple[EntityType, ...]]:
        """The cube's own types."""
        ...

    def by_alias(self, cube_id: str, normals: Sequence[str]) -> dict[str, tuple[Entity, ...]]:
        """Entities (never merged ones: what stands for them) by folded name, without counts."""
        ...

    def entities(
        self,
        cube_id: str,
        ids: Sequence[str] | None = None,
        *,
        type: str | None = None,
        after: str | None = None,
        limit: int = 1000,
        known_as_of: datetime | None = None,
    ) -> list[Entity]:
        """By id; without `ids` a page of all that stand for themselves."""
        ...

    def entity_vectors(self, cube_id: str, type: str) -> tuple[list[str], Vector]:
        """Ids and name vectors (n, dimensions) of the entities of a type, for resolution."""
        ...

    def facts(
        self,
        cube_id: str,
        *,
        ids: Sequence[str] = (),
        subjects: Sequence[str] = (),
        predicates: Sequence[str] = (),
        objects: Sequence[str] = (),
        values: Sequence[str] = (),
        touching: Sequence[str] = (),
        memories: Sequence[str] = (),
        as_of: datetime | None = None,
        known_as_of: datetime | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        min_confidence: float = 0.0,
        include_negated: bool = True,
        after: str | None = None,
        limit: int = 1000,
    ) -> list[Fact]:
        """Facts with their sources, by id. Each filter given must hold; ids of merged entities mean
        what stands for them; `touching`: as subject or object; `memories`: supported by one of
        them; `values`: folded. `as_of`: valid_at ≤ as_of < invalid_at. `known_as_of`: the revision
        believed then, else the present one. `since`, `until`: true at some time in
        since ≤ t < until, and events that happened then."""
        ...

    def revisions(self, cube_id: str, fact_id: str) -> tuple[Fact, ...]:
        """All revisions, oldest first. FactNotFound."""
        ...

    def assertions(self, cube_id: str, ids: Sequence[str]) -> list[Assertion]: ...

    def rulings(self, cube_id: str) -> list[Ruling]: ...

    def mentions(self, cube_id: str, memory_ids: Sequence[str]) -> dict[str, list[EntityMention]]:
        """Of active memories."""
        ...

    def around(
        self,
        cube_id: str,
        entity_ids: Sequence[str],
        *,
        hops: int,
        as_of: datetime | None = None,
        known_as_of: datetime | None = None,
        limit: int = 1000,
        per_entity: int = 200,
    ) -> list[tuple[int, Fact]]:
        """Facts within `hops` of the entities, breadth first, each once with its distance (1: it
        touches one of them); at most `limit` in all and `per_entity` of one entity, the most
        confident first. Facts come without sources. Runs in SQL, hop by hop."""
        ...

    def unread(self, cube_id: str, extractor: str, *, limit: int) -> list[Memory]:
        """Live memories whose present version this extractor has neither read nor failed at, by
        position; never those that were read by `IMPORTED`."""
        ...

    # Feed

    def last(self, cube_id: str) -> int:
        """The cube's newest graph change number. CubeNotFound."""
        ...

    def changes(self, cube_id: str, *, after: int, limit: int = 5000) -> list[GraphChange]:
        """Each node, edge and mention changed after `after` once, as it is now, by seq; those
        erased or no longer believed come as `gone`."""
        ...

    def size(self, cube_id: str) -> tuple[int, int]:
        """(entities, present facts)."""
        ...
