"""Cubes, memories, their past and what follows from them: what the core needs of their tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from memos.protocols.accounts import Receipt
from memos.types import (
    LIVE,
    Cube,
    CubeDescription,
    EmbeddingModel,
    Kind,
    Link,
    Memory,
    MemoryVersion,
    NewEvent,
    NewJob,
    State,
)

if TYPE_CHECKING:
    from memos.protocols.models import Vector


Clock = Callable[[], datetime]


NewId = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Indexed:
    """What the derived indexes hold of one version of a memory.

    `terms` are the analysed tokens joined by one space, made by `analyzer`; `vector` has shape
    (dimensions,) and comes from the model with digest `model`; `text_sha256` (hex) is the digest of
    the text that was embedded, by which the vector can be used again. Either may be absent while a
    job has still to make it.
    """

    terms: str | None
    analyzer: str | None
    vector: Vector | None
    model: str | None
    text_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One memory as the in-RAM projection and the vector index need it, at change number `seq`.

    `live` is False for memories that no search may return. Times are Unix seconds (UTC).
    `metadata` is the raw JSON text of the memory's metadata.
    """

    seq: int
    memory_id: str
    version: int
    live: bool
    kind: str
    position: int
    user_id: str | None
    agent_id: str | None
    session_id: str | None
    speaker: str | None
    place: str | None
    occurred_at: float | None
    created_at: float
    expires_at: float | None
    priority: float
    metadata: str
    terms: str | None
    vector: Vector | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """A memory's next version: see `MemoryStore.replace`."""

    memory: Memory
    expected_version: int
    operation: str
    actor: str | None = None
    reason: str | None = None
    indexed: Indexed | None = None


@dataclass(frozen=True, slots=True)
class Erasure:
    """`memory_ids` were erased, the one asked for first; `removed` counts rows by store;
    `file_jobs` delete the files that were made of them."""

    memory_ids: tuple[str, ...]
    removed: Mapping[str, int]
    file_jobs: tuple[str, ...] = ()


class CubeStore(Protocol):
    """Cubes. A name is unique within a tenant."""

    def create(self, cube: Cube) -> Cube:
        """AlreadyExists if the tenant has a cube of this name. Makes the tenant if it is new."""
        ...

    def get(self, tenant_id: str, name_or_id: str) -> Cube:
        """CubeNotFound if the tenant has none such, also when another tenant has."""
        ...

    def page(self, tenant_id: str, *, after: str | None, limit: int) -> list[Cube]:
        """By id, ids greater than `after`."""
        ...

    def describe(self, cube_id: str) -> CubeDescription: ...

    def set_embedding(self, cube_id: str, model: EmbeddingModel) -> None: ...

    def delete(self, cube_id: str, *, jobs: Sequence[NewJob] = ()) -> None:
        """The cube and everything in it, in one transaction, and `jobs` queued in the same."""
        ...


