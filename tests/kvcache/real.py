"""The default language model with its real weights, for what random ones can't show."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from memos.kvcache.generator.loading import load_model


@cache
def smollm() -> tuple[Any, Any]:
    """(model in float32, tokenizer); the first use on a machine converts it, about 15 s."""
    folder = Path(tempfile.gettempdir()) / "memos-tests-models"
    local = load_model(cache_dir=folder, offline=True)
    return local.module, local.tokenizer


def encode(text: str) -> list[int]:
    return list(smollm()[1](text, add_special_tokens=False).input_ids)
