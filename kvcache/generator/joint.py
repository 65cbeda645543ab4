"""Products of one input as one product, and queries and keys turned together, on a CUDA device.

A pass over few tokens takes as long as it takes to start its kernels, and with a stored prefix most
passes are over few tokens; so does every token of an answer. Queries, keys and values are products
of the same input, as are a gate and what it lets through: their weights are laid in one matrix, of
which the layers keep views. Rotary positions (Su et al. 2021, https://arxiv.org/abs/2104.09864) are
then three kernels for queries and keys together: x·cos + roll(x, d/2)·sin', where sin' is sin with
its first half negated. Thirteen kernels become four.

A layer is known by what it has, and changed only if it then computes the same but for the last
bits. One whose parts something hooks into, as adapters do, goes its own way as before.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from types import MethodType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

log = logging.getLogger(__name__)

_QKV = ("q_proj", "k_proj", "v_proj")
_GATED = ("gate_proj", "up_proj")
_OFF = 4
"""Units in the last place of the dtype, of the largest result, that a result may be off by."""


def join(module: Any, *, devices: Iterable[str] = ("cuda",)) -> int:
    """Changes the attention and the gated layers of a model on such a device, in place; how many.

    The model's attention must be `memos.kvcache.generator.attention`'s.
    """
    signs = _Signs()
    found: list[tuple[Any, _Joint, Callable[..., Any]]] = []
    for part in module.modules():
        if _fits(part, (*_QKV, "o_proj"), devices) and hasattr(part, "scaling"):
            found.append((part, _Joint(part, _QKV, signs), _attention))
        elif _fits(part, (*_GATED, "down_proj"), devices) and hasattr(part, "act_fn"):
            found.append((part, _Joint(part, _GATED, signs), _gated))
    kinds = {type(part): (part, joint, forward) for part, joint, forward in found}
    good = {kind for kind, (part, joint, forward) in kinds.items() if _alike(part, joint, forward)}
    changed = 0
    for part, joint, forward in found:
        if type(part) in good:
            joint.lay()
            part.joint = joint
            part.forward = MethodType(forward, part)
            changed += 1
    return changed


def is_joint(module: Any) -> bool:
    """Whether some layer of a model was changed."""
    return any(isinstance(part.__dict__.get("joint"), _Joint) for part in module.modules())


class _Signs:
    """sin' of the last sin: all layers of a pass are given the same one."""

    def __init__(self) -> None:
        self._of: Tensor | None = None
        self._signed: Tensor | None = None

    def signed(self, sin: Tensor) -> Tensor:
        if self._signed is None or self._of is not sin:
            half = sin.shape[-1] // 2
            self._of = sin
            self._signed = torch.cat([-sin[..., :half], sin[..., half:]], dim=-1)
        return self._signed

    def __deepcopy__(self, memo: Any) -> _Signs:
        return _Signs()


class _Joint:
    """The weights of some layers of one part, one under the other, as they are now."""

    def __init__(self, part: Any, names: tuple[str, ...], signs: _Signs) -> None:
        self.layers = {name: getattr(part, name) for name in names}
        self.sizes = [layer.out_features for layer in self.layers.values()]
        self.signs = signs
        self.weight: Tensor | None = None
        self.bias: Tensor | None = None

    def lay(self) -> None:
        """Makes the layers' weights views of one matrix."""
        layers = list(self.layers.values())
        with torch.no_grad():
            self.weight = torch.cat([layer.weight for layer in layers])
            if layers[0].bias is not None:
                self.bias = torch.cat([layer.bias for layer in layers])
            at = 0
            for layer, size in zip(layers, self.sizes, strict=True):
                layer.weight.data = self.weight[at : at + size]
                if self.bias is not None:
                    layer.bias.data = self.bias[at : at + size]
                at += size

    def holds(self, part: Any) -> bool:
        """Whether the part still has these layers, as they were laid, and nobody hooks into them:
        adapters that learn take their places. What gives a model other weights, another dtype say,
        gives them to all layers."""
        modules = part._modules
        for name, layer in self.layers.items():
            if modules[name] is not layer or layer._forward_hooks or layer._forward_pre_hooks:
                return False
        weight = next(iter(self.layers.values())).weight
        return self.weight is not None and bool(weight.data_ptr() == self.weight.data_ptr())

    def product(self, states: Tensor) -> Tensor:
        assert self.weight is not None
        return F.linear(states, self.weight, self.bias)


