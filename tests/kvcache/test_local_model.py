"""A model's cache taken out and put back is the same cache, for every kind of layer."""

import pytest
import torch

from memos.errors import DeviceUnavailable, InvalidInput, InvalidSetting, ModelError
from memos.kvcache.blocks.block import LayerStates, RecurrentState
from memos.kvcache.blocks.joining import joined
from memos.kvcache.generator.cache import RoomyLayer, empty_cache
from memos.kvcache.generator.loading import load_model
from memos.kvcache.generator.rows import Prefix
from memos.kvcache.generator.running import InTurn, Together, running
from tests.kvcache import local_models as local

CLOSE = 1e-4
CLOSE_RECURRENT = 5e-4
"""Rounding adds up in a state that is carried on from token to token."""


def far(a, b):
    return float((a - b).abs().max())


def tensors(state):
    recurrent = isinstance(state, RecurrentState)
    return list(state.tensors.values()) if recurrent else [state.keys, state.values]


@pytest.mark.parametrize("kind", local.KINDS)
def test_a_cache_put_back_goes_on_as_if_it_had_never_left(kind):
    model, tokens = local.tiny(kind), local.some_tokens(90)
    full = model.prefill(tokens, all_logits=True).logits
    states = model.from_cache(model.prefill(tokens[:60]).cache)
    before = [[tensor.clone() for tensor in tensors(state)] for state in states]
    past = model.to_cache(states, tokens=60, room=4)
    again = model.prefill(tokens[60:], past, all_logits=True).logits
    assert far(again, full[60:]) < CLOSE
    for state, old in zip(states, before, strict=True):  # they were only read
        assert all(map(torch.equal, tensors(state), old))


@pytest.mark.parametrize("kind", ["llama", "gemma3"])
def test_a_cache_put_together_of_runs_knows_its_length(kind):
    """One that says 0 would put the next token at the first position."""
    model, tokens = local.tiny(kind), local.some_tokens(150)
    past = model.prefill(tokens[:64]).cache
    runs = [model.from_cache(past)]
    past = model.prefill(tokens[64:140], past).cache
    runs.append(model.from_cache(past, start=64))
    whole = model.to_cache(joined(runs, model.layout), tokens=140)
    assert whole.get_seq_length() == 140
    assert [layer.get_seq_length() for layer in whole.layers] == [140] * len(whole.layers)
    full = model.prefill(tokens, all_logits=True).logits
    assert far(model.prefill(tokens[140:], whole, all_logits=True).logits, full[140:]) < CLOSE


def test_the_kinds_of_layers_are_told_apart():
    kinds = {
        kind: "".join(layer.kind[0] for layer in local.tiny(kind).layout.layers)
        for kind in local.KINDS
    }
    assert kinds == {
        "llama": "ffff",
        "qwen2": "ffff",
        "qwen3": "ffff",
        "mistral": "ssss",
        "gemma3": "ssfs",
        "lfm2": "rfrf",
        "falcon_h1": "frfrfrfr",
        "bamba": "rfrf",
        "jamba": "rfrf",
        "mamba2": "rrrr",
        "falcon_mamba": "rrrr",
    }
    bases = [layer.rope_base for layer in local.tiny("gemma3").layout.layers]
    assert bases == [1e4, 1e4, 1e6, 1e4]


@pytest.mark.parametrize("kind", local.KINDS)
def test_rows_of_different_lengths_on_a_shared_prefix_equal_each_alone(kind):
    model, tokens = local.tiny(kind), local.some_tokens(90)
    close = CLOSE_RECURRENT if kind in local.RECURRENT else CLOSE
    states = model.from_cache(model.prefill(tokens[:60]).cache)
    rows = running(model, 3, [Prefix(states, 0, 60, 0, 2)])
    assert isinstance(rows, InTurn if kind in local.RECURRENT else Together)
    own = [tokens[60:], tokens[60:71], local.some_tokens(40, seed=5)]
    whole = [tokens, tokens[:71], own[2]]
    for step in range(4):
        logits = rows.advance(own)
        for row, prompt in enumerate(whole):
            assert far(logits[row], model.prefill(prompt).logits[0]) < close, (step, row)
        own = [[7 + step], [9], [11]]
        whole = [prompt + more for prompt, more in zip(whole, own, strict=True)]
    rows.keep([0, 2])
    logits = rows.advance([own[0], own[2]])
    assert far(logits[0], model.prefill(whole[0]).logits[0]) < close
    assert far(logits[1], model.prefill(whole[2]).logits[0]) < close


