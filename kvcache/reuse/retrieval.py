"""Which stored chunks a question attends to: only these need be joined.

The question is run once, alone; its queries look at the keys of all chunks together, each chunk as
if it stood right before the question. Block-wise look-up by queries and keys is that of InfLLM,
Xiao et al. 2024, https://arxiv.org/abs/2402.04617; here all rows of a block are compared, not
representatives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from memos.errors import InvalidInput
from memos.kvcache.attention.continuation import Continuation
from memos.kvcache.attention.hooks import of_this_thread
from memos.kvcache.attention.modules import attentions
from memos.kvcache.compression.view import LayerView
from memos.kvcache.reuse.chunks import Chunk
from memos.kvcache.reuse.rotation import frequencies, rotated

if TYPE_CHECKING:
    import torch

SINKS = 4
"""First rows of a chunk that don't count: attention falls on them whatever they say."""


def relevance(model: Any, chunks: Sequence[Chunk], question: Sequence[int]) -> list[float]:
    """A score for each chunk; they sum to 1. InvalidInput for no chunks or no question.

    For each layer, head and token of the question, the square of the attention that goes to the
    best row of a chunk, summed: the few heads that look something up decide, not the many that
    spread their attention over everything.
    """
    import torch

    if not chunks or not question:
        raise InvalidInput("chunks and a question are needed to find which belong together")
    begin = max(len(chunk.tokens) for chunk in chunks)
    inverse = frequencies(model)
    total = torch.zeros(len(chunks))
    with torch.inference_mode():
        for index, queries in enumerate(_queries(model, question, begin)):
            scaling = attentions(model)[index].scaling
            groups = attentions(model)[index].num_key_value_groups
            logits = [
                queries @ _keys(chunk, index, inverse[index], begin, groups).transpose(1, 2)
                for chunk in chunks
            ]
            shares = torch.cat(logits, dim=-1).mul(scaling).softmax(-1)
            sizes = [part.shape[-1] for part in logits]
            best = [part.amax(-1).square().sum() for part in torch.split(shares, sizes, dim=-1)]
            total += torch.stack(best).cpu()
    return (total / total.sum()).tolist()


def nearest(model: Any, chunks: Sequence[Chunk], question: Sequence[int], count: int) -> list[int]:
    """The indices of the `count` most relevant chunks, in the order that they are given in."""
    scores = relevance(model, chunks, question)
    best = sorted(range(len(chunks)), key=lambda index: -scores[index])[:count]
    return sorted(best)


def _keys(chunk: Chunk, index: int, inverse: torch.Tensor, begin: int, groups: int) -> torch.Tensor:
    """(heads, n, dim) float32 of a chunk moved so that it ends right before `begin`."""
    delta = begin - len(chunk.tokens) - chunk.start
    keys = rotated(chunk.held.layers[index].keys[:, SINKS:], inverse, delta)
    return keys.float().repeat_interleave(groups, dim=0)


def _queries(model: Any, question: Sequence[int], begin: int) -> list[torch.Tensor]:
    """(heads, m, dim) float32 of each layer, the question alone from position `begin` on."""
    found: list[torch.Tensor] = []
    run = Continuation.empty(model, begin)

    def observe(module: Any, args: Any, kwargs: dict[str, Any], output: Any) -> None:
        hidden = kwargs["hidden_states"] if "hidden_states" in kwargs else args[0]
        cos, sin = kwargs["position_embeddings"]
        keys, values = run.rows_of(len(found))
        view = LayerView(
            model,
            module,
            len(found),
            hidden=hidden[0],
            rotary=(cos[0], sin[0]),
            keys=keys,
            values=values,
            length=keys.shape[1],
        )
        found.append(view.queries.float())

    hooks = [
        module.register_forward_hook(of_this_thread(observe), with_kwargs=True)
        for module in attentions(model)
    ]
    try:
        run.feed(question)
    finally:
        for hook in hooks:
            hook.remove()
    return found
