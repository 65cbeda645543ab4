"""Two caches of rows as one, so that requests go on together that did not begin together.

What both were put on, a stored prefix say, stays where it lies; only the rows' own columns are laid
anew. It does not choose which requests go together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from memos.errors import ModelError
from memos.kvcache.generator.rows import RowsCache, RowsLayer, Segment, aligned
from memos.kvcache.shortage import is_short

_ROOM = 64
ASIDE = 256
"""A row with more tokens of its own has them in a place of their own: padding the others to that
width takes memory, and time at each token."""
_Content = tuple[list[Segment], list[Tensor], int]


@dataclass(frozen=True, eq=False)
class _Plan:
    """Of each row, the first cache's first, which columns stay beside those of the others and which
    are laid aside; `positions` (rows, width) are those of what stays, -1 for padding."""

    stay: Sequence[Tensor]
    aside: Sequence[Tensor]
    positions: Tensor


def unite(one: RowsCache, other: RowsCache) -> None:
    """Puts the other's rows after those of `one`. Both have read tokens; the other is used up.

    ModelError if memory is short: nothing has changed then.
    """
    plans = {
        window: _plan([*held, *other.positions[window]], window)
        for window, held in one.positions.items()
    }
    try:
        contents = [
            _united(first, second, plans[first.window or 0])
            for first, second in zip(one.layers, other.layers, strict=True)
        ]
    except (RuntimeError, MemoryError) as error:
        if not is_short(error):
            raise
        raise ModelError(f"memory is too short to put requests together: {error}") from error
    for layer, content in zip(one.layers, contents, strict=True):
        layer.hold(*content)
    one.positions = {window: plan.positions for window, plan in plans.items()}


def _plan(rows: Sequence[Tensor], window: int) -> _Plan:
    """From the position of each column of each row. Of a window only what the next token sees."""
    held = [(row >= 0).nonzero()[:, 0] for row in rows]
    if window:
        held = [columns[max(0, len(columns) - window + 1) :] for columns in held]
    apart = [not window and len(columns) > ASIDE for columns in held]
    stay = [columns[:0] if far else columns for columns, far in zip(held, apart, strict=True)]
    aside = [columns if far else columns[:0] for columns, far in zip(held, apart, strict=True)]
    width = max(map(len, stay))
    positions = torch.full((len(rows), width), -1, device=rows[0].device)
    for place, (row, columns) in enumerate(zip(rows, stay, strict=True)):
        positions[place, width - len(columns) :] = row[columns]
    return _Plan(stay, aside, positions)


def _united(one: RowsLayer, other: RowsLayer, plan: _Plan) -> _Content:
    keys = [row for layer in (one, other) for row in _columns(layer.keys)]
    values = [row for layer in (one, other) for row in _columns(layer.values)]
    segments = _side_by_side(one.segments, other.segments, one.rows)
    for row, columns in enumerate(plan.aside):
        if len(columns):
            own = (keys[row][:, columns], values[row][:, columns])
            segments.append(Segment(*own, row, row + 1))
    width = plan.positions.shape[1]
    buffers = [
        aligned(
            [row[:, columns] for row, columns in zip(rows, plan.stay, strict=True)],
            width,
            rows[0].device,
            room=_ROOM,
        )
        for rows in (keys, values)
    ]
    return segments, buffers, width


def _columns(tensor: Tensor | None) -> Tensor:
    assert tensor is not None, "rows are put together once they have read tokens"
    return tensor


def _side_by_side(one: Sequence[Segment], other: Sequence[Segment], rows: int) -> list[Segment]:
    """The segments of both. What neighbours have from the same place is attended to once; each
    row's are still in the order of its tokens."""
    found = list(one)
    same = True
    for segment in other:
        first, last = segment.first + rows, segment.last + rows
        at = _continued(found, segment, first) if same else None
        same = at is not None
        if at is None:
            found.append(Segment(segment.keys, segment.values, first, last))
        else:
            found[at] = Segment(segment.keys, segment.values, found[at].first, last)
    return found


def _continued(found: Sequence[Segment], segment: Segment, first: int) -> int | None:
    for at, held in enumerate(found):
        if held.last == first and _alike(held.keys, segment.keys):
            return at if _alike(held.values, segment.values) else None
    return None


def _alike(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are the same numbers in the same place."""
    return one.data_ptr() == other.data_ptr() and (one.shape, one.stride()) == (
        other.shape,
        other.stride(),
    )
