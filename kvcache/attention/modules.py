"""Where a transformers model keeps its attention, and what is special about it.

Llama, Qwen, Gemma, Mistral and Phi name these parts alike; what is named otherwise is refused
with ModelUnsupported and not guessed at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from memos.errors import ModelUnsupported

if TYPE_CHECKING:
    import torch


def decoder(model: Any) -> Any:
    """The module that has the layers, below the head that makes logits."""
    inner = getattr(model, "model", None)
    inner = getattr(inner, "language_model", inner)
    if inner is None or not hasattr(inner, "layers"):
        raise ModelUnsupported(
            f"{type(model).__name__} has no decoder with layers: use another model"
        )
    return inner


def attentions(model: Any) -> list[Any]:
    """The attention module of each layer. ModelUnsupported if a layer has none, or shares one's
    keys with another by design, since such a layer has no rows of its own."""
    found = []
    for index, layer in enumerate(decoder(model).layers):
        attention = getattr(layer, "self_attn", None)
        if attention is None or getattr(attention, "is_kv_shared_layer", False):
            raise ModelUnsupported(
                f"layer {index} of {type(model).__name__} has no attention with keys of its own: "
                "only models whose layers all have it can be compressed or reused out of place"
            )
        found.append(attention)
    return found


def windows(model: Any) -> list[int | None]:
    """The sliding window of each layer in tokens, its own one included; None if it sees all."""
    from transformers import DynamicCache

    layers = DynamicCache(config=model.config).layers
    if not layers:
        return [None] * len(attentions(model))
    return [getattr(layer, "sliding_window", None) for layer in layers]


def query_projection(attention: Any, hidden: torch.Tensor) -> torch.Tensor:
    """(m, heads · dim) of inputs (m, width), before any norm or rotation. ModelUnsupported if the
    attention has no projection that is known."""
    if hasattr(attention, "q_proj"):
        queries: torch.Tensor = attention.q_proj(hidden)
        return queries
    if hasattr(attention, "qkv_proj"):  # queries come first
        width = attention.config.num_attention_heads * attention.head_dim
        fused: torch.Tensor = attention.qkv_proj(hidden)[..., :width]
        return fused
    raise ModelUnsupported(f"{type(attention).__name__} has no projection of queries that is known")


def kv_shape(attention: Any) -> tuple[int, int]:
    """(kv heads, dim) of the keys of an attention."""
    dim = int(attention.head_dim)
    if hasattr(attention, "k_proj"):
        return attention.k_proj.out_features // dim, dim
    return int(attention.config.num_key_value_heads), dim


def rotation_at(
    model: Any, index: int, positions: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """cos and sin (len(positions), turned dimensions), float32, that layer `index` turns by there.

    ModelUnsupported if the model has no rotary positions.
    """
    import torch

    rotary = getattr(decoder(model), "rotary_emb", None)
    if rotary is None:
        raise ModelUnsupported(f"{type(model).__name__} has no rotary positions")
    like = torch.zeros(1, 1, device=model.device, dtype=torch.float32)
    at = torch.tensor([list(positions)], device=model.device)
    types = getattr(model.config.get_text_config(), "layer_types", None)
    by_type = isinstance(getattr(rotary, "rope_type", None), dict)
    cos, sin = rotary(like, at, types[index]) if types and by_type else rotary(like, at)
    return cos[0], sin[0]
