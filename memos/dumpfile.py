"""The file of a dump where it is written and read, in process and by the clients.

Knows paths and open files, not what is in them.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from memos.errors import InvalidInput, MemosError, StorageFull

Place = str | os.PathLike[str] | BinaryIO
"""A path, or an open file that can be read twice or written."""

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def writing(to: Place) -> Iterator[BinaryIO]:
    """The file to write; at a path it appears only when it is whole, for this user alone."""
    if not isinstance(to, (str, os.PathLike)):
        yield to
        return
    path = Path(to)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with _named(path):
        try:
            with os.fdopen(
                os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb"
            ) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def reading(source: Place) -> Iterator[BinaryIO]:
    if not isinstance(source, (str, os.PathLike)):
        yield source
        return
    with _named(Path(source)), open(source, "rb") as file:
        yield file


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """What is wrong with a file is the caller's to mend."""
    try:
        yield
    except MemosError:
        raise
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull(f"{path}: {error.strerror}; free some space") from error
        raise InvalidInput(
            f"{path}: {error.strerror or error}; name a file that can be used", field="file"
        ) from error
    except ValueError as error:  # a NUL in the name
        raise InvalidInput(f"{str(path)!r} names no file: {error}", field="file") from error
