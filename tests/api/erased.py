"""Whether what was erased is gone from the files of a server's database."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from memos.types import NewEvent
from tests.server import Running


def files_that_hold(server: Running, it: Callable[[bytes], bool]) -> list[Path]:
    """None once the write-ahead log was emptied. While a background job reads, that has to wait;
    each later write tries again."""
    deadline = time.monotonic() + 60
    while True:
        files = server.service.settings.data_dir.glob("memos.db*")
        found = [file for file in files if it(file.read_bytes())]
        if not found or time.monotonic() > deadline:
            return found
        event = NewEvent(kind="test.write", subjects=("x",), cube_id=None)
        server.service.stores.events.append("default", [event])
        time.sleep(0.05)
