"""Attention in parts, merged, is attention over all; every way of computing a part agrees."""

import pytest
import torch
import torch.nn.functional as F

from memos.kvcache.generator import attention
from memos.kvcache.generator.running import running
from tests.kvcache import local_models as local


def drawn(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_the_plain_way_agrees_with_the_fused_one(causal, masked, monkeypatch):
    if causal and masked:
        return
    query, key, value = drawn(2, 3, 20, 16), drawn(2, 3, 20, 16), drawn(2, 3, 20, 16) + 1
    mask = torch.where(drawn(2, 1, 20, 20) > 0, 0.0, -3e38) if masked else None
    fused = attention.partial(query, key, value, mask, 0.25, causal=causal)
    monkeypatch.setattr(attention, "_SCORES", 700)  # a few queries at a time
    plain = attention._plain(query, key, value, mask, 0.25, causal=causal)
    whole = F.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, is_causal=causal, scale=0.25
    )
    for out in (fused[0], plain[0]):
        assert float((out - whole).abs().max()) < 1e-5
    assert float((fused[1] - plain[1]).abs().max()) < 1e-5


def test_parts_merge_to_the_whole():
    query, key, value = drawn(1, 2, 5, 16), drawn(1, 2, 40, 16), drawn(1, 2, 40, 16)
    a = attention.partial(query, key[:, :, :11], value[:, :, :11], None, 0.25)
    b = attention.partial(query, key[:, :, 11:], value[:, :, 11:], None, 0.25)
    out, weight = attention._merged(*a, *b)
    whole, lse = attention.partial(query, key, value, None, 0.25)
    assert float((out - whole).abs().max()) < 1e-6
    assert float((weight - lse).abs().max()) < 1e-5


def test_values_of_another_width_than_keys_are_attended_to():
    query, key, value = drawn(1, 2, 5, 16), drawn(1, 2, 9, 16), drawn(1, 2, 9, 8)
    out, _ = attention.partial(query, key, value, None, 0.25)
    whole = F.scaled_dot_product_attention(query, key, value, scale=0.25)
    assert float((out - whole).abs().max()) < 1e-5


@pytest.mark.parametrize("folded", [0, 1000])
@pytest.mark.parametrize("kind", ["llama", "gemma3"])
def test_long_prompts_of_different_lengths_equal_each_alone(kind, folded, monkeypatch):
    monkeypatch.setattr(attention, "_FOLDED", folded)
    model = local.tiny(kind)
    prompts = [local.some_tokens(n, seed=n) for n in (90, 41, 7)]
    logits = running(model, 3).advance(prompts)
    for row, prompt in enumerate(prompts):
        full = model.prefill(prompt).logits[0]
        assert float((logits[row] - full).abs().max()) < 1e-4


@pytest.mark.cuda
@pytest.mark.parametrize("new", [1, 16, 70])
def test_one_row_on_a_device_has_one_buffer_with_the_same_result(new, monkeypatch):
    from memos.kvcache.generator import rows as rows_module
    from memos.kvcache.generator.rows import RowsLayer, Segment

    torch.manual_seed(0)
    made = lambda heads, n: torch.randn(1, heads, n, 64, device="cuda", dtype=torch.bfloat16)  # noqa: E731
    prefix, own, query = [made(2, 300) for _ in "kv"], [made(2, new) for _ in "kv"], made(6, new)
    found = []
    for limit in (0, 1000):
        monkeypatch.setattr(rows_module, "JOINED_TOKENS", limit)
        layer = RowsLayer(1, None, 0)
        layer.coming = [lambda: Segment(prefix[0][0], prefix[1][0], 0, 1)]
        layer.causal = new > 1
        keys, values = layer.update(*own)
        assert layer.before == (300 if limit else 0)
        found.append(attention.over_rows(query, keys, values, layer, 0.125).float())
    assert (found[0] - found[1]).norm() / found[0].norm() < 0.01
