"""The nouns, as frozen dataclasses shared by the service, the stores, the API and the client.

Knows no storage, no HTTP and no model. Every time is an aware UTC datetime; every id is an
opaque string (a ULID when the service made it).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")

UNSET = msgspec.UNSET
"""Marks an argument that was not given, where None is a value."""
Unset = msgspec.UnsetType


class Kind(str, Enum):
    """What a memory is."""

    EPISODIC = "episodic"
    SEMANTIC = "semantic"
    PROCEDURAL = "procedural"
    CORE = "core"
    RESOURCE = "resource"
    VAULT = "vault"


class State(str, Enum):
    """Where a memory stands in its life. Only `activated` memories are searched."""

    GENERATED = "generated"
    ACTIVATED = "activated"
    MERGED = "merged"
    ARCHIVED = "archived"
    FROZEN = "frozen"
    EXPIRED = "expired"
    ERASED = "erased"


class JobState(str, Enum):
    """`failed` is tried again at `run_at`; `dead` used up its attempts and waits for a retry."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DEAD = "dead"
    CANCELLED = "cancelled"


class Role(str, Enum):
    """What an API key may do: `reader` reads, `writer` also writes, `admin` also keys and cubes."""

    READER = "reader"
    WRITER = "writer"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A picture attached to a memory. It is searched by its caption; the bytes stay outside."""

    url: str | None = None
    caption: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a memory came from.

    `source` says by which way it came (`api`, `import`, `consolidation`, …), `external_id` is the
    caller's own id for it, `parents` are the memories it was derived from.
    """

    source: str = "api"
    external_id: str | None = None
    actor: str | None = None
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMemory:
    """What a caller gives to `add`; the service supplies the rest."""

    content: str
    kind: Kind = Kind.EPISODIC
    user_id: str | None = None
    agent_id: str | None = None
    session_id: str | None = None
    speaker: str | None = None
    occurred_at: datetime | None = None
    place: str | None = None
    images: tuple[Image, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    priority: float = 0.5
    expires_at: datetime | None = None
    provenance: Provenance = field(default_factory=Provenance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation as agents have it; `memos.messages` turns it into a NewMemory.

    `speaker` is the person's name; without it the role stands for it. `at` is when it was said.
    """

    content: str
    role: str = "user"
    speaker: str | None = None
    at: datetime | None = None
    place: str | None = None
    images: tuple[Image, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    external_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """One thing remembered.

    `position` orders the memories of a session (arrival order); `priority` is in [0, 1].
    """

    id: str
    cube_id: str
    content: str
    kind: Kind
    state: State
    version: int
    position: int
    user_id: str | None
    agent_id: str | None
    session_id: str | None
    speaker: str | None
    occurred_at: datetime | None
    place: str | None
    images: tuple[Image, ...]
    metadata: Mapping[str, Any]
    priority: float
    expires_at: datetime | None
    provenance: Provenance
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryVersion:
    """One entry of a memory's append-only history. `memory` is None once it was erased."""

    memory_id: str
    version: int
    operation: str
    changed_at: datetime
    actor: str | None
    reason: str | None
    memory: Memory | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A directed, typed connection between two memories of one cube."""

    id: str
    cube_id: str
    source_id: str
    target_id: str
    relation: str
    reason: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Cube:
    """The unit of ownership. `embedding` is the model its vectors come from (None while empty)."""

    id: str
    tenant_id: str
    name: str
    description: str
    metadata: Mapping[str, Any]
    embedding: EmbeddingModel | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeDescription:
    """A cube with what is in it. Bytes are those of the texts and vectors in SQL."""

    cube: Cube
    memories: int
    by_kind: Mapping[str, int]
    by_state: Mapping[str, int]
    sessions: int
    text_bytes: int
    vector_bytes: int
    earliest: datetime | None
    latest: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingModel:
    """Identity of an embedder. Vectors with different digests are never compared."""

    id: str
    digest: str
    dimensions: int
    max_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search request.

    `filter` is the metadata filter language (`memos.retrieval.filters`); `since` ≤ occurred_at <
    `until`; `mmr` in [0, 1] weighs relevance against diversity (None: off; 1: relevance alone);
    `token_budget` packs hits until their texts' tokens reach it.
    """

    text: str
    limit: int = 10
    user_id: str | None = None
    agent_id: str | None = None
    session_id: str | None = None
    kinds: tuple[Kind, ...] = ()
    filter: Mapping[str, Any] | None = None
    since: datetime | None = None
    until: datetime | None = None
    mmr: float | None = None
    token_budget: int | None = None
    explain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """What one channel gave a hit: its raw score, its calibrated value, the weighted part."""

    channel: str
    raw: float
    calibrated: float
    weighted: float
    rank: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One search result. `score` orders hits of one search; it is not comparable across searches.

    `why` is a sentence per channel that found it; only filled with `explain=True`.
    """

    memory: Memory
    score: float
    breakdown: tuple[Contribution, ...]
    tokens: int
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedQuery:
    """How the query was read."""

    text: str
    dense_text: str
    terms: tuple[str, ...]
    phrases: tuple[str, ...]
    speakers: tuple[str, ...]
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """Hits in order. `considered` counts the memories that scope, state and filter let through.

    `timings_ms` has `embed`, `search` (all but embedding) and `total`.
    """

    hits: tuple[Hit, ...]
    query: ParsedQuery
    considered: int
    tokens: int
    timings_ms: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A durable unit of background work. `progress` is in [0, 1]."""

    id: str
    tenant_id: str
    cube_id: str | None
    kind: str
    state: JobState
    payload: Mapping[str, Any]
    attempts: int
    max_attempts: int
    progress: float
    error: str | None
    run_at: datetime
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job to be queued. While one with the same `dedupe_key` waits, another is not added."""

    tenant_id: str
    cube_id: str | None
    kind: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    dedupe_key: str | None = None
    max_attempts: int = 5
    run_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What `add` acknowledges: durable memories; `jobs` still to run (empty when waited for)."""

    memories: tuple[Memory, ...]
    jobs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AddProgress:
    """One acknowledged part of a batch: `done` memories so far are durable and searchable."""

    done: int
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key without its secret. `cubes` limits it to these cube ids (empty: all of the tenant)."""

    id: str
    tenant_id: str
    name: str
    role: Role
    cubes: tuple[str, ...]
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedKey:
    """A key at its creation, the only time the secret can be seen."""

    key: ApiKey
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Some items, and the cursor for the next ones (None at the end)."""

    items: tuple[T, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something `doctor` found; `repaired` says whether it was mended in this run."""

    check: str
    cube_id: str | None
    problem: str
    count: int
    repaired: bool
