"""An activated adapter (aLoRA, Greenewald et al. 2025, arXiv:2504.12397): low-rank weights that are
at work from the invocation on, here the tokens with which the assistant's turn begins.

What stands before is computed as by the model alone, so stored states of it can be used with it.
peft has it for one text a row; training packs many into a row, so here the weights are peft's and
their work is masked. `lone_states` asks peft itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from memos.benchmarks.parametric.forms.base import by_peft
from memos.kvcache.lora.learning import Learner
from memos.types import Recipe


class Activated(Learner):
    """`head`: how many tokens all prompts begin with."""

    def __init__(
        self, module: Any, recipe: Recipe, *, invocation: Sequence[int], head: int, steps: int
    ) -> None:
        super().__init__(module, recipe, steps=steps)
        self._invocation = list(invocation)
        self._headed = head
        self._on: Tensor | None = None
        self.module.register_forward_pre_hook(self._before, with_kwargs=True)
        for layer in self.layers.values():
            layer.lora_B["default"].register_forward_hook(self._masked)

    def _before(self, _: Any, args: Any, given: Mapping[str, Any]) -> None:
        ids, places = given["input_ids"][0], given["position_ids"][0]
        self._on = invoked(ids, places, self._invocation, self._headed)[None, :, None]

    def _masked(self, _: Any, args: Any, output: Tensor) -> Tensor:
        assert self._on is not None
        return output * self._on.to(output.dtype)


def invoked(ids: Tensor, places: Tensor, invocation: Sequence[int], head: int) -> Tensor:
    """(n,) true from the first token of an invocation to the end of its text. Texts of a row begin
    where its places (n,) start again, and at `head`."""
    size = len(invocation)
    wanted = torch.tensor(list(invocation), device=ids.device)
    found = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    if len(ids) >= size:
        found[: len(ids) - size + 1] = (ids.unfold(0, size, 1) == wanted).all(-1)
    begins = torch.ones_like(found)
    begins[1:] = (places[1:] != places[:-1] + 1) | (places[1:] == head)
    text = begins.cumsum(0)
    count = found.cumsum(0)
    # Invocations up to here, less those up to where the text began.
    before = torch.zeros(int(text[-1]) + 1, dtype=count.dtype, device=ids.device)
    before[text[begins]] = (count - found.long())[begins]
    return count > before[text]


def lone_states(
    module: Any, recipe: Recipe, weights: Mapping[str, Tensor], tokens: Sequence[int], at: Any
) -> dict[str, Any]:
    """By peft's own aLoRA, of one prompt: how far states before the invocation `at` are from those
    of the model alone, and the logits after the last token. `module` is nobody else's."""
    from peft import LoraConfig

    ids = torch.tensor([list(tokens)], device=module.device)
    with torch.no_grad():
        base = module(input_ids=ids, use_cache=True)
        names = sorted({name.rpartition(".lora_")[0] for name in weights})
        config = LoraConfig(
            r=recipe.rank,
            lora_alpha=2 * recipe.rank,
            target_modules=names,
            task_type="CAUSAL_LM",
            alora_invocation_tokens=list(at),
        )
        model = by_peft(module, config)
        for name, weight in model.named_parameters():
            plain = name.removeprefix("base_model.model.").replace(".default.weight", ".weight")
            if plain in weights:
                weight.copy_(weights[plain])
        model.eval()
        with_it = model(input_ids=ids, use_cache=True)
    before = _start(list(tokens), list(at))
    off = [
        (one.keys - other.keys).abs().amax((0, 1, 3))
        + (one.values - other.values).abs().amax((0, 1, 3))
        for one, other in zip(
            base.past_key_values.layers, with_it.past_key_values.layers, strict=True
        )
    ]
    each = torch.stack(off).amax(0)
    return {
        "tokens_before": before,
        "tokens": len(tokens),
        "off_before": float(each[:before].max()),
        "off_after": float(each[before:].max()),
        "logits": with_it.logits[0, -1].float(),
    }


def _start(tokens: list[int], part: list[int]) -> int:
    """Where the last such part begins."""
    return max(n for n in range(len(tokens) - len(part) + 1) if tokens[n : n + len(part)] == part)
