"""Chunks of text, each computed alone from position 0, put one after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memos.errors import InvalidInput
from memos.kvcache.attention.rows import Held, Rows
from memos.kvcache.quality.harness import full
from memos.kvcache.reuse.rotation import frequencies, moved

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Chunk:
    """Tokens and what is held of them, every row. They were read with nothing before them, or are a
    part of what was: then `start` is the position where the first one stood."""

    tokens: tuple[int, ...]
    held: Held
    start: int = 0


def compiled(model: Any, tokens: Sequence[int]) -> Chunk:
    """One prefill of the chunk, all rows."""
    return Chunk(tuple(tokens), full(model, tokens))


def part(chunk: Chunk, first: int, last: int) -> Chunk:
    """Its tokens [first, last), with views of their rows."""
    layers = [
        Rows(rows.keys[:, first:last], rows.values[:, first:last], rows.positions[:, first:last])
        for rows in chunk.held.layers
    ]
    start = chunk.start + first
    held = Held(tuple(layers), start + last - first)
    return Chunk(chunk.tokens[first:last], held, start)


def joined(model: Any, chunks: Sequence[Chunk], *, rotate: bool = True) -> Held:
    """What is held of all chunks, in order, at the positions that they have now.

    Only positions are made right: no chunk has read the ones before it. Without `rotate` the keys
    stay as they were at position 0, which is wrong, and there to be measured. InvalidInput for no
    chunks.
    """
    if not chunks:
        raise InvalidInput("no chunks to join")
    inverse = frequencies(model)
    parts, begin = [], 0
    for chunk in chunks:
        delta = begin - chunk.start
        parts.append(moved(chunk.held, inverse, delta) if rotate else _shifted(chunk.held, delta))
        begin += len(chunk.tokens)
    layers = [_stacked([part.layers[index] for part in parts]) for index in range(len(inverse))]
    return Held(tuple(layers), begin, "joined", 0.0, {"chunks": len(chunks)})


def _shifted(held: Held, delta: int) -> Held:
    layers = [Rows(rows.keys, rows.values, rows.positions + delta) for rows in held.layers]
    return Held(tuple(layers), held.length + delta)


def _stacked(parts: Sequence[Rows]) -> Rows:
    import torch

    def together(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
        return torch.cat(list(tensors), dim=1)

    return Rows(
        together([part.keys for part in parts]),
        together([part.values for part in parts]),
        together([part.positions for part in parts]),
    )
