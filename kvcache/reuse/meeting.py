"""The beginning of a prompt is computed while the end of what is stored of it is loaded.

Of a disk that is slower than the device a whole load takes longer than to compute the tokens again,
or not much less; both at once, from the two ends, take less than either (the idea is that of Cake,
Jin et al. 2024, https://arxiv.org/abs/2410.03065). Where they meet is not planned: after each block
that was computed it is looked whether all those behind it are there. So a disk that is slower than
was measured, or fails, costs nothing but what it read in vain. Early tokens are the ones to
compute, since they attend to fewer others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from memos.kvcache.generator.model import LocalModel
from memos.kvcache.generator.rows import Prefix
from memos.kvcache.generator.running import Together
from memos.kvcache.tiers.coming import Coming, there_from

if TYPE_CHECKING:
    from memos.kvcache.cost import CostModel

LEAST_GAIN = 0.1
"""Of the time without it: less is within what the measurements err."""

Run = tuple[int, int, Mapping[str, int]]
"""Start and end of a block's tokens, and its bytes by the tier that they are in."""


def worth(cost: CostModel, done: int, runs: Sequence[Run], length: int) -> bool:
    """Whether to meet the blocks of a hit rather than to load all of it, or to compute all."""
    if len(runs) < 2:
        return False
    end = runs[-1][1]
    whole = sum(cost.load_s(held) for _, _, held in runs) + cost.run.run_s(end, length - end)
    best = min(whole, cost.run.run_s(done, length - done))
    return expected_s(cost, done, runs, length) <= (1 - LEAST_GAIN) * best


def expected_s(cost: CostModel, done: int, runs: Sequence[Run], length: int) -> float:
    """Seconds to the first new token of a prompt of `length` tokens, `done` of which are there, if
    its blocks are met."""
    loading, there = 0.0, []
    for _, _, held in reversed(runs):
        loading += cost.load_s(held)
        there.append(loading)
    clock = 0.0
    for (start, end, _), loaded in zip(runs, reversed(there), strict=True):
        if loaded <= clock:
            break
        begin = max(start, done)
        clock += cost.run.run_s(begin, end - begin)
    return clock + cost.run.run_s(runs[-1][1], length - runs[-1][1])


def met(
    model: LocalModel, tokens: Sequence[int], before: Sequence[Prefix], coming: Sequence[Coming]
) -> tuple[list[Prefix], list[Coming]]:
    """Computes `tokens` after the prefixes `before` until it meets the blocks that are coming: what
    it computed, as prefixes of row 0, and the blocks to be used after that.

    The blocks follow each other from before the end of `before`, the first may begin within it.
    """
    made = list(before)
    first = there_from(coming)
    at = 0
    while at < first:
        block = coming[at]
        block.cancel()
        done = made[-1].start + made[-1].tokens if made else 0
        begin, end = max(done, block.segment.start), block.segment.end
        if begin < end:
            rows = Together(model, 1, [replace(prefix, first=0, last=1) for prefix in made])
            rows.advance([tokens[begin:end]])
            # Until it is computed, not only queued: else the loads would be met too early.
            model.synchronize()
            made.append(Prefix(rows.own(), begin, end - begin, 0, 1))
        at += 1
        first = there_from(coming)
    return made[len(before) :], list(coming[at:])
