"""Codecs: size, error, cuts, odd shapes, and what they leave as it is."""

from typing import cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from memos.benchmarks.activation.states import equal
from memos.errors import BlockCorrupt, InvalidInput
from memos.kvcache.blocks.block import Header, LayerRecord, LayerStates, RecurrentState
from memos.kvcache.codecs.integers import CHANNELS, TOKENS, Grid, joined, split
from memos.kvcache.codecs.raw import stacked_views
from memos.kvcache.codecs.registry import CODECS, codec_named
from memos.kvcache.layout import CacheLayout, LayerLayout

SHARE = {"raw": 1.0, "lossless": 0.75, "int8": 0.54, "k8v4": 0.45, "int4": 0.32, "int2": 0.2}
"""Most bytes, as a share of bfloat16."""

STEPS = {"int8": (255, 255), "k8v4": (255, 15), "int4": (31, 15), "int2": (3, 3)}


def made(layout: CacheLayout, tokens: int, seed: int = 0, scale: float = 1.0):
    chance = torch.Generator().manual_seed(seed)
    dtype = getattr(torch, layout.dtype)
    out = []
    for layer in layout.layers:
        if layer.kind == "recurrent":
            out.append(RecurrentState({"ssm": torch.randn(3, 4, generator=chance)}, tokens))
            continue
        rows = layer.kept(tokens)
        keys = torch.randn(layer.kv_heads, rows, layer.head_dim, generator=chance) * scale
        values = torch.randn(layer.kv_heads, rows, layer.value_dim, generator=chance) * scale
        out.append(LayerStates(keys.to(dtype), values.to(dtype), tokens - rows))
    return out


def there_and_back(name: str, states, layout: CacheLayout, rows: int | None = None):
    codec = codec_named(name)
    encoded = codec.encode(states, layout)
    payload = encoded.payload.reshape(-1).view(torch.uint8)
    return codec.decode(payload, encoded.records, layout, rows=rows), payload.numel()


def alike(heads: int = 3, dim: int = 64, dtype: str = "bfloat16") -> CacheLayout:
    return CacheLayout((LayerLayout("full", heads, dim, dim),) * 4, dtype)


@pytest.mark.parametrize("name", CODECS)
def test_it_takes_no_more_bytes_than_promised(name: str) -> None:
    layout = alike()
    _, size = there_and_back(name, made(layout, 512), layout)
    assert size <= SHARE[name] * layout.bytes_of(512)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize("name", [name for name, codec in CODECS.items() if codec.exact])
def test_exact_codecs_give_back_every_bit(name: str, dtype: str) -> None:
    layout = alike(dtype=dtype)
    states = made(layout, 200)
    odd = states[1].keys
    odd[0, 0, :4] = torch.tensor([float("nan"), float("inf"), -0.0, 1e-40])
    back, _ = there_and_back(name, states, layout)
    for a, b in zip(states, back, strict=True):
        assert torch.equal(a.keys.view(torch.uint8), b.keys.contiguous().view(torch.uint8))
        assert torch.equal(a.values.view(torch.uint8), b.values.contiguous().view(torch.uint8))


@pytest.mark.parametrize("name", STEPS)
def test_no_number_is_off_by_more_than_half_a_step(name: str) -> None:
    layout = alike(dtype="float32")
    states = made(layout, 200)
    back, _ = there_and_back(name, states, layout)
    for a, b in zip(states, back, strict=True):
        for was, now, steps in zip(
            (a.keys, a.values), (b.keys, b.values), STEPS[name], strict=True
        ):
            step = (was.max() - was.min()) / steps
            assert (was - now).abs().max() <= 0.55 * step + 0.01


