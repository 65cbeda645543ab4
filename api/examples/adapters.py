"""One example of each answer about parametric memory, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from memos.types import Adapter, AdapterReport, ArtifactSource, InUse, Page, Scored, State

_THEN = datetime(2024, 5, 1, 18, 30, tzinfo=timezone.utc)
_MEMORY = "01HXA8Q5T9V0J4M2K7N3P6R8SD"
_ADAPTER = Adapter(
    id="01HXA8Q5T9V0J4M2K7N3P6R8SL",
    cube_id="01HXA8Q5T9V0J4M2K7N3P6R8SB",
    name="people",
    version=2,
    state=State.ACTIVATED,
    reason=None,
    attached=True,
    when="named",
    parent=None,
    sources=(ArtifactSource(memory_id=_MEMORY, version=1),),
    model="HuggingFaceTB/SmolLM2-135M-Instruct",
    fingerprint={"format": "1", "dtype": "float32"},
    digest="5f6c0d1b",
    rank=8,
    parameters=2_442_240,
    examples=12,
    tokens=4_800,
    bytes=4_930_512,
    seconds=61.5,
    hits=3,
    last_used_at=_THEN,
    report=AdapterReport(
        recall=1.0,
        base_recall=0.0,
        trained=1.0,
        perplexity=24.1,
        base_perplexity=23.9,
        unchanged=0.45,
        in_use=InUse(recall=1.0, perplexity=23.9, unchanged=1.0, named=1.0, others=0.0),
        by_source={_MEMORY: 1.0},
        probes=1,
    ),
    created_at=_THEN,
    updated_at=_THEN,
    actor="key:01HXA8Q5T9V0J4M2K7N3P6R8SA",
    chosen=(Scored(memory_id=_MEMORY, score=0.71, parts={"kind": 1.0, "used": 0.3}),),
)

ADAPTER_EXAMPLES: Mapping[str, Any] = {
    "Adapter": _ADAPTER,
    "Page_Adapter_": Page(items=(_ADAPTER,)),
}
