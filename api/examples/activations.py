"""One example of each answer about activation memory, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from memos.types import (
    Activation,
    ActivationStats,
    Answers,
    ArtifactSource,
    Generated,
    JoinPoint,
    JoinReport,
    Page,
    Piece,
    State,
)

_THEN = datetime(2024, 5, 1, 18, 30, tzinfo=timezone.utc)
_ACTIVATION = Activation(
    id="01HXA8Q5T9V0J4M2K7N3P6R8SJ",
    cube_id="01HXA8Q5T9V0J4M2K7N3P6R8SB",
    name="core",
    state=State.ACTIVATED,
    reason=None,
    sources=(ArtifactSource(memory_id="01HXA8Q5T9V0J4M2K7N3P6R8SD", version=1),),
    text="You are Ana's assistant.\n\nWhat you remember:\n- I moved to Lisbon in March.",
    model="HuggingFaceTB/SmolLM2-135M-Instruct",
    fingerprint={"format": "1", "dtype": "float32", "adapter": "base"},
    tokens=31,
    bytes=1_428_480,
    codec="raw",
    policy=None,
    pinned=False,
    hits=3,
    last_used_at=_THEN,
    created_at=_THEN,
    updated_at=_THEN,
    actor="key:01HXA8Q5T9V0J4M2K7N3P6R8SA",
)
_GENERATED = Generated(
    text="Ana lives in Lisbon.",
    finish="stop",
    prompt_tokens=48,
    reused_tokens=31,
    new_tokens=6,
    states="loaded",
    ttft_s=0.04,
    total_s=0.38,
    model="HuggingFaceTB/SmolLM2-135M-Instruct",
    activation=_ACTIVATION.id,
)
PIECE = Piece(text=" Lisbon.", done=_GENERATED)

ACTIVATION_EXAMPLES: Mapping[str, Any] = {
    "Activation": _ACTIVATION,
    "ActivationStats": ActivationStats(
        activations=1,
        by_state={"activated": 1},
        pinned=0,
        tokens=31,
        bytes=1_428_480,
        hits=3,
    ),
    "Answers": Answers(items=(_GENERATED,), prompt_tokens=48, computed_tokens=17),
    "Generated": _GENERATED,
    "JoinReport": JoinReport(
        model="HuggingFaceTB/SmolLM2-135M-Instruct",
        selection="deviation",
        curve=(
            JoinPoint(ratio=0.5, top1=0.91, kl=0.04),
            JoinPoint(ratio=0.9, top1=0.97, kl=0.004),
        ),
        threshold=0.95,
        ratio=0.9,
        tokens=256,
        activations=3,
        questions=4,
        measured_at=_THEN,
    ),
    "Page_Activation_": Page(items=(_ACTIVATION,)),
}
