"""Clocks and page caches for the benchmarks of activation memory."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from memos.kvcache.generator.model import LocalModel


class Timings:
    """Named measurements in ms. All raw values are kept; `median` is what reports show."""

    def __init__(self, model: LocalModel) -> None:
        self._model = model
        self.values: dict[str, list[float]] = {}

    def time(self, name: str, act: Callable[[], Any], *, repeats: int = 1) -> Any:
        """Runs `act` that often, each time until the device is done; the last result."""
        result = None
        for _ in range(repeats):
            result = None  # what the last run holds is not the next one's cost
            self._model.synchronize()
            start = time.perf_counter()
            result = act()
            self._model.synchronize()
            self.values.setdefault(name, []).append((time.perf_counter() - start) * 1e3)
        return result

    def median(self, name: str) -> float:
        return round(statistics.median(self.values[name]), 3)

    def medians(self) -> dict[str, float]:
        return {name: self.median(name) for name in self.values}


def drop_page_cache(folder: Path) -> None:
    """Asks the system to forget the content of the files below `folder`.

    A page that is mapped somewhere stays, so readers must be closed before.
    """
    for path in folder.rglob("*"):
        if path.is_file():
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(handle)
