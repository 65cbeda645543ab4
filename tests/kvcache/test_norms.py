"""Fused norms: where they are used, and that they compute what the model's own do."""

import copy

import pytest
import torch
from transformers.models.gemma3.modeling_gemma3 import Gemma3RMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from memos.kvcache.generator import norms


class OneMore(LlamaRMSNorm):
    """A norm that looks like Llama's and isn't: it adds one to its weights."""

    def forward(self, hidden_states):
        return super().forward(hidden_states) * (1 + 1 / self.weight)


def made(kind=LlamaRMSNorm, dtype=torch.bfloat16, device="cpu"):
    norm = kind(64, eps=1e-6).to(device, dtype)
    torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
    return norm


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_the_kernel_computes_llamas_norm(dtype):
    assert norms._alike(made(dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_norm_with_another_formula_is_told_apart(dtype):
    assert not norms._alike(made(OneMore, dtype))


def test_on_the_cpu_and_for_other_kinds_nothing_is_changed():
    model = torch.nn.Sequential(made(), Gemma3RMSNorm(64))
    assert norms.fuse(model) == norms.kind_of(model) == norms.PLAIN


@pytest.mark.cuda
def test_on_a_device_all_norms_are_fused_in_copies_too():
    model = torch.nn.Sequential(made(device="cuda"), made(device="cuda"))
    rows = torch.randn(3, 64, device="cuda", dtype=torch.bfloat16)
    plain = model(rows)
    assert norms.fuse(model) == norms.kind_of(model) == norms.FUSED
    twin = copy.deepcopy(model)
    twin[0].weight.data.mul_(0)
    assert float((model(rows) - plain).detach().abs().max()) < 0.05
    assert float(twin(rows).detach().abs().max()) == 0.0


@pytest.mark.cuda
def test_on_a_device_a_norm_with_another_formula_is_left_alone():
    assert norms.fuse(torch.nn.Sequential(made(OneMore, device="cuda"))) == norms.PLAIN
