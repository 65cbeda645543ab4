"""RAM, parallel reads; and what a machine without CUDA says to the device tier."""

import itertools
import os
import threading
from pathlib import Path

import pytest
import torch

from memos.benchmarks.activation.states import FULL, LAYOUTS, MIXED, equal, root, states
from memos.errors import BlockCorrupt, DeviceUnavailable
from memos.kvcache.blocks.block import RecurrentState, Source
from memos.kvcache.blocks.hashing import ids_of
from memos.kvcache.store.store import BlockStore
from memos.kvcache.tiers.budget import Budget
from memos.kvcache.tiers.device import DeviceCopies, DeviceTier, layer_ranges
from memos.kvcache.tiers.ram import RamTier
from memos.kvcache.tiers.reading import Reader
from memos.kvcache.tiers.shelf import Shelf
from memos.kvcache.tiers.tiers import Tiers
from tests.kvcache.filling import TEXT, loaded, put
from tests.local_model import tiny_model

# RAM


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_second_load_comes_from_ram_and_is_the_same(store: BlockStore, name: str) -> None:
    layout = LAYOUTS[name]
    tiers = Tiers(store, ram=RamTier(budget_bytes=1 << 20))
    put(tiers, TEXT[:128], layout=layout)
    put(tiers, TEXT, 128, layout=layout)
    assert loaded(tiers, layout=layout) == 200
    os.rename(store.path("x").parent, store.path("x").parent.with_name("away"))
    os.mkdir(store.path("x").parent)
    hit = store._catalog.tree.longest(root(), ids_of([*TEXT, 1]), ("raw",))
    assert hit
    assert equal(tiers.load(hit), states(layout, TEXT))
    assert tiers.stats().loads["ram"] == 2
    tiers.close()


def test_writing_to_states_from_ram_reaches_nobody(store: BlockStore) -> None:
    tiers = Tiers(store, ram=RamTier(budget_bytes=1 << 20))
    put(tiers, layout=MIXED)
    for _ in range(3):
        hit = tiers.longest(root(), [*TEXT, 1])
        assert hit
        mine = tiers.load(hit)
        assert equal(mine, states(MIXED, TEXT))
        for state in mine:
            if isinstance(state, RecurrentState):
                for tensor in state.tensors.values():
                    tensor.fill_(7)
            else:
                state.keys.fill_(7)
    assert tiers.stats().loads["ram"] == 2
    tiers.close()


def test_ram_keeps_its_budget_and_what_is_worth_most(store: BlockStore) -> None:
    ram = RamTier(budget_bytes=100_000)
    tiers = Tiers(store, ram=ram)
    prompts = [[first, *TEXT[:127]] for first in range(6)]
    for tokens in prompts:
        put(tiers, tokens)
    for _ in range(3):
        loaded(tiers, prompts[0])
    for tokens in prompts[1:]:
        loaded(tiers, tokens)
        assert tiers.stats().ram_bytes <= 100_000
    assert put(tiers, prompts[0]) in ram.shelf
    away = next(header for header in store.headers() if header.id not in ram.shelf)
    assert not ram.add(away, torch.zeros(200_000, dtype=torch.uint8))
    tiers.close()


def test_what_is_forgotten_leaves_ram_too_even_by_another_process(
    store: BlockStore, folder: Path
) -> None:
    ram = RamTier(budget_bytes=1 << 20)
    tiers = Tiers(store, ram=ram)
    block = put(tiers, sources=[Source("secret", 1)])
    assert loaded(tiers) == 200
    assert block in ram.shelf
    with BlockStore(folder, budget_bytes=1 << 30) as other:  # as another process would
        other.forget(["secret"])
    assert loaded(tiers) == 0
    assert block not in ram.shelf
    assert ram.shelf.bytes == 0
    tiers.close()


