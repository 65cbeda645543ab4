"""Joint products: that they compute what the model's own layers do, and where they are not used."""

import copy

import pytest
import torch
from transformers import (
    GemmaConfig,
    GemmaForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from memos.kvcache.generator import joint
from memos.kvcache.generator.loading import prepared

SIZES = {
    "vocab_size": 99,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
}
MODELS = {
    "llama": (LlamaForCausalLM, LlamaConfig),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config),
    "gemma": (GemmaForCausalLM, GemmaConfig),
}
IDS = torch.tensor([[5, 7, 11, 13, 17, 19]])


def made(name: str, dtype: torch.dtype = torch.float32):
    model, config = MODELS[name]
    torch.manual_seed(0)
    built = model(config(**SIZES)).to(dtype)
    for weight in built.parameters():
        torch.nn.init.normal_(weight.data, std=0.1)
    return prepared(built)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("name", "layers"), [("llama", 4), ("qwen2", 4), ("gemma", 4)])
def test_a_model_says_the_same(name, layers, dtype):
    plain = made(name, dtype)
    changed = copy.deepcopy(plain)
    assert joint.join(changed, devices=["cpu"]) == layers
    assert joint.is_joint(changed)
    wanted, got = plain(IDS).logits.float(), changed(IDS).logits.float()
    off = 1e-5 if dtype == torch.float32 else 0.05
    assert float((wanted - got).abs().max()) <= off * float(wanted.abs().max())
    # Weights are still those of the layers, and still there once.
    for one, other in zip(plain.parameters(), changed.parameters(), strict=True):
        assert torch.equal(one, other)


def test_an_attention_that_does_more_is_left_alone():
    model = made("qwen3")
    assert joint.join(model, devices=["cpu"]) == 2
    assert "joint" not in model.model.layers[0].self_attn.__dict__


def test_on_other_devices_nothing_is_changed():
    model = made("llama")
    assert joint.join(model) == 0
    assert not joint.is_joint(model)


def test_who_hooks_into_a_layer_is_heard():
    model = made("llama")
    joint.join(model, devices=["cpu"])
    calls = []
    for name in ("q_proj", "v_proj"):
        layer = getattr(model.model.layers[1].self_attn, name)
        layer.register_forward_hook(lambda *_: calls.append(1))
    model.model.layers[0].mlp.up_proj.register_forward_pre_hook(lambda *_: calls.append(2))
    model(IDS)
    assert sorted(calls) == [1, 1, 2]


# peft asks a model for a name that transformers has given another one.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_a_layer_that_takes_the_place_of_one_is_used():
    """As an adapter that learns does (peft)."""
    from peft import LoraConfig, get_peft_model

    learning = []
    for joined in (False, True):
        model = made("llama")
        if joined:
            joint.join(model, devices=["cpu"])
        targets = ["q_proj", "v_proj", "up_proj"]
        torch.manual_seed(1)
        adapted = get_peft_model(model, LoraConfig(r=2, target_modules=targets))
        adapted(IDS).logits.sum().backward()
        learning.append([w.grad for _, w in adapted.named_parameters() if w.requires_grad])
    assert len(learning[0]) == 12
    for one, other in zip(*learning, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


def test_a_copy_with_other_weights_uses_them():
    model = made("llama")
    joint.join(model, devices=["cpu"])
    twin = copy.deepcopy(model)
    for layer in twin.model.layers:
        layer.self_attn.v_proj.weight.data.zero_()
        layer.mlp.up_proj.weight.data.zero_()
    plain = made("llama")
    for layer in plain.model.layers:
        layer.self_attn.v_proj.weight.data.zero_()
        layer.mlp.up_proj.weight.data.zero_()
    assert torch.allclose(twin(IDS).logits, plain(IDS).logits, atol=1e-5)


@pytest.mark.cuda
def test_on_a_device_layers_are_joined():
    model = prepared(made("llama").to("cuda", torch.bfloat16))
    assert joint.is_joint(model)