def _attention(
    part: Any,
    hidden_states: Tensor,
    position_embeddings: tuple[Tensor, Tensor],
    attention_mask: Tensor | None = None,
    past_key_values: Any = None,
    **kwargs: Any,
) -> tuple[Tensor, Any]:
    """In place of the forward of an attention layer of transformers."""
    joint: _Joint = part.joint
    if not joint.holds(part):
        whole: tuple[Tensor, Any] = type(part).forward(
            part,
            hidden_states,
            position_embeddings=position_embeddings,
            attention_mask=attention_mask,
            past_key_values=past_key_values,
            **kwargs,
        )
        return whole
    from memos.kvcache.generator.attention import attend

    shape = hidden_states.shape[:-1]
    heads = joint.product(hidden_states).view(*shape, -1, part.head_dim).transpose(1, 2)
    queries, keys, _ = (size // part.head_dim for size in joint.sizes)
    cos, sin = position_embeddings
    turned = heads[:, : queries + keys]
    rolled = turned.roll(part.head_dim // 2, -1)
    turned = torch.addcmul(turned * cos[:, None], rolled, joint.signs.signed(sin)[:, None])
    query, key = turned[:, :queries], turned[:, queries:]
    value = heads[:, queries + keys :]
    if past_key_values is not None:
        key, value = past_key_values.update(key, value, part.layer_idx)
    out, weights = attend(part, query, key, value, attention_mask, scaling=part.scaling, **kwargs)
    return part.o_proj(out.reshape(*shape, -1)), weights


def _gated(part: Any, states: Tensor) -> Tensor:
    """In place of the forward of a gated layer."""
    joint: _Joint = part.joint
    if not joint.holds(part):
        plain: Tensor = type(part).forward(part, states)
        return plain
    gate, up = torch.split(joint.product(states), joint.sizes, dim=-1)
    out: Tensor = part.down_proj(part.act_fn(gate) * up)
    return out


def _fits(part: Any, names: tuple[str, ...], devices: Iterable[str]) -> bool:
    layers = [getattr(part, name, None) for name in names]
    return "forward" not in part.__dict__ and all(
        type(layer) is nn.Linear and layer.weight.device.type in devices for layer in layers
    )


def _alike(part: Any, joint: _Joint, forward: Callable[..., Any]) -> bool:
    """Whether a layer computes the same in either way: some normalise queries, or turn only a part
    of them. Its weights are laid for it, which changes nothing."""
    weight = next(iter(joint.layers.values())).weight
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(1, 5, weight.shape[1], generator=generator).to(weight.device, weight.dtype)
    more: tuple[Any, ...] = ()
    if forward is _attention:
        angles = torch.randn(1, 5, part.head_dim // 2, generator=generator)
        angles = torch.cat([angles, angles], dim=-1).to(weight.device)
        more = ((angles.cos().to(weight.dtype), angles.sin().to(weight.dtype)), None)
    joint.lay()
    part.joint = joint
    try:
        with torch.inference_mode():
            plain, other = type(part).forward(part, states, *more), forward(part, states, *more)
    except (AttributeError, RuntimeError, TypeError) as error:  # a layer with needs of its own
        log.info("layers of the kind %s stay as they are: %s", type(part).__name__, error)
        return False
    finally:
        del part.joint
    one, two = (x[0].float() if isinstance(x, tuple) else x.float() for x in (plain, other))
    off = torch.finfo(weight.dtype).eps * _OFF
    return bool((one - two).abs().max() <= off * one.abs().max())