@given(
    name=st.sampled_from(list(CODECS)),
    heads=st.integers(1, 3),
    dim=st.sampled_from([1, 3, 16, 80, 96]),
    tokens=st.integers(1, 150),
    share=st.floats(0, 1),
    dtype=st.sampled_from(["bfloat16", "float16", "float32"]),
)
def test_a_cut_is_the_first_rows_of_the_whole(
    name: str, heads: int, dim: int, tokens: int, share: float, dtype: str
) -> None:
    layout = CacheLayout((LayerLayout("full", heads, dim, dim + 1),) * 2, dtype)
    states = made(layout, tokens, seed=tokens)
    whole, _ = there_and_back(name, states, layout)
    rows = max(1, int(share * tokens))
    cut, _ = there_and_back(name, states, layout, rows)
    for a, b in zip(whole, cut, strict=True):
        assert b.keys.shape == (heads, rows, dim)
        assert b.values.shape == (heads, rows, dim + 1)
        assert torch.equal(a.keys[:, :rows], b.keys)
        assert torch.equal(a.values[:, :rows], b.values)


@pytest.mark.parametrize("name", CODECS)
def test_windows_are_coded_and_recurrent_states_kept(name: str) -> None:
    layout = CacheLayout(
        (
            LayerLayout("full", 2, 32, 32),
            LayerLayout("sliding", 2, 32, 32, window=50),
            LayerLayout("recurrent", 0, 0, 0, state_shapes=((3, 4),)),
        ),
        "bfloat16",
    )
    states = made(layout, 200)
    back, _ = there_and_back(name, states, layout)
    assert [state.start for state in back[:2]] == [0, 151]
    assert back[1].keys.shape == (2, 49, 32)
    assert torch.equal(back[2].tensors["ssm"], states[2].tensors["ssm"])
    assert back[2].position == 200
    cut, _ = there_and_back(name, states, layout, 64)
    assert cut[0].keys.shape == (2, 64, 32)
    assert cut[1].keys.shape == (2, 49, 32)


@pytest.mark.parametrize("name", CODECS)
def test_positions_of_compressed_states_are_kept(name: str) -> None:
    layout = alike()
    kept = torch.arange(0, 60, 2, dtype=torch.int32)
    states = [LayerStates(s.keys[:, ::2], s.values[:, ::2], 0, kept) for s in made(layout, 60)]
    back, _ = there_and_back(name, states, layout)
    assert all(torch.equal(state.positions, kept) for state in back)


@pytest.mark.parametrize("name", CODECS)
def test_what_policies_do_beyond_leaving_rows_out_is_kept(name: str) -> None:
    """Pruned channels, rows that stand for several, layers that use another's."""
    layout = alike()
    whole = made(layout, 60)
    channels = torch.arange(0, 64, 2, dtype=torch.int32).expand(3, -1)
    bias = torch.rand(3, 60)
    states = [
        LayerStates(whole[0].keys[..., ::2], whole[0].values, 0, channels=channels),
        LayerStates(whole[1].keys, whole[1].values, 0, bias=bias),
        LayerStates(whole[2].keys[:, :0], whole[2].values[:, :0], 60, source=1),
        whole[3],
    ]
    back, _ = there_and_back(name, states, layout)
    assert torch.equal(back[0].channels, channels)
    assert back[0].keys.shape == (3, 60, 32)
    assert torch.allclose(back[0].keys.float(), states[0].keys.float(), atol=2.0)
    assert torch.equal(back[1].bias, bias)
    assert (back[2].source, back[2].keys.shape) == (1, (3, 0, 64))
    assert back[3].plain
    assert torch.equal(there_and_back(name, [whole[3]] * 4, layout)[0][3].keys, back[3].keys)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
@pytest.mark.parametrize("name", STEPS)
def test_what_float16_cannot_hold_is_stored_as_it_is(name: str, value: float) -> None:
    layout = alike(dtype="float32")
    states = made(layout, 100)
    states[0].keys[0, 5, 5] = value
    back, _ = there_and_back(name, states, layout)
    assert torch.equal(back[0].keys.view(torch.int32), states[0].keys.view(torch.int32))
    assert (back[1].keys - states[1].keys).abs().max() < 2


@pytest.mark.parametrize("name", CODECS)
def test_equal_numbers_and_single_tokens_survive(name: str) -> None:
    layout = alike()
    states = [
        LayerStates(torch.full_like(s.keys, 3.0), torch.zeros_like(s.values), 0)
        for s in made(layout, 70)
    ]
    back, _ = there_and_back(name, states, layout)
    assert equal(back, states)
    there_and_back(name, made(layout, 1), layout)


