"""States of a made-up model whose every number follows from the token ids before it.

So a wrong byte, a wrong order or another prompt's states are seen at once, without a model.
"""

import hashlib

import torch

from memos.kvcache.blocks.block import LayerStates, RecurrentState
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


def root(name="root"):
    return hashlib.sha256(name.encode()).digest()


def _row(layer, role, heads, dim, before, key):
    """One token's row: from all ids up to it, as in a real model, and from the root."""
    seed = hashlib.sha256(repr((layer, role, before)).encode() + key).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(seed[:8], "little", signed=False) >> 1)
    return torch.randn(heads, dim, generator=generator)


def _prefixes(tokens):
    digest = hashlib.sha256()
    out = []
    for token in tokens:
        digest.update(int(token).to_bytes(4, "little"))
        out.append(digest.hexdigest())
    return out


def states(layout, tokens, start=0, key=b""):
    """What a prefill of `tokens` leaves for [start, len(tokens))."""
    prefixes = _prefixes(tokens)
    dtype = getattr(torch, layout.dtype)
    out = []
    for at, layer in enumerate(layout.layers):
        if layer.kind == "recurrent":
            tensors = {
                f"state{n}": _row(at, n, *shape, prefixes[-1], key)
                for n, shape in enumerate(layer.state_shapes)
            }
            out.append(RecurrentState(tensors, len(tokens)))
            continue
        first = start if layer.kind == "full" else len(tokens) - layer.kept(len(tokens))
        rows = [
            torch.stack(
                [_row(at, role, layer.kv_heads, dim, prefix, key) for prefix in prefixes[first:]], 1
            )
            for role, dim in (("k", layer.head_dim), ("v", layer.value_dim))
        ]
        out.append(LayerStates(rows[0].to(dtype), rows[1].to(dtype), first))
    return out


def equal(left, right):
    if len(left) != len(right):
        return False
    for a, b in zip(left, right, strict=True):
        if type(a) is not type(b):
            return False
        if isinstance(a, RecurrentState):
            if a.position != b.position or a.tensors.keys() != b.tensors.keys():
                return False
            if not all(torch.equal(a.tensors[name], b.tensors[name]) for name in a.tensors):
                return False
        elif a.start != b.start or not (
            torch.equal(a.keys, b.keys) and torch.equal(a.values, b.values)
        ):
            return False
    return True
