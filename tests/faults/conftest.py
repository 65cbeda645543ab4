"""Real processes on one database, with the default model exported once for all of them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from memos.embedding import load_embedder
from memos.embedding.weights import DEFAULT_MODEL
from tests.postgres import postgres_server

__all__ = ["postgres_server"]

_SECONDS = 120


class WorkerProcess:
    """A `memos worker`; `name` is the one under which it holds leases."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        given = {f"MEMOS_{name.upper()}": value for name, value in settings.items()}
        # A file, not a pipe, which is full at some time if nobody reads it.
        self._log = folder / "worker.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "memos.cli", "worker"],
                env={**os.environ, "MEMOS_DATA_DIR": str(folder), **given},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    def wait_until_ready(self) -> str:
        deadline = time.monotonic() + _SECONDS
        while True:
            over = self._process.poll() is not None or time.monotonic() > deadline
            told = self._log.read_text(encoding="utf-8", errors="replace")
            if found := re.search(r"(worker-\w+) waits for jobs", told):
                return found[1]
            assert not over, f"the worker did not start: {told}"
            time.sleep(0.05)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        if self._process.poll() is None:
            self._process.send_signal(number)
        return self._process.wait(timeout=_SECONDS)


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.getbasetemp()
    if root.name.startswith("popen-"):  # below it each xdist worker has a folder of its own
        root = root.parent
    folder = root / "embedding-cache"
    folder.mkdir(exist_ok=True)
    load_embedder(model=DEFAULT_MODEL, cache_dir=folder, threads=1, offline=True)
    return folder


def data_dir_of(place: Path, exported: Path) -> Path:
    """A new data folder for a process, with the model in it."""
    place.mkdir(parents=True)
    (place / "models").symlink_to(exported)
    return place
