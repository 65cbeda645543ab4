"""Worker processes that can be killed and replaced."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import memos


class Crew:
    """Worker processes."""

    def __init__(self, url: str, count: int, *, lease: float) -> None:
        self._url, self._lease = url, lease
        self._born = 0
        self._ready: set[str] = set()
        self._processes = dict(self._start() for _ in range(count))

    def _start(self) -> tuple[str, subprocess.Popen[str]]:
        """A new one, under a name that no other had."""
        self._born += 1
        name = f"worker-{self._born}"
        root = str(Path(memos.__file__).resolve().parents[1])
        path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "memos.benchmarks.scheduling.worker"),
                *(self._url, name, str(self._lease)),
            ],
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        return name, process

    def ready(self) -> None:
        """Waits until all are at work, or have ended."""
        for name, process in self._processes.items():
            if name not in self._ready:
                assert process.stdout is not None
                process.stdout.readline()
                self._ready.add(name)

    def alive(self) -> set[str]:
        return {name for name, process in self._processes.items() if process.poll() is None}

    def dead(self) -> list[str]:
        return sorted(self._processes.keys() - self.alive())

    def kill(self, name: str) -> None:
        """SIGKILL; it is not replaced yet."""
        _kill(self._processes[name])

    def replace_dead(self) -> list[str]:
        """Starts others for those that have ended; whose place they take."""
        dead = self.dead()
        for name in dead:
            _kill(self._processes.pop(name))
        self._processes |= dict(self._start() for _ in dead)
        return dead

    def stop(self) -> None:
        for process in self._processes.values():
            _kill(process)


def _kill(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    if process.stdout is not None:
        process.stdout.close()


@contextmanager
def crew(url: str, count: int, *, lease: float) -> Iterator[Crew]:
    made = Crew(url, count, lease=lease)
    try:
        yield made
    finally:
        made.stop()
