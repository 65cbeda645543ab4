"""States of a made-up model: every number follows from all token ids up to it and from a key.

So states of another prompt, of another tenant, out of order or with one wrong byte are told from
the right ones at once, thousands of times, without running a model. Used by the fuzzer of the store
and by its tests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from memos.kvcache.blocks.block import LayerStates, RecurrentState, States
from memos.kvcache.layout import CacheLayout, LayerLayout

FULL = CacheLayout((LayerLayout("full", 2, 16, 16),) * 3, "bfloat16")
FULL32 = CacheLayout((LayerLayout("full", 2, 16, 16),) * 2, "float32")
MIXED = CacheLayout(
    (
        LayerLayout("full", 2, 16, 8),
        LayerLayout("sliding", 1, 16, 16, window=33),
        LayerLayout("recurrent", 0, 0, 0, state_shapes=((4, 3), (2, 5))),
    ),
    "float32",
)
LAYOUTS = {"full": FULL, "full32": FULL32, "mixed": MIXED}

Seeds = NDArray[np.uint64]


def root(name: str = "root") -> bytes:
    """A root key by name."""
    return hashlib.sha256(name.encode()).digest()


def states(
    layout: CacheLayout, tokens: Sequence[int], start: int = 0, key: bytes = b""
) -> list[LayerStates | RecurrentState]:
    """What a prefill of `tokens` leaves for [start, len(tokens)). `key` stands for the model."""
    seeds = _seeds(tokens, key)
    return [
        _recurrent(at, layer, seeds)
        if layer.kind == "recurrent"
        else _attention(at, layer, layout.dtype, seeds, start)
        for at, layer in enumerate(layout.layers)
    ]


def equal(left: States, right: States) -> bool:
    """Bit for bit."""
    return len(left) == len(right) and all(_same(a, b) for a, b in zip(left, right, strict=True))


def _seeds(tokens: Sequence[int], key: bytes) -> Seeds:
    """One number per token, from it and all before it."""
    digest = hashlib.sha256(key)
    found = np.empty(len(tokens), dtype=np.uint64)
    for at, token in enumerate(tokens):
        digest.update(int(token).to_bytes(4, "little"))
        found[at] = int.from_bytes(digest.copy().digest()[:8], "little")
    return found


def _attention(at: int, layer: LayerLayout, dtype: str, seeds: Seeds, start: int) -> LayerStates:
    first = start if layer.kind == "full" else len(seeds) - layer.kept(len(seeds))
    keys = _numbers(seeds[first:], 2 * at, layer.kv_heads, layer.head_dim)
    values = _numbers(seeds[first:], 2 * at + 1, layer.kv_heads, layer.value_dim)
    kind = getattr(torch, dtype)
    return LayerStates(keys.to(kind), values.to(kind), first)


def _recurrent(at: int, layer: LayerLayout, seeds: Seeds) -> RecurrentState:
    tensors = {
        f"state{number}": _numbers(seeds[-1:], 1000 + 10 * at + number, *shape)[:, 0]
        for number, shape in enumerate(layer.state_shapes)
    }
    return RecurrentState(tensors, len(seeds))


def _numbers(seeds: Seeds, salt: int, heads: int, dim: int) -> torch.Tensor:
    """(heads, n, dim) float32 in [-1, 1): splitmix64 of seed, salt and place."""
    place = np.arange(heads * dim, dtype=np.uint64).reshape(heads, 1, dim)
    mixed = seeds[None, :, None] + (place + np.uint64(salt * 4096 + 1)) * np.uint64(_GOLDEN)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    whole = (mixed ^ (mixed >> np.uint64(31))) >> np.uint64(40)
    return torch.from_numpy((whole.astype(np.float32) / np.float32(2**23)) - np.float32(1))


_GOLDEN = 0x9E3779B97F4A7C15


def _same(a: LayerStates | RecurrentState, b: LayerStates | RecurrentState) -> bool:
    if isinstance(a, RecurrentState) or isinstance(b, RecurrentState):
        return (
            isinstance(a, RecurrentState)
            and isinstance(b, RecurrentState)
            and a.position == b.position
            and a.tensors.keys() == b.tensors.keys()
            and all(torch.equal(a.tensors[name], b.tensors[name]) for name in a.tensors)
        )
    return a.start == b.start and torch.equal(a.keys, b.keys) and torch.equal(a.values, b.values)
