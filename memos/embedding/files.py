"""Files of models on disk: digests that are computed once, and writes that are whole or absent.

It does not know what is in the files.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from memos.errors import (
    MemosError,
    StorageFull,
    StorageReadOnly,
    StorageUnavailable,
)

# Below this a file is hashed anew each time: 1 MB takes about 3 ms.
REMEMBER_FROM_BYTES = 1 << 20
_CHUNK = 1 << 20


def sha256(path: Path) -> str:
    """Hex SHA-256 of the file's bytes. OSError as `open` gives it."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


class DigestLedger:
    """SHA-256 of large files, remembered by path, size and modification time.

    Hashing 90 MB takes 0.1 to 0.3 s, too much for each start. A file that was changed in place
    with size and time kept is not noticed; whoever can do that can change the ledger as well.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "digests.json"

    def digest(self, path: Path) -> str:
        """Hex SHA-256 of the file. OSError if the file can't be read."""
        before = path.stat()
        if before.st_size < REMEMBER_FROM_BYTES:
            return sha256(path)
        key = str(path.resolve())
        stamp = [before.st_size, before.st_mtime_ns]
        known = self._read().get(key)
        if isinstance(known, list) and known[:2] == stamp and len(known) == 3:
            return str(known[2])
        value = sha256(path)
        after = path.stat()
        if [after.st_size, after.st_mtime_ns] == stamp:  # else it was being written
            self._write(key, [*stamp, value])
        return value

    def _read(self) -> dict[str, object]:
        try:
            entries = json.loads(self._file.read_bytes())
        except (OSError, ValueError):
            # Absent or damaged: it only saves time, and the next write makes it whole.
            return {}
        return entries if isinstance(entries, dict) else {}

    def _write(self, key: str, entry: list[object]) -> None:
        # Two processes at once may lose one entry, which then is computed again.
        with writing(self._file.parent):
            write_whole(self._file, json.dumps({**self._read(), key: entry}, indent=1).encode())


def write_whole(path: Path, content: bytes) -> None:
    """Writes the file so that readers see the old or the new content, also after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    sync(path.parent)


def sync(path: Path) -> None:
    """fsync of a file, or of a folder so that a rename in it lasts."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Translates OSError from writes below `folder` into the error tree."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, folder) from error


def storage_error(error: OSError, folder: Path) -> MemosError:
    """What an OSError from writing below `folder` means to the user."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(
            f"no space left for model files in {folder}; free about 300 MB or set another data_dir",
            path=str(folder),
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StorageReadOnly(
            f"no permission to write model files in {folder}; change that or set another data_dir",
            path=str(folder),
        )
    return StorageUnavailable(
        f"can't write model files in {folder}: {error}; set another data_dir", path=str(folder)
    )


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Holds an advisory lock on `path` among all processes of this machine; waits for it.

    The system frees it when the holder dies, so a crash leaves nothing to clean up.
    """
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
