"""`memos serve` as a process: it starts, is stopped by a signal, and leaves nothing half done."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from memos import assembly, config
from memos.api.server import bind, serve
from memos.errors import InvalidSetting, PortInUse
from memos.testing import HashEmbedder
from tests.local_model import tiny_model

# Serves with a hash embedder that is at it until the server is told to stop, and with a job kind
# that never ends by itself.
SERVE = """
import sys, threading, time
from memos import assembly, config
from memos.api import server
from memos.kvcache.generator.rows import RowsLayer
from memos.testing import HashEmbedder
from memos.types import NewJob

stopping = threading.Event()

class Server(server.Server):
    async def shutdown(self, sockets=None):
        stopping.set()
        await super().shutdown(sockets)

class Slow(HashEmbedder):
    def embed(self, texts):
        if any("slowly" in text for text in texts):
            print("at it", flush=True)
            assert stopping.wait(60)
            time.sleep(0.2)
        return super().embed(texts)

def endless(context):
    while True:
        context.beat()
        time.sleep(0.05)

def build(settings):
    service = assembly.build(settings, embedder=Slow())
    service.worker._handlers["endless"] = endless
    for kind in sys.argv[1:]:
        service.stores.jobs.enqueue(NewJob(tenant_id="default", cube_id=None, kind=kind))
    return service

def update(self, *args, **more):
    print("at it", flush=True)
    while True:
        self._check()
        time.sleep(0.02)

RowsLayer.update = update
server.build, server.Server = build, Server
server._ANSWER_SECONDS = 60.0
def announce(url, first):
    print(url, first.secret if first else "", flush=True)
