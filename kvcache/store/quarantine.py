"""Damaged files: moved out of the way with the reason beside them, not deleted, not read again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from memos.errors import BlockCorrupt
from memos.kvcache.blocks.block import BlockId
from memos.kvcache.blocks.file import opened, read_head
from memos.kvcache.store.folder import (
    SUFFIX,
    Folder,
    Signature,
    signature_of,
    sync_folder,
    translated,
)

BAD = ".bad"
REASON = ".txt"


class Quarantine:
    """Its files count towards the store's budget and are the first to go."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def take(self, block: BlockId, reason: str, *, signature: Signature | None = None) -> bool:
        """Moves the block's file here. False if it is gone, or no longer the one with `signature`:
        another process may have moved it, and written a good one since."""
        path = self._folder.path(block)
        with self._folder.exclusive(), translated(path):
            try:
                if signature is not None and signature_of(os.stat(path)) != signature:
                    return False
                target = self._free(block)
                os.rename(path, target)
            except FileNotFoundError:
                return False
            target.chmod(0o600)
            with suppress(OSError):  # a full disk must not keep a bad file in place
                _noted(target.with_suffix(REASON), reason)
            self._folder.unpin(block)
            sync_folder(self._folder.blocks)
            self._folder.bump()
            return True

    def files(self) -> list[Path]:
        """Oldest first."""
        return [
            path for _, path in sorted((status.st_mtime_ns, path) for path, status in self._all())
        ]

    def bytes(self) -> int:
        return sum(status.st_size for _, status in self._all())

    def remove(self, path: Path) -> None:
        with self._folder.exclusive(), translated(path):
            for name in (path, path.with_suffix(REASON)):
                with suppress(FileNotFoundError):
                    _delete(name)
            sync_folder(self._folder.quarantine)

    def forget(self, source_ids: set[str]) -> int:
        """Deletes every file that can't be shown to be free of these sources; how many."""
        condemned = [path for path in self.files() if not _free_of(path, source_ids)]
        for path in condemned:
            self.remove(path)
        return len(condemned)

    def _all(self) -> Iterator[tuple[Path, os.stat_result]]:
        with translated(self._folder.quarantine):
            for path in self._folder.quarantine.glob(f"*{BAD}"):
                with suppress(FileNotFoundError):  # another process emptied it meanwhile
                    yield path, path.stat()

    def _free(self, block: BlockId) -> Path:
        name = block.removesuffix(SUFFIX)[:80]
        number = 0
        while (path := self._folder.quarantine / f"{name}.{number}{BAD}").exists():
            number += 1
        return path


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        os.unlink(path)


def _noted(path: Path, reason: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(reason + "\n")


def _free_of(path: Path, source_ids: set[str]) -> bool:
    """Only a header that can be read proves it; the tokens of a descendant are not its sources."""
    try:
        descriptor = opened(path)
    except BlockCorrupt:
        return False
    try:
        header = read_head(descriptor).header
    except BlockCorrupt:
        return False
    finally:
        os.close(descriptor)
    return header.start == 0 and not source_ids & {source.id for source in header.sources}
