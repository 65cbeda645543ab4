"""Adapters on disk and, as far as a budget allows, in RAM: any number of them can be registered.

The least recently used leave RAM first; those in use by somebody stay until they are let go. What
is on disk is checked whenever it is read. Knows no model.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from memos.errors import AdapterCorrupt, AdapterNotFound, InvalidInput, StorageUnavailable
from memos.kvcache.generator.files import sync, writing
from memos.kvcache.lora.checkpoint import replaced
from memos.kvcache.lora.weights import About, Weights, dumps, loads, read_about
from memos.kvcache.tiers.budget import Budget

log = logging.getLogger(__name__)

SUFFIX = ".lora"
_HEAD = 1 << 20


@dataclass(frozen=True)
class ShelfStats:
    """`hits` were in RAM; `bytes` are those in RAM."""

    registered: int
    held: int
    bytes: int
    hits: int
    misses: int
    evicted: int


class Shelf:
    """The folder `folder` and `ram_bytes` of its adapters, out of the `shared` budget, from which
    they take what they hold. Thread-safe."""

    def __init__(self, folder: Path, *, ram_bytes: int, shared: Budget | None = None) -> None:
        self._folder = folder
        self._budget = ram_bytes
        self._shared = shared or Budget(ram_bytes)
        self._lock = threading.Lock()
        self._held: OrderedDict[str, Weights] = OrderedDict()
        self._bytes = 0
        self._hits = self._misses = self._evicted = 0

    def put(self, name: str, weights: Weights) -> tuple[int, Path]:
        """Stores it under a name, replacing what was there: (bytes, path). Durable on return."""
        content = dumps(weights)
        path = self._path(name)
        replaced(path, content)
        with self._lock:
            self._hold(name, weights)
        return len(content), path

    def get(self, name: str) -> Weights:
        """AdapterNotFound, AdapterCorrupt with the file's name."""
        with self._lock:
            held = self._held.get(name)
            if held is not None:
                self._held.move_to_end(name)
                self._hits += 1
                return held
            self._misses += 1
        weights = self._loaded(name)
        with self._lock:
            self._hold(name, weights)
        return weights

    def prefetch(self, names: Collection[str]) -> None:
        """Brings them into RAM before they are needed; what can't be read is told at its use."""
        for name in names:
            try:
                self.get(name)
            except (AdapterNotFound, AdapterCorrupt) as error:
                log.warning("adapter %s was not fetched: %s", name, error)

    def remove(self, name: str) -> bool:
        """From RAM and disk; whether there was a file."""
        with self._lock:
            self._drop(name)
        path = self._path(name)
        with writing(self._folder):
            if not path.exists():
                return False
            path.unlink(missing_ok=True)
            sync(self._folder)
        return True

    def names(self) -> list[str]:
        """Of all files."""
        if not self._folder.is_dir():
            return []
        return sorted(path.name.removesuffix(SUFFIX) for path in self._folder.glob(f"*{SUFFIX}"))

    def about(self, name: str) -> About:
        """What an adapter is of, without its tensors."""
        path = self._path(name)
        try:
            with path.open("rb") as file:
                begin = file.read(_HEAD)
        except FileNotFoundError as error:
            raise _missing(name) from error
        except OSError as error:
            raise StorageUnavailable(f"can't read {path}: {error}", path=str(path)) from error
        return read_about(begin)[0]

    def stats(self) -> ShelfStats:
        with self._lock:
            return ShelfStats(
                registered=len(self.names()),
                held=len(self._held),
                bytes=self._bytes,
                hits=self._hits,
                misses=self._misses,
                evicted=self._evicted,
            )

    def _loaded(self, name: str) -> Weights:
        path = self._path(name)
        try:
            return loads(path.read_bytes())
        except FileNotFoundError as error:
            raise _missing(name) from error
        except OSError as error:
            raise StorageUnavailable(f"can't read {path}: {error}", path=str(path)) from error
        except AdapterCorrupt as error:
            raise AdapterCorrupt(
                f"adapter {name} is damaged: {error.message}; distill it again", adapter_id=name
            ) from error

    def _hold(self, name: str, weights: Weights) -> None:
        self._drop(name)
        self._held[name] = weights
        self._bytes += weights.bytes
        while self._bytes > self._budget and len(self._held) > 1:
            oldest = next(iter(self._held))
            self._drop(oldest)
            self._evicted += 1
        self._shared.take(self._bytes)

    def _drop(self, name: str) -> None:
        gone = self._held.pop(name, None)
        if gone is not None:
            self._bytes -= gone.bytes
            self._shared.take(self._bytes)

    def _path(self, name: str) -> Path:
        if not name or not name.replace("-", "").replace("_", "").isalnum():
            raise InvalidInput(f"{name!r} is no name of an adapter's file")
        return self._folder / f"{name}{SUFFIX}"


def _missing(name: str) -> AdapterNotFound:
    return AdapterNotFound(
        f"the file of adapter {name} is not there; distill it again", adapter_id=name
    )
