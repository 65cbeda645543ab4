"""Memories: what they are, where they stand in life, and what a caller gives to make one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any


class Kind(str, Enum):
    """What a memory is."""

    EPISODIC = "episodic"
    SEMANTIC = "semantic"
    PROCEDURAL = "procedural"
    CORE = "core"
    RESOURCE = "resource"
    VAULT = "vault"


class State(str, Enum):
    """Where a memory stands in its life. Only `activated` and `frozen` memories are searched."""

    GENERATED = "generated"
    ACTIVATED = "activated"
    MERGED = "merged"
    ARCHIVED = "archived"
    FROZEN = "frozen"
    EXPIRED = "expired"
    ERASED = "erased"


LIVE = (State.ACTIVATED, State.FROZEN)
"""States in which a memory is found: one that is frozen stays as it is, and where it is."""


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
    """A directed, typed connection between two memories of one cube.

    `origin` is the method that drafted it, None if somebody asked for it. A drafted link goes when
    the text of its source is changed into one that it does not follow from.
    """

    id: str
    cube_id: str
    source_id: str
    target_id: str
    relation: str
    reason: str | None
    created_at: datetime
    origin: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Why one text was not stored as any other. `memory_id` is what it repeats, or itself if it was
    put aside."""

    item: int
    verdict: str
    reasons: tuple[str, ...]
    memory_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What `add` acknowledges: durable memories; `jobs` still to run until they can be searched
    (empty when waited for); `enriching`: jobs that will read facts and notes out of them.

    There is a memory for each text. `judged` says which were not stored as any other: a turn that
    is known already is answered with the memory it repeats, a suspicious one is put aside.
    """

    memories: tuple[Memory, ...]
    jobs: tuple[str, ...] = ()
    enriching: tuple[str, ...] = ()
    judged: tuple[Judgement, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AddProgress:
    """One acknowledged part of a batch: `done` memories so far are durable and searchable."""

    done: int
    ids: tuple[str, ...]
