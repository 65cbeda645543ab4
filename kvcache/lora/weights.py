"""The weights of an adapter, and its file.

A file is a safetensors file: its own header holds, as text in the metadata, what the adapter is of,
with a checksum of that text and one of the tensors. Both are looked at before any tensor is used.
Never pickle. `digest` is that of the content that is computed with, so two adapters with one digest
give the same answers; it stands in the fingerprint of all states that are computed with one.

int8 keeps a byte a number and a scale per row; bfloat16 two bytes. Training is in float32, and what
is kept is what is judged: a codec is applied before the gate, not after it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import xxhash
from torch import Tensor

from memos.errors import AdapterCorrupt, InvalidInput
from memos.types import ArtifactSource

FORMAT = "memos-lora"
VERSION = 1
CODECS = ("float32", "bfloat16", "int8")

Pair = tuple[Tensor, Tensor]
"""A (rank, in) and B (out, rank) of a layer: it adds scale · x · Aᵀ · Bᵀ."""
_MORE = ".lora_more.weight"


@dataclass(frozen=True)
class About:
    """What an adapter is of. `base`: parts of its model's fingerprint, which must be those of the
    model that it is used with. `sources` may have been forgotten since."""

    rank: int
    scale: float
    base: Mapping[str, str]
    sources: tuple[ArtifactSource, ...]
    codec: str = "bfloat16"


@dataclass(frozen=True, eq=False)
class Weights:
    """Float32 pairs by the name of their layer, as they are computed with. `more` (out,), of DoRA:
    the share by which each output of a layer, its bias left out, is then larger."""

    about: About
    layers: Mapping[str, Pair]
    digest: str
    more: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """In RAM."""
        return 4 * self.parameters

    @property
    def parameters(self) -> int:
        pairs = sum(t.numel() for pair in self.layers.values() for t in pair)
        return pairs + sum(t.numel() for t in self.more.values())


def made(about: About, lora: Mapping[str, Tensor]) -> Weights:
    """Of what was learnt (`<layer>.lora_A.weight`, `.lora_B.weight`, of DoRA
    `.lora_more.weight`), rounded as it is kept."""
    return _read(about, _encoded(about.codec, lora))


def of_pairs(about: About, layers: Mapping[str, Pair]) -> Weights:
    """The same of pairs."""
    lora: dict[str, Tensor] = {}
    for name, (a, b) in layers.items():
        lora[f"{name}.lora_A.weight"], lora[f"{name}.lora_B.weight"] = a, b
    return made(about, lora)


def to_lora(weights: Weights) -> dict[str, Tensor]:
    """The form in which a training goes on from it."""
    found = {}
    for name, (a, b) in weights.layers.items():
        found[f"{name}.lora_A.weight"], found[f"{name}.lora_B.weight"] = a, b
    for name, more in weights.more.items():
        found[f"{name}{_MORE}"] = more
    return found


def dumps(weights: Weights) -> bytes:
    """The file's content; the same for equal adapters."""
    from safetensors.torch import save

    about = weights.about
    tensors = _encoded(about.codec, to_lora(weights))
    header = json.dumps(
        {
            "version": VERSION,
            "rank": about.rank,
            "scale": about.scale,
            "base": dict(about.base),
            "sources": [[source.memory_id, source.version] for source in about.sources],
            "codec": about.codec,
            "digest": weights.digest,
            "payload_xxh3": xxhash.xxh3_128_hexdigest(_payload(save(tensors))),
        },
        sort_keys=True,
        separators=(",", ":"),
    )
    checksum = xxhash.xxh3_128_hexdigest(header.encode())
    return save(tensors, metadata={"format": FORMAT, "header": header, "header_xxh3": checksum})


def loads(content: bytes) -> Weights:
    """AdapterCorrupt with the reason if it is not what was written."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    about, header = read_about(content)
    if xxhash.xxh3_128_hexdigest(_payload(content)) != header["payload_xxh3"]:
        raise AdapterCorrupt("the checksum of the adapter's tensors is wrong")
    try:
        weights = _read(about, load(content))
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise AdapterCorrupt(f"the adapter's tensors can't be read: {error}") from error
    if weights.digest != header["digest"]:
        raise AdapterCorrupt("the adapter's content is not that of its digest")
    return weights


def read_about(content: bytes) -> tuple[About, Mapping[str, Any]]:
    """What stands before the tensors, which are not looked at: (about, the whole header)."""
    try:
        length = int.from_bytes(content[:8], "little")
        if not 0 < length <= len(content) - 8:
            raise AdapterCorrupt(f"{len(content)} bytes can't have a head of {length}: truncated?")
        metadata = json.loads(content[8 : 8 + length])["__metadata__"]
        text = metadata["header"]
        if xxhash.xxh3_128_hexdigest(text.encode()) != metadata["header_xxh3"]:
            raise AdapterCorrupt("the checksum of the adapter's header is wrong")
        header = json.loads(text)
        if header["version"] != VERSION:
            raise AdapterCorrupt(
                f"the file has format version {header['version']}; this release reads {VERSION}"
            )
        about = About(
            rank=int(header["rank"]),
            scale=float(header["scale"]),
            base={str(name): str(value) for name, value in header["base"].items()},
            sources=tuple(
                ArtifactSource(memory_id=str(id), version=int(version))
                for id, version in header["sources"]
            ),
            codec=str(header["codec"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise AdapterCorrupt(f"this is no adapter: {error!r}") from error
    return about, header


def _payload(content: bytes) -> memoryview:
    return memoryview(content)[8 + int.from_bytes(content[:8], "little") :]


def _encoded(codec: str, lora: Mapping[str, Tensor]) -> dict[str, Tensor]:
    if codec not in CODECS:
        raise InvalidInput(f"codec is {codec!r}; use one of {', '.join(CODECS)}", field="codec")
    found: dict[str, Tensor] = {}
    for name in sorted(lora):
        value = lora[name].detach().float().cpu().contiguous()
        if codec == "int8" and value.dim() == 2:
            top = value.abs().amax(dim=1, keepdim=True).clamp_min(1e-12)
            step = (top / 127).half().float().clamp_min(6e-8)
            found[f"{name}.step"] = step.half()
            found[name] = (value / step).round().clamp(-127, 127).to(torch.int8)
        else:
            found[name] = value.to(torch.bfloat16 if codec == "int8" else getattr(torch, codec))
    return found


def _read(about: About, tensors: Mapping[str, Tensor]) -> Weights:
    digest = hashlib.sha256(repr((about.scale, about.codec)).encode())
    plain: dict[str, Tensor] = {}
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        if name.endswith(".step"):
            continue
        step = tensors.get(f"{name}.step")
        plain[name] = value.float() if step is None else value.float() * step.float()
    layers: dict[str, Pair] = {}
    for name, value in plain.items():
        layer, _, kind = name.removesuffix(".weight").rpartition(".")
        if kind == "lora_A":
            layers[layer] = (value, plain[f"{layer}.lora_B.weight"])
    more = {n.removesuffix(_MORE): value for n, value in plain.items() if n.endswith(_MORE)}
    if not layers or 2 * len(layers) + len(more) != len(plain) or more.keys() - layers.keys():
        raise ValueError("there is not a pair of tensors for each layer")
    return Weights(about, layers, digest.hexdigest(), more)
