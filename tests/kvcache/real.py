"""The default language model with its real weights, for what random ones can't show."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from memos.kvcache.generator.known import DEFAULT_MODEL
from memos.kvcache.generator.weights import resolve


@cache
def smollm() -> tuple[Any, Any]:
    """(model in float32, tokenizer); the first use on a machine converts it, about 15 s."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = Path(tempfile.gettempdir()) / "memos-tests-models"
    files = resolve(DEFAULT_MODEL, cache_dir=folder, offline=True)
    model = AutoModelForCausalLM.from_pretrained(files.folder, dtype=torch.float32)
    return model.eval(), AutoTokenizer.from_pretrained(files.folder)


def encode(text: str) -> list[int]:
    return list(smollm()[1](text, add_special_tokens=False).input_ids)