def test_prefetch_brings_blocks_into_ram_and_passes_over_what_is_gone(store: BlockStore) -> None:
    tiers = Tiers(store, ram=RamTier(budget_bytes=1 << 20))
    put(tiers, TEXT[:128])
    gone = put(tiers, TEXT, 128)
    hit = tiers.longest(root(), [*TEXT, 1])
    assert hit
    os.unlink(store.path(gone))
    tiers.prefetch([hit, hit]).result()
    assert hit.blocks[0] in tiers.ram.shelf
    assert store.stats().counts["prefetch_error"] == 1
    tiers.close()


def test_prefetch_without_ram_verifies_the_file(store: BlockStore) -> None:
    tiers = Tiers(store)
    block = put(tiers)
    hit = tiers.longest(root(), [*TEXT, 1])
    store.path(block).write_bytes(b"bad")
    tiers.prefetch([hit]).result()
    assert store.stats().quarantined == 1
    tiers.close()


def test_a_shelf_drops_the_least_valuable(store: BlockStore) -> None:
    shelf: Shelf[str] = Shelf(budget_bytes=10)
    headers = []
    for first in range(4):
        block = put(store, [first, *TEXT[:99]])
        headers.append(store.header(block))
    assert shelf.add(headers[0], "a", 4)
    assert shelf.add(headers[1], "b", 4)
    for _ in range(5):
        assert shelf.get(headers[0].id) == "a"
    assert shelf.add(headers[2], "c", 4)
    assert headers[1].id not in shelf
    assert not shelf.add(headers[3], "d", 11)
    assert (len(shelf), shelf.bytes) == (2, 8)
    shelf.clear()
    assert (len(shelf), shelf.bytes) == (0, 0)


def test_states_have_what_adapters_leave(store: BlockStore) -> None:
    budget = Budget(10)
    shelf: Shelf[str] = Shelf(budget_bytes=budget)
    headers = [store.header(put(store, [first, *TEXT[:99]])) for first in range(3)]
    assert shelf.add(headers[0], "a", 4)
    assert shelf.add(headers[1], "b", 4)
    shelf.get(headers[0].id)
    budget.take(5)
    assert (shelf.bytes, shelf.budget_bytes, headers[0].id in shelf) == (4, 5, True)
    budget.take(12)
    assert (shelf.bytes, shelf.budget_bytes) == (0, 0)
    assert not shelf.add(headers[2], "c", 1)
    budget.take(0)
    assert shelf.add(headers[2], "c", 9)


# Reads and the device


@pytest.mark.parametrize("part", [1, 1000, 1 << 20])
def test_parallel_reads_fill_memory_with_the_file(tmp_path: Path, part: int) -> None:
    content = os.urandom(50_000 if part > 1 else 500)
    path = tmp_path / "file"
    path.write_bytes(content)
    into = torch.zeros(len(content) - 100, dtype=torch.uint8)
    reader = Reader(threads=4, part_bytes=part)
    with open(path, "rb") as file:
        reader.read(file.fileno(), 100, into)
        assert into.numpy().tobytes() == content[100:]
        ranges = [(0, 10), (10, 10), (10, len(into))]
        into.zero_()
        for future in reader.start(file.fileno(), 100, into, ranges):
            future.result()
        assert into.numpy().tobytes() == content[100:]
        with pytest.raises(BlockCorrupt, match="too early"):
            reader.read(file.fileno(), 101, into)
    reader.close()


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("codec", ["raw", "int4", "lossless"])
def test_layer_ranges_cover_the_payload_in_order(store: BlockStore, name: str, codec: str) -> None:
    block = put(store, layout=LAYOUTS[name], codec=codec)
    header = store.header(block)
    ranges = layer_ranges(header.records, header.payload_bytes)
    assert ranges[0][0] == 0
    assert ranges[-1][1] == header.payload_bytes
    assert all(a[1] == b[0] for a, b in itertools.pairwise(ranges))
    for record, (first, last) in zip(header.records, ranges, strict=True):
        assert all(first <= piece.offset < last for piece in record.pieces.values())


