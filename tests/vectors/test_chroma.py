"""What is Chroma's own: the folder's lock, damage, crashes, and that none of its errors escape."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest

from memos.errors import IndexUnavailable, StorageFull, StorageReadOnly, StorageUnavailable
from memos.storage.vectors.chroma import ChromaIndex
from tests.vectors.conftest import unit_vectors


def fill(path: Path, count: int = 50) -> None:
    index = ChromaIndex(path)
    index.upsert(
        "cube", [f"m{row}" for row in range(count)], unit_vectors(count, seed=1), seq=count
    )
    index.close()


def test_a_folder_has_one_index_at_a_time(tmp_path: Path) -> None:
    first = ChromaIndex(tmp_path / "index")
    with pytest.raises(StorageUnavailable) as caught:
        ChromaIndex(tmp_path / "index")
    assert str(tmp_path / "index") in caught.value.message
    assert f"process {os.getpid()}" in caught.value.message
    first.close()
    ChromaIndex(tmp_path / "index").close()


def test_another_process_that_holds_the_folder_is_named(tmp_path: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from memos.storage.vectors.chroma import ChromaIndex
        index = ChromaIndex(Path(sys.argv[1]))
        print("open", flush=True)
        sys.stdin.read()
    """
    holder = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(StorageUnavailable, match=f"process {holder.pid}"):
            ChromaIndex(tmp_path)
    finally:
        holder.kill()
        holder.communicate()
    ChromaIndex(tmp_path).close()  # the kernel gave the lock back


def test_others_can_not_read_it(tmp_path: Path) -> None:
    """Texts can be guessed from their vectors, and the data folder may have been there before."""
    fill(tmp_path / "index")
    assert (tmp_path / "index").stat().st_mode & 0o077 == 0


def test_a_path_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageReadOnly, match="file/index"):
        ChromaIndex(tmp_path / "file" / "index")


def test_a_damaged_database_is_named_and_mended_by_drop(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "chroma.sqlite3").write_bytes(b"this is not a database" * 500)
    index = ChromaIndex(tmp_path)
    query = unit_vectors(1, seed=2)
    for call in (
        lambda: index.query("cube", query[0], limit=3),
        lambda: index.upsert("cube", ["a"], query, seq=1),
        lambda: index.delete("cube", ["a"], seq=1),
        lambda: index.reached("cube"),
        lambda: index.ids("cube"),
    ):
        with pytest.raises(IndexUnavailable, match="memos reindex"):
            call()
    index.drop("cube")
    assert index.reached("cube") == 0
    index.upsert("cube", ["a"], query, seq=1)
    assert index.query("cube", query[0], limit=3)[0][0] == "a"
    index.close()


@pytest.mark.parametrize("damage", ["cut short", "overwritten", "gone"])
def test_a_damaged_graph_never_gives_wrong_answers(tmp_path: Path, damage: str) -> None:
    """Chroma alone would answer from the rows of its log when the files are gone."""
    fill(tmp_path, 5000)  # past `sync_threshold`, so that the graph is on disk
    graphs = [folder for folder in tmp_path.iterdir() if folder.is_dir()]
    assert graphs
    for file in (file for folder in graphs for file in folder.iterdir()):
        if damage == "gone":
            file.unlink()
        elif damage == "cut short":
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        else:
            file.write_bytes(b"\xff" * file.stat().st_size)
    index = ChromaIndex(tmp_path)
    vectors = unit_vectors(5000, seed=1)
    with pytest.raises(IndexUnavailable, match="memos reindex"):
        index.query("cube", vectors[0], limit=1)
    index.drop("cube")
    index.upsert("cube", ["a"], vectors[:1], seq=1)
    assert index.query("cube", vectors[0], limit=3)[0][0] == "a"
    index.close()


HOLD = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="locks are looked for on Linux only")
def test_a_lock_of_another_program_is_not_waited_for(tmp_path: Path) -> None:
    """Chroma would, with Python's own lock held: nothing in this process would go on."""
    index = ChromaIndex(tmp_path / "chroma")
    index.upsert("c", ["a"], unit_vectors(1, seed=1), seq=1)
    database = tmp_path / "chroma" / "chroma.sqlite3"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(database)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        for write in (
            lambda: index.upsert("c", ["b"], unit_vectors(1, seed=1), seq=2),
            lambda: index.delete("c", ["a"], seq=2),
            lambda: index.drop("c"),
            lambda: index.query("c", unit_vectors(1, seed=1)[0], limit=1),
            lambda: index.ids("c"),
        ):
            with pytest.raises(StorageUnavailable, match=f"locked by process {holder.pid}"):
                write()
        assert holder.stdin is not None
        holder.stdin.close()
    index.upsert("c", ["b"], unit_vectors(1, seed=1), seq=2)
    assert index.ids("c") == {"a", "b"}
    index.close()


def test_too_little_room_is_told_before_a_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = ChromaIndex(tmp_path / "chroma")
    index.upsert("c", ["a"], unit_vectors(1, seed=1), seq=1)
    full = SimpleNamespace(f_bavail=1000, f_frsize=4096)
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    with pytest.raises(StorageFull, match="free some space"):
        index.upsert("c", ["b"], unit_vectors(1, seed=1), seq=2)
    index.drop("c")  # which makes room
    monkeypatch.undo()
    index.upsert("c", ["b"], unit_vectors(1, seed=1), seq=2)
    assert index.ids("c") == {"b"}
    index.close()
    with pytest.raises(IndexUnavailable, match="closed"):
        index.reached("c")
    assert index._probe_fd is None


def test_a_closed_index_says_so(tmp_path: Path) -> None:
    index = ChromaIndex(tmp_path)
    index.upsert("cube", ["a"], unit_vectors(1, seed=1), seq=1)
    index.close()
    for call in (
        lambda: index.query("cube", unit_vectors(1, seed=1)[0], limit=1),
        lambda: index.upsert("cube", ["a"], unit_vectors(1, seed=1), seq=1),
        lambda: index.drop("cube"),
    ):
        with pytest.raises(IndexUnavailable, match="closed"):
            call()


WRITER = """
    import sys
    from pathlib import Path
    from memos.storage.vectors.chroma import ChromaIndex
    from tests.vectors.conftest import unit_vectors
    path, first = Path(sys.argv[1]), int(sys.argv[2])
    index = ChromaIndex(path)
    for part in range(first, first + 100):
        ids = [f"m{part:04d}-{row:03d}" for row in range(300)]
        index.upsert("cube", ids, unit_vectors(300, seed=part), seq=part)
        print(part, flush=True)
"""


@pytest.mark.slow
def test_after_kill_9_nothing_recorded_is_missing(tmp_path: Path) -> None:
    """Killed at many points of writing, also while the graph is saved: all rows up to `reached`
    are held and found, and what was acknowledged was recorded."""
    acknowledged = 0
    for round_ in range(5):
        writer = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WRITER), str(tmp_path), str(acknowledged + 1)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert writer.stdout is not None
        for _ in range(3 + 4 * round_):
            acknowledged = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
        rest = writer.communicate()[0].split()
        acknowledged = int(rest[-1]) if rest else acknowledged

        index = ChromaIndex(tmp_path)
        reached, held = index.reached("cube"), index.ids("cube")
        assert reached >= acknowledged
        for part in range(1, reached + 1):
            assert {f"m{part:04d}-{row:03d}" for row in range(300)} <= held
            vectors = unit_vectors(300, seed=part)
            for row in (0, 150, 299):
                found = index.query("cube", vectors[row], limit=1)
                assert found[0][0] == f"m{part:04d}-{row:03d}"
        acknowledged = reached
        index.close()
