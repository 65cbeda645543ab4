"""What the core needs from the truth to keep memories: consolidation, forgetting, admission."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from memos.types import (
    LIVE,
    ActionKind,
    Lineage,
    Memory,
    NewJob,
    Policy,
    State,
)

if TYPE_CHECKING:
    from memos.protocols.memories import Indexed
    from memos.protocols.models import Vector


@dataclass(frozen=True, slots=True)
class Use:
    """How often a memory was given out, when last, and whether it is pinned."""

    uses: int = 0
    last_used_at: datetime | None = None
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """A memory with what is kept of it: vector (dimensions,), bytes of text, vector and terms
    together, those of the vector alone, use."""

    memory: Memory
    vector: Vector | None
    bytes: int
    vector_bytes: int
    use: Use

    @property
    def fixed(self) -> bool:
        """Whether it never goes by itself: it is pinned, or frozen."""
        return self.use.pinned or self.memory.state is State.FROZEN


@dataclass(frozen=True, slots=True)
class Said:
    """One assertion of a memory's present text: what it says as a comparable key, and where."""

    claim: tuple[str, str, int, int]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Ended:
    """An assertion of `memory_id` whose fact was closed by one of `closer_id`, by `rule`, and is
    over since `at`."""

    memory_id: str
    claim: tuple[str, str, int, int]
    closer_id: str
    rule: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Move:
    """A change of state of the memory as it is in `version`."""

    memory_id: str
    version: int
    to: State


@dataclass(frozen=True, slots=True)
class Deed:
    """An action to be done, all or nothing: states that change, memories that are made, lineage;
    of the memories `shrunk` the vectors are kept in a quarter of the bytes."""

    kind: ActionKind
    about: str
    reason: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    moves: tuple[Move, ...] = ()
    made: tuple[tuple[Memory, Indexed], ...] = ()
    lineage: tuple[Lineage, ...] = ()
    shrunk: tuple[str, ...] = ()


class KeepingStore(Protocol):
    """What planning reads and does; lineage, use and policy of cubes."""

    def held(
        self,
        cube_id: str,
        *,
        after: int = 0,
        limit: int,
        states: Sequence[State] = LIVE,
    ) -> list[Held]:
        """By position, positions greater than `after`."""
        ...

    def sessions(self, cube_id: str, *, visited: bool) -> list[str]:
        """Names of the sessions of live memories, in order; with `visited` only those of which one
        was given out."""
        ...

    def newest(self, cube_id: str) -> datetime | None:
        """When the last memory was added; None: there is none."""
        ...

    def said(self, cube_id: str, memory_ids: Sequence[str]) -> dict[str, tuple[Said, ...]]:
        """What the present texts of these memories assert; nothing for those that assert nothing
        or were not read."""
        ...

    def ended(self, cube_id: str, *, now: datetime) -> list[Ended]:
        """Assertions of live memories that another's has ended, as it is believed now."""
        ...

    def apply(
        self,
        cube_id: str,
        deeds: Sequence[Deed],
        *,
        actor: str | None,
        run_id: str | None = None,
        jobs: Sequence[NewJob] = (),
    ) -> tuple[Deed, ...]:
        """Does these in one transaction, records an event of each, and gives those that were done.

        A deed with a memory that is not in its version any more is passed over."""
        ...

    def lineage(self, cube_id: str, memory_ids: Sequence[str]) -> tuple[Lineage, ...]:
        """All in which one of these is the derived memory or the source."""
        ...

    def use(self, cube_id: str, uses: Mapping[str, tuple[int, datetime]]) -> None:
        """Adds to counts and moves last uses on. Unknown memories are passed over."""
        ...

    def uses(self, cube_id: str, memory_ids: Sequence[str]) -> dict[str, Use]:
        """Those that have any."""
        ...

    def pin(self, cube_id: str, memory_id: str, *, pinned: bool) -> None:
        """MemoryNotFound."""
        ...

    def same_turns(
        self, cube_id: str, turns: Mapping[str, Collection[str]], *, among: int
    ) -> list[Memory]:
        """By session its contents in question: live memories with one of them, of the last `among`
        of the session."""
        ...

    def policy(self, cube_id: str) -> Policy | None:
        """None if the cube has none of its own."""
        ...

    def put_policy(self, cube_id: str, policy: Policy, *, actor: str | None) -> None:
        """CubeNotFound."""
        ...
