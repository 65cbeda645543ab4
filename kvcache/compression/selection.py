"""Scores of rows, and the rows that they pick. Pure tensor work; it knows no model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class LayerScore:
    """What a policy thinks of the layer at `index`: `scores` (kv_heads, n) and a preference."""

    index: int
    scores: torch.Tensor
    preference: float


def kept(rows: int, ratio: float) -> int:
    """Rows that are left of `rows`: at least one."""
    return max(1, int(rows * (1 - ratio) + 1e-9))


def top(scores: torch.Tensor, keep: int) -> torch.Tensor:
    """(kv_heads, keep): the indices of the highest scores, ascending."""
    return scores.topk(keep, dim=-1).indices.sort(dim=-1).values


def taken(rows: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Rows (kv_heads, n, dim) at `index` (kv_heads, kept), as a tensor of its own."""
    return rows.gather(1, index[..., None].expand(-1, -1, rows.shape[-1]))


def protected(scores: torch.Tensor, *, first: int = 0, last: int = 0) -> torch.Tensor:
    """The scores with the `first` and `last` rows above all others; of these, the first rows go
    last, and then the older ones before the newer."""
    rows = scores.shape[-1]
    scores = scores.clone()
    ceiling = scores.max() + 1
    rank = (scores.new_ones(rows).cumsum(0)) * ceiling.abs().clamp(min=1)
    if last:
        scores[:, rows - last :] = (ceiling + rank)[rows - last :]
    if first:
        scores[:, :first] = (ceiling + rank[-1] + rank.flip(0))[:first]
    return scores


def best(one: dict[int, LayerScore], other: dict[int, LayerScore]) -> dict[int, LayerScore]:
    """The higher score of each row, layer by layer; `one` may still be empty."""
    import torch

    if not one:
        return other
    return {
        index: LayerScore(
            index,
            torch.maximum(score.scores, other[index].scores),
            max(score.preference, other[index].preference),
        )
        for index, score in one.items()
    }


@dataclass(frozen=True, slots=True)
class Selected:
    """What a policy keeps of one layer: rows at `index` (kv_heads, kept), ascending, or merged."""

    index: torch.Tensor
    keys: torch.Tensor
    values: torch.Tensor
    bias: torch.Tensor | None = None
    channels: torch.Tensor | None = None
