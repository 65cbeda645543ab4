"""What requests that are running have read, for prompts that begin like theirs; and which prompts
are too long to be padded to.

Pure Python: states are asked for by a function. It knows no store.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memos.kvcache.reuse.tree import LEAST, common

if TYPE_CHECKING:
    from memos.kvcache.generator.rows import Prefix

_MOST_PADDED = 2
"""Times the tokens that have to be run: more is not run for the sake of one pass."""


@dataclass(frozen=True)
class Beside:
    """A request that is running. `tokens` are those it has read, the first `cached` of them from
    stored states; `prefixes(start, end)` gives the states of that range, as those of row 0. It may
    end while others are read: `there` says whether it has."""

    tokens: Sequence[int]
    cached: int
    prefixes: Callable[[int, int], Sequence[Prefix]]
    there: Callable[[], bool] = lambda: True


def nearest(
    running: Sequence[Beside], tokens: Sequence[int], done: int
) -> tuple[Beside, int] | None:
    """The request with most of the tokens, and how many; None if that is not LEAST after `done`.

    Of equal ones the last, which is the likeliest to have them in place of another's.
    """
    best, until = None, done + LEAST
    for one in running:
        shared = common(one.tokens, tokens)
        if shared >= until and one.there():
            best, until = one, shared
    return None if best is None else (best, until)


def padded(rests: Sequence[int]) -> list[int]:
    """Rows whose rest is run by itself, all but the last token; the others fit in one pass."""
    if len(rests) * max(rests) <= _MOST_PADDED * sum(rests):
        return []
    usual = max(LEAST, statistics.median_low(rests))
    return [row for row, rest in enumerate(rests) if rest > _MOST_PADDED * usual]
