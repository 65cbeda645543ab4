"""The mechanics that all policies share, on small models with random weights."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from memos.errors import InvalidInput, ModelUnsupported
from memos.kvcache.attention.continuation import Continuation
from memos.kvcache.attention.rows import Held, Rows, from_states, to_states
from memos.kvcache.compression.base import Scored
from memos.kvcache.compression.elastic import Elastic
from memos.kvcache.compression.kvmerger import KVMerger
from memos.kvcache.compression.kvsharer import KVSharer
from memos.kvcache.compression.kvzip import KVzip, spread
from memos.kvcache.compression.lagkv import LagKV
from memos.kvcache.compression.reference import Random, Recent
from memos.kvcache.compression.registry import POLICIES, policy
from memos.kvcache.compression.selection import kept
from memos.kvcache.compression.snapkv import SnapKV
from memos.kvcache.compression.think import ThinK
from memos.kvcache.compression.zeromerge import ZeroMerge
from memos.kvcache.quality.harness import full
from tests.kvcache.tiny import gemma, llama, tokens

TEXT = tokens(160)
NEXT = tokens(5, seed=9)
MERGING = {"kvmerger", "zeromerge", "elastic"}
SELECTING = [name for name in POLICIES if name not in {*MERGING, "think", "kvsharer"}]


@pytest.fixture(scope="module")
def model() -> Any:
    return llama()


@pytest.fixture(scope="module")
def sliding() -> Any:
    return gemma()


@pytest.fixture(scope="module")
def whole(model: Any) -> Held:
    return full(model, TEXT)


def expected_logits(model: Any, text: list[int], following: list[int]) -> torch.Tensor:
    """What the model itself says after the text, in one run without a cache."""
    with torch.inference_mode():
        return model(torch.tensor([text + following])).logits[0, len(text) :]


@pytest.mark.parametrize("name", POLICIES)
def test_removing_nothing_is_the_cache_itself(name: str, model: Any, whole: Held) -> None:
    held = policy(name).compress(model, TEXT, ratio=0.0)
    for rows, expected in zip(held.layers, whole.layers, strict=True):
        assert torch.equal(rows.keys, expected.keys)
        assert torch.equal(rows.values, expected.values)
        assert torch.equal(rows.positions, torch.arange(160).expand(2, -1))
    assert (held.length, held.policy, held.overhead) == (160, "", 0)
    logits = Continuation(model, held).feed(NEXT)
    torch.testing.assert_close(logits, expected_logits(model, TEXT, NEXT), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", POLICIES)
def test_what_is_held_says_what_was_done(name: str, model: Any, whole: Held) -> None:
    chosen = policy(name)
    held = chosen.compress(model, TEXT, ratio=0.5)
    assert (held.policy, held.ratio, held.length) == (name, 0.5, 160)
    assert held.parameters == chosen.parameters
    share = held.bytes / whole.bytes
    assert share == pytest.approx(0.75 if name == "think" else 0.5)
    for rows in held.layers:
        assert rows.positions.shape == rows.keys.shape[:2] == rows.values.shape[:2]
        assert bool((rows.positions.diff(dim=1) > 0).all())
        assert bool(((rows.positions >= 0) & (rows.positions < 160)).all())
        assert rows.keys.is_contiguous()


@pytest.mark.parametrize("name", SELECTING)
def test_rows_are_kept_unchanged_at_their_positions(name: str, model: Any, whole: Held) -> None:
    held = policy(name).compress(model, TEXT, ratio=0.4)
    assert sum(rows.count for rows in held.layers) == 4 * kept(160, 0.4)
    for rows, expected in zip(held.layers, whole.layers, strict=True):
        index = rows.positions[..., None].expand_as(rows.keys)
        assert torch.equal(rows.keys, expected.keys.gather(1, index))
        assert torch.equal(rows.values, expected.values.gather(1, index))


@pytest.mark.parametrize("name", POLICIES)
def test_new_tokens_stand_where_they_would_have_stood(name: str, model: Any) -> None:
    run = Continuation(model, policy(name).compress(model, TEXT, ratio=0.5))
    run.feed(NEXT)
    # Keys of the first layer depend on token and position alone.
    expected = full(model, TEXT + NEXT).layers[0].keys[:, -5:]
    torch.testing.assert_close(run.rows_of(0)[0][:, -5:], expected)
    assert run.position == 165


def test_rows_that_were_dropped_are_as_if_masked(model: Any) -> None:
    held = Recent().compress(model, TEXT, ratio=0.5)
    seen = torch.zeros(165, dtype=torch.bool)
    seen[held.layers[0].positions[0]] = True
    mask = torch.ones(165, 165).tril().bool()
    mask[160:, :160] &= seen[:160]
    with torch.inference_mode():
        ids = torch.tensor([TEXT + NEXT])
        expected = model(ids, attention_mask=mask[None, None]).logits[0, 160:]
    logits = Continuation(model, held).feed(NEXT)
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["random", "kvzip", "zeromerge", "think", "kvsharer"])
def test_feeding_at_once_and_one_by_one_are_the_same(name: str, model: Any) -> None:
    held = policy(name).compress(model, TEXT, ratio=0.5)
    at_once = Continuation(model, held).feed(NEXT)
    run = Continuation(model, held)
    one_by_one = torch.cat([run.feed([token]) for token in NEXT])
    torch.testing.assert_close(one_by_one, at_once, atol=1e-4, rtol=1e-4)


def test_what_is_held_is_never_changed_by_use(model: Any, whole: Held) -> None:
    before = [rows.keys.clone() for rows in whole.layers]
    Continuation(model, whole).generate(NEXT, 4)
    SnapKV().compress(model, TEXT, ratio=0.5, prompt=NEXT)
    assert all(torch.equal(rows.keys, old) for rows, old in zip(whole.layers, before, strict=True))


def test_generating_stops(model: Any, whole: Held) -> None:
    found = Continuation(model, whole).generate(NEXT, 6)
    assert len(found) == 6
    stopped = Continuation(model, whole).generate(NEXT, 6, stop={found[2]})
    assert stopped == found[: found.index(found[2])]


def test_a_prompt_guides_and_is_not_held(model: Any) -> None:
    for name in ("snapkv", "tova", "finch", "laq", "cake", "pyramidkv"):
        unguided = policy(name).compress(model, TEXT, ratio=0.8)
        guided = policy(name).compress(model, TEXT, ratio=0.8, prompt=tokens(30, seed=5))
        assert guided.length == 160
        assert sum(r.count for r in guided.layers) == sum(r.count for r in unguided.layers)
        assert any(
            one.positions.tolist() != two.positions.tolist()
            for one, two in zip(guided.layers, unguided.layers, strict=True)
        ), name


@pytest.mark.parametrize("name", ["random", "key-norm", "kvzip", "h2o", "kvsharer"])
def test_a_prompt_that_would_be_ignored_is_refused(name: str, model: Any) -> None:
    with pytest.raises(InvalidInput, match="guided by no prompt"):
        policy(name).compress(model, TEXT, ratio=0.5, prompt=NEXT)


@pytest.mark.parametrize("ratio", [-0.1, 1.0, math.nan])
def test_a_ratio_that_leaves_nothing_is_refused(ratio: float, model: Any) -> None:
    with pytest.raises(InvalidInput, match="ratio"):
        Random().compress(model, TEXT, ratio=ratio)


def test_no_tokens_and_unknown_policies_are_refused(model: Any) -> None:
    with pytest.raises(InvalidInput, match="no tokens"):
        Random().compress(model, [], ratio=0.5)
    with pytest.raises(InvalidInput, match="no compression policy 'best'"):
        policy("best")


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("count", [1, 2, 7])
def test_very_short_texts(name: str, count: int, model: Any) -> None:
    held = policy(name).compress(model, TEXT[:count], ratio=0.5)
    assert held.length == count
    assert Continuation(model, held).feed(NEXT).isfinite().all()


def test_layers_with_a_window_keep_it_whole(sliding: Any) -> None:
    held = Random().compress(sliding, TEXT, ratio=0.5)
    counts = [rows.count for rows in held.layers]
    assert counts == [15, 80, 15, 80]
    assert held.layers[0].positions[0].tolist() == list(range(145, 160))
    assert Continuation(sliding, held).feed(NEXT).isfinite().all()


def test_a_window_wider_than_the_text_is_none_yet(sliding: Any) -> None:
    held = Random().compress(sliding, TEXT[:12], ratio=0.5)
    assert [rows.count for rows in held.layers] == [6, 6, 6, 6]
    run = Continuation(sliding, held)
    run.feed(tokens(30, seed=9))
    assert run.position == 42


def test_windows_are_right_after_a_held_text(sliding: Any) -> None:
    expected = expected_logits(sliding, TEXT, tokens(40, seed=9))
    held = Random().compress(sliding, TEXT, ratio=0.0)
    logits = Continuation(sliding, held).feed(tokens(40, seed=9))
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)
    every_row = Continuation(sliding, full(sliding, TEXT)).feed(tokens(40, seed=9))
    torch.testing.assert_close(every_row, expected, atol=1e-4, rtol=1e-4)


def test_layers_with_a_window_share_with_none(sliding: Any) -> None:
    with pytest.raises(ModelUnsupported, match="window"):
        KVSharer().compress(sliding, TEXT, ratio=0.5)


def test_chance_has_a_seed(model: Any) -> None:
    one, same, other = (
        Random(seed=seed).compress(model, TEXT, ratio=0.5).layers[0].positions for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_the_first_and_the_newest_rows_are_kept(model: Any) -> None:
    held = Recent(sinks=4).compress(model, TEXT, ratio=0.9)
    assert held.layers[0].positions[1].tolist() == [0, 1, 2, 3, *range(148, 160)]


def test_the_last_partition_gives_way_oldest_first(model: Any) -> None:
    held = LagKV(lag=32).compress(model, TEXT, ratio=0.9)
    assert held.layers[0].positions[0].tolist() == [0, 1, 2, 3, *range(148, 160)]


def test_a_long_text_is_repeated_in_parts(model: Any) -> None:
    chosen = KVzip(instruction=(1, 2), part=64, lead=3)
    probes = chosen.probes(model, TEXT, (), 0.5, None)
    assert [len(probe) for probe in probes] == [66, 69, 37]
    assert probes[1] == [1, 2, *TEXT[61:128]]
    held = chosen.compress(model, TEXT, ratio=0.5)
    assert sum(rows.count for rows in held.layers) == 4 * 80


def test_a_row_with_a_bias_stands_for_several(model: Any, whole: Held) -> None:
    """Two equal rows draw what one does whose logit is greater by log 2."""
    twice, once = [], []
    for rows in whole.layers:
        keys, values, at = rows.keys[:, :20], rows.values[:, :20], rows.positions[:, :20]
        double = [torch.cat([part, part[:, -1:]], dim=1) for part in (keys, values, at)]
        bias = torch.zeros(2, 20)
        bias[:, -1] = math.log(2)
        twice.append(Rows(*double))
        once.append(Rows(keys, values, at, bias=bias))
    logits = [Continuation(model, Held(tuple(x), 20)).feed(NEXT) for x in (twice, once)]
    torch.testing.assert_close(logits[0], logits[1], atol=1e-4, rtol=1e-4)


def test_merged_rows_know_how_many_they_are(model: Any) -> None:
    held = ZeroMerge(residual=0.25, tail=0.25).compress(model, TEXT, ratio=0.75)
    for rows in held.layers:
        assert rows.bias is not None
        assert rows.bias.exp().sum(dim=1).tolist() == pytest.approx([160, 160])
        assert int((rows.bias > 0).sum(dim=1)[0]) == 10
        assert rows.positions[:, -10:].tolist() == [list(range(150, 160))] * 2


def test_equal_neighbours_are_merged_into_themselves() -> None:
    chance = torch.Generator().manual_seed(0)
    keys = torch.randn(1, 8, 4, generator=chance).repeat_interleave(2, dim=1)
    values = torch.randn(1, 8, 4, generator=chance).repeat_interleave(2, dim=1)
    merger = KVMerger(sinks=0, recent=0)
    from memos.kvcache.compression.selection import LayerScore

    chosen = merger.select(LayerScore(0, torch.rand(1, 16, generator=chance), 1.0), keys, values, 8)
    torch.testing.assert_close(chosen.keys, keys[:, ::2])
    torch.testing.assert_close(chosen.values, values[:, ::2])
    assert (chosen.index // 2).tolist() == [list(range(8))]


def test_the_row_with_most_attention_is_the_pivot() -> None:
    from memos.kvcache.compression.selection import LayerScore

    keys = torch.ones(1, 6, 4)
    keys[:, 3:] = torch.tensor([1.0, -1.0, 1.0, -1.0])
    scores = torch.tensor([[0.1, 0.9, 0.3, 0.2, 0.1, 0.8]])
    chosen = KVMerger(sinks=0, recent=0).select(LayerScore(0, scores, 1.0), keys, keys, 2)
    assert chosen.index.tolist() == [[1, 5]]


def test_dropped_rows_go_to_the_nearest_kept() -> None:
    from memos.kvcache.compression.selection import LayerScore

    rows = torch.arange(6.0)[None, :, None].expand(1, 6, 2).contiguous()
    scores = torch.tensor([[9.0, 0, 0, 0, 8.0, 0]])
    chosen = Elastic().select(LayerScore(0, scores, 1.0), rows, rows, 2)
    # Row 2 is as near to 0 as to 4, and goes to the earlier one.
    assert chosen.keys[0, :, 0].tolist() == [1.0, 4.0]


def test_pruned_channels_take_no_room_and_add_nothing(model: Any, whole: Held) -> None:
    held = ThinK().compress(model, TEXT, ratio=0.25)
    rows = held.layers[0]
    assert rows.keys.shape == (2, 160, 12)
    restored = rows.full_keys()
    assert restored.shape == (2, 160, 16)
    same = (restored == whole.layers[0].keys).all(dim=1)
    assert same.sum(dim=1).tolist() == [12, 12]
    assert bool((restored.abs().sum(dim=1)[~same] == 0).all())


def test_a_layer_that_shares_holds_nothing(model: Any) -> None:
    held = KVSharer(threshold=-1.0).compress(model, TEXT, ratio=0.5)
    sharing = [rows for rows in held.layers if rows.source is not None]
    assert len(sharing) == 2
    assert all(rows.bytes == 0 for rows in sharing)
    run = Continuation(model, held)
    run.feed(NEXT)
    later = next(i for i, rows in enumerate(held.layers) if rows.source is not None)
    source = held.layers[later].source
    assert source is not None
    assert source < later
    assert torch.equal(run.rows_of(later)[0], run.rows_of(source)[0])


def test_no_layer_shares_where_it_changes_too_much(model: Any) -> None:
    held = KVSharer(threshold=1.1).compress(model, TEXT, ratio=0.5)
    assert all(rows.source is None and rows.count == 160 for rows in held.layers)


def test_states_of_a_block_and_back(model: Any, whole: Held) -> None:
    for held in (whole, *(policy(name).compress(model, TEXT, ratio=0.5) for name in POLICIES)):
        again = from_states(to_states(held), length=160)
        assert again.length == 160
        for rows, expected in zip(again.layers, held.layers, strict=True):
            assert torch.equal(rows.positions, expected.positions)
            assert torch.equal(rows.full_keys(), expected.full_keys())
            assert rows.source == expected.source
            assert (rows.bias is None) == (expected.bias is None)
            if rows.bias is not None and expected.bias is not None:
                assert torch.equal(rows.bias, expected.bias)


def test_layers_of_another_model_are_refused(model: Any) -> None:
    with pytest.raises(InvalidInput, match="another model"):
        Continuation(llama(num_hidden_layers=2), full(model, TEXT))


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=12), st.integers(1, 200), st.integers(0, 200)
)
def test_a_budget_is_spent_whole(wanted: list[float], keep: int, more: int) -> None:
    rows = keep + more
    found = spread(wanted, keep, rows)
    assert sum(found) == keep * len(wanted)
    assert all(0 <= size <= rows for size in found)


def test_a_budget_follows_what_is_wanted() -> None:
    assert spread([3.0, 1.0], 10, 100) == [15, 5]
    assert spread([3.0, 1.0], 10, 100, least=4) == [13, 7]
    assert spread([1e9, 1.0, 1.0], 10, 20) == [20, 5, 5]


def test_every_policy_cites_its_source() -> None:
    import sys

    for name, cls in POLICIES.items():
        text = (sys.modules[cls.__module__].__doc__ or "") + (cls.__doc__ or "")
        assert "https://" in text or name == "random", name
        if issubclass(cls, Scored):
            assert cls.__doc__, name


@pytest.mark.parametrize("name", POLICIES)
def test_a_text_that_was_read_before_need_not_be_read_again(
    name: str, model: Any, whole: Held
) -> None:
    chosen = policy(name)
    prompt = NEXT if chosen.guided else []
    anew = chosen.compress(model, TEXT, ratio=0.5, prompt=prompt)
    again = chosen.compress(model, TEXT, ratio=0.5, prompt=prompt, text=whole)
    for one, two in zip(anew.layers, again.layers, strict=True):
        assert torch.equal(one.positions, two.positions)
        assert torch.equal(one.keys, two.keys)
    with pytest.raises(InvalidInput, match="not of 159 rows"):
        chosen.compress(model, TEXT[:-1], ratio=0.5, text=whole)


def test_other_threads_may_use_the_model_meanwhile(model: Any) -> None:
    """Masks and observers of one thread are nothing to the others."""
    from concurrent.futures import ThreadPoolExecutor

    held = Recent().compress(model, TEXT, ratio=0.5)
    expected_short = Continuation(model, held).feed(NEXT)
    expected_long = expected_logits(model, TEXT, NEXT)

    def compressed(_: int) -> bool:
        return torch.allclose(Continuation(model, held).feed(NEXT), expected_short, atol=1e-4)

    def uncompressed(_: int) -> bool:
        return torch.allclose(expected_logits(model, TEXT, NEXT), expected_long, atol=1e-4)

    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(work, at) for at in range(20) for work in (compressed, uncompressed)]
        assert all(job.result() for job in jobs)
