"""The part of `memos bench lora` that trains a cartridge: states of a prefix, instead of weights.

The prefix begins as the compiled states of all sentences, as an activation memory has them, and its
keys and values are then trained on the examples that an adapter has (Eyuboglu et al. 2025,
arXiv:2506.06266, train such a prefix by distillation; here the loss is that of the adapters). Both
are judged place by place: whether each token of the right answer is the likeliest.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from memos.benchmarks.lora_people import Invented, facts
from memos.benchmarks.lora_substrates import opening, sentence
from memos.benchmarks.lora_world import World, source_of, taught
from memos.kvcache.lora.packing import NOTHING, Packed, Tokenised, Tokeniser, packed, rows
from memos.parametric.examples import examples
from memos.types import Probe

RATE = 2e-3
TOKENS = 320


class Cartridge:
    """Keys and values (1, heads, n, width) of a prefix of every layer, which learn but for those of
    the first token, where attention that is for nothing goes."""

    def __init__(self, module: Any, tokens: Sequence[int]) -> None:
        self._module = module
        with torch.no_grad():
            begun = module(input_ids=torch.tensor([list(tokens)]), use_cache=True).past_key_values
        self.states = [
            (layer.keys.clone().requires_grad_(), layer.values.clone().requires_grad_())
            for layer in begun.layers
        ]
        self.size = len(tokens)

    @property
    def weights(self) -> list[Tensor]:
        return [state for pair in self.states for state in pair]

    def hold_first(self) -> None:
        for state in self.weights:
            if state.grad is not None:
                state.grad[:, :, 0] = 0

    def logits(self, row: Packed) -> tuple[Tensor, Tensor, Tensor]:
        """(logits, labels, owners) of the places with a label, after the prefix."""
        from transformers import DynamicCache

        cache: Any = DynamicCache(config=self._module.config)
        for layer, (keys, values) in zip(cache.layers, self.states, strict=True):
            layer.lazy_initialization(keys, values)
            layer.keys, layer.values = keys, values
        places = (row.labels[0] != NOTHING).nonzero()[:, 0]
        before = row.mask.new_zeros(1, 1, row.tokens, self.size)
        out = self._module(
            input_ids=row.ids,
            position_ids=row.positions + self.size,
            attention_mask=torch.cat([before, row.mask], dim=-1),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=places,
        )
        return out.logits[0].float(), row.labels[0, places], row.owner[places]


def cartridge(here: World) -> dict[str, Any]:
    """What a trained prefix recalls, before its training and after each pass."""
    chosen = facts(here.options.facts, here.options.seed)
    made, probes = examples(taught(chosen))
    module = here.adapters._module().requires_grad_(False)
    tokeniser = Tokeniser(here.model)
    trained = [tokeniser.example(example) for example in made]
    said = {probe.source: probe.said for probe in probes}
    asked = [tokeniser.probe(probe) for probe in _test(chosen, said)]
    began = time.process_time()
    prefix = Cartridge(module, here.model.tokens(opening([sentence(fact) for fact in chosen])))
    optimizer = torch.optim.Adam(prefix.weights, lr=RATE)
    lines = [{"pass": 0, "loss": None, "recall": _right(prefix, tokeniser, asked), "cpu_s": 0.0}]
    for number in range(here.recipe.passes):
        loss = _pass(prefix, optimizer, tokeniser, trained, here.options.seed + number)
        spent = time.process_time() - began
        recall = _right(prefix, tokeniser, asked)
        lines.append({"pass": number + 1, "loss": loss, "recall": recall, "cpu_s": spent})
    numbers = sum(state.numel() for state in prefix.weights)
    return {"facts": len(chosen), "tokens": prefix.size, "bytes": 2 * numbers, "lines": lines}


def _test(chosen: Sequence[Invented], said: dict[str | None, str]) -> list[Probe]:
    return [
        Probe(prompt=question, answer=fact.object, said=said[source_of(fact)])
        for fact in chosen
        for question in fact.questions
    ]


def _row(prefix: Cartridge, tokeniser: Tokeniser, part: Sequence[Tokenised]) -> Packed:
    module = prefix._module
    return packed(tokeniser.head, part, device=module.device, dtype=module.dtype)


def _pass(
    prefix: Cartridge, optimizer: Any, tokeniser: Tokeniser, trained: list[Tokenised], seed: int
) -> float:
    order = list(trained)
    random.Random(seed).shuffle(order)
    losses = []
    for part in rows(order, head=len(tokeniser.head), tokens=TOKENS):
        logits, labels, _ = prefix.logits(_row(prefix, tokeniser, part))
        loss = cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        prefix.hold_first()
        optimizer.step()
        losses.append(float(loss.detach()))
    return math.fsum(losses) / len(losses)


@torch.no_grad()
def _right(prefix: Cartridge, tokeniser: Tokeniser, asked: Sequence[Tokenised]) -> float:
    found = 0
    for part in rows(asked, head=len(tokeniser.head), tokens=TOKENS):
        logits, labels, owner = prefix.logits(_row(prefix, tokeniser, part))
        wrong = set(owner[logits.argmax(-1) != labels].tolist())
        found += len(part) - len(wrong)
    return found / len(asked)
