"""One attention mask per layer, put in place while the model runs.

A transformers model makes one mask for all layers of a kind. Rows that differ between layers or
heads need their own, so a hook before each attention replaces the mask that it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from memos.kvcache.attention.hooks import of_this_thread
from memos.kvcache.attention.modules import attentions

if TYPE_CHECKING:
    import torch

MaskOf = Callable[[int], "torch.Tensor | None"]
"""From the index of a layer to its mask (1, 1 or heads, queries, rows), additive; None for none."""


@contextmanager
def replaced(model: Any, mask_of: MaskOf) -> Iterator[None]:
    """While this is open, layer i attends under `mask_of(i)`, in this thread."""
    hooks = []

    def hook_for(index: int) -> Callable[..., Any]:
        def replace(module: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
            return args, {**kwargs, "attention_mask": mask_of(index)}

        return replace

    try:
        for index, attention in enumerate(attentions(model)):
            hooks.append(
                attention.register_forward_pre_hook(
                    of_this_thread(hook_for(index)), with_kwargs=True
                )
            )
        yield
    finally:
        for hook in hooks:
            hook.remove()


def additive(
    queries: torch.Tensor,
    rows: torch.Tensor,
    *,
    window: int | None,
    bias: torch.Tensor | None,
    groups: int,
    dtype: torch.dtype,
) -> torch.Tensor:
    """The mask (1, 1 or heads, q, n) of queries at positions (q,) over rows at (kv_heads, n).

    A query sees rows at its own position and before, and with a window only the last `window`.
    `groups` query heads share a kv head. One mask serves all heads where they are alike.
    """
    import torch

    if bias is None and bool((rows == rows[:1]).all()):
        rows, groups = rows[:1], 1
    distance = queries[None, :, None] - rows[:, None, :]
    seen = distance >= 0
    if window is not None:
        seen = seen & (distance < window)
    mask = torch.zeros(seen.shape, dtype=torch.float32, device=seen.device)
    if bias is not None:
        mask = mask + bias[:, None, :]
    mask = mask.to(dtype).masked_fill(~seen, torch.finfo(dtype).min)
    return mask.repeat_interleave(groups, dim=0)[None]
