"""What the store promises to one process."""

import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from memos.benchmarks.activation.states import FULL, LAYOUTS, MIXED, equal, root, states
from memos.errors import (
    BlockCorrupt,
    BlockNotFound,
    InvalidInput,
    StorageFull,
    StorageUnavailable,
)
from memos.kvcache.blocks.block import LayerStates, RecurrentState, Source
from memos.kvcache.store import folder as folder_module
from memos.kvcache.store.store import BlockStore
from tests.kvcache.quick import within

TEXT = list(range(1000, 1300))


def put(store: BlockStore, tokens: list[int], start: int = 0, layout=FULL, key="root", **more):
    return store.put(root(key), tokens, start, states(layout, tokens, start), layout=layout, **more)


def loaded(store: BlockStore, tokens: list[int], layout=FULL, key="root") -> int:
    """Length of the hit, after its states were compared with those of a prefill."""
    hit = store.longest(root(key), tokens)
    if hit is None:
        return 0
    assert equal(store.load(hit), states(layout, tokens[: hit.tokens]))
    return hit.tokens


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_was_stored_is_found_and_loaded(store: BlockStore, name: str) -> None:
    layout = LAYOUTS[name]
    put(store, TEXT, layout=layout)
    assert loaded(store, [*TEXT, 1], layout) == 300


@pytest.mark.parametrize("name", LAYOUTS)
def test_it_is_there_after_a_restart(folder: Path, name: str) -> None:
    layout = LAYOUTS[name]
    with BlockStore(folder, budget_bytes=1 << 30) as first:
        put(first, TEXT[:128], layout=layout)
        put(first, TEXT, 128, layout=layout)
    with BlockStore(folder, budget_bytes=1 << 30) as second:
        assert loaded(second, [*TEXT, 1], layout) == 300
        assert second.stats().blocks == 2


def test_one_token_is_always_left_to_compute(store: BlockStore) -> None:
    put(store, TEXT)
    assert loaded(store, TEXT) == 299
    assert loaded(store, TEXT[:100]) == 99
    assert loaded(store, TEXT[:2]) == 1
    assert store.longest(root(), TEXT[:1]) is None
    assert store.longest(root(), []) is None


def test_windows_and_recurrent_states_are_used_whole_or_not_at_all(store: BlockStore) -> None:
    put(store, TEXT[:128], layout=MIXED)
    put(store, TEXT, 128, layout=MIXED)
    assert loaded(store, [*TEXT, 1], MIXED) == 300
    assert loaded(store, TEXT, MIXED) == 128
    assert loaded(store, TEXT[:129], MIXED) == 128
    assert loaded(store, TEXT[:128], MIXED) == 0


def test_a_prompt_that_leaves_inside_a_block_uses_what_is_common(store: BlockStore) -> None:
    put(store, TEXT)
    fork = [*TEXT[:200], 5, 6, 7]
    assert loaded(store, fork) == 200
    branch = [*TEXT[:192], *range(100)]
    put(store, branch, 192)
    assert loaded(store, [*branch, 1]) == 292
    assert loaded(store, [*TEXT, 1]) == 300


def test_another_root_finds_nothing(store: BlockStore) -> None:
    put(store, TEXT, key="tenant a")
    assert store.longest(root("tenant b"), [*TEXT, 1]) is None
    b = put(store, TEXT, key="tenant b")
    assert store.stats().blocks == 2
    assert b in {header.id for header in store.headers(root("tenant b"))}
    assert store.drop_root(root("tenant b")) == [b]
    assert loaded(store, [*TEXT, 1], key="tenant a") == 300


