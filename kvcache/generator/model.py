"""A causal language model of transformers on one device: prefill, and its cache in and out.

It does not know where states are stored, nor how tokens are chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memos.kvcache.fingerprint import Fingerprint
from memos.kvcache.layout import CacheLayout

if TYPE_CHECKING:
    import torch

    from memos.kvcache.blocks.block import LayerStates, RecurrentState

    States = Sequence[LayerStates | RecurrentState]


@dataclass(frozen=True)
class Prefill:
    """`logits` (n or 1, vocabulary) float32 of the computed tokens; `cache` holds all tokens."""

    logits: torch.Tensor
    cache: Any


class LocalModel:
    """Loaded weights with their tokenizer. Calls from many threads take turns."""

    id: str
    module: Any  # the transformers model, in eval mode
    tokenizer: Any
    layout: CacheLayout
    fingerprint: Fingerprint
    device: torch.device
    dtype: torch.dtype

    def prefill(
        self, tokens: Sequence[int], past: Any = None, *, all_logits: bool = False
    ) -> Prefill:
        """Runs `tokens` after those of `past` (a transformers Cache, which grows in place)."""
        raise NotImplementedError

    def to_cache(self, states: States, *, room: int = 0) -> Any:
        """A transformers cache of its own with a copy of `states`, and room for more tokens."""
        raise NotImplementedError

    def from_cache(self, cache: Any, *, start: int = 0, end: int | None = None) -> States:
        """States of the tokens [start, end) of the cache: copies. Sliding layers give the rows they
        have; recurrent states can't be cut."""
        raise NotImplementedError
