"""The batch stream: parts that are durable as they are reported, whatever happens next."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from memos.api.auth import ADMITTED_SECONDS
from memos.types import Role
from tests.server import Running, running_server

NDJSON = {"Content-Type": "application/x-ndjson"}


def lines(count: int) -> bytes:
    return b"".join(json.dumps({"content": f"item {n}"}).encode() + b"\n" for n in range(count))


def answers(answer: httpx.Response) -> list[dict]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


def stored(http: httpx.Client, cube: str) -> list[str]:
    found, cursor = [], None
    while True:
        params = {"limit": 1000, **({"cursor": cursor} if cursor else {})}
        page = http.get(f"{cube}/memories", params=params).json()
        found += [m["content"] for m in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def test_thousands_of_lines_are_reported_part_by_part(http, cube):
    answer = http.post(f"{cube}/memories/batch", content=lines(2500), headers=NDJSON)
    *parts, last = answers(answer)
    assert last == {"done": 2500, "complete": True}
    assert [p["done"] for p in parts] == [*range(256, 2500, 256), 2500]
    assert len({i for p in parts for i in p["ids"]}) == 2500
    assert stored(http, cube) == [f"item {n}" for n in range(2500)]


def test_a_part_is_durable_before_the_rest_is_sent(server: Running, cube: str, http):
    """Both directions at once: the first part is told, and found, while the second is unsent."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as line:
        line.sendall(
            f"POST {cube}/memories/batch?batch_size=2 HTTP/1.1\r\nHost: {host}\r\n"
            f"Authorization: Bearer {server.secret}\r\nTransfer-Encoding: chunked\r\n"
            "Content-Type: application/x-ndjson\r\n\r\n".encode()
        )
        body = lines(2)
        line.sendall(b"%x\r\n%s\r\n" % (len(body), body))
        seen = b""
        while b'"done":2' not in seen:
            seen += line.recv(4096)
        assert b"complete" not in seen
        hits = http.post(f"{cube}/search", json={"text": "item 1"}).json()["hits"]
        assert len(hits) == 2
        line.sendall(b"0\r\n\r\n")
        while b"complete" not in seen:
            seen += line.recv(4096)


def test_a_batch_ends_when_its_key_is_revoked(server: Running, cube: str):
    issued = server.service.tenant().create_key("short", role=Role.WRITER)
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as line:
        line.sendall(
            f"POST {cube}/memories/batch?batch_size=2 HTTP/1.1\r\nHost: {host}\r\n"
            f"Authorization: Bearer {issued.secret}\r\nTransfer-Encoding: chunked\r\n"
            "Content-Type: application/x-ndjson\r\n\r\n".encode()
        )
        body = lines(2)
        line.sendall(b"%x\r\n%s\r\n" % (len(body), body))
        seen = b""
        while b'"done":2' not in seen:
            seen += line.recv(4096)
        server.service.tenant().revoke_key(issued.key.id)
        time.sleep(ADMITTED_SECONDS)
        line.sendall(b"%x\r\n%s\r\n" % (len(body), body))
        while b'"problem"' not in seen:
            seen += line.recv(4096)
    assert b"not-authenticated" in seen
    assert b'"done":4' not in seen


def test_lines_may_be_memories_messages_and_strings(http, cube):
    body = '{"content": "a"}\n\n{"role": "user", "speaker": "Ana", "content": "b"}\r\n"c"'
    assert answers(http.post(f"{cube}/memories/batch", content=body, headers=NDJSON))[-1] == {
        "done": 3,
        "complete": True,
    }
    assert stored(http, cube) == ["a", "b", "c"]


def test_a_json_array_will_do(http, cube):
    sent = [{"content": "a"}, {"role": "user", "content": "b"}, "c"]
    answer = http.post(f"{cube}/memories/batch", params={"batch_size": 2}, json=sent)
    assert [p["done"] for p in answers(answer)] == [2, 3, 3]


def test_nothing_to_add_is_complete(http, cube):
    answer = http.post(f"{cube}/memories/batch", content=b"", headers=NDJSON)
    assert answers(answer) == [{"done": 0, "complete": True}]


@pytest.mark.parametrize(
    ("line", "status", "code"),
    [
        (b'{"content": ', 400, "malformed-request"),
        (b'{"content": "\xff"}', 400, "malformed-request"),
        (b'{"content": 5}', 422, "invalid-input"),
        (b'{"content": ""}', 422, "invalid-input"),
        (b'{"content": "a\\u0000b"}', 422, "invalid-input"),
        (b'{"content": "x", "occurred_at": "2024-05-01T10:00:00"}', 422, "invalid-input"),
        (b'{"words": "x"}', 422, "invalid-input"),
        (b"[]", 422, "invalid-input"),
        (b"null", 422, "invalid-input"),
    ],
)
def test_a_bad_line_is_named_and_those_before_it_stay(http, cube, line, status, code):
    body = lines(3) + line + b"\n" + lines(3)
    *parts, last = answers(
        http.post(f"{cube}/memories/batch?batch_size=2", content=body, headers=NDJSON)
    )
    assert [p["done"] for p in parts] == [2, 3]
    assert (last["done"], last["problem"]["status"], last["problem"]["code"]) == (3, status, code)
    assert last["problem"]["detail"].startswith("line 4: ")
    assert stored(http, cube) == ["item 0", "item 1", "item 2"]


def test_a_bad_first_line_is_a_plain_problem(http, cube):
    answer = http.post(f"{cube}/memories/batch", content=b"{}\n", headers=NDJSON)
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["line"] == 1


