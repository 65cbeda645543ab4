"""The ways to a device that need none to be tested: the ring, late layers, checks in parallel."""

import os
from concurrent.futures import Future
from dataclasses import replace

import pytest
import torch

from memos.benchmarks.activation.states import FULL, LAYOUTS, equal, root, states
from memos.errors import BlockCorrupt
from memos.kvcache.blocks.file import read_head
from memos.kvcache.blocks.joining import joined
from memos.kvcache.codecs.coding import decoded
from memos.kvcache.codecs.registry import codec_named
from memos.kvcache.codecs.together import decode, groups
from memos.kvcache.cost import CostModel, LoadRate, RunRate
from memos.kvcache.reuse.prefix import PrefixReuse
from memos.kvcache.store.store import BlockStore
from memos.kvcache.store.verifying import check_file
from memos.kvcache.tiers.device import Arriving, layer_ranges
from memos.kvcache.tiers.lazy import LazyStates, joined_later
from memos.kvcache.tiers.ram import RamTier
from memos.kvcache.tiers.reading import Reader
from memos.kvcache.tiers.staging import Bus, Staging, Transfer
from memos.kvcache.tiers.tiers import Tiers
from tests.kvcache import local_models as local

TEXT = list(range(100, 292))


@pytest.fixture
def reader():
    found = Reader(threads=3, part_bytes=700)
    yield found
    found.close()


def staging(reader, **sizes):
    return Staging(Bus(torch.device("cpu")), reader, **sizes)


def transfers(descriptor, offset, payload, ranges, sent):
    return [
        Transfer(descriptor, offset, payload, first, last, told)
        for (first, last), told in zip(ranges, sent, strict=True)
    ]


@pytest.mark.parametrize(("slot_bytes", "slots"), [(1000, 4), (1 << 20, 2), (77, 1), (4096, 24)])
def test_the_ring_fills_a_payload_of_any_size_in_order(tmp_path, reader, slot_bytes, slots):
    content = os.urandom(50_000)
    path = tmp_path / "file"
    path.write_bytes(content)
    ring = staging(reader, slot_bytes=slot_bytes, slots=slots)
    ranges = [(0, 9), (9, 9), (9, 20_000), (20_000, len(content) - 100)]
    for _ in range(2):  # the second time all slots are there already
        payload = ring.bus.target(len(content) - 100).zero_()
        sent = [Future() for _ in ranges]
        with open(path, "rb") as file:
            ring.send(transfers(file.fileno(), 100, payload, ranges, sent))
        assert [future.result() for future in sent] == [None] * 4
        assert payload.numpy().tobytes() == content[100:]


def test_who_waits_for_a_range_hears_that_the_file_ended(tmp_path, reader):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(3000))
    ring = staging(reader, slot_bytes=500, slots=2)
    sent = [Future(), Future()]
    with open(path, "rb") as file:
        ranges = [(0, 1000), (1000, 4000)]
        ring.send(transfers(file.fileno(), 0, ring.bus.target(4000), ranges, sent))
    assert sent[0].result() is None
    with pytest.raises(BlockCorrupt, match="too early"):
        sent[1].result()


def test_a_disk_error_is_told_as_a_block_that_cant_be_read(reader):
    ring = staging(reader, slot_bytes=500, slots=2)
    sent = [Future()]
    ring.send(transfers(-1, 0, ring.bus.target(1000), [(0, 1000)], sent))
    with pytest.raises(BlockCorrupt, match="can't be read"):
        sent[0].result()


def test_layers_are_made_once_and_only_when_asked_for():
    made = []
    whole = states(FULL, TEXT)
    lazy = LazyStates(3, lambda at: made.append(at) or whole[at])
    assert len(lazy) == 3
    assert not made
    assert lazy[1] is whole[1]
    assert lazy[-1] is whole[2]
    assert lazy[1:] == whole[1:]
    assert made == [1, 2]
    with pytest.raises(IndexError):
        lazy[3]


def test_runs_joined_later_are_the_same(reader):
    runs = [states(FULL, TEXT[:64]), states(FULL, TEXT, start=64)]
    assert equal(list(joined_later(runs, FULL)), joined(runs, FULL))


@pytest.fixture
def filled(tmp_path):
    with BlockStore(tmp_path / "store", budget_bytes=1 << 30) as store:
        block = store.put(root(), TEXT, 0, states(FULL, TEXT), layout=FULL)
        yield store, block


