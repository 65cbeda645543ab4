"""Events: what happened by itself, why, and how it is undone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from memos.types.graph import FactExplanation
from memos.types.jobs import Job
from memos.types.memories import Memory, MemoryVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoStep:
    """One memory as it was before: in `version`, or, if that is None, not there. In events that
    tell of summaries it is the id of one."""

    memory_id: str
    version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """An event to be recorded, in the transaction of what it tells of.

    `kind` is noun and verb, such as `memory.expire` or `job.dead`; `subjects` are the ids of all
    that it concerns. `numbers` is what the decision was made by: JSON, never a memory's text, which
    belongs in `reason` if anywhere, since an erase reaches that. `undo` are the steps that take it
    back, in their order; `cause` is the event that this one undoes or follows from. `cube_id` None:
    it is of no cube; `actor` None: nobody asked for it.
    """

    kind: str
    subjects: tuple[str, ...]
    reason: str | None = None
    numbers: Mapping[str, Any] = field(default_factory=dict)
    actor: str | None = None
    cube_id: str | None = None
    undo: tuple[UndoStep, ...] = ()
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A recorded event. `seq` grows by one with each event of the tenant, in the order in which
    they became visible, so that who has seen one has seen all before it."""

    id: str
    seq: int
    cube_id: str | None
    kind: str
    subjects: tuple[str, ...]
    reason: str | None
    numbers: Mapping[str, Any]
    actor: str | None
    at: datetime
    undo: tuple[UndoStep, ...]
    cause: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why something is as it is: `text` in sentences, and what they were made of.

    `what` is memory, job, fact, event or summary; the field of that name has it, but for a summary.
    `versions` are a memory's, oldest first; `events` all that concern it, oldest first.
    """

    id: str
    what: str
    text: tuple[str, ...]
    events: tuple[Event, ...] = ()
    memory: Memory | None = None
    versions: tuple[MemoryVersion, ...] = ()
    job: Job | None = None
    fact: FactExplanation | None = None
    event: Event | None = None
