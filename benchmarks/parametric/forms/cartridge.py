"""A cartridge: keys and values of a prefix that learn, by peft, beginning as a compiled activation
memory (Eyuboglu et al. 2025, arXiv:2506.06266, train such a prefix by distillation).

The first token's stay as they are: attention that is for nothing goes there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from memos.benchmarks.parametric.forms.base import Form, by_peft
from memos.types import Recipe


class Cartridge(Form):
    """`tokens` are those of the compiled memory; the first `size` of their states begin it."""

    def __init__(
        self, module: Any, recipe: Recipe, *, tokens: Sequence[int], size: int, steps: int
    ) -> None:
        from peft.tuners.cartridge.utils import prompt_embeddings_from_past_key_values

        compiled = _compiled(module, tokens)
        self.size = min(size, len(tokens))
        self._peft = _with_prefix(module, self.size)
        encoder = self._peft.prompt_encoder["default"]
        encoder.load_prompt_embeddings(
            prompt_embeddings_from_past_key_values(compiled, num_virtual_tokens=self.size)
        )
        super().__init__(module, recipe, [encoder.trainable_embedding], steps=steps, first=0)
        self._hook = module.register_forward_pre_hook(self._before, with_kwargs=True)

    @property
    def parameters(self) -> int:
        """Those of the first token count: they are kept too."""
        return int(self._peft.prompt_encoder["default"].weight.numel())

    def _before(self, _: Any, args: Any, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Puts the prefix before what is read: everything sees it, and has later places."""
        if not self.works:
            return args, given
        mask = given["attention_mask"]
        seen = mask.new_zeros(*mask.shape[:-1], self.size)
        return args, {
            **given,
            "past_key_values": self._peft.get_prompt(batch_size=1),
            "attention_mask": torch.cat([seen, mask], dim=-1),
            "position_ids": given["position_ids"] + self.size,
            "use_cache": True,
        }


def _compiled(module: Any, tokens: Sequence[int]) -> list[tuple[Any, Any]]:
    """Keys and values of each layer, as a compiled activation memory has them."""
    ids = torch.tensor([list(tokens)], device=module.device)
    with torch.no_grad():
        cache = module(input_ids=ids, use_cache=True).past_key_values
    return [(layer.keys, layer.values) for layer in cache.layers]


def _with_prefix(module: Any, size: int) -> Any:
    from peft import CartridgeConfig

    config = CartridgeConfig(num_virtual_tokens=size, num_frozen_tokens=1, task_type="CAUSAL_LM")
    return by_peft(module, config)
