"""How memories are kept: consolidated, forgotten, admitted, and put before an agent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from memos.types.memories import LIVE, Kind, Memory, State


class ActionKind(str, Enum):
    """What was done to memories without anybody asking for each one."""

    MERGE = "merge"
    SUPERSEDE = "supersede"
    GENERALISE = "generalise"
    PROCEDURE = "procedure"
    CORE = "core"
    PROMOTE = "promote"
    SUMMARISE = "summarise"
    FOLLOW = "follow"
    SHRINK = "shrink"
    ARCHIVE = "archive"
    EVICT = "evict"


class Relation(str, Enum):
    """How a memory comes from another: it stands for one that says the same (`merged`) or that no
    longer holds (`superseded`), or it was made of it (`made_from`)."""

    MERGED = "merged"
    SUPERSEDED = "superseded"
    MADE_FROM = "made_from"


class Work(str, Enum):
    """What can be planned before it is done."""

    CONSOLIDATE = "consolidate"
    SWEEP = "sweep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """`derived_id` comes from `source_id`, as that was in `source_version`."""

    derived_id: str
    source_id: str
    source_version: int
    relation: Relation


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedAction:
    """What would be done. `text` is what is left or made, `of` are the texts that it is done to."""

    kind: ActionKind
    reason: str
    numbers: Mapping[str, float]
    memory_ids: tuple[str, ...]
    text: str
    of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepingPlan:
    """What a run would do, without doing it: how often by kind, and the first actions in full.
    Bytes are those of live memories' texts, vectors and terms."""

    cube_id: str
    work: Work
    memories: int
    actions: Mapping[str, int]
    bytes_before: int
    bytes_after: int
    items: tuple[PlannedAction, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How a cube keeps its memories. The default loses nothing: it merges, but never forgets. When
    what is archived expires and is erased, lifecycle rules say.

    half_life_days        by kind; None: its strength does not decay
    archive_below         archive what is weaker than this, in (0, 1)
    max_memories          most live memories; the least worth per byte are archived
    max_bytes             most bytes of live memories (text, vector, terms)
    consolidate_after     consolidate after so many new memories; 0: not by their number
    consolidate_idle_minutes  consolidate when nothing new has come for so long; None: not so
    retire                hide from searches what has ended by the facts read out of it
    generalise            make semantic, procedural and core memories of what recurs
    promote_heat          make a long-term memory of a segment of at least this heat; None: never
    summarise             make summaries of sessions and their segments
    loop_minutes          a text that a search has given out in this time is not stored again
    junk_above            refuse texts with a higher junk score; None: only measure it
    untrusted_sources     `provenance.source` of what is read with suspicion
    quarantine_above      injection score from which untrusted texts are put aside
    short_term_turns      turns of a session that `context` gives as they are
    kv_codec              how its states are stored; None: as the setting of this name says
    """

    half_life_days: Mapping[Kind, float | None] = field(
        default_factory=lambda: {
            Kind.EPISODIC: 30.0,
            Kind.SEMANTIC: 180.0,
            Kind.PROCEDURAL: 365.0,
            Kind.CORE: None,
            Kind.RESOURCE: 90.0,
            Kind.VAULT: None,
        }
    )
    archive_below: float | None = None
    max_memories: int | None = None
    max_bytes: int | None = None
    consolidate_after: int = 10_000
    consolidate_idle_minutes: float | None = None
    retire: bool = True
    generalise: bool = True
    promote_heat: float | None = 2.0
    summarise: bool = True
    loop_minutes: float = 30.0
    junk_above: float | None = None
    untrusted_sources: tuple[str, ...] = ("web", "tool", "email", "document")
    quarantine_above: float = 0.5
    short_term_turns: int = 12
    kv_codec: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Strength:
    """How strongly a memory is held now: importance × retention, both in [0, 1].

    Retention halves every `half_life_days` since it was last used; None: it never does.
    """

    memory_id: str
    strength: float
    importance: float
    retention: float
    half_life_days: float | None
    uses: int
    last_used_at: datetime
    pinned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What was removed from one store. `done`: now; else by the job `job_id`."""

    store: str
    removed: int
    done: bool
    job_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureReceipt:
    """Proof of an erasure. `memory_ids` begin with the one that was asked for; the others came from
    it. `signature` is an HMAC-SHA-256 (hex) over all else, by the server's key `key_id`."""

    id: str
    cube_id: str
    memory_ids: tuple[str, ...]
    stores: tuple[Erased, ...]
    recomputed_by: str | None
    erased_at: datetime
    key_id: str
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptCheck:
    """Whether a receipt is as this server signed it, and if not, why."""

    valid: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRate:
    """How many memories of a cube are of one sort; the first of them as examples."""

    count: int
    share: float
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What a cube holds that it need not. Each memory counts at most once in each rate."""

    cube_id: str
    memories: int
    bytes: int
    duplicate: AuditRate
    stale: AuditRate
    loop: AuditRate
    junk: AuditRate
    quarantined: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A run of turns of one session about one topic: a page of mid-term memory.

    `heat` is the sum of visits, length and recency, each by its weight.
    """

    session_id: str
    user_id: str | None
    memories: tuple[Memory, ...]
    visits: int
    heat: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextPart:
    """One section of a context. `tokens` counts its heading too. `memory_ids` stand in it as they
    are; `summary_ids` for turns that had no room."""

    name: str
    text: str
    memory_ids: tuple[str, ...]
    tokens: int
    summary_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What to put before an agent: parts in order of how seldom they change. `left_out` had no
    room as they are."""

    text: str
    parts: tuple[ContextPart, ...]
    tokens: int
    token_budget: int
    left_out: tuple[str, ...]


COUNTED = frozenset({*LIVE, State.MERGED})
"""States in which a memory's assertions count: another stands for a merged one in searches only."""