@given(
    bits=st.sampled_from([1, 2, 4, 5, 8]),
    size=st.integers(1, 70),
    seed=st.integers(0, 100),
)
def test_joined_codes_are_split_again(bits: int, size: int, seed: int) -> None:
    chance = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 2**bits, (2, 3, size), generator=chance, dtype=torch.uint8)
    bytes_ = joined(codes, bits)
    assert bytes_.shape[-1] <= -(-size * bits // 8) + (bits == 5)
    assert torch.equal(split(bytes_, bits, size), codes)


@pytest.mark.parametrize("name", ["int4", "int2"])
def test_the_first_tokens_of_a_text_are_exact_and_widen_no_step(name: str) -> None:
    layout = alike()
    states = made(layout, 128)
    for state in states:
        state.keys[:, :2] *= 50
    back, _ = there_and_back(name, states, layout)
    assert all(torch.equal(a.keys[:, :2], b.keys[:, :2]) for a, b in zip(states, back, strict=True))
    assert (back[0].keys - states[0].keys).abs().max() < 2
    later = [LayerStates(s.keys, s.values, 64) for s in states]
    back, _ = there_and_back(name, later, layout)
    assert not torch.equal(back[0].keys[:, :2], states[0].keys[:, :2])


def test_an_outlier_channel_harms_only_its_own_group_of_keys() -> None:
    keys = torch.randn(1, 64, 64, generator=torch.Generator().manual_seed(0))
    keys[:, :, 7] *= 100
    by_channel = Grid(4, 32, TOKENS)
    by_token = Grid(4, 32, CHANNELS)
    rest = [at for at in range(64) if at != 7]

    def error(grid: Grid) -> float:
        parts = grid.pack(keys)
        assert parts
        back = grid.unpack(parts["data"], parts["step"], parts["low"], 64, 64, torch.float32)
        return float((back - keys)[:, :, rest].abs().mean())

    assert error(by_channel) < error(by_token) / 5


def test_a_record_that_points_outside_is_refused() -> None:
    layout = alike()
    codec = codec_named("raw")
    encoded = codec.encode(made(layout, 64), layout)
    payload = encoded.payload.reshape(-1).view(torch.uint8)
    with pytest.raises(BlockCorrupt, match="record ends"):
        codec.decode(payload[:-2], encoded.records, layout)
    with pytest.raises(InvalidInput, match="there are raw, lossless"):
        codec_named("gzip")


def header_of(records: tuple[LayerRecord, ...], layout: CacheLayout) -> Header:
    """All of a header that views are made from."""

    class Made:
        pass

    found = Made()
    found.__dict__ = {"records": records, "layout": layout}
    return cast(Header, found)


@pytest.mark.parametrize("rows", [None, 64, 500])
def test_views_of_all_layers_at_once_are_what_is_decoded_one_by_one(rows: int | None) -> None:
    layout = alike()
    encoded = codec_named("raw").encode(made(layout, 128), layout)
    payload = encoded.payload.reshape(-1).view(torch.uint8)
    views = stacked_views(payload, header_of(encoded.records, layout), rows)
    assert views is not None
    one_by_one = codec_named("raw").decode(payload, encoded.records, layout, rows=rows)
    assert equal(views, one_by_one)
    assert views[1].keys.untyped_storage().data_ptr() == payload.untyped_storage().data_ptr()


def test_a_payload_of_layers_that_differ_or_of_missing_bytes_has_no_such_views() -> None:
    layout = alike()
    encoded = codec_named("raw").encode(made(layout, 128), layout)
    payload = encoded.payload.reshape(-1).view(torch.uint8)
    assert stacked_views(payload[:-1], header_of(encoded.records, layout), None) is None
    assert stacked_views(payload, header_of(encoded.records[::-1], layout), None) is None
    odd = CacheLayout((*layout.layers[:3], LayerLayout("full", 1, 64, 64)), "bfloat16")
    mixed = codec_named("raw").encode(made(odd, 128), odd)
    assert stacked_views(mixed.payload.reshape(-1), header_of(mixed.records, odd), None) is None
