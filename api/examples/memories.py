"""One example of each answer about memories, as a value of its type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memos.api.examples.cubes import CUBE_ID, THEN
from memos.types import (
    Added,
    Kind,
    Lineage,
    Link,
    Memory,
    MemoryVersion,
    Page,
    Provenance,
    Relation,
    Segment,
    State,
)

MEMORY = Memory(
    id="01HXA8Q5T9V0J4M2K7N3P6R8SD",
    cube_id=CUBE_ID,
    content="I moved to Lisbon in March.",
    kind=Kind.EPISODIC,
    state=State.ACTIVATED,
    version=1,
    position=1,
    user_id="ana",
    agent_id=None,
    session_id="2024-05-01",
    speaker="Ana",
    occurred_at=THEN,
    place=None,
    images=(),
    metadata={"topic": "home"},
    priority=0.5,
    expires_at=None,
    provenance=Provenance(actor="key:01HXA8Q5T9V0J4M2K7N3P6R8SA"),
    created_at=THEN,
    updated_at=THEN,
)
_LINK = Link(
    id="01HXA8Q5T9V0J4M2K7N3P6R8SH",
    cube_id=CUBE_ID,
    source_id=MEMORY.id,
    target_id="01HXA8Q5T9V0J4M2K7N3P6R8SE",
    relation="explains",
    reason=None,
    created_at=THEN,
)
_VERSION = MemoryVersion(
    memory_id=MEMORY.id,
    version=1,
    operation="add",
    changed_at=THEN,
    actor="key:01HXA8Q5T9V0J4M2K7N3P6R8SA",
    reason=None,
    memory=MEMORY,
)

MEMORY_EXAMPLES: Mapping[str, Any] = {
    "Added": Added(memories=(MEMORY,)),
    "Lineage": Lineage(
        derived_id=MEMORY.id,
        source_id="01HXA8Q5T9V0J4M2K7N3P6R8SE",
        source_version=1,
        relation=Relation.MERGED,
    ),
    "Link": _LINK,
    "Memory": MEMORY,
    "MemoryVersion": _VERSION,
    "Page_Memory_": Page(items=(MEMORY,), next_cursor="ZTNiMGM0MQ"),
    "Segment": Segment(
        session_id="2024-05-01", user_id="ana", memories=(MEMORY,), visits=2, heat=1.4
    ),
}
"""By the name of the schema."""
