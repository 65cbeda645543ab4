"""What a look-up found: which blocks to load, and how much of each."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from memos.kvcache.blocks.block import BlockId


@dataclass(frozen=True, slots=True)
class Segment:
    """The first `rows` tokens of a block, which begins at position `start`."""

    block: BlockId
    start: int
    rows: int

    @property
    def end(self) -> int:
        return self.start + self.rows


@dataclass(frozen=True, slots=True)
class Hit:
    """The longest stored prefix of a prompt. `tokens` of them need not be computed.

    Segments follow each other without a gap from position 0. A hit is only a note of what was
    there: a block may have gone when it is loaded, which is a BlockNotFound.
    """

    root: bytes = field(repr=False)
    tokens: int
    segments: tuple[Segment, ...]

    def apart(self) -> list[Hit]:
        """A hit for each segment."""
        return [replace(self, segments=(segment,)) for segment in self.segments]

    @property
    def blocks(self) -> tuple[BlockId, ...]:
        return tuple(segment.block for segment in self.segments)
