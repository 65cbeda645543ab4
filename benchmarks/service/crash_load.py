"""Concurrent bulk adds that go on until the server dies, and a ledger of what it acknowledged.

Knows the public HTTP surface only: single adds and batches by the client, and the NDJSON stream by
plain HTTP. Every memory carries a phrase of its own by which a search must find it.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx

from memos.benchmarks.service.server_process import Server
from memos.client import Client
from memos.errors import ServiceUnavailable

BATCH = 32
STREAM = 320
STREAM_PART = 64
CUBES = ("crash-a", "crash-b")
MODES = ("single", "batch", "stream")

_WORDS = (
    "amber basalt cedar delta ember fjord garnet harbor indigo juniper kelp lantern marble nectar "
    "otter pepper quartz raven saffron thistle umber velvet willow yarrow zephyr"
)


@dataclass(slots=True)
class Unit:
    """What is sent to be stored all or none: one memory, one batch, or one part of a stream.

    `phrases` are the memories' own, in order; `ids` are set once the server acknowledged it.
    """

    mode: str
    cube: str
    phrases: tuple[str, ...]
    ids: tuple[str, ...] = ()


@dataclass
class Ledger:
    """All units ever sent, by threads at the same time."""

    units: list[Unit] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def sending(self, unit: Unit) -> Unit:
        with self._lock:
            self.units.append(unit)
        return unit

    def fault(self, text: str) -> None:
        """Something that a server which only died can't explain."""
        with self._lock:
            self.faults.append(text)

    def acknowledged(self) -> list[Unit]:
        return [unit for unit in self.units if unit.ids]


def content_of(phrase: str) -> str:
    return f"Locker note: the pass phrase of this locker is {phrase}, and nobody else has it."


class Load:
    """Six threads, two of each mode, that add until the connection breaks."""

    def __init__(self, server: Server, ledger: Ledger, *, seed: int) -> None:
        self._server = server
        self._ledger = ledger
        self._acknowledged = {mode: threading.Event() for mode in MODES}
        work: dict[str, Callable[[Client, str, Iterator[str]], None]] = {
            "single": self._single,
            "batch": self._batch,
            "stream": self._stream,
        }
        self._threads = [
            threading.Thread(
                target=self._until_broken,
                args=(work[mode], CUBES[number], phrases(f"{seed}-{mode}-{number}")),
                name=f"{mode}-{number}",
            )
            for mode in MODES
            for number in range(len(CUBES))
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def wait_for_every_mode(self, *, timeout: float = 60) -> None:
        """Until each mode had something acknowledged, so that the kill hits all of them at work."""
        for mode, event in self._acknowledged.items():
            if not event.wait(timeout):
                self._ledger.fault(f"no {mode} add was acknowledged within {timeout} s")

    def join(self) -> None:
        for thread in self._threads:
            thread.join(timeout=60)
            if thread.is_alive():
                self._ledger.fault(f"{thread.name} still waits for the dead server")

    def _until_broken(
        self, work: Callable[[Client, str, Iterator[str]], None], cube: str, own: Iterator[str]
    ) -> None:
        try:
            with self._server.client() as client:
                while True:
                    work(client, cube, own)
        except (ServiceUnavailable, httpx.TransportError):
            return
        except Exception as error:
            self._ledger.fault(f"{threading.current_thread().name}: {error!r}")

    def _unit(self, mode: str, cube: str, own: Iterator[str], size: int) -> Unit:
        found = tuple(next(own) for _ in range(size))
        return self._ledger.sending(Unit(mode=mode, cube=cube, phrases=found))

    def _acknowledge(self, unit: Unit, ids: tuple[str, ...]) -> None:
        if len(ids) != len(unit.phrases):
            self._ledger.fault(f"{len(ids)} of {len(unit.phrases)} were acknowledged at once")
        unit.ids = ids
        self._acknowledged[unit.mode].set()

    def _single(self, client: Client, cube: str, own: Iterator[str]) -> None:
        unit = self._unit("single", cube, own, 1)
        added = client.add(content_of(unit.phrases[0]), cube=cube)
        self._acknowledge(unit, tuple(memory.id for memory in added.memories))

    def _batch(self, client: Client, cube: str, own: Iterator[str]) -> None:
        unit = self._unit("batch", cube, own, BATCH)
        added = client.add([content_of(phrase) for phrase in unit.phrases], cube=cube)
        self._acknowledge(unit, tuple(memory.id for memory in added.memories))

    def _stream(self, _: Client, cube: str, own: Iterator[str]) -> None:
        """The server cuts the stream into parts of the size asked for, in order."""
        units = [self._unit("stream", cube, own, STREAM_PART) for _ in range(STREAM // STREAM_PART)]
        lines = [json.dumps({"content": content_of(p)}) for unit in units for p in unit.phrases]
        waiting = iter(units)
        with httpx.stream(
            "POST",
            f"{self._server.url}/v1/cubes/{cube}/memories/batch",
            params={"batch_size": STREAM_PART},
            content="\n".join(lines).encode(),
            headers={
                "Authorization": f"Bearer {self._server.key}",
                "Content-Type": "application/x-ndjson",
            },
            timeout=60,
        ) as answer:
            if answer.status_code == 503:
                raise ServiceUnavailable("the server is stopping")
            answer.raise_for_status()
            for line in answer.iter_lines():
                progress = json.loads(line)
                if "problem" in progress:
                    self._ledger.fault(f"a stream was stopped: {progress['problem']}")
                elif "ids" in progress:
                    self._acknowledge(next(waiting), tuple(progress["ids"]))


def phrases(seed: str) -> Iterator[str]:
    """Endless phrases of three words and a number, that no other seed gives."""
    source = random.Random(seed)
    words = _WORDS.split()
    while True:
        chosen = " ".join(source.choice(words) for _ in range(3))
        yield f"{chosen} {source.getrandbits(40):010x}"
