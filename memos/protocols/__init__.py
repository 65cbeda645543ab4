"""What the core needs from its backends: few protocols, few methods each.

Only `memos.assembly` knows which class stands behind a protocol. Implementations translate every
third-party error to `memos.errors` with `from`. All are safe to call from many threads.
"""

from typing import TYPE_CHECKING

from memos.protocols.events import (
    EventStore,
    RuleStore,
    Timetable,
)
from memos.protocols.graph import (
    IMPORTED,
    NAME_LIMIT,
    Derivation,
    EntityMention,
    GraphChange,
    GraphStore,
    NewEntity,
    NoteStore,
    Reading,
    Recorded,
    Stretch,
    SummaryStore,
)
from memos.protocols.indexes import (
    VectorIndex,
)
from memos.protocols.keeping import (
    Deed,
    Ended,
    Held,
    KeepingStore,
    Move,
    Said,
    Use,
)
from memos.protocols.models import (
    ActivationStore,
    AdapterStore,
    Embedder,
    Extractor,
    Generator,
    LocalStates,
)
from memos.protocols.stores import (
    FORGET_STATES,
    RETRAIN,
    ArtifactStore,
    Change,
    ChangeFeed,
    Clock,
    CubeStore,
    Erasure,
    Indexed,
    JobQueue,
    KeyStore,
    LinkStore,
    MemoryStore,
    NewId,
    PastStore,
    QueuePolicy,
    Receipt,
    ReceiptStore,
    Replacement,
    StoreHealth,
    Stores,
    artifact_name,
    cube_name,
)

if TYPE_CHECKING:
    from memos.protocols.models import Vector

__all__ = [
    "FORGET_STATES",
    "IMPORTED",
    "NAME_LIMIT",
    "RETRAIN",
    "ActivationStore",
    "AdapterStore",
    "ArtifactStore",
    "Change",
    "ChangeFeed",
    "Clock",
    "CubeStore",
    "Deed",
    "Derivation",
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
    "Replacement",
    "RuleStore",
    "Said",
    "StoreHealth",
    "Stores",
    "Stretch",
    "SummaryStore",
    "Timetable",
    "Use",
    "Vector",
    "VectorIndex",
    "artifact_name",
    "cube_name",
]
