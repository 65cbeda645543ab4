"""All repositories over one database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from memos.protocols.accounts import KeyStore, ReceiptStore
from memos.protocols.artifacts import ArtifactStore
from memos.protocols.dumps import DumpStore
from memos.protocols.events import EventStore, Retention, RuleStore, Timetable
from memos.protocols.graph import GraphStore
from memos.protocols.jobs import JobQueue
from memos.protocols.keeping import KeepingStore
from memos.protocols.memories import ChangeFeed, CubeStore, LinkStore, MemoryStore, PastStore
from memos.protocols.notes import NoteStore, SummaryStore
from memos.types import Finding


class StoreHealth(Protocol):
    """The state of the database itself."""

    def ping(self) -> None:
        """StorageUnavailable and the like if it can't be read and written."""
        ...

    def check(self, *, repair: bool) -> list[Finding]:
        """Integrity of the file, orphan rows, counters; repairs what can be repaired."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Stores:
    """The SQL repositories over one database."""

    cubes: CubeStore
    memories: MemoryStore
    past: PastStore
    feed: ChangeFeed
    links: LinkStore
    jobs: JobQueue
    keys: KeyStore
    receipts: ReceiptStore
    graph: GraphStore
    notes: NoteStore
    summaries: SummaryStore
    artifacts: ArtifactStore
    keeping: KeepingStore
    events: EventStore
    retention: Retention
    rules: RuleStore
    timetable: Timetable
    dumps: DumpStore
    health: StoreHealth