@pytest.mark.parametrize("codec", ["raw", "int4", "int8", "k8v4", "int2"])
def test_an_arriving_block_gives_what_the_file_holds(filled, reader, codec):
    store, _ = filled
    block = store.put(root(codec), TEXT, 0, states(FULL, TEXT), layout=FULL, codec=codec)
    file = store.file(block)
    header = file.head.header
    ranges = layer_ranges(header.records, header.payload_bytes)
    ring = staging(reader, slot_bytes=1000)
    sent = [Future() for _ in ranges]
    arriving = Arriving(header, ring.bus.target(header.payload_bytes), sent)
    late = arriving.states()
    ring.send(transfers(file.descriptor, file.head.offset, arriving.payload, ranges, sent))
    arriving.finish()
    assert equal(list(late), decoded(header, file.map(), None))
    assert equal(
        [layer for run in arriving.layers(64) for layer in run], decoded(header, file.map(), 64)
    )


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("most_bytes", [1, 1 << 20])
def test_alike_layers_are_decoded_together(filled, layout, most_bytes):
    store, _ = filled
    salt = root(f"{layout}{most_bytes}")
    block = store.put(salt, TEXT, 0, states(layout, TEXT), layout=layout, codec="int4")
    header, codec = store.header(block), codec_named("int4")
    found = groups(codec, header.records, layout, most_bytes=most_bytes)
    assert [at for group in found for at in group] == list(range(len(layout.layers)))
    assert any(len(group) > 1 for group in found) is (layout.uniform and most_bytes > 1)
    payload = torch.cat([torch.zeros(64, dtype=torch.uint8), store.file(block).map()])[64:]
    for group in found:
        if len(group) > 1:
            states_ = decode(codec, payload, header.records, layout, group, rows=70)
            wanted = codec.decode(payload, header.records, layout, rows=70, layers=group)
            assert equal(states_, wanted)


def test_a_failed_arrival_is_told(filled):
    store, block = filled
    sent = [Future(), Future(), Future()]
    arriving = Arriving(store.header(block), torch.empty(0, dtype=torch.uint8), sent)
    told = []
    arriving.on_failure(lambda: told.append(True))
    sent[2].set_exception(BlockCorrupt("gone"))
    assert told == [True]


def test_files_are_verified_in_parallel(filled):
    store, block = filled
    descriptor = os.open(store.path(block), os.O_RDONLY)
    try:
        head = read_head(descriptor)
        check_file(descriptor, head)
        wrong = replace(head, header=replace(head.header, checksum="0" * 32))
        with pytest.raises(BlockCorrupt, match="checksum"):
            check_file(descriptor, wrong)
    finally:
        os.close(descriptor)


def test_a_large_file_with_a_flipped_bit_is_refused(filled, monkeypatch):
    monkeypatch.setattr("memos.kvcache.store.opened.LARGE_BYTES", 1)
    store, block = filled
    content = bytearray(store.path(block).read_bytes())
    content[-1] ^= 1
    store.path(block).write_bytes(bytes(content))
    with pytest.raises(BlockCorrupt, match="checksum"):
        store.file(block)


def test_lent_states_say_where_they_are(filled):
    store, block = filled
    ram = RamTier(budget_bytes=1 << 24)
    tiers = Tiers(store, ram=ram)
    hit = tiers.longest(root(), [*TEXT, 1])
    size = store.header(block).payload_bytes
    assert tiers.held(hit) == {"device": 0, "ram": 0, "disk": size}
    assert store.held(hit) == {"disk": size}
    assert equal(list(tiers.lend(hit)), states(FULL, TEXT))
    assert tiers.held(hit) == {"device": 0, "ram": size, "disk": 0}
    tiers.close()


def test_a_nearer_tier_is_worth_a_load_that_the_disk_is_not():
    nearer = {"ram": LoadRate(0.0, 1e9), "device": LoadRate(0.0, float("inf"))}
    run = RunRate(((1, 0.01), (100, 1.0)), 0.0)
    cost = CostModel(FULL, run, LoadRate(0.05, 1e3), nearer=nearer)
    size = FULL.bytes_of(64)
    assert not cost.loads(0, 64, 80, {"disk": size})
    assert cost.loads(0, 64, 80, {"ram": size, "disk": 0})
    assert cost.loads(0, 64, 80, {"device": size})
    assert set(cost.describe()) >= {"ram_mb_per_s", "device_mb_per_s"}


class Failing(Tiers):
    """Whose states are promised and don't come."""

    def lend(self, hit):
        def fail(at):
            raise BlockCorrupt("the disk was pulled out")

        return LazyStates(len(self._layout(hit).layers), fail)


def test_states_that_dont_arrive_are_computed_again(tmp_path):
    model = local.tiny("llama")
    prompt = [3 + index % 90 for index in range(150)]
    plain = PrefixReuse(model).begin([prompt]).logits
    with BlockStore(tmp_path / "store", budget_bytes=1 << 30) as store:
        PrefixReuse(model, store).compile(prompt[:128])
        tiers = Failing(store)
        reuse = PrefixReuse(model, tiers)
        begun = reuse.begin([prompt])
        tiers.close()
    assert torch.equal(begun.logits, plain)
    assert begun.cached == (0,)
    assert reuse.counters.recomputed == 1
