"""States elsewhere: in a folder, in memory, and on a real S3 server."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from memos.benchmarks.activation.states import LAYOUTS, root
from memos.benchmarks.service.s3_server import S3Server, s3_server
from memos.errors import BlockNotFound, StorageUnavailable
from memos.kvcache.blocks.block import Source
from memos.kvcache.blocks.hashing import ids_of
from memos.kvcache.store.store import BlockStore
from memos.kvcache.tiers.exchange import Patience
from memos.kvcache.tiers.remote import REFRESH_SECONDS, REST_SECONDS, Pace, RemoteTier
from memos.kvcache.tiers.remote_files import RemoteFiles
from memos.kvcache.tiers.tiers import Tiers
from tests.kvcache.filling import TEXT, loaded, put


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(params=["memory", "file", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "file":
        return f"file://{tmp_path}/far"
    if request.param == "s3":
        server = request.getfixturevalue("s3")
        monkeypatch.setitem(fsspec.config.conf, "s3", server.options)
        return f"s3://memos-tests/{tmp_path.name}"
    fsspec.filesystem("memory").store.clear()
    return f"memory://{request.node.name}"


def elsewhere(url: str, **more: Any) -> RemoteTier:
    """Waits for the first list however busy the machine is."""
    return RemoteTier(url, wait_s=60, **more)


@pytest.mark.parametrize("name", LAYOUTS)
def test_another_machine_finds_what_was_copied_away(tmp_path: Path, url: str, name: str) -> None:
    layout = LAYOUTS[name]
    with BlockStore(tmp_path / "a", budget_bytes=1 << 30) as here:
        tiers = Tiers(here, remote=elsewhere(url))
        put(tiers, TEXT[:128], layout=layout)
        put(tiers, TEXT, 128, layout=layout, codec="lossless")
        tiers.flush()
        tiers.close()
    with BlockStore(tmp_path / "b", budget_bytes=1 << 30) as there:
        tiers = Tiers(there, remote=elsewhere(url))
        assert loaded(tiers, layout=layout) == 200
        assert loaded(tiers, layout=layout) == 200
        assert tiers.stats().loads["remote"] == 2
        assert there.stats().counts["hit"] == 2
        assert there.stats().counts["miss"] == 0
        tiers.close()


def test_what_the_disk_evicts_comes_back_from_elsewhere(tmp_path: Path, url: str) -> None:
    with BlockStore(tmp_path / "a", budget_bytes=200_000) as store:
        tiers = Tiers(store, remote=elsewhere(url))
        prompts = [[first, *TEXT[:127]] for first in range(8)]
        for tokens in prompts:
            put(tiers, tokens)
            tiers.flush()
        assert store.stats().counts["evicted"] > 0
        for tokens in prompts:
            assert loaded(tiers, tokens) == 128
            assert store.stats().bytes <= 200_000
        tiers.close()


def test_forgetting_reaches_elsewhere_and_what_was_on_its_way(tmp_path: Path, url: str) -> None:
    with BlockStore(tmp_path / "a", budget_bytes=1 << 30) as store:
        remote = elsewhere(url)
        tiers = Tiers(store, remote=remote)
        shared = put(tiers, TEXT[:64])
        secret = put(tiers, TEXT[:128], 64, sources=[Source("secret", 1)])
        after = put(tiers, TEXT, 128)
        gone = tiers.forget(["secret"])
        assert set(gone) == {secret, after}
        tiers.close()
        fresh = elsewhere(url)
        left = fresh.longest(root(), ids_of([*TEXT, 1]), ("raw",))
        fresh.close()
        assert left is None or left.blocks == (shared,)
    with BlockStore(tmp_path / "b", budget_bytes=1 << 30) as other:
        tiers = Tiers(other, remote=elsewhere(url))
        assert loaded(tiers) <= 64
        tiers.close()


def test_a_damaged_copy_is_deleted_and_not_served(tmp_path: Path, url: str) -> None:
    stored(tmp_path, url)
    system, base = fsspec.core.url_to_fs(url)
    [path] = system.find(base)
    content = system.cat_file(path)
    for damaged in (content[:-1] + bytes([content[-1] ^ 1]), content[:-1]):
        system.pipe_file(path, damaged)
        with BlockStore(tmp_path / "b", budget_bytes=1 << 30) as store:
            tiers = Tiers(store, remote=elsewhere(url))
            assert loaded(tiers) == 0
            assert store.stats().counts["remote_error"] == 1
            assert not exists(system, path)
            tiers.close()
    for damaged in (content[:500], b"no head", b""):
        system.pipe_file(path, damaged)
        remote = elsewhere(url)
        remote.refresh(root())
        assert remote.longest(root(), ids_of([*TEXT, 1]), ("raw",)) is None
        assert not exists(system, path)
        remote.close()


def test_a_copy_that_is_gone_is_not_found(tmp_path: Path, url: str) -> None:
    with BlockStore(tmp_path / "a", budget_bytes=1 << 30) as store:
        remote = elsewhere(url)
        tiers = Tiers(store, remote=remote)
        block = put(tiers)
        tiers.flush()
        system, base = fsspec.core.url_to_fs(url)
        [path] = system.find(base)
        system.rm_file(path)
        with pytest.raises(BlockNotFound):
            remote.pull(store.header(block))
        tiers.close()


def test_a_copy_that_grew_since_it_was_listed_is_read_whole(tmp_path: Path, url: str) -> None:
    """One that was written again with so many sources that its head is longer."""
    with (
        BlockStore(tmp_path / "a", budget_bytes=1 << 30) as a,
        BlockStore(tmp_path / "b", budget_bytes=1 << 30) as b,
    ):
        reads = Tiers(b, remote=elsewhere(url))
        writes = Tiers(a, remote=elsewhere(url))
        put(writes, sources=[Source("first", 1)])
        writes.flush()
        reads.remote.refresh(root())
        put(writes, sources=[Source(f"source {n}", 1) for n in range(500)])
        writes.flush()
        assert loaded(reads) == 200
        reads.close()
        writes.close()


def test_what_another_machine_copies_away_is_seen_after_a_minute(tmp_path: Path, url: str) -> None:
    now = [1000.0]
    with (
        BlockStore(tmp_path / "a", budget_bytes=1 << 30) as a,
        BlockStore(tmp_path / "b", budget_bytes=1 << 30) as b,
    ):
        reads = Tiers(b, remote=elsewhere(url, clock=lambda: now[0]))
        assert loaded(reads) == 0
        writes = Tiers(a, remote=elsewhere(url))
        put(writes)
        writes.flush()
        now[0] += REFRESH_SECONDS - 1
        assert loaded(reads) == 0
        now[0] += 1
        until(lambda: loaded(reads) == 200)  # nobody waits for a list that is made again
        reads.close()
        writes.close()


def test_what_does_not_pay_comes_in_the_background_for_the_next_one(
    tmp_path: Path, url: str
) -> None:
    stored(tmp_path, url)
    asked = []

    def pays(near: int, far: int, seconds: float | None) -> bool:
        asked.append((near, far, seconds is not None and seconds > 0))
        return False

    with BlockStore(tmp_path / "b", budget_bytes=1 << 30) as store:
        tiers = Tiers(store, remote=elsewhere(url))
        for _ in range(3):
            if tiers.longest(root(), [*TEXT, 1], patience=Patience(60, pays)):
                break
        assert asked[0] == (0, 200, True)
        until(lambda: tiers.stats().loads["remote"] == 1)
        assert loaded(tiers) == 200
        assert tiers.stats().loads["remote"] == 1
        tiers.close()


def test_who_is_refused_is_told_and_asks_again_only_after_a_while(
    store: BlockStore, s3: S3Server
) -> None:
    now = [1000.0]
    wrong = {**s3.options, "secret": "wrong"}
    remote = elsewhere("s3://memos-tests/kv", clock=lambda: now[0], **wrong)
    tiers = Tiers(store, remote=remote)
    put(store, [9, *TEXT])
    for _ in range(2):
        assert loaded(tiers, [9, *TEXT]) == 201
        assert store.stats().counts["remote_error"] == 1
    now[0] += REST_SECONDS
    assert loaded(tiers, [9, *TEXT]) == 201
    until(lambda: store.stats().counts["remote_error"] == 2)
    put(tiers, sources=[Source("secret", 1)])
    with pytest.raises(StorageUnavailable, match="can't be used"):
        tiers.flush()
    with pytest.raises(StorageUnavailable, match="can't be used"):
        tiers.forget(["secret"])
    assert loaded(tiers) == 0
    tiers.close()


def test_a_server_that_hangs_holds_nobody_up(store: BlockStore, s3: S3Server) -> None:
    """All is said and done, and the list that was asked for first is still waited for."""
    config = {**s3.options["config_kwargs"], "read_timeout": 120}
    options = {**s3.options, "config_kwargs": config}
    tiers = Tiers(store, remote=RemoteTier("s3://memos-tests/kv", wait_s=0.2, **options))
    put(store)
    s3.process.send_signal(signal.SIGSTOP)
    try:
        for _ in range(3):
            assert loaded(tiers) == 200
            assert loaded(tiers, TEXT[100:]) == 0
        tiers.close()
        [listing] = [one for one in threading.enumerate() if one is tiers.remote._thread]
    finally:
        s3.process.send_signal(signal.SIGCONT)
    listing.join(60)
    assert not listing.is_alive()


def test_a_fetch_is_estimated_from_small_and_large_ones() -> None:
    pace = Pace()
    assert pace.seconds(1, 1) is None
    pace.note(4096, 0.01)
    assert pace.unknown  # of a small one nearly all is the request
    pace.note(4_000_000, 0.05)
    assert pace.seconds(1, 4_000_000) == pytest.approx(0.05)
    assert pace.seconds(2, 40_000_000) == pytest.approx(0.42)


def test_a_fault_while_listing_is_counted_and_fails_no_request(
    store: BlockStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def faulty(*_: object) -> None:
        raise KeyError("a fault")

    monkeypatch.setattr(RemoteFiles, "sizes", faulty)
    tiers = Tiers(store, remote=elsewhere("memory://faulty"))
    put(store)
    assert loaded(tiers) == 200
    assert store.stats().counts["remote_error"] == 1
    assert "a fault of memos" in caplog.text
    tiers.close()


def test_a_url_that_no_file_system_knows_is_an_error() -> None:
    with pytest.raises(StorageUnavailable, match="can't be used"):
        RemoteTier("nosuchprotocol://x")


def stored(folder: Path, url: str) -> None:
    """TEXT, as another machine leaves it elsewhere."""
    with BlockStore(folder / "a", budget_bytes=1 << 30) as store:
        tiers = Tiers(store, remote=elsewhere(url))
        put(tiers)
        tiers.flush()
        tiers.close()


def exists(system: fsspec.AbstractFileSystem, path: str) -> bool:
    system.invalidate_cache()
    return system.exists(path)


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)