class MemoryStore(Protocol):
    """The truth. Every write is one transaction: memory, version, indexed form, jobs, receipt.

    Each write takes the next change numbers of the cube (`cube.change_seq`, under its row lock, so
    that numbers become visible in order) and stamps the rows with them.
    """

    def insert(
        self,
        cube_id: str,
        memories: Sequence[Memory],
        indexed: Sequence[Indexed],
        *,
        jobs: Sequence[NewJob] = (),
        receipt: tuple[str, str, Receipt] | None = None,
    ) -> tuple[tuple[Memory, ...], tuple[str, ...]]:
        """Stores version 1 of each, with operation `add`; gives them back with their `position`
        (the change number at insert) and the ids of the queued jobs (an existing job's id where a
        dedupe key matched). `receipt` is (tenant_id, idempotency key, receipt); the store adds
        `memories` and `jobs` (lists of ids) to its result. IdempotencyConflict if the key is taken;
        CubeNotFound if the cube is gone; AlreadyExists for an id that is there. All or nothing.
        """
        ...

    def replace(
        self,
        memory: Memory,
        *,
        expected_version: int,
        operation: str,
        actor: str | None,
        reason: str | None,
        indexed: Indexed | None,
        jobs: Sequence[NewJob] = (),
        events: Sequence[NewEvent] = (),
    ) -> Memory:
        """Stores `memory` as version expected_version + 1 and appends to its history.

        `events` are recorded in the same transaction. `indexed` None keeps the present indexed
        form. VersionConflict if the stored version is another; MemoryNotFound if it is not in the
        cube.
        """
        ...

    def replace_all(
        self,
        cube_id: str,
        replacements: Sequence[Replacement],
        *,
        jobs: Sequence[NewJob] = (),
        events: Sequence[NewEvent] = (),
    ) -> tuple[Memory, ...]:
        """As `replace`, for several memories of one cube: all or none."""
        ...

    def erase(
        self,
        cube_id: str,
        memory_id: str,
        *,
        actor: str | None,
        reason: str | None,
        expected_version: int | None = None,
        jobs: Sequence[NewJob] = (),
        events: Sequence[NewEvent] = (),
    ) -> Erasure:
        """Removes content, metadata, all versions' snapshots, vector, terms and links, and
        the reasons of its events; leaves a row in state `erased` and an `erase` history entry
        without content. MemoryNotFound if absent, VersionConflict if it is not at
        `expected_version`; without one an erased memory has nothing more to remove.

        The same befalls what comes from it by lineage: memories made of it, and those that were
        merged into it. Answers what was removed where.
        """
        ...

    def get(self, cube_id: str, ids: Sequence[str]) -> dict[str, Memory]:
        """Those of `ids` that the cube has, in any state; unknown ids are left out."""
        ...

    def page(
        self,
        cube_id: str,
        *,
        after: int = 0,
        limit: int,
        states: Sequence[State] = LIVE,
        kinds: Sequence[Kind] = (),
        user_id: str | None = None,
        agent_id: str | None = None,
        session_id: str | None = None,
    ) -> list[Memory]:
        """By position, positions greater than `after`."""
        ...

    def preceding(self, turns: Sequence[Memory], *, limit: int) -> list[list[Memory]]:
        """For each of these memories of one cube the last live ones before it in its user's
        session, oldest first; none for a memory of no session."""
        ...

    def history(self, cube_id: str, memory_id: str) -> tuple[MemoryVersion, ...]:
        """Oldest first. MemoryNotFound if the cube never had it."""
        ...


class PastStore(Protocol):
    """Memories as they were believed at a time: each in the last version made by then. Those added
    later are not there, nor those erased since: they never come back."""

    def get(self, cube_id: str, ids: Sequence[str], *, at: datetime) -> dict[str, Memory]:
        """Those of `ids` that the cube had then, in any state."""
        ...

    def page(
        self,
        cube_id: str,
        *,
        at: datetime,
        after: int = 0,
        limit: int,
        states: Sequence[State] = LIVE,
        kinds: Sequence[Kind] = (),
        user_id: str | None = None,
        agent_id: str | None = None,
        session_id: str | None = None,
    ) -> list[Memory]:
        """As `MemoryStore.page`, by what they were then."""
        ...

    def changed(
        self, cube_id: str, ids: Sequence[str], *, at: datetime
    ) -> dict[str, Memory | None]:
        """Those of `ids` that have changed since, as they were then; None: not there."""
        ...

    def unchanged(self, cube_id: str, *, since: datetime, until: datetime) -> bool:
        """Whether no memory changed after `since` and up to `until`."""
        ...


class ChangeFeed(Protocol):
    """From the truth to everything derived from it."""

    def last(self, cube_id: str) -> int:
        """The cube's newest change number (0 while empty), by one indexed read. CubeNotFound."""
        ...

    def changes(self, cube_id: str, *, after: int, limit: int = 5000) -> list[Change]:
        """Each memory changed after `after` once, as it is now, by seq."""
        ...

    def put_indexed(self, cube_id: str, items: Sequence[tuple[str, int, Indexed]]) -> int:
        """Replaces indexed forms by (memory id, version); stale versions are passed over. Stamps
        the memories with new change numbers. Answers how many were stored."""
        ...

    def unindexed(self, cube_id: str, *, analyzer: str, model: str, limit: int) -> list[Memory]:
        """Live memories whose terms are not by `analyzer` or whose vector is not by `model` or that
        lack either, or whose indexed version is not the memory's."""
        ...

    def vectors(self, cube_id: str, texts_sha256: Sequence[str], model: str) -> dict[str, Vector]:
        """Stored vectors by the SHA-256 (hex) of the embedded text, for reuse."""
        ...


class LinkStore(Protocol):
    def put(self, link: Link) -> Link:
        """MemoryNotFound if either end is not in the cube or erased. The same (source, target,
        relation) again gives the existing link."""
        ...

    def of(
        self, cube_id: str, memory_id: str, *, known_as_of: datetime | None = None
    ) -> tuple[Link, ...]:
        """Links in both directions, oldest first; with `known_as_of` those there were then, but
        for those of memories erased since."""
        ...

    def remove(self, cube_id: str, link_id: str, *, at: datetime) -> None:
        """Takes it away, as of `at`. NotFound if the cube has none such."""
        ...
