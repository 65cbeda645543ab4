"""Keys moved to other positions: rotary positions compose, R(p + δ) = R(δ)·R(p).

Su et al. 2021, https://arxiv.org/abs/2104.09864. Rotation makes a key right for its new position
and nothing else: what the token would have read in the new place is not in it (see
`memos.kvcache.reuse.recompute`). Scaling that a model applies to rotated keys (YaRN) is in them
already, so only the angles count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memos.errors import ModelUnsupported
from memos.kvcache.attention.continuation import Continuation
from memos.kvcache.attention.modules import attentions, decoder
from memos.kvcache.attention.rows import Held, Rows

if TYPE_CHECKING:
    import torch

VALID = ("default", "linear", "llama3", "yarn")
"""Rope types whose frequencies depend on nothing but the dimension."""


def frequencies(model: Any) -> list[torch.Tensor]:
    """The inverse frequencies of each layer, (turned dimensions / 2,) in float64, as its own rotary
    module has them.

    ModelUnsupported for positions that are learned, by ALiBi, or rotary in a way that is not the
    same at all lengths and places: dynamic NTK, longrope, M-RoPE, latent attention (MLA).
    """
    config = model.config.get_text_config()
    rotary = getattr(decoder(model), "rotary_emb", None)
    if rotary is None or not hasattr(rotary, "rope_type"):
        raise _refused(model, "its positions are not rotary")
    if getattr(config, "kv_lora_rank", None):
        raise _refused(model, "its keys are latent, and only a part of them is turned")
    parameters = getattr(config, "rope_parameters", None) or {}
    types = getattr(config, "layer_types", None)
    found = []
    for index in range(len(attentions(model))):
        of_type = types[index] if types and isinstance(rotary.rope_type, dict) else None
        kind = rotary.rope_type.get(of_type) if of_type else rotary.rope_type
        if kind not in VALID:
            raise _refused(model, f"rope type {kind!r} is none of {', '.join(VALID)}")
        own = parameters.get(of_type, {}) if of_type else parameters
        if "mrope_section" in own:
            raise _refused(model, "its positions have several dimensions (M-RoPE)")
        inverse = getattr(rotary, f"{of_type}_inv_freq" if of_type else "inv_freq")
        found.append(inverse.detach().double())
    return found


def rotated(keys: torch.Tensor, inverse: torch.Tensor, delta: int) -> torch.Tensor:
    """Keys (…, dim) moved by `delta` positions; dimensions that are not turned stay.

    cos and sin come from float64 angles; the rotation is in float32, the result in the keys' dtype.
    """
    import torch

    if delta == 0:
        return keys
    angle = float(delta) * inverse.to(keys.device)
    cos, sin = angle.cos().float(), angle.sin().float()
    half = inverse.shape[0]
    wide = keys.float()
    first, second, rest = wide[..., :half], wide[..., half : 2 * half], wide[..., 2 * half :]
    moved = (first * cos - second * sin, second * cos + first * sin, rest)
    return torch.cat(moved, dim=-1).to(keys.dtype)


def moved(held: Held, inverse: list[torch.Tensor], delta: int) -> Held:
    """All that is held, `delta` positions on; values and biases are shared, not copied."""
    layers = [
        Rows(
            rotated(rows.full_keys(), own, delta),
            rows.values,
            rows.positions + delta,
            bias=rows.bias,
            key_dim=rows.key_dim,
            source=rows.source,
        )
        for rows, own in zip(held.layers, inverse, strict=True)
    ]
    return Held(tuple(layers), held.length + delta, held.policy, held.ratio, held.parameters)


def verify(model: Any, *, delta: int = 1000, tolerance: float | None = None) -> float:
    """Moves the keys of a few tokens and compares them with those that the model computes there.

    Answers the greatest relative error over all layers; ModelUnsupported above `tolerance` (1e-3
    in float32, 5e-2 in halves). It catches what a configuration does not tell: pairs of dimensions
    laid out in another way, positions that enter elsewhere.
    """
    import torch

    inverse = frequencies(model)
    vocabulary = model.config.get_text_config().vocab_size
    tokens = [(7 * index + 3) % vocabulary for index in range(8)]
    here, there = (_keys_at(model, tokens, start) for start in (0, delta))
    worst = max(
        float((rotated(one, own, delta).float() - two.float()).norm() / two.float().norm())
        for one, two, own in zip(here, there, inverse, strict=True)
    )
    limit = tolerance or (1e-3 if model.dtype == torch.float32 else 5e-2)
    if not worst <= limit:
        raise _refused(model, f"moved keys are off by {worst:.2g} of their norm, above {limit:g}")
    return worst


def _keys_at(model: Any, tokens: list[int], start: int) -> list[torch.Tensor]:
    run = Continuation.empty(model, start)
    run.feed(tokens)
    return [run.rows_of(index)[0] for index in range(len(attentions(model)))]


def _refused(model: Any, why: str) -> ModelUnsupported:
    return ModelUnsupported(
        f"keys of {type(model).__name__} can't be moved to other positions: {why}. Only prefixes "
        "can be reused with this model"
    )
