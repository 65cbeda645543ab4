"""What the core needs from its backends: few protocols, few methods each.

Only `memos.assembly` knows which class stands behind a protocol. Implementations translate every
third-party error to `memos.errors` with `from`. All are safe to call from many threads.
"""

from typing import TYPE_CHECKING

from memos.protocols.accounts import KeyStore, Receipt, ReceiptStore
from memos.protocols.artifacts import (
    FORGET_STATES,
    RETRAIN,
    ArtifactStore,
    artifact_name,
    cube_name,
    memory_name,
)
from memos.protocols.derivation import Derivation, Standing, Stretch
from memos.protocols.dumps import Arrived, DumpStore
from memos.protocols.events import (
    EventStore,
    Retention,
    RuleStore,
    Timetable,
)
from memos.protocols.graph import (
    IMPORTED,
    NAME_LIMIT,
    EntityMention,
    GraphChange,
    GraphStore,
    NewEntity,
    Reading,
    Recorded,
)
from memos.protocols.indexes import (
    VectorIndex,
)
from memos.protocols.jobs import JobQueue, QueuePolicy
from memos.protocols.keeping import (
    Deed,
    Ended,
    Held,
    KeepingStore,
    Move,
    Said,
    Use,
)
from memos.protocols.memories import (
    Change,
    ChangeFeed,
    Clock,
    CubeStore,
    Erasure,
    Indexed,
    LinkStore,
    MemoryStore,
    NewId,
    PastStore,
    Replacement,
)
from memos.protocols.models import (
    ActivationStore,
    AdapterStore,
    Embedder,
    Extractor,
    Generator,
    Joining,
    LocalStates,
    Rephraser,
    RunExtractor,
    Turns,
)
from memos.protocols.notes import Covered, NoteStore, SummaryStore
from memos.protocols.stores import StoreHealth, Stores

if TYPE_CHECKING:
    from memos.protocols.models import Vector

__all__ = [
    "FORGET_STATES",
    "IMPORTED",
    "NAME_LIMIT",
    "RETRAIN",
    "ActivationStore",
    "AdapterStore",
    "Arrived",
    "ArtifactStore",
    "Change",
    "ChangeFeed",
    "Clock",
    "Covered",
    "CubeStore",
    "Deed",
    "Derivation",
    "DumpStore",
    "Embedder",
    "Ended",
    "EntityMention",
    "Erasure",
    "EventStore",
    "Extractor",
    "Generator",
    "GraphChange",
    "GraphStore",
    "Held",
    "Indexed",
    "JobQueue",
    "Joining",
    "KeepingStore",
    "KeyStore",
    "LinkStore",
    "LocalStates",
    "MemoryStore",
    "Move",
    "NewEntity",
    "NewId",
    "NoteStore",
    "PastStore",
    "QueuePolicy",
    "Reading",
    "Receipt",
    "ReceiptStore",
    "Recorded",
    "Rephraser",
    "Replacement",
    "Retention",
    "RuleStore",
    "RunExtractor",
    "Said",
    "Standing",
    "StoreHealth",
    "Stores",
    "Stretch",
    "SummaryStore",
    "Timetable",
    "Turns",
    "Use",
    "Vector",
    "VectorIndex",
    "artifact_name",
    "cube_name",
    "memory_name",
]