def test_a_file_can_be_read_in_parallel_and_decoded(store: BlockStore) -> None:
    from memos.kvcache.codecs.coding import decoded

    file = store.file(put(store))
    payload = torch.empty(file.head.header.payload_bytes, dtype=torch.uint8)
    reader = Reader()
    reader.read(file.descriptor, file.head.offset, payload)
    assert equal(decoded(file.head.header, payload, None), states(FULL, TEXT))
    reader.close()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA here")
def test_without_cuda_the_device_tier_says_so() -> None:
    reader = Reader()
    for device in ("cuda", "cuda:7", "cpu"):
        with pytest.raises(DeviceUnavailable, match="CUDA"):
            DeviceTier(device, budget_bytes=1)
        with pytest.raises(DeviceUnavailable, match="RAM and disk"):
            DeviceCopies(device, reader)
    reader.close()


@pytest.mark.cuda
@pytest.mark.parametrize("codec", ["raw", "int8", "int4", "lossless"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_states_reach_the_device_layer_by_layer(store: BlockStore, name: str, codec: str) -> None:
    layout = LAYOUTS[name]
    plain = Tiers(store)
    device = DeviceTier("cuda", budget_bytes=1 << 24)
    tiers = Tiers(store, ram=RamTier(budget_bytes=1 << 24, pinned=True), device=device)
    put(tiers, layout=layout, codec=codec)
    hit = tiers.longest(root(), [*TEXT, 1])
    assert hit
    wanted = plain.load(hit)
    for _ in range(3):
        states_ = tiers.load(hit)
        for got, want in zip(states_, wanted, strict=True):
            if isinstance(got, RecurrentState):
                for part, tensor in got.tensors.items():
                    assert torch.equal(tensor.cpu(), want.tensors[part])
                    tensor.zero_()
                continue
            assert got.keys.device.type == "cuda"
            assert torch.allclose(got.keys.cpu().float(), want.keys.float(), atol=1e-2)
            got.keys.zero_()
    assert tiers.stats().loads["device"] == 2
    assert device.shelf.bytes > 0


@pytest.mark.cuda
@pytest.mark.parametrize("device_bytes", [0, 1 << 24])
def test_states_of_a_model_on_a_device_stay_there_within_the_setting(
    tmp_path: Path, device_bytes: int
) -> None:
    from memos.kvcache.activations import LocalActivations
    from memos.kvcache.generator.loading import load_model
    from memos.types import Opening, Prompting

    states = LocalActivations(
        lambda: load_model(tiny_model(), cache_dir=tmp_path / "models", device="cuda"),
        tmp_path / "kv",
        disk_bytes=1 << 30,
        ram_bytes=1 << 24,
        device_bytes=device_bytes,
        measured=False,
    )
    opening = Opening(text="The boat is yellow. " * 20, salt=b"salt" * 8, codec="raw")
    question = [{"role": "user", "content": "Which colour?"}]
    wanted = Prompting(max_new_tokens=8)
    whole = [piece.done for piece in states.stream(opening, question, wanted)][-1]
    kept = states.compile(opening, [])
    for _ in range(2):
        done = [piece.done for piece in states.stream(opening, question, wanted)][-1]
        assert done is not None
        assert whole is not None
        assert (done.text, done.reused_tokens) == (whole.text, kept.tokens)
    held = states.stats()["kv_device_bytes"]
    states.close()
    assert held >= kept.bytes if device_bytes else held == 0
    assert states._tiers.ram is not None
    assert states._tiers.ram.pinned


def test_many_threads_load_through_ram_while_it_evicts(store: BlockStore) -> None:
    tiers = Tiers(store, ram=RamTier(budget_bytes=100_000))
    prompts = [[first, *TEXT[:127]] for first in range(6)]
    for tokens in prompts:
        put(tiers, tokens)
    wrong = []

    def work(seed: int) -> None:
        for step in range(30):
            tokens = prompts[(seed * 7 + step) % 6]
            try:
                if loaded(tiers, tokens) != 128:
                    wrong.append(tokens)
            except BaseException as error:
                wrong.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert tiers.stats().ram_bytes <= 100_000
    tiers.close()
