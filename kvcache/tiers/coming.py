"""Blocks that are brought to the device in the background, from the last to the first.

Who computes a prompt from its beginning meets them on the way: what he reaches first he takes back,
what is there when he comes he uses. Nobody waits for them, so a slow disk costs no time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memos.kvcache.blocks.block import States
from memos.kvcache.store.hit import Segment
from memos.kvcache.tiers.device import Arriving


@dataclass(frozen=True, eq=False)
class Coming:
    """A block of a hit on its way. `fresh`: it is read for this request, from the disk."""

    segment: Segment
    arriving: Arriving
    fresh: bool

    @property
    def there(self) -> bool:
        """Whether using it would wait for nothing; never true of what can't be read."""
        return self.arriving.there

    def cancel(self) -> None:
        """It is not needed any more. One that is being read already is read to its end."""
        if self.fresh and self.arriving.task is not None:
            self.arriving.task.cancel()

    def states(self) -> States:
        tokens = len(self.arriving.header.tokens)
        rows = self.segment.rows
        return self.arriving.states(None if rows == tokens else rows)


def there_from(coming: Sequence[Coming]) -> int:
    """Index of the first of those at the end that are all there; their number if none is."""
    first = len(coming)
    while first and coming[first - 1].there:
        first -= 1
    return first
