"""Chunks found again in a whole prompt, laid in their places there, and what is between computed.

A tokenizer may join the end of one text with the beginning of the next, so a chunk is looked for
without its edges, and what no chunk has is computed anew, always.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from memos.kvcache.attention.patching import patched
from memos.kvcache.attention.rows import Held, Rows
from memos.kvcache.reuse.chunks import Chunk, part
from memos.kvcache.reuse.recompute import Selection, deviating
from memos.kvcache.reuse.rotation import frequencies, rotated
from memos.kvcache.reuse.tree import common

if TYPE_CHECKING:
    pass

EDGE = 2
"""Tokens at either end of a chunk that may have been joined with others."""
_SHORT = 4 * EDGE


@dataclass(frozen=True, slots=True)
class Placed:
    """A chunk whose first token stands at position `at` of a prompt."""

    chunk: Chunk
    at: int

    @property
    def end(self) -> int:
        return self.at + len(self.chunk.tokens)

    @property
    def moved(self) -> bool:
        """Whether it stands elsewhere than where it was computed, or after something else."""
        return self.at > 0


def aligned(prompt: Sequence[int], chunks: Sequence[Chunk]) -> list[Placed]:
    """Where the chunks stand in the prompt, in their order, as far as their tokens are found: of
    one that the prompt begins with all that both share. At least one token of the prompt is left.
    """
    whole, found, end = list(prompt[:-1]), list[Placed](), 0
    for chunk in chunks:
        shared = 0 if found or chunk.start else common(whole, chunk.tokens)
        if shared:
            place: Placed | None = Placed(part(chunk, 0, shared), 0)
        else:
            place = _found(whole, chunk, end)
        if place is not None:
            found.append(place)
            end = place.end
    return found


def _found(whole: list[int], chunk: Chunk, begin: int) -> Placed | None:
    tokens = list(chunk.tokens)
    if len(tokens) < _SHORT:
        return None
    core = tokens[EDGE:-EDGE]
    for at in range(begin, len(whole) - len(core) + 1):
        if whole[at] == core[0] and whole[at : at + len(core)] == core:
            before = common(whole[begin:at][::-1], tokens[:EDGE][::-1])
            after = common(whole[at + len(core) :], tokens[-EDGE:])
            first, last = EDGE - before, len(tokens) - EDGE + after
            return Placed(part(chunk, first, last), at - before)
    return None


def laid(model: Any, placed: Sequence[Placed], length: int) -> Held:
    """Rows of `length` tokens: those of the chunks with their keys moved, zeros between them."""
    import torch

    device = model.device
    inverse = frequencies(model)
    at = torch.arange(length, device=device)
    layers = []
    for index, own in enumerate(inverse):
        like = placed[0].chunk.held.layers[index]
        keys, values = (
            torch.zeros(t.shape[0], length, t.shape[2], dtype=t.dtype, device=device)
            for t in (like.keys, like.values)
        )
        for place in placed:
            rows = place.chunk.held.layers[index]
            delta = place.at - place.chunk.start
            keys[:, place.at : place.end] = rotated(rows.keys.to(device), own, delta)
            values[:, place.at : place.end] = rows.values
        layers.append(Rows(keys, values, at.expand(keys.shape[0], -1)))
    return Held(tuple(layers), length, "joined", 0.0, {"chunks": len(placed)})


def repaired(
    model: Any,
    prompt: Sequence[int],
    placed: Sequence[Placed],
    *,
    ratio: float,
    selection: Selection,
) -> tuple[Held, int]:
    """What is held of the prompt up to the end of the last chunk, and how many tokens of that were
    computed: all between the chunks, and a share of `ratio` of what was moved."""
    length = placed[-1].end
    held = laid(model, placed, length)
    anew = _between(placed, length)
    if selection == "first":
        anew |= {
            position
            for place in placed
            if place.moved
            for position in range(place.at, place.at + ceil(len(place.chunk.tokens) * ratio))
        }
    elif ratio > 0:
        begin = 0 if placed[0].moved else placed[0].end
        anew |= set(deviating(model, held, list(prompt[:length]), begin=begin, ratio=ratio))
    at = sorted(anew)
    return patched(model, held, [prompt[position] for position in at], at), len(at)


def _between(placed: Sequence[Placed], length: int) -> set[int]:
    covered = {position for place in placed for position in range(place.at, place.end)}
    return set(range(length)) - covered
