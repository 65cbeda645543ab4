"""One example of each answer about keeping memories, as a value of its type."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from memos.types import (
    ActionKind,
    Audit,
    AuditRate,
    Context,
    ContextPart,
    Erased,
    ErasureReceipt,
    KeepingPlan,
    PlannedAction,
    Policy,
    ReceiptCheck,
    Strength,
    Work,
)

_THEN = datetime(2024, 5, 1, 18, 30, tzinfo=timezone.utc)
_CUBE_ID = "01HXA8Q5T9V0J4M2K7N3P6R8SB"
_MEMORY_ID = "01HXA8Q5T9V0J4M2K7N3P6R8SD"
_OTHER_ID = "01HXA8Q5T9V0J4M2K7N3P6R8SE"
_RATE = AuditRate(count=1, share=0.01, examples=(_MEMORY_ID,))
_NONE = AuditRate(count=0, share=0.0, examples=())
_PART = ContextPart(
    name="known",
    text="What is known:\n- 2024-05-01, Ana: I moved to Lisbon in March.",
    memory_ids=(_MEMORY_ID,),
    tokens=21,
    summary_ids=(),
)

KEEPING_EXAMPLES: Mapping[str, Any] = {
    "Audit": Audit(
        cube_id=_CUBE_ID,
        memories=100,
        bytes=184_200,
        duplicate=_RATE,
        stale=_NONE,
        loop=_NONE,
        junk=_NONE,
        quarantined=0,
    ),
    "Context": Context(text=_PART.text, parts=(_PART,), tokens=21, token_budget=800, left_out=()),
    "ErasureReceipt": ErasureReceipt(
        id="01HXA8Q5T9V0J4M2K7N3P6R8SM",
        cube_id=_CUBE_ID,
        memory_ids=(_MEMORY_ID,),
        stores=(Erased(store="texts", removed=1, done=True),),
        recomputed_by=None,
        erased_at=_THEN,
        key_id="0123456789abcdef",
        signature="5f2b" * 16,
    ),
    "KeepingPlan": KeepingPlan(
        cube_id=_CUBE_ID,
        work=Work.CONSOLIDATE,
        memories=100,
        actions={"merge": 1},
        bytes_before=184_200,
        bytes_after=182_400,
        items=(
            PlannedAction(
                kind=ActionKind.MERGE,
                reason="2 memories say the same by their words",
                numbers={"memories": 2, "least_cosine": 0.98},
                memory_ids=(_OTHER_ID, _MEMORY_ID),
                text="Well, I moved to Lisbon in March.",
                of=("I moved to Lisbon in March.",),
            ),
        ),
    ),
    "Policy": Policy(archive_below=0.05),
    "ReceiptCheck": ReceiptCheck(valid=True),
    "Strength": Strength(
        memory_id=_MEMORY_ID,
        strength=0.21,
        importance=0.42,
        retention=0.5,
        half_life_days=30.0,
        uses=0,
        last_used_at=_THEN,
        pinned=False,
    ),
}
"""By the name of the schema."""
