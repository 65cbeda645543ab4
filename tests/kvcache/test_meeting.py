"""The end of a stored prefix is loaded while its beginning is computed.

The device is the CPU here: the ring, the copies and the tiers are those of an accelerator, and only
what asks whether there is one is answered otherwise.
"""

import threading

import pytest
import torch

from memos.benchmarks.activation.states import FULL
from memos.kvcache.cost import CostModel, LoadRate, RunRate
from memos.kvcache.layout import CacheLayout
from memos.kvcache.reuse.meeting import expected_s, worth
from memos.kvcache.reuse.prefix import PrefixReuse
from memos.kvcache.store.store import BlockStore
from memos.kvcache.tiers.device import DeviceTier
from memos.kvcache.tiers.tiers import Tiers
from tests.kvcache import local_models as local

PROMPT = [3 + (7 * index) % 90 for index in range(300)]
STORED = 256


def cost(layout: CacheLayout = FULL, *, run_s: float = 0.01, bytes_per_s: float = 1e6) -> CostModel:
    return CostModel(
        layout, RunRate(((1, run_s), (101, 101 * run_s)), 0.0), LoadRate(0, bytes_per_s)
    )


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    cpu = torch.device("cpu")
    monkeypatch.setattr("memos.kvcache.tiers.device.cuda_device", lambda name: cpu)
    return cpu


class Late(Tiers):
    """Whose blocks up to `late` wait for a signal, and whose others are there at once."""

    late = 1

    def __init__(self, store, **more):
        super().__init__(store, **more)
        self.signal = threading.Event()

    def coming(self, hit):
        waiting, opened = set(hit.blocks[: self.late]), self.store.file

        def file(block):
            if block in waiting:
                self.signal.wait()
            return opened(block)

        self.store.file = file
        found = super().coming(hit)
        for one in found[self.late :]:
            one.arriving.finish()
        return found


def reuse_of(model, tiers, **more):
    size = model.layout.bytes_of(64)
    even = cost(model.layout, bytes_per_s=size / 0.64)
    return PrefixReuse(model, tiers, piece_bytes=size, cost=even, **more)


@pytest.mark.parametrize("late", [0, 1, 3, 4])
@pytest.mark.parametrize("held", [0, 1 << 30])
def test_what_is_not_there_when_it_is_needed_is_computed(tmp_path, device, late, held):
    model = local.tiny("llama")
    plain = PrefixReuse(model).begin([PROMPT]).logits
    with BlockStore(tmp_path / "store", budget_bytes=1 << 30) as store:
        tiers = Late(store, device=DeviceTier(device, budget_bytes=held))
        tiers.late = late
        reuse = reuse_of(model, tiers)
        reuse.compile(PROMPT[:STORED])
        assert len(store.headers()) == 4
        begun = reuse.begin([PROMPT])
        tiers.signal.set()
        assert begun.cached == (STORED - 64 * late,)
        torch.testing.assert_close(begun.logits, plain, atol=1e-4, rtol=1e-4)
        assert reuse.counters.met == (0 < late < 4)
        assert reuse.counters.declined == (late == 4)
        assert len(tiers.device.shelf) == (4 - late if held else 0)
        tiers.late = 0
        reuse.cost = None
        again = reuse.begin([PROMPT])
        assert again.cached == (STORED,)
        torch.testing.assert_close(again.logits, plain, atol=1e-4, rtol=1e-4)
        tiers.close()


def test_a_block_that_cant_be_read_is_computed_with_all_before_it(tmp_path, device):
    model = local.tiny("llama")
    plain = PrefixReuse(model).begin([PROMPT]).logits
    with BlockStore(tmp_path / "store", budget_bytes=1 << 30) as store:
        tiers = Late(store, device=DeviceTier(device, budget_bytes=0))
        reuse = reuse_of(model, tiers)
        reuse.compile(PROMPT[:STORED])
        hit = tiers.find(reuse.root, PROMPT)
        path = store.path(hit.blocks[2])
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        tiers.late = 3
        tiers.signal.set()
        begun = reuse.begin([PROMPT])
        assert begun.cached == (64,)
        torch.testing.assert_close(begun.logits, plain, atol=1e-4, rtol=1e-4)
        tiers.close()


def test_rows_that_share_a_prefix_meet_it_once(tmp_path, device):
    model = local.tiny("llama")
    prompts = [[*PROMPT, 5], [*PROMPT, 7, 8], [*PROMPT[:280], 9]]
    plain = [PrefixReuse(model).begin([prompt]).logits[0] for prompt in prompts]
    with BlockStore(tmp_path / "store", budget_bytes=1 << 30) as store:
        tiers = Late(store, device=DeviceTier(device, budget_bytes=0))
        reuse = reuse_of(model, tiers)
        reuse.compile(PROMPT[:STORED])
        begun = reuse.begin(prompts)
        tiers.signal.set()
        tiers.close()
    assert begun.cached == (192, 192, 192)
    assert reuse.counters.met == 1
    for row, index in enumerate(begun.order):
        torch.testing.assert_close(begun.logits[row], plain[index], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("later", [False, True])
def test_pieces_are_whole_granules_and_end_where_the_text_does(tmp_path, later):
    model = local.tiny("llama")
    with BlockStore(tmp_path / "store", budget_bytes=1 << 30) as store:
        size = model.layout.bytes_of(100)
        reuse = PrefixReuse(model, store, piece_bytes=size, later=later)
        reuse.compile(PROMPT)
        store.flush()
        last = store.find(reuse.root, [*PROMPT, 1]).blocks[-1]
        found = [(one.start, one.end) for one in map(store.header, store.lineage(last))]
        assert found == [(0, 128), (128, 256), (256, 300)]
        assert store.find(reuse.root, [*PROMPT, 1]).tokens == 300


def test_both_ends_are_worth_it_only_where_neither_alone_is_as_fast():
    """Blocks of a second to run each, and of 0.1, 1 and 10 seconds to load."""
    runs = [(at, at + 100, {"disk": 1_000_000}) for at in range(0, 400, 100)]
    near = cost(FULL, bytes_per_s=1e7)
    even = cost(FULL, bytes_per_s=1e6)
    far = cost(FULL, bytes_per_s=1e5)
    assert expected_s(even, 0, runs, 410) == pytest.approx(2.0 + 0.1, abs=0.05)
    assert worth(even, 0, runs, 410)
    assert not worth(far, 0, runs, 410)
    assert not worth(near, 0, runs, 410)
    assert not worth(even, 0, runs[:1], 110)
    # What is there already is not computed.
    assert expected_s(even, 200, runs, 410) == pytest.approx(1.0 + 0.1, abs=1.05)
