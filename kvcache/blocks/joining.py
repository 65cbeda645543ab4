"""States of runs that follow each other, as states of the whole."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from memos.kvcache.blocks.block import LayerStates, States
from memos.kvcache.layout import CacheLayout


def joined(runs: Sequence[States], layout: CacheLayout) -> States:
    """Full layers one after another; of sliding and recurrent ones the last, which is the state
    at the end. One run is given back as it is, without a copy."""
    if len(runs) == 1:
        return runs[0]
    return [
        _full([part for part in parts if isinstance(part, LayerStates)])
        if layer.kind == "full"
        else parts[-1]
        for layer, parts in zip(layout.layers, zip(*runs, strict=True), strict=True)
    ]


def _full(found: Sequence[LayerStates]) -> LayerStates:
    positions = [part.positions for part in found if part.positions is not None]
    return LayerStates(
        keys=torch.cat([part.keys for part in found], dim=1),
        values=torch.cat([part.values for part in found], dim=1),
        start=found[0].start,
        positions=torch.cat(positions, dim=-1) if len(positions) == len(found) else None,
    )
