"""Digests of model files, remembered; folders that appear whole or not at all.

It does not know what is in the files.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from memos.errors import MemosError, StorageFull, StorageReadOnly, StorageUnavailable

_CHUNK = 1 << 20
_REMEMBER_FROM_BYTES = 1 << 20


def sha256(path: Path) -> str:
    """Hex SHA-256 of the file. OSError as `open` gives it."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


class Ledger:
    """SHA-256 of files of 1 MB and more, remembered by path, size and time of change.

    A file of 270 MB takes 0.9 s to hash, longer than to load. Small files are always hashed.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "digests.json"

    def digest(self, path: Path) -> str:
        """Hex SHA-256. OSError if `path` can't be read."""
        stat = path.stat()
        if stat.st_size < _REMEMBER_FROM_BYTES:
            return sha256(path)
        key, stamp = str(path.resolve()), [stat.st_size, stat.st_mtime_ns]
        known = self._read().get(key)
        if isinstance(known, list) and known[:-1] == stamp:
            return str(known[-1])
        value = sha256(path)
        with writing(self._file.parent):
            _replace(self._file, json.dumps({**self._read(), key: [*stamp, value]}, indent=1))
        return value

    def _read(self) -> dict[str, object]:
        try:
            content = json.loads(self._file.read_bytes())
        except (OSError, ValueError):
            return {}  # it only saves time; the next write makes it whole
        return content if isinstance(content, dict) else {}


@contextlib.contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A temporary folder that becomes `target` at the end of the block, synced to the disk.

    If the block raises, nothing is left. If `target` came to be meanwhile, that one stays.
    """
    with writing(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield draft
        with writing(target.parent):
            for path in [*draft.rglob("*"), draft]:
                sync(path)
            with contextlib.suppress(FileExistsError, NotADirectoryError):
                _rename(draft, target)
            sync(target.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _rename(draft: Path, target: Path) -> None:
    try:
        os.rename(draft, target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """An advisory lock among all processes of the machine; the system frees it if one dies."""
    import fcntl

    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def sync(path: Path) -> None:
    """fsync of a file or folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Translates OSError from writing below `folder` into the error tree."""
    try:
        yield
    except OSError as error:
        raise _translated(error, folder) from error


def _translated(error: OSError, folder: Path) -> MemosError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(
            f"no space left for model files in {folder}; free some or give another cache_dir",
            path=str(folder),
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StorageReadOnly(
            f"no permission to write model files in {folder}; change that or give another "
            "cache_dir",
            path=str(folder),
        )
    return StorageUnavailable(
        f"can't write model files in {folder}: {error}; give another cache_dir", path=str(folder)
    )
