"""One example of each answer, as a value of its type, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from memos.api.activation_examples import ACTIVATION_EXAMPLES
from memos.api.adapter_examples import ADAPTER_EXAMPLES
from memos.api.event_examples import EVENT_EXAMPLES
from memos.api.graph_examples import GRAPH_EXAMPLES
from memos.api.keeping_examples import KEEPING_EXAMPLES
from memos.api.routes.health import Health
from memos.types import (
    Added,
    ApiKey,
    Contribution,
    Cube,
    CubeDescription,
    EmbeddingModel,
    Hit,
    IssuedKey,
    Job,
    JobState,
    Kind,
    Lineage,
    Link,
    Loaded,
    Memory,
    MemoryVersion,
    Page,
    ParsedQuery,
    Provenance,
    Relation,
    Role,
    SearchResult,
    Segment,
    State,
)

_THEN = datetime(2024, 5, 1, 18, 30, tzinfo=timezone.utc)
_CUBE_ID = "01HXA8Q5T9V0J4M2K7N3P6R8SB"

MEMORY = Memory(
    id="01HXA8Q5T9V0J4M2K7N3P6R8SD",
    cube_id=_CUBE_ID,
    content="I moved to Lisbon in March.",
    kind=Kind.EPISODIC,
    state=State.ACTIVATED,
    version=1,
    position=1,
    user_id="ana",
    agent_id=None,
    session_id="2024-05-01",
    speaker="Ana",
    occurred_at=_THEN,
    place=None,
    images=(),
    metadata={"topic": "home"},
    priority=0.5,
    expires_at=None,
    provenance=Provenance(actor="key:01HXA8Q5T9V0J4M2K7N3P6R8SA"),
    created_at=_THEN,
    updated_at=_THEN,
)
_CUBE = Cube(
    id=_CUBE_ID,
    tenant_id="default",
    name="ana",
    description="What Ana told us",
    metadata={},
    embedding=EmbeddingModel(
        id="sentence-transformers/all-MiniLM-L6-v2",
        digest="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        dimensions=384,
        max_tokens=256,
    ),
    created_at=_THEN,
)
_JOB = Job(
    id="01HXA8Q5T9V0J4M2K7N3P6R8SG",
    tenant_id="default",
    cube_id=_CUBE_ID,
    kind="index",
    state=JobState.SUCCEEDED,
    payload={"memory_ids": [MEMORY.id]},
    attempts=1,
    max_attempts=5,
    progress=1.0,
    error=None,
    run_at=_THEN,
    created_at=_THEN,
    started_at=_THEN,
    finished_at=_THEN,
)
_KEY = ApiKey(
    id="01HXA8Q5T9V0J4M2K7N3P6R8SA",
    tenant_id="default",
    name="agent",
    role=Role.WRITER,
    cubes=(),
    created_at=_THEN,
    revoked_at=None,
)
_LINK = Link(
    id="01HXA8Q5T9V0J4M2K7N3P6R8SH",
    cube_id=_CUBE_ID,
    source_id=MEMORY.id,
    target_id="01HXA8Q5T9V0J4M2K7N3P6R8SE",
    relation="explains",
    reason=None,
    created_at=_THEN,
)
_VERSION = MemoryVersion(
    memory_id=MEMORY.id,
    version=1,
    operation="add",
    changed_at=_THEN,
    actor="key:01HXA8Q5T9V0J4M2K7N3P6R8SA",
    reason=None,
    memory=MEMORY,
)
_RESULT = SearchResult(
    hits=(
        Hit(
            memory=MEMORY,
            score=0.83,
            breakdown=(
                Contribution(channel="dense", raw=0.71, calibrated=0.9, weighted=0.5, rank=1),
                Contribution(channel="bm25", raw=6.2, calibrated=0.8, weighted=0.33, rank=1),
            ),
            tokens=9,
        ),
    ),
    query=ParsedQuery(
        text="Where does Ana live?",
        dense_text="Where does Ana live?",
        terms=("live",),
        phrases=(),
        speakers=("Ana",),
        since=None,
        until=None,
    ),
    considered=120,
    tokens=9,
    timings_ms={"embed": 3.1, "search": 1.2, "total": 4.3},
    summaries=(),
)

EXAMPLES: Mapping[str, Any] = {
    **ACTIVATION_EXAMPLES,
    **ADAPTER_EXAMPLES,
    **EVENT_EXAMPLES,
    **GRAPH_EXAMPLES,
    **KEEPING_EXAMPLES,
    "Lineage": Lineage(
        derived_id=MEMORY.id,
        source_id="01HXA8Q5T9V0J4M2K7N3P6R8SE",
        source_version=1,
        relation=Relation.MERGED,
    ),
    "Segment": Segment(
        session_id="2024-05-01", user_id="ana", memories=(MEMORY,), visits=2, heat=1.4
    ),
    "Added": Added(memories=(MEMORY,)),
    "ApiKey": _KEY,
    "Cube": _CUBE,
    "Loaded": Loaded(cube=_CUBE, rows={"memory": 12, "link": 3}),
    "CubeDescription": CubeDescription(
        cube=_CUBE,
        memories=120,
        by_kind={"episodic": 120},
        by_state={"activated": 120},
        sessions=4,
        text_bytes=14_200,
        vector_bytes=184_320,
        earliest=_THEN,
        latest=_THEN,
    ),
    "Health": Health(status="ok", version="0.1.0"),
    "IssuedKey": IssuedKey(key=_KEY, secret="memos_..."),
    "Job": _JOB,
    "Link": _LINK,
    "Memory": MEMORY,
    "MemoryVersion": _VERSION,
    "Page_Cube_": Page(items=(_CUBE,)),
    "Page_Job_": Page(items=(_JOB,)),
    "Page_Memory_": Page(items=(MEMORY,), next_cursor="ZTNiMGM0MQ"),
    "SearchResult": _RESULT,
}
"""By the name of the schema."""
