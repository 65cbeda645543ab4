"""What policies see of a layer is what the model computes, whatever its kind."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from memos.kvcache.attention.continuation import Continuation
from memos.kvcache.attention.modules import attentions
from memos.kvcache.compression.base import Scored
from memos.kvcache.compression.view import LayerView
from memos.kvcache.quality.harness import full
from memos.kvcache.reuse.rotation import verify
from tests.kvcache.tiny import filled, gemma, llama, tokens

TEXT = tokens(48)
KINDS = ("llama", "gemma", "mistral", "phi3", "qwen2", "qwen3", "olmo2")
_SHAPE = {
    "vocab_size": 128,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "pad_token_id": 0,
}


def made(kind: str) -> Any:
    import transformers as tf

    if kind in ("llama", "gemma"):
        model = llama() if kind == "llama" else gemma()
    else:
        name = {"phi3": "Phi3", "qwen2": "Qwen2", "qwen3": "Qwen3", "olmo2": "Olmo2"}.get(
            kind, "Mistral"
        )
        config = getattr(tf, f"{name}Config")(**_SHAPE)
        model = filled(getattr(tf, f"{name}ForCausalLM")(config))
    model.set_attn_implementation("eager")
    return model


class Noting(Scored):
    name = "noting"
    guided = True

    def __init__(self) -> None:
        self.seen: dict[int, torch.Tensor] = {}

    def score(self, view: LayerView) -> torch.Tensor:
        self.seen[view.index] = view.attention(view.queries.shape[1])
        return view.keys.new_zeros(view.heads, view.rows)


@pytest.mark.parametrize("kind", KINDS)
def test_attention_is_the_models_own(kind: str) -> None:
    model = made(kind)
    with torch.inference_mode():
        expected = model(torch.tensor([TEXT]), output_attentions=True).attentions
    noting = Noting()
    noting.compress(model, TEXT, ratio=0.5)
    assert noting.seen
    for index, attention in noting.seen.items():
        torch.testing.assert_close(attention, expected[index][0], atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_attention_of_a_prompt_that_follows(kind: str) -> None:
    model, prompt = made(kind), tokens(9, seed=4)
    with torch.inference_mode():
        expected = model(torch.tensor([TEXT + prompt]), output_attentions=True).attentions
    noting = Noting()
    noting.compress(model, TEXT, ratio=0.5, prompt=prompt)
    for index, attention in noting.seen.items():
        own = expected[index][0, :, 48:, :48]
        torch.testing.assert_close(attention, own, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_new_tokens_after_nothing_and_after_a_text(kind: str) -> None:
    model = made(kind)
    with torch.inference_mode():
        expected = model(torch.tensor([TEXT])).logits[0]
    from_nothing = Continuation.empty(model).feed(TEXT)
    torch.testing.assert_close(from_nothing, expected, atol=1e-3, rtol=1e-3)
    after = Continuation(model, full(model, TEXT[:30])).feed(TEXT[30:])
    torch.testing.assert_close(after, expected[30:], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_keys_of_every_kind_can_be_moved(kind: str) -> None:
    assert verify(made(kind)) < 1e-3


def test_parts_of_the_attention_are_all_of_it() -> None:
    parts: list[torch.Tensor] = []

    class Parts(Noting):
        def score(self, view: LayerView) -> torch.Tensor:
            parts.append(torch.cat(list(view.attention_parts(7)), dim=1))
            return super().score(view)

    noting = Parts()
    model = llama()
    noting.compress(model, TEXT, ratio=0.5)
    assert len(parts) == len(attentions(model))
    assert all(
        torch.allclose(part, noting.seen[index], atol=1e-6) for index, part in enumerate(parts)
    )