sys.exit(server.serve(config.load(port=0), announce=announce))
"""


# In seconds. What may be waited for takes a moment; what must not be waited for takes longer.
_LONG, _TOO_LONG = 60, 120


@dataclass
class Process:
    running: subprocess.Popen[str]
    url: str
    headers: dict[str, str]

    def told(self) -> str:
        """The next line that it prints."""
        assert self.running.stdout is not None
        return self.running.stdout.readline().strip()

    def stop(self, sign: int = signal.SIGTERM) -> int:
        self.running.send_signal(sign)
        return self.running.wait(_LONG)


@contextmanager
def process(data_dir: Path, *jobs: str, shutdown_seconds: float = _TOO_LONG) -> Iterator[Process]:
    environment = {
        **os.environ,
        "MEMOS_DATA_DIR": str(data_dir),
        "MEMOS_SHUTDOWN_SECONDS": str(shutdown_seconds),
        "MEMOS_LEASE_SECONDS": str(_TOO_LONG),
        "MEMOS_LOCAL_MODEL": tiny_model(),
        "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")]),
    }
    running = subprocess.Popen(
        [sys.executable, "-c", SERVE, *jobs],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert running.stdout is not None
        line = running.stdout.readline()
        assert line, running.stderr.read() if running.stderr else ""
        url, _, secret = line.strip().partition(" ")
        yield Process(running, url, {"Authorization": f"Bearer {secret}"})
    finally:
        with suppress(ProcessLookupError):
            running.kill()
        running.communicate()


def jobs(data_dir: Path) -> list[tuple[str, str, int]]:
    with sqlite3.connect(data_dir / "memos.db") as base:
        return base.execute("select kind, state, attempts from job").fetchall()


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_requests_are_finished_and_the_exit_is_a_success(data_dir, sign):
    with process(data_dir) as running:
        answers: list[httpx.Response] = []

        def add() -> None:
            answers.append(
                httpx.post(
                    f"{running.url}/v1/cubes/default/memories",
                    json={"content": "embedded slowly"},
                    headers=running.headers,
                )
            )

        thread = threading.Thread(target=add)
        thread.start()
        assert running.told() == "at it"
        assert running.stop(sign) == 0
        thread.join()
        assert answers[0].status_code == 201
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{running.url}/health")
    with closing(assembly.build(config.load(), embedder=HashEmbedder())) as again:
        found = again.tenant().memories().items
        assert [memory.content for memory in found] == ["embedded slowly"]


def test_the_lease_of_an_unfinished_job_is_returned(data_dir):
    with process(data_dir, "endless", shutdown_seconds=1) as running:
        deadline = time.monotonic() + _LONG
        while jobs(data_dir) != [("endless", "running", 1)]:
            assert time.monotonic() < deadline, jobs(data_dir)
            time.sleep(0.05)
        assert running.stop() == 0
    assert jobs(data_dir) == [("endless", "queued", 0)]


def test_what_the_local_model_computes_is_broken_off_at_the_deadline_and_its_request_told(data_dir):
    with process(data_dir, shutdown_seconds=1) as running:
        answers: list[httpx.Response] = []

        def compile() -> None:
            url = f"{running.url}/v1/cubes/default/activations"
            text = {"text": "Ships sail."}
            answers.append(httpx.post(url, json=text, headers=running.headers, timeout=_TOO_LONG))

        thread = threading.Thread(target=compile)
        thread.start()
        assert running.told() == "at it"
        assert running.stop() == 0
        thread.join()
    assert answers[0].status_code == 503
    assert answers[0].json()["code"] == "service-unavailable"


def test_who_waits_for_a_job_is_answered_at_once(data_dir):
    with process(data_dir, "nobody-does-this") as running:
        (job,) = httpx.get(f"{running.url}/v1/jobs", headers=running.headers).json()["items"]
        answers: list[httpx.Response] = []

        def wait() -> None:
            url = f"{running.url}/v1/jobs/{job['id']}?wait=60"
            answers.append(httpx.get(url, headers=running.headers, timeout=_TOO_LONG))

        thread = threading.Thread(target=wait)
        thread.start()
        deadline = time.monotonic() + _LONG
        while "memos_http_requests_in_flight 2.0" not in httpx.get(f"{running.url}/metrics").text:
            assert time.monotonic() < deadline, "the request has not come"
            time.sleep(0.05)
        began = time.monotonic()
        assert running.stop() == 0
        assert time.monotonic() - began < 30  # and not the minute that it would wait
        thread.join()
        assert answers[0].json()["state"] == "queued"


def test_a_batch_is_cut_between_parts_and_told_so(data_dir):
    with process(data_dir) as running:
        host, _, port = running.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=_LONG) as line:
            line.sendall(
                "POST /v1/cubes/default/memories/batch?batch_size=2 HTTP/1.1\r\n"
                f"Host: {host}\r\nAuthorization: {running.headers['Authorization']}\r\n"
                "Transfer-Encoding: chunked\r\nContent-Type: application/x-ndjson\r\n\r\n".encode()
            )
            body = b'"a"\n"b"\n"c"\n'
            line.sendall(b"%x\r\n%s\r\n" % (len(body), body))
            seen = b""
            while b'"done":2' not in seen:
                seen += line.recv(4096)
            running.running.send_signal(signal.SIGTERM)
            while chunk := line.recv(4096):
                seen += chunk
        assert running.running.wait(_LONG) == 0
        ends = [json.loads(row) for row in seen.split(b"\r\n") if row.startswith(b"{")]
        assert ends[-1]["problem"]["code"] == "service-unavailable"
        assert ends[-1]["done"] == 3
    with sqlite3.connect(data_dir / "memos.db") as base:
        assert base.execute("select count(*) from memory").fetchone() == (3,)


def test_a_port_in_use_is_found_before_anything_is_opened(data_dir):
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        settings = config.load(port=port)
        with pytest.raises(PortInUse, match=f"port {port} .* in use"):
            serve(settings, announce=lambda url, key: None)
    assert not data_dir.exists()


def test_a_host_that_is_not_here_is_an_invalid_setting(monkeypatch):
    # Tests may not ask a resolver, so its answers are given here; the binding is the system's own.
    def elsewhere(*args, **kwargs):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))]

    def unknown(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    for answer in (elsewhere, unknown):
        monkeypatch.setattr(socket, "getaddrinfo", answer)
        with pytest.raises(InvalidSetting, match=r"can't listen on .*MEMOS_HOST"):
            bind("some.host", 0)
