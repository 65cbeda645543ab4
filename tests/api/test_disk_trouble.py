"""A disk that fills up, or loses or damages files under a real server: nothing is lost."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from memos.client import Client
from memos.errors import StorageFull
from memos.testing import HashEmbedder
from tests.server import Running, running_server

NDJSON = {"Content-Type": "application/x-ndjson"}


def mount(*args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["mount", *map(str, args)], capture_output=True, text=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of three megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = mount("-t", "tmpfs", "-o", "size=3m", "tmpfs", folder)
    if done.returncode:
        pytest.skip(f"no right to mount a small file system: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def remount(disk: Path, options: str) -> None:
    done = mount("-o", f"remount,{options}", disk)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def server(disk: Path) -> Iterator[Running]:
    with running_server(data_dir=disk / "data", lease_seconds=1) as running:
        yield running


@pytest.fixture
def http(server: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers=server.headers, timeout=120) as client:
        yield client


MEMORIES = "/v1/cubes/default/memories"


def until_refused(add: Callable[[int], httpx.Response]) -> tuple[list[str], httpx.Response]:
    """The ids of what was acknowledged, and the first refusal."""
    kept: list[str] = []
    for number in range(1000):
        answer = add(number)
        if not answer.is_success:
            return kept, answer
        kept += [memory["id"] for memory in answer.json()["memories"]]
    raise AssertionError("the disk is not full yet")


@pytest.mark.parametrize("wait", [True, False])
def test_a_full_disk_refuses_and_loses_nothing(server, http, disk, wait):
    def add(number: int) -> httpx.Response:
        text = f"Note {number} tells of topic{number}. {os.urandom(5000).hex()}"
        return http.post(MEMORIES, json={"content": text}, params={"wait": wait})

    kept, refused = until_refused(add)
    assert len(kept) > 5
    assert (refused.status_code, refused.json()["code"]) == (507, "storage-full")
    assert "free some space" in refused.json()["detail"]

    # Every other way to write says the same, and the server goes on reading.
    lines = b"".join(b'{"content": "%s"}\n' % (b"x" * 9000) for _ in range(300))
    batch = http.post(f"{MEMORIES}/batch", content=lines, headers=NDJSON, params={"batch_size": 5})
    assert batch.status_code == 507 or b"storage-full" in batch.content.splitlines()[-1]
    batched = http.get(f"{MEMORIES}", params={"limit": 1000}).json()["items"]
    change = http.patch(f"{MEMORIES}/{kept[0]}", json={"content": "y" * 99_000})
    assert change.status_code == 507
    with Client(server.url, api_key=server.secret) as client, pytest.raises(StorageFull):
        client.add(["z" * 90_000] * 5)
    assert http.get("/health").status_code == 200
    assert http.get(f"{MEMORIES}/{kept[0]}").json()["version"] == 1

    remount(disk, "size=32m")
    assert add(1001).status_code in (201, 202)
    # Work whose end could not be recorded is taken up again when its lease is over.
    deadline = time.monotonic() + 100
    while server.service.tenant().doctor() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert server.service.tenant().doctor() == ()
    assert {http.get(f"{MEMORIES}/{id}").status_code for id in kept} == {200}
    for number in (0, len(kept) - 1):
        found = http.post("/v1/cubes/default/search", json={"text": f"topic{number}"}).json()
        assert found["hits"][0]["memory"]["id"] == kept[number]
    # What was refused is not there, and nothing is half there.
    present = http.get(MEMORIES, params={"limit": 1000}).json()["items"]
    assert len(present) == len(batched) + 1


def test_a_database_that_is_away_for_a_while(server, http, disk):
    kept = http.post(MEMORIES, json={"content": "Ana moved to Lisbon."}).json()["memories"][0]["id"]
    file = disk / "data" / "memos.db"
    hidden = disk / "kept.db"
    assert http.get("/ready").status_code == 200
    # Under connections that are open, which would go on with the file where it now is.
    file.rename(hidden)
    refused = http.post(MEMORIES, json={"content": "two"})
    assert (refused.status_code, refused.json()["code"]) == (503, "storage-unavailable")
    assert str(file) in refused.json()["detail"]
    assert http.get(f"{MEMORIES}/{kept}").status_code == 503
    assert not file.exists()
    # Asked without a key: it may not say which file on which machine.
    unready = httpx.get(f"{server.url}/ready")
    assert (unready.status_code, unready.headers["Retry-After"]) == (503, "1")
    assert str(disk) not in unready.text
    assert http.get("/health").status_code == 200
    hidden.rename(file)
    assert http.get("/ready").status_code == 200
    assert http.get(f"{MEMORIES}/{kept}").status_code == 200
    assert http.post(MEMORIES, json={"content": "two"}).status_code == 201


@pytest.mark.parametrize("damage", ["overwritten", "cut short"])
def test_a_damaged_vector_index_costs_nothing_but_time(tmp_path: Path, damage: str):
    settings = {"data_dir": tmp_path / "data", "vector_index_min": 10, "max_batch": 5000}
    texts = [f"Note {n} is about topic{n}." for n in range(1500)]
    with running_server(**settings) as running:
        mine = running.service.tenant()
        mine.add(texts)
        mine.wait_for(mine.reindex().id)
    files = [file for file in (tmp_path / "data" / "chroma").rglob("*") if file.is_file()]
    assert (tmp_path / "data" / "chroma" / "chroma.sqlite3") in files
    for file in files:
        if file.suffix != ".lock":
            half = file.stat().st_size // 2
            file.write_bytes(b"\xff" * 2 * half if damage == "overwritten" else b"\0" * (half // 9))
    with running_server(embedder=HashEmbedder(), **settings) as running:
        body = {"text": "topic1234", "explain": True}
        with httpx.Client(base_url=running.url, headers=running.headers, timeout=120) as http:
            found = http.post("/v1/cubes/default/search", json=body)
            assert found.status_code == 200, found.text
            assert found.json()["hits"][0]["memory"]["content"] == texts[1234]
            assert http.post(MEMORIES, json={"content": "Still writable."}).status_code == 201
        mine = running.service.tenant()
        assert [finding.check for finding in mine.doctor()]
        mine.doctor(repair=True)
        assert mine.doctor() == ()
        assert mine.search("topic1234").hits[0].memory.content == texts[1234]