@pytest.mark.parametrize("kind", [*local.FULL, *local.SLIDING])
def test_rows_give_the_states_that_a_plain_prefill_gives(kind):
    model, tokens = local.tiny(kind), local.some_tokens(90)
    prefix = model.from_cache(model.prefill(tokens[:60]).cache)
    rows = running(model, 2, [Prefix(prefix, 0, 60, 0, 2)])
    rows.advance([tokens[60:], tokens[60:75]])
    for row, end in ((0, 90), (1, 75)):
        plain = model.from_cache(model.prefill(tokens[:end]).cache, start=32)
        for mine, theirs in zip(rows.states(row, 32, end), plain, strict=True):
            assert mine.start == theirs.start
            assert far(mine.keys, theirs.keys) < CLOSE
            assert far(mine.values, theirs.values) < CLOSE


@pytest.mark.parametrize("kind", ["llama", "gemma3"])
@pytest.mark.parametrize("at", [1, 23, 24, 25, 63, 64, 65])
def test_prefixes_around_windows_and_granules(kind, at):
    model, tokens = local.tiny(kind), local.some_tokens(70)
    states = model.from_cache(model.prefill(tokens[:at]).cache)
    full = model.prefill(tokens).logits[0]
    rest = tokens[at:]
    assert far(model.prefill(rest, model.to_cache(states, tokens=at)).logits[0], full) < CLOSE
    assert far(running(model, 1, [Prefix(states, 0, at, 0, 1)]).advance([rest])[0], full) < CLOSE


def test_bfloat16_after_a_reload_is_bit_identical_to_the_same_split_without():
    model, tokens = local.tiny("llama", "bfloat16"), local.some_tokens(90)
    kept = running(model, 1)
    kept.advance([tokens[:60]])
    states = kept.states(0, 0, 60)
    reloaded = [LayerStates(s.keys.clone(), s.values.clone(), s.start) for s in states]
    first = running(model, 1, [Prefix(states, 0, 60, 0, 1)]).advance([tokens[60:]])
    second = running(model, 1, [Prefix(reloaded, 0, 60, 0, 1)]).advance([tokens[60:]])
    assert torch.equal(first, second)


def test_a_roomy_layer_grows_and_can_be_cropped():
    model, tokens = local.tiny(), local.some_tokens(200)
    past = empty_cache(model.config, room=1)
    for at in range(0, 200, 50):
        done = model.prefill(tokens[at : at + 50], past)
    assert isinstance(past.layers[0], RoomyLayer)
    assert far(done.logits[0], model.prefill(tokens).logits[0]) < CLOSE
    past.crop(-50)
    assert past.get_seq_length() == 150
    again = model.prefill(tokens[150:], past)
    assert far(again.logits[0], done.logits[0]) < CLOSE


def test_states_that_do_not_fit_are_refused():
    model, sliding = local.tiny(), local.tiny("gemma3")
    states = model.from_cache(model.prefill(local.some_tokens(40)).cache)
    with pytest.raises(InvalidInput, match="layers"):
        model.to_cache(states[:-1], tokens=40)
    with pytest.raises(InvalidInput, match="rows before position 41"):
        model.to_cache(states, tokens=41)
    past = sliding.prefill(local.some_tokens(40)).cache
    with pytest.raises(InvalidInput, match="prefill up to 30"):
        sliding.from_cache(past, end=30)
    with pytest.raises(InvalidInput, match="no tokens"):
        sliding.from_cache(past, end=41)


@pytest.mark.parametrize(
    ("tokens", "problem"),
    [
        ([], "no tokens"),
        ([300], "vocabulary"),
        ([-1], "negative"),
        ([1.0], "whole numbers"),
        ([1] * 4097, "reads 4096"),
    ],
)
def test_tokens_that_can_not_be_run_are_refused(tokens, problem):
    with pytest.raises(InvalidInput, match=problem):
        local.tiny().prefill(tokens)


def test_torch_failing_is_an_error_of_ours(monkeypatch):
    model = local.tiny()

    def fail(**_):
        raise RuntimeError("not enough memory")

    monkeypatch.setattr(model, "module", fail)
    with pytest.raises(ModelError, match="send fewer"):
        model.prefill([1, 2])


def test_an_attention_that_drops_the_keys_is_noticed():
    model = local.tiny()
    rows = model.rows(1)
    rows.layers[2].attended = False
    with pytest.raises(ModelError, match="eager"):
        rows.check()


def test_eager_attention_runs_in_turn_and_is_right():
    model, ours = local.tiny(attention="eager"), local.tiny()
    tokens = local.some_tokens(50)
    assert not model.has_rows
    assert far(model.prefill(tokens).logits, ours.prefill(tokens).logits) < CLOSE


def test_settings_that_can_not_be_are_refused(tmp_path):
    with pytest.raises(InvalidSetting, match="dtype"):
        load_model(cache_dir=tmp_path, dtype="int3")
    with pytest.raises(InvalidSetting, match="attention"):
        load_model(cache_dir=tmp_path, attention="psychic")
    with pytest.raises(InvalidSetting, match="device"):
        load_model(cache_dir=tmp_path, device="abacus")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_missing_device_is_named(tmp_path):
    with pytest.raises(DeviceUnavailable, match="sees 0 CUDA devices"):
        load_model(cache_dir=tmp_path, device="cuda")
