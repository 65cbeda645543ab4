"""A real `memos serve` in a process of its own, for benchmarks that start, load and kill it.

Knows how to start one and to end it, gently or not; what is asked of it is the caller's.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import memos
from memos.client import Client
from memos.errors import ServiceUnavailable


class Server:
    """`memos serve` on a free port over `data_dir`. `seconds` is how long it took to its first
    answer; `log` (in the data folder) is what it wrote to stderr."""

    def __init__(self, data_dir: Path, settings: Mapping[str, str] | None = None) -> None:
        """ServiceUnavailable with the end of its log if it did not start."""
        data_dir.mkdir(parents=True, exist_ok=True)
        self.log = data_dir / "server.log"
        self._data_dir = data_dir
        start = time.perf_counter()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "memos.cli", "--json", "serve", "--port", "0"],
                env=_environment(data_dir, settings or {}),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        announced = self._process.stdout.readline()
        self.seconds = time.perf_counter() - start
        if not announced:
            self._process.stdout.close()
            raise ServiceUnavailable(
                f"memos serve ended with exit code {self._process.wait()}:\n{self._tail()}"
            )
        self.url: str = json.loads(announced)["url"]

    def _tail(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-3000:]

    @property
    def key(self) -> str:
        """The admin key issued at the first start."""
        return (self._data_dir / "first-key").read_text(encoding="ascii").strip()

    @property
    def pid(self) -> int:
        return self._process.pid

    def client(self, *, retries: int = 0) -> Client:
        return Client(self.url, api_key=self.key, retries=retries)

    def kill(self) -> None:
        """SIGKILL: no handler runs, nothing is flushed."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        self._process.send_signal(number)
        code = self._process.wait(timeout=60)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return code

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.kill()


def _environment(data_dir: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """This process's, with memos found where it is here; MEMOS_ variables only those given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MEMOS_")}
    root = str(Path(memos.__file__).resolve().parents[1])
    kept["PYTHONPATH"] = os.pathsep.join([root, *filter(None, [kept.get("PYTHONPATH")])])
    kept["MEMOS_DATA_DIR"] = str(data_dir)
    return kept | {f"MEMOS_{name.upper()}": value for name, value in settings.items()}
