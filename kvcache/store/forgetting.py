"""What must not be stored any more: sources that were forgotten while states of them were on the
way to the disk, in this process or another.

Each line of the file `forgotten` is the SHA-256 of a source's id, since ids may speak, and the
folder's generation at that time. States that were handed over before it are refused; a memory that
is compiled again afterwards, changed, is stored.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection

from memos.kvcache.store.folder import Folder, sync_folder, translated, write_all

KEPT = 10_000
"""Lines; states are on their way for seconds, so older ones serve no purpose."""


class Forgotten:
    """By the one writer only."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._path = folder.root / "forgotten"

    def add(self, source_ids: Collection[str]) -> None:
        at = self._folder.state().generation
        lines = [*self._lines(), *(f"{_digest(source)} {at}" for source in sorted(source_ids))]
        temporary = self._path.with_suffix(".new")
        with translated(self._path):
            descriptor = os.open(temporary, _NEW, 0o600)
            try:
                write_all(descriptor, "".join(f"{line}\n" for line in lines[-KEPT:]).encode())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.rename(temporary, self._path)
            sync_folder(self._folder.root)
        self._folder.bump()

    def since(self, source_ids: Collection[str], generation: int) -> bool:
        """Whether one of them was forgotten at or after `generation`."""
        digests = {_digest(source) for source in source_ids}
        entries = (line.split() for line in self._lines())
        return any(
            len(entry) == 2 and entry[0] in digests and int(entry[1]) >= generation
            for entry in entries
        )

    def _lines(self) -> list[str]:
        try:
            with translated(self._path):
                return self._path.read_text().splitlines() if self._path.exists() else []
        except UnicodeDecodeError:
            return []


_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC


def _digest(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()
