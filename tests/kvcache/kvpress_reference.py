"""Writes what NVIDIA kvpress keeps of a text, for the tests of our policies to compare with.

kvpress pins a transformers older than ours, so it runs in an environment of its own:

    python -m venv /tmp/kvpress && /tmp/kvpress/bin/pip install torch==2.13.0 kvpress==0.5.5
    /tmp/kvpress/bin/python -m tests.kvcache.kvpress_reference

For each press: its scores (layers, kv_heads, n), or the positions (layers, kv_heads, kept) of the
rows it kept, found by comparing them with the full cache.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.kvcache.tiny import llama, tokens

OUT = Path(__file__).parent / "data" / "kvpress.npz"
RATIO = 0.5
INSTRUCTION = (5, 6, 7)  # stands for KVzip's request to repeat the text


def main() -> int:
    found: dict[str, Any] = {
        "versions": [f"{name} {version(name)}" for name in ("kvpress", "torch", "transformers")]
    }
    for name, press, attention in _presses():
        scores, cache = _run(press, attention)
        if scores:
            found[f"{name}.scores"] = np.stack(scores).astype(np.float32)
        found[f"{name}.kept"] = _kept(cache)
    found["think.zeroed"] = _think()
    found["kvzip.scores"] = _kvzip()
    np.savez_compressed(OUT, **found)
    print(OUT, OUT.stat().st_size, "bytes")
    return 0


def _presses() -> list[tuple[str, Any, str]]:
    import kvpress

    finch = kvpress.FinchPress(compression_ratio=RATIO, rerotate_keys=False)
    finch.window_size = 16
    return [
        ("key-norm", kvpress.KnormPress(RATIO), "sdpa"),
        ("keydiff", kvpress.KeyDiffPress(RATIO), "sdpa"),
        (
            "expected-attention",
            kvpress.ExpectedAttentionPress(RATIO, n_future_positions=64),
            "sdpa",
        ),
        ("lagkv", kvpress.LagKVPress(RATIO, lag_size=32), "sdpa"),
        ("recent", kvpress.StreamingLLMPress(RATIO), "sdpa"),
        ("h2o", kvpress.ObservedAttentionPress(RATIO), "eager"),
        ("snapkv", kvpress.SnapKVPress(RATIO, window_size=16), "sdpa"),
        ("pyramidkv", kvpress.PyramidKVPress(RATIO, window_size=16, beta=4), "sdpa"),
        ("tova", kvpress.TOVAPress(RATIO), "sdpa"),
        ("finch", finch, "sdpa"),
    ]


def _run(press: Any, attention: str) -> tuple[list[Any], Any]:
    from kvpress.presses.base_press import BasePress
    from transformers import DynamicCache

    scores: list[Any] = []
    score = press.score

    def noted(*arguments: Any, **options: Any) -> Any:
        result = score(*arguments, **options)
        scores.append(result[0].detach().numpy())
        return result

    press.score = noted
    model, cache = llama(attn_implementation=attention), DynamicCache()
    with torch.no_grad(), BasePress.__call__(press, model):
        model(input_ids=torch.tensor([tokens()]), past_key_values=cache)
    return scores, cache


def _kept(cache: Any) -> Any:
    """Positions (layers, kv_heads, most rows), ascending; -1 fills up where a layer has fewer."""
    full = _full()
    most = max(layer.keys.shape[2] for layer in cache.layers)
    found = np.full((len(full), full[0].shape[0], most), -1, dtype=np.int16)
    for index, (layer, keys) in enumerate(zip(cache.layers, full, strict=True)):
        for head in range(keys.shape[0]):
            distance = torch.cdist(layer.keys[0, head], keys[head])
            rows = distance.argmin(dim=1).sort().values.numpy()
            found[index, head, : len(rows)] = rows
    return found


def _full() -> list[Any]:
    from transformers import DynamicCache

    cache = DynamicCache()
    with torch.no_grad():
        llama()(input_ids=torch.tensor([tokens()]), past_key_values=cache)
    return [layer.keys[0] for layer in cache.layers]


def _think() -> Any:
    """(layers, kv_heads, dim): whether a channel of the keys was zeroed."""
    import kvpress
    from transformers import DynamicCache

    cache = DynamicCache()
    with torch.no_grad():
        model = llama()
        with kvpress.ThinKPress(key_channel_compression_ratio=RATIO, window_size=16)(model):
            model(input_ids=torch.tensor([tokens()]), past_key_values=cache)
    return np.stack([(layer.keys[0] == 0).all(dim=1).numpy() for layer in cache.layers])


def _kvzip() -> Any:
    """(layers, kv_heads, n): its scores, with INSTRUCTION in place of its words."""
    import kvpress
    from kvpress.presses import kvzip_press
    from transformers import DynamicCache

    class Tokenizer:
        chat_template = None

        @classmethod
        def from_pretrained(cls, name: str) -> Any:
            return cls()

        def encode(self, text: str, **options: Any) -> Any:
            asks = list(INSTRUCTION) if "Repeat" in text else []
            return torch.tensor([asks], dtype=torch.long)

    kvzip_press.AutoTokenizer = Tokenizer
    press, found = kvpress.KVzipPress(RATIO), []
    finish = press.compress_post
    press.compress_post = lambda model: (found.append(press.score_val.clone()), finish(model))
    model, cache = llama(), DynamicCache()
    with torch.no_grad(), press(model):
        model(input_ids=torch.tensor([tokens()]), past_key_values=cache)
    return found[0][:, 0].numpy()


if __name__ == "__main__":
    sys.exit(main())
