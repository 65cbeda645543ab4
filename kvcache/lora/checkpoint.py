"""Checkpoints of a training: one file, replaced as a whole, that says which training it is of.

Never pickle. A checkpoint that can't be read is told in the log and the training begins anew: it
only saves time.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from memos.kvcache.generator.files import sync, writing

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Saved:
    step: int
    tokens: int
    seconds: float
    state: Mapping[str, Tensor]


class Checkpoint:
    """The file `path`, of the training named `identity` (a digest of all that decides it). One is
    written when `every` seconds have passed since the last."""

    def __init__(
        self, path: Path, identity: str, *, sources: Sequence[str] = (), every: float = 20.0
    ) -> None:
        self._path = path
        self._sources = list(sources)
        self._identity = identity
        self._every = every
        self._last = time.monotonic()

    def offer(
        self, step: int, tokens: int, seconds: float, state: Callable[[], Mapping[str, Tensor]]
    ) -> None:
        """Writes one if it is time. StorageFull, StorageReadOnly."""
        if time.monotonic() - self._last < self._every:
            return
        self.write(Saved(step, tokens, seconds, state()))
        self._last = time.monotonic()

    def write(self, saved: Saved) -> None:
        from safetensors.torch import save

        about = {
            "training": self._identity,
            "sources": json.dumps(self._sources),
            "step": str(saved.step),
            "tokens": str(saved.tokens),
            "seconds": repr(saved.seconds),
        }
        content = save({k: v.contiguous() for k, v in saved.state.items()}, metadata=about)
        replaced(self._path, content)

    def read(self) -> Saved | None:
        """The last one, if it is of this training."""
        from safetensors import SafetensorError, safe_open

        if not self._path.exists():
            return None
        try:
            with safe_open(self._path, framework="pt") as file:
                about = file.metadata() or {}
                if about.get("training") != self._identity:
                    return None
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return Saved(int(about["step"]), int(about["tokens"]), float(about["seconds"]), state)
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            log.warning(
                "the checkpoint %s can't be read, training begins anew: %s", self._path, error
            )
            return None

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)


def sources_of(path: Path) -> tuple[str, ...]:
    """What a checkpoint has learnt of; nothing if that can't be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return tuple(json.loads((file.metadata() or {}).get("sources", "[]")))
    except (SafetensorError, OSError, ValueError):
        return ()


def replaced(path: Path, content: bytes) -> None:
    """Writes a file so that after a crash either the old or the new one is there, whole."""
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
        try:
            with draft.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, path)
            sync(path.parent)
        finally:
            draft.unlink(missing_ok=True)
