"""A share of the tokens of joined chunks read again, with all that now precedes them in sight.

Which ones: the first of each chunk, which saw nothing before them and draw much attention (EPIC,
Hu et al. 2024, https://arxiv.org/abs/2410.15332), or those whose keys differ most from what they
would be (CacheBlend, Yao et al. 2024, https://arxiv.org/abs/2405.16444). The first chunk stands
where it was computed: none of it is read again.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any, Literal, get_args

from memos.errors import InvalidInput
from memos.kvcache.attention.patching import patched
from memos.kvcache.attention.rows import Held
from memos.kvcache.reuse.chunks import Chunk, joined

Selection = Literal["first", "deviation"]

PROBED = 2
"""Layers that run over all tokens to find those that deviate. Keys of the first layer depend on
nothing but the token, those of the second show what the first has read."""


def recomputed(
    model: Any, chunks: Sequence[Chunk], *, ratio: float, selection: Selection = "deviation"
) -> Held:
    """What is held of the joined chunks when a share of `ratio` of the tokens after the first chunk
    is read again; 1 is a prefill of all of them, 0 is joining alone.

    InvalidInput for a ratio outside [0, 1] or an unknown selection.
    """
    if not 0 <= ratio <= 1:
        raise InvalidInput(f"ratio {ratio} is not in [0, 1]: it is the share that is read again")
    if selection not in get_args(Selection):
        raise InvalidInput(f"selection {selection!r} is none of {', '.join(get_args(Selection))}")
    held = joined(model, chunks)
    tokens = [token for chunk in chunks for token in chunk.tokens]
    if selection == "first" or ratio in (0, 1):
        at = first(chunks, ratio)
    else:
        at = deviating(model, held, tokens, begin=len(chunks[0].tokens), ratio=ratio)
    return patched(model, held, [tokens[position] for position in at], at)


def first(chunks: Sequence[Chunk], ratio: float) -> list[int]:
    """Positions of the first share of `ratio` of each chunk but the first one, rounded up."""
    found: list[int] = []
    begin = len(chunks[0].tokens)
    for chunk in chunks[1:]:
        found += range(begin, begin + ceil(len(chunk.tokens) * ratio))
        begin += len(chunk.tokens)
    return found


def deviating(
    model: Any, held: Held, tokens: Sequence[int], *, begin: int, ratio: float
) -> list[int]:
    """The share of `ratio` of the positions from `begin` on, rounded up, whose keys in the second
    layer are farthest (Euclidean, over all heads) from what reading everything gives."""
    at = list(range(begin, len(tokens)))
    if not at:
        return []
    anew = patched(model, held, tokens[begin:], at, depth=PROBED)
    layer = min(PROBED, len(held.layers)) - 1
    difference = anew.layers[layer].keys - held.layers[layer].keys
    distance = difference[:, begin:].float().square().sum(dim=(0, 2))
    best = distance.topk(ceil(len(at) * ratio)).indices
    return sorted(begin + int(index) for index in best)