def test_a_bad_item_of_an_array_is_named(http, cube):
    answer = http.post(f"{cube}/memories/batch", json=["fine", {"content": ""}])
    *_, last = answers(answer)
    assert (last["done"], last["problem"]["item"]) == (1, 1)


def test_other_bodies_are_refused(http, cube):
    path = f"{cube}/memories/batch"
    assert http.post(path, content=b"x", headers={"Content-Type": "text/csv"}).status_code == 415
    assert http.post(path, json={"content": "x"}).status_code == 422
    assert http.post(f"{path}?batch_size=100000", content=b"", headers=NDJSON).status_code == 422
    assert http.post(f"{path}?batch_size=0", content=b"", headers=NDJSON).status_code == 422
    missing = http.post("/v1/cubes/none/memories/batch", content=b'"x"', headers=NDJSON)
    assert missing.json()["code"] == "cube-not-found"


def test_the_whole_may_be_larger_than_one_line_may_be():
    with running_server(max_body_bytes=2000) as server:
        path = f"{server.url}/v1/cubes/default/memories/batch"
        headers = {**server.headers, **NDJSON}
        fine = httpx.post(path, content=lines(500), headers=headers)
        assert json.loads(fine.text.splitlines()[-1]) == {"done": 500, "complete": True}
        long = httpx.post(path, content=b'"a"\n"' + b"x" * 3000 + b'"\n', headers=headers)
        last = json.loads(long.text.splitlines()[-1])
        assert (last["done"], last["problem"]["code"]) == (1, "payload-too-large")
        assert last["problem"]["line"] == 2
        array = httpx.post(path, json=["x" * 3000], headers=server.headers)
        assert array.status_code == 413


def test_the_same_batch_again_with_its_key_stores_nothing_twice(http, cube):
    headers = {**NDJSON, "Idempotency-Key": f"batch{cube}"}
    path = f"{cube}/memories/batch?batch_size=10"
    half = answers(http.post(path, content=lines(20) + b"broken", headers=headers))
    assert half[-1]["done"] == 20
    whole = answers(http.post(path, content=lines(35), headers=headers))
    assert [p["done"] for p in whole] == [10, 20, 30, 35, 35]
    assert [p["ids"] for p in whole[:2]] == [p["ids"] for p in half[:2]]
    assert len(stored(http, cube)) == 35


def test_a_client_that_leaves_keeps_what_was_acknowledged(server, http, cube):
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as line:
        line.sendall(
            f"POST {cube}/memories/batch?batch_size=5 HTTP/1.1\r\nHost: {host}\r\n"
            f"Authorization: Bearer {server.secret}\r\nTransfer-Encoding: chunked\r\n"
            "Content-Type: application/x-ndjson\r\n\r\n".encode()
        )
        body = lines(7)
        line.sendall(b"%x\r\n%s\r\n" % (len(body), body))
        seen = b""
        while b'"done":5' not in seen:
            seen += line.recv(4096)
    deadline = time.monotonic() + 60
    while server_in_flight(server) > 1:  # the scrape itself is one
        assert time.monotonic() < deadline, "the batch goes on without its client"
        time.sleep(0.05)
    assert stored(http, cube) == [f"item {n}" for n in range(5)]


def server_in_flight(server: Running) -> float:
    return metric(server, "memos_http_requests_in_flight")


def server_refused(server: Running) -> float:
    """How many batches were told to come back."""
    route = 'method="POST",route="/v1/cubes/{cube}/memories/batch",status="503"'
    return metric(server, f"memos_http_requests_total{{{route}}}")


def metric(server: Running, name: str) -> float:
    text = httpx.get(f"{server.url}/metrics").text
    return float(text.rpartition(f"\n{name} ")[2].split()[0]) if f"\n{name} " in text else 0.0


def test_a_failing_store_ends_the_stream_and_says_so(server, http, cube, monkeypatch):
    from memos.errors import StorageFull

    insert, calls = server.service.stores.memories.insert, []

    def full_at_third(*args, **kwargs):
        calls.append(1)
        if len(calls) == 3:
            raise StorageFull("the disk is full; free some space")
        return insert(*args, **kwargs)

    monkeypatch.setattr(server.service.stores.memories, "insert", full_at_third)
    body = lines(20)
    *_, last = answers(
        http.post(f"{cube}/memories/batch?batch_size=5", content=body, headers=NDJSON)
    )
    assert (last["done"], last["problem"]["status"]) == (10, 507)
    assert len(stored(http, cube)) == 10


def test_batches_do_not_starve_other_requests(server, http, cube):
    """More slow uploads than are allowed at once: the surplus is told to come back, reads go on."""
    release = threading.Event()
    refused = server_refused(server)

    def slow() -> Iterator[bytes]:
        yield b'"x"\n'
        release.wait(100)

    statuses = []

    def upload() -> None:
        answer = httpx.post(
            f"{server.url}{cube}/memories/batch",
            content=slow(),
            headers={**server.headers, **NDJSON},
            timeout=100,
        )
        statuses.append(answer.status_code)

    threads = [threading.Thread(target=upload) for _ in range(12)]
    for thread in threads:
        thread.start()
    try:
        deadline = time.monotonic() + 60
        while server_in_flight(server) < 9 or server_refused(server) - refused < 4:
            assert time.monotonic() < deadline, "not all uploads have come"
            time.sleep(0.05)
        # All of them go on until this was answered.
        assert http.get("/v1/cubes").status_code == 200
    finally:
        release.set()
        for thread in threads:
            thread.join(100)
    assert sorted(set(statuses)) == [200, 503]
    assert statuses.count(503) == 4