def test_token_ids_are_compared_even_if_links_should_collide(
    store: BlockStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every link the same: the worst hash there can be still serves nobody another's states."""
    flat = SimpleNamespace(digest=lambda: b"\0" * 32)
    monkeypatch.setattr(
        "memos.kvcache.blocks.hashing.hashlib", SimpleNamespace(sha256=lambda _: flat)
    )
    put(store, TEXT)
    other = [*range(64), *TEXT[64:]]
    assert store.longest(root(), [*other, 1]) is None
    assert loaded(store, [*TEXT[:70], *range(64)]) == 70


def test_writing_to_loaded_states_changes_nothing_stored(store: BlockStore) -> None:
    for layout in (FULL, MIXED):
        put(store, TEXT, layout=layout, key=layout.dtype)
        for _ in range(2):
            hit = store.longest(root(layout.dtype), [*TEXT, 1])
            assert hit
            first, second = store.load(hit), store.load(hit)
            for state in first:
                parts = (
                    state.tensors.values()
                    if isinstance(state, RecurrentState)
                    else (state.keys, state.values)
                )
                for tensor in parts:
                    tensor.zero_()
            assert equal(second, states(layout, TEXT))
            assert loaded(store, [*TEXT, 1], layout, layout.dtype) == 300


def test_the_states_that_were_put_may_change_afterwards(store: BlockStore) -> None:
    mine = states(FULL, TEXT)
    store.put_later(root(), TEXT, 0, mine, layout=FULL)
    for layer in mine:
        assert isinstance(layer, LayerStates)
        layer.keys.zero_()
    store.flush()
    assert loaded(store, [*TEXT, 1]) == 300


def test_the_same_again_is_not_written_again(store: BlockStore) -> None:
    first = put(store, TEXT)
    before = store.path(first).stat()
    assert put(store, TEXT) == first
    assert put(store, TEXT[:100]) == first  # a part of it is there as well
    assert store.path(first).stat().st_mtime_ns == before.st_mtime_ns
    assert store.stats().blocks == 1
    assert store.stats().counts["duplicate"] == 2


def test_the_same_from_another_source_carries_both(store: BlockStore) -> None:
    first = put(store, TEXT, sources=[Source("a", 1)])
    assert put(store, TEXT, sources=[Source("b", 3)]) == first
    assert store.header(first).sources == (Source("a", 1), Source("b", 3))
    assert loaded(store, [*TEXT, 1]) == 300
    assert store.forget(["b"]) == [first]
    assert loaded(store, [*TEXT, 1]) == 0


def test_a_block_without_its_parent_is_not_stored(store: BlockStore) -> None:
    assert put(store, TEXT, 128) is None
    assert store.stats().counts["not_stored_orphan"] == 1


@pytest.mark.parametrize("start", [1, 63, -64, 320, 1000])
def test_a_start_off_the_granules_is_refused(store: BlockStore, start: int) -> None:
    with pytest.raises(InvalidInput, match="can't start"):
        store.put(root(), TEXT, start, states(FULL, TEXT), layout=FULL)


def test_states_that_do_not_fit_are_refused(store: BlockStore) -> None:
    good = states(FULL, TEXT)
    short = states(FULL, TEXT[:299])
    wrong = [LayerStates(s.keys.float(), s.values, s.start) for s in good]
    for bad in (good[:2], short, wrong, states(MIXED, TEXT)):
        with pytest.raises(InvalidInput, match="layer"):
            store.put(root(), TEXT, 0, bad, layout=FULL)
    moved = states(MIXED, TEXT[:290])
    with pytest.raises(InvalidInput, match="layer 0"):
        store.put(root(), TEXT, 0, moved, layout=MIXED)
    with pytest.raises(InvalidInput, match="root key"):
        store.put(b"short", TEXT, 0, good, layout=FULL)
    with pytest.raises(InvalidInput, match="no codec"):
        store.put(root(), TEXT, 0, good, layout=FULL, codec="zip")
    assert store.stats().blocks == 0


def test_a_longer_window_than_needed_is_cut(store: BlockStore) -> None:
    full = states(MIXED, TEXT)
    sliding = full[1]
    assert isinstance(sliding, LayerStates)
    pad = torch.zeros(1, 5, 16)
    longer = LayerStates(
        torch.cat([pad, sliding.keys], 1), torch.cat([pad, sliding.values], 1), sliding.start - 5
    )
    store.put(root(), TEXT, 0, [full[0], longer, full[2]], layout=MIXED)
    assert loaded(store, [*TEXT, 1], MIXED) == 300


def test_modes_let_only_the_owner_read(store: BlockStore, folder: Path) -> None:
    block = put(store, TEXT, sources=[Source("a", 1)])
    store.pin(block)
    store.path(block).write_bytes(b"bad")
    with pytest.raises(BlockCorrupt):
        store.open(block)
    store.forget(["b"])
    for path in [folder, *folder.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_compressed_blocks_are_found_only_by_their_policy(store: BlockStore) -> None:
    kept = torch.arange(0, 300, 3, dtype=torch.int32)
    less = [
        LayerStates(s.keys[:, ::3], s.values[:, ::3], 0, kept)
        for s in states(FULL, TEXT)
        if isinstance(s, LayerStates)
    ]
    store.put(root(), TEXT, 0, less, layout=FULL, policy="thirds")
    assert store.longest(root(), [*TEXT, 1]) is None
    hit = store.longest(root(), [*TEXT, 1], policy="thirds")
    assert hit is not None
    first = store.load(hit)[0]
    assert isinstance(first, LayerStates)
    assert first.positions is not None
    assert torch.equal(first.positions, kept)
    assert torch.equal(first.keys, less[0].keys)
    assert store.longest(root(), TEXT, policy="thirds") is None  # not in part


def test_codecs_that_will_not_do_are_passed_over(store: BlockStore) -> None:
    put(store, TEXT, codec="int8")
    assert store.longest(root(), [*TEXT, 1], codecs=("raw", "lossless")) is None
    put(store, TEXT)
    hit = store.longest(root(), [*TEXT, 1])
    assert hit
    assert store.header(hit.blocks[0]).codec == "raw"


# Damage


def test_a_damaged_file_is_quarantined_and_computed_again(store: BlockStore, folder: Path) -> None:
    block = put(store, TEXT)
    content = bytearray(store.path(block).read_bytes())
    content[-1] ^= 1
    store.path(block).write_bytes(content)
    hit = store.longest(root(), [*TEXT, 1])
    assert hit
    with pytest.raises(BlockCorrupt, match="quarantine"):
        store.load(hit)
    assert store.longest(root(), [*TEXT, 1]) is None
    [reason] = (folder / "quarantine").glob("*.txt")
    assert "checksum" in reason.read_text()
    assert store.stats().quarantined == 1
    assert store.stats().counts["corrupt"] == 1
    put(store, TEXT)
    assert loaded(store, [*TEXT, 1]) == 300


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_is_quarantined(folder: Path, kind: str) -> None:
    with BlockStore(folder, budget_bytes=1 << 30) as first:
        path = first.path(put(first, TEXT)).with_name("0" * 64 + ".safetensors")
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    with BlockStore(folder, budget_bytes=1 << 30) as second:
        assert second.stats().quarantined == 1
        assert loaded(second, [*TEXT, 1]) == 300
        assert second.forget(["s1"]) is not None
    assert not path.exists()


def test_damage_after_a_restart_is_noticed(folder: Path) -> None:
    with BlockStore(folder, budget_bytes=1 << 30) as first:
        block = put(first, TEXT)
    content = bytearray(first.path(block).read_bytes())
    content[100] ^= 1
    first.path(block).write_bytes(content)
    with BlockStore(folder, budget_bytes=1 << 30) as second:
        assert second.stats().quarantined == 1
        assert loaded(second, [*TEXT, 1]) == 0


def test_a_child_of_a_damaged_block_is_not_served_and_goes_at_gc(store: BlockStore) -> None:
    parent = put(store, TEXT[:128])
    child = put(store, TEXT, 128)
    store.path(parent).write_bytes(b"")
    with pytest.raises(BlockCorrupt):
        store.open(parent)
    assert loaded(store, [*TEXT, 1]) == 0
    assert store.gc() == [child]
    assert store.stats().bytes == 0


def test_a_file_that_somebody_deleted_is_a_miss(store: BlockStore) -> None:
    block = put(store, TEXT)
    hit = store.longest(root(), [*TEXT, 1])
    assert hit
    os.unlink(store.path(block))
    with pytest.raises(BlockNotFound):
        store.load(hit)
    assert loaded(store, [*TEXT, 1]) == 0


def test_a_block_is_durable_before_it_is_seen(
    store: BlockStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes, then its name, then the name of the name: a machine may lose power in between."""
    done: list[str] = []
    fsync, rename = os.fsync, os.rename

    def synced(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        done.append("folder" if is_folder else f"file of {os.fstat(descriptor).st_size}")
        fsync(descriptor)

    def renamed(old: object, new: Path) -> None:
        assert store.find(root(), [*TEXT, 1]) is None
        done.append("rename")
        rename(old, new)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "rename", renamed)
    block = put(store, TEXT)
    size = (folder / "blocks" / f"{block}.safetensors").stat().st_size
    assert done == [f"file of {size}", "rename", "folder"]


def test_a_block_that_could_not_be_written_is_not_there(
    store: BlockStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither here nor for another process, nor after a restart."""

    def refuse(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "rename", refuse)
        with pytest.raises(StorageUnavailable):
            put(store, TEXT)
    assert loaded(store, [*TEXT, 1]) == 0
    assert not list((folder / "blocks").iterdir())
    with BlockStore(folder, budget_bytes=1 << 30) as other:
        assert loaded(other, [*TEXT, 1]) == 0
        put(other, TEXT)
    assert loaded(store, [*TEXT, 1]) == 300


def test_a_block_that_is_being_written_is_not_read(
    store: BlockStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    with BlockStore(folder, budget_bytes=1 << 30) as other:
        write = folder_module.write_all

        def written(descriptor: int, content: bytes | memoryview) -> None:
            seen.extend(loaded(one, [*TEXT, 1]) for one in (store, other))
            write(descriptor, content)
            seen.extend(loaded(one, [*TEXT, 1]) for one in (store, other))

        monkeypatch.setattr(folder_module, "write_all", written)
        put(store, TEXT)
        assert seen == [0] * 8
        assert loaded(other, [*TEXT, 1]) == 300


def test_what_a_crash_left_unfinished_is_removed(folder: Path) -> None:
    with BlockStore(folder, budget_bytes=1 << 30) as store:
        put(store, TEXT)
        (folder / "blocks" / "abc.123.tmp").write_bytes(b"half")
        assert loaded(store, [*TEXT, 1]) == 300
        put(store, [1, *TEXT])
        assert not list((folder / "blocks").glob("*.tmp"))
        (folder / "blocks" / "abc.123.tmp").write_bytes(b"half")
    with BlockStore(folder, budget_bytes=1 << 30) as store:
        assert not list((folder / "blocks").glob("*.tmp"))
        assert store.stats().blocks == 2


def test_foreign_files_do_no_harm(folder: Path) -> None:
    (folder / "blocks").mkdir(parents=True)
    (folder / "blocks" / "notes.safetensors").write_text("not a block")
    (folder / "blocks" / "README").write_text("hello")
    with BlockStore(folder, budget_bytes=1 << 30) as store:
        assert store.stats().quarantined == 1
        assert (folder / "blocks" / "README").exists()
        put(store, TEXT)
        assert loaded(store, [*TEXT, 1]) == 300


# Forgetting


def test_forgetting_deletes_carriers_and_all_that_follows(store: BlockStore, folder: Path) -> None:
    shared = put(store, TEXT[:64])
    secret = put(store, TEXT[:128], 64, sources=[Source("secret", 2)])
    after = put(store, TEXT, 128)
    other = put(store, [*TEXT[:64], *range(80)], 64, sources=[Source("other", 1)])
    store.pin(after)
    hit = store.longest(root(), [*TEXT, 1])
    assert hit
    assert store.forget(["secret", "unknown"]) == sorted([secret, after])
    assert {path.stem for path in (folder / "blocks").iterdir()} == {shared, other}
    with pytest.raises(BlockNotFound):
        store.load(hit)
    assert loaded(store, [*TEXT, 1]) == 64
    assert store.forget(["secret"]) == []


def test_forgetting_reaches_damaged_files(store: BlockStore) -> None:
    block = put(store, TEXT, sources=[Source("secret", 1)])
    store.path(block).write_bytes(store.path(block).read_bytes()[:-1])
    with pytest.raises(BlockCorrupt):
        store.open(block)
    assert store.stats().quarantined == 1
    store.forget(["secret"])
    assert store.stats().quarantined == 0


def test_states_on_their_way_when_a_source_is_forgotten_are_refused(store: BlockStore) -> None:
    born = store.generation  # before the states were computed
    store.forget(["secret"])
    late = [Source("secret", 1)]
    assert put(store, TEXT, sources=late, born=born) is None
    assert store.stats().counts["not_stored_forgotten"] == 1
    assert put(store, TEXT, sources=[Source("secret", 2)])  # compiled anew


# Budget


def test_the_budget_is_kept_and_the_least_useful_goes(folder: Path) -> None:
    with BlockStore(folder, budget_bytes=450_000) as store:
        for first in range(12):
            tokens = [first, *TEXT[:255]]
            assert put(store, tokens)
            assert store.stats().bytes <= 450_000
            loaded(store, [0, *TEXT[:255], 1])  # the first is used all the time
        assert store.stats().counts["evicted"] > 0
        assert loaded(store, [0, *TEXT[:255], 1]) == 256
        assert loaded(store, [1, *TEXT[:255], 1]) == 0


def test_parents_outlive_children_and_pins_hold(folder: Path) -> None:
    with BlockStore(folder, budget_bytes=220_000) as store:
        parent = put(store, TEXT[:128])
        child = put(store, TEXT, 128)
        pinned = put(store, [5, *TEXT[:200]])
        store.pin(pinned)
        for first in range(100, 112):
            put(store, [first, *TEXT[:255]])
            left = {header.id for header in store.headers()}
            assert pinned in left
            assert parent in left or child not in left
        assert store.stats().pinned == 1
    with BlockStore(folder, budget_bytes=220_000) as store:
        assert store.stats().pinned == 1
        store.unpin(pinned)
        store.drop(pinned)
        assert pinned not in store


def test_what_does_not_fit_is_not_stored(folder: Path) -> None:
    with BlockStore(folder, budget_bytes=40_000) as store:
        assert put(store, TEXT) is None
        assert store.stats().counts["not_stored_large"] == 1
        small = TEXT[:64]
        kept = put(store, small)
        store.pin(kept)
        assert put(store, [9, *small]) is None
        assert store.stats().counts["not_stored_full"] == 1


def test_a_read_that_is_going_on_keeps_its_block(folder: Path) -> None:
    with BlockStore(folder, budget_bytes=60_000) as store:
        put(store, TEXT[:128])
        hit = store.longest(root(), TEXT[:129])
        assert hit
        with store.using(hit):
            assert put(store, [9, *TEXT[:127]]) is None
        assert put(store, [9, *TEXT[:127]])


# In the background


def test_a_full_queue_refuses_and_counts(folder: Path) -> None:
    with BlockStore(folder, budget_bytes=1 << 30, queue_blocks=1) as store:
        with store.alone():  # no writer comes through
            taken = [
                store.put_later(root(), [n, *TEXT], 0, states(FULL, [n, *TEXT]), layout=FULL)
                for n in range(4)
            ]
        store.flush()
        assert taken[0]
        assert not all(taken)
        stats = store.stats()
        assert stats.counts["not_stored_queue"] == taken.count(False)
        assert stats.blocks == taken.count(True)


def test_an_error_in_the_background_is_raised_by_flush(
    store: BlockStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("memos.kvcache.store.folder.write_all", refuse)
    store.put_later(root(), TEXT, 0, states(FULL, TEXT), layout=FULL)
    with pytest.raises(StorageFull, match="no room"):
        store.flush()
    store.flush()
    assert store.stats().counts["not_stored_full"] == 1
    assert store.stats().blocks == 0


def test_a_root_with_thousands_of_children_is_still_looked_up_in_2_ms(store: BlockStore) -> None:
    from dataclasses import replace

    from memos.kvcache.blocks.hashing import chain, ids_of
    from memos.kvcache.store.tree import Tree

    put(store, TEXT)
    [header] = store.headers()
    tree = Tree()
    for first in range(5000):
        ids = ids_of([first, *range(300)])
        tree.add(replace(header, tokens=ids, hashes=tuple(chain(root(), ids))))
    prompt = ids_of([4999, *range(4096)])
    hit = within(0.002, lambda: tree.longest(root(), prompt, ("raw",)))
    assert hit is not None
    assert hit.tokens == 301
