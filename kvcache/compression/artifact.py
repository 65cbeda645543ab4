"""A compressed cache as bytes that say what was done: policy, numbers, ratio, rows kept.

One safetensors record behind a checksum. It belongs to one model, tokenizer and tenant (the root of
their fingerprint) and to the exact tokens that were read. Where the bytes are kept is not its
business.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from memos.errors import BlockCorrupt, FingerprintMismatch, InvalidInput
from memos.kvcache.attention.rows import Held, Parameter, Rows

if TYPE_CHECKING:
    import torch

MAGIC = b"memos-held-1\n"
_DIGEST = 16  # bytes of xxh3_128
_TENSORS = ("keys", "values", "positions", "bias", "channels")


def dumps(held: Held, *, root: bytes, tokens: Sequence[int]) -> bytes:
    """What `loads` reads. InvalidInput if `tokens` are not as many as were held."""
    import torch
    import xxhash
    from safetensors.torch import save

    if len(tokens) != held.length:
        raise InvalidInput(f"{len(tokens)} tokens for what is held of {held.length}")
    tensors = {"tokens": torch.tensor(list(tokens), dtype=torch.int64)}
    for index, rows in enumerate(held.layers):
        tensors |= {f"{index}.{name}": part for name, part in _parts(rows).items()}
    about = {
        "root": root.hex(),
        "length": held.length,
        "policy": held.policy,
        "ratio": held.ratio,
        "parameters": dict(held.parameters),
        "layers": [{"key_dim": rows.key_dim, "source": rows.source} for rows in held.layers],
    }
    record = save(tensors, metadata={"held": json.dumps(about)})
    return MAGIC + xxhash.xxh3_128_digest(record) + record


def loads(data: bytes, *, root: bytes) -> tuple[Held, tuple[int, ...]]:
    """The cache and the tokens that it is of, which the caller compares with its own.

    BlockCorrupt unless every byte is as it was written; FingerprintMismatch if it was made under
    another root.
    """
    import xxhash

    digest, record = data[len(MAGIC) : len(MAGIC) + _DIGEST], data[len(MAGIC) + _DIGEST :]
    if not data.startswith(MAGIC) or xxhash.xxh3_128_digest(record) != digest:
        raise BlockCorrupt(
            f"a compressed cache of {len(data)} bytes is damaged or of another format: compress the"
            " text again"
        )
    about, tensors = _read(record)
    if about["root"] != root.hex():
        raise FingerprintMismatch(
            "a compressed cache was made by another model, tokenizer or tenant: compress the text"
            " with this one"
        )
    layers = tuple(_rows(tensors, index, layer) for index, layer in enumerate(about["layers"]))
    held = Held(
        layers, about["length"], about["policy"], about["ratio"], _parameters(about["parameters"])
    )
    return held, tuple(tensors["tokens"].tolist())


def _parts(rows: Rows) -> dict[str, torch.Tensor]:
    """Tensors of their own on the CPU; positions and channels in half the bytes."""
    import torch

    found = {}
    for name in _TENSORS:
        part = getattr(rows, name)
        if part is not None:
            narrow = part.to(torch.int32) if part.dtype == torch.int64 else part
            found[name] = narrow.detach().cpu().clone(memory_format=torch.contiguous_format)
    return found


def _read(record: bytes) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """What the record says of itself, and its tensors."""
    from safetensors.torch import load

    size = int.from_bytes(record[:8], "little")
    header = json.loads(record[8 : 8 + size])
    return json.loads(header["__metadata__"]["held"]), load(record)


def _rows(tensors: Mapping[str, torch.Tensor], index: int, layer: Mapping[str, Any]) -> Rows:
    found = {name: tensors.get(f"{index}.{name}") for name in _TENSORS}
    keys, values, positions = found["keys"], found["values"], found["positions"]
    assert keys is not None
    assert values is not None
    assert positions is not None
    channels = found["channels"]
    return Rows(
        keys,
        values,
        positions.long(),
        bias=found["bias"],
        channels=None if channels is None else channels.long(),
        key_dim=layer["key_dim"],
        source=layer["source"],
    )


def _parameters(stored: Mapping[str, Any]) -> dict[str, Parameter]:
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()
    }
