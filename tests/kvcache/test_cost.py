"""Load or recompute: the model's arithmetic, and its calibration on a real model."""

import pytest

from memos.kvcache import cost as cost_module
from memos.kvcache.cost import CostModel, LoadRate, RunRate, calibrate
from memos.kvcache.layout import CacheLayout, LayerLayout
from tests.kvcache import local_models as local

LAYOUT = CacheLayout((LayerLayout("full", 2, 16, 16),), "float32")  # 256 bytes per token
RUN = RunRate(((1, 0.1), (10, 0.1), (110, 1.1)), pair_s=0.0)


@pytest.mark.parametrize(
    ("tokens", "seconds"), [(0, 0.0), (1, 0.1), (5, 0.1), (10, 0.1), (60, 0.6), (1010, 10.1)]
)
def test_a_run_is_interpolated_and_goes_on_straight(tokens, seconds):
    assert RUN.run_s(0, tokens) == pytest.approx(seconds)


def test_attention_counts_every_pair():
    run = RunRate(((1, 0.0),), pair_s=1.0)
    assert run.run_s(0, 4) == pytest.approx(2 + 3 + 4)  # the first one's is in its measurement
    assert run.run_s(10, 2) == pytest.approx(2 * 10 + 2)


def test_what_was_measured_does_not_hang_on_the_price_of_a_pair():
    points = ((1, 0.02), (256, 0.02), (1024, 0.03), (4096, 0.11), (16_384, 0.52))
    for pair_s in (0.0, 2e-9, 1e-6):
        run = RunRate(points, pair_s)
        assert [run.run_s(0, n) for n, _ in points] == [s for _, s in points]
        assert run.run_s(0, 20_000) >= 0.52


def test_a_hit_is_loaded_where_it_saves_more_than_it_takes():
    cost = CostModel(LAYOUT, RUN, LoadRate(0.05, 256_000.0))  # 1,000 tokens a second
    assert not cost.loads(0, 5, 15)  # saves 50 ms of 10 tokens, takes 55
    assert cost.loads(0, 100, 110)
    assert not cost.loads(90, 100, 110)  # loads all 100 to spare 10


def test_few_tokens_cost_as_much_as_one_so_nothing_is_saved():
    cost = CostModel(LAYOUT, RUN, LoadRate(0.001, 1e9))
    assert cost.saved_s(0, 4, 9) == 0.0
    assert not cost.loads(0, 4, 9)


def test_nothing_is_looked_for_that_would_not_be_loaded():
    cost = CostModel(LAYOUT, RUN, LoadRate(0.05, 256_000.0), nearer={"ram": LoadRate(0.001, 1e9)})
    assert not cost.looks(0, 4, 9)
    assert cost.looks(0, 100, 110)
    for done in (0, 5, 90):
        for hit in (10, 50, 100, 1000):
            held = {"ram": LAYOUT.bytes_of(hit)}
            wanted = cost.loads(done, hit, hit + 10, held)
            assert cost.looks(done, hit, hit + 10) or not wanted


def test_what_is_elsewhere_is_waited_for_only_where_that_pays():
    cost = CostModel(LAYOUT, RUN, LoadRate(0.05, 256_000.0))
    assert cost.loads(0, 100, 110)  # saves 1 s, takes 150 ms
    assert cost.fetches(0, 100, 110, 0.6)
    assert not cost.fetches(0, 100, 110, 0.7)
    assert not cost.fetches(0, 100, 110, None)
    assert not cost.fetches(50, 100, 110, 0.6)


@pytest.mark.parametrize("kind", ["llama", "gemma3", "lfm2"])
def test_calibration_measures_the_model_at_hand(kind, tmp_path):
    cost = calibrate(local.tiny(kind), tmp_path / "store")
    seconds = [s for _, s in cost.run.points]
    assert seconds == sorted(seconds)
    assert len(seconds) >= 2
    assert cost.load.bytes_per_s > 0
    assert cost.run.run_s(0, 2000) >= cost.run.run_s(0, 20) > 0
    assert set(cost.describe()) >= {"run_s", "open_ms", "load_mb_per_s"}
    assert list((tmp_path / "store").iterdir()) == []


def test_one_slow_open_of_the_disk_does_not_speak_against_all_loads(tmp_path, monkeypatch):
    slow = iter([0.02, 1e-4])
    monkeypatch.setattr(cost_module, "_first_read", lambda *_: (next(slow), 2e-3))
    cost = calibrate(local.tiny("llama"), tmp_path)
    assert cost.load.open_s == 1e-3
    assert cost.load.bytes_per_s == pytest.approx((8 << 20) / 4e-3)
