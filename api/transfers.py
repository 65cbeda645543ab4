"""Files that come and go over HTTP, through temporary files that have no name.

A dump is written to disk before the first byte is sent: what goes wrong is a problem document, the
snapshot is not held open at the pace of a client, and the length tells whether all has arrived. A
file without a name is gone with its process, however that ends.
"""

from __future__ import annotations

import errno
import json
import tempfile
from collections.abc import Iterator
from typing import BinaryIO, cast

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from memos.api.errors import MalformedRequest
from memos.config import Settings
from memos.errors import StorageError, StorageFull
from memos.types import Dump
from memos.wire import to_builtins

GZIP = "application/gzip"
SUMMARY = "Memos-Dump"
_CHUNK = 1 << 18


def temporary(settings: Settings) -> BinaryIO:
    """On the disk of the data folder, which is made for this much; the system's folder for
    temporary files may be RAM."""
    return cast(BinaryIO, tempfile.TemporaryFile(dir=settings.data_dir))


def sent(file: BinaryIO, what: Dump) -> StreamingResponse:
    """The answer that carries the file, and closes it."""
    headers = {
        "Content-Length": str(what.bytes),
        "Content-Disposition": f'attachment; filename="{what.name}.cube"',
        "Cache-Control": "no-store",
        SUMMARY: json.dumps(to_builtins(what)),
    }
    return StreamingResponse(_chunks(file), media_type=GZIP, headers=headers)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while chunk := file.read(_CHUNK):
            yield chunk


async def received(request: Request, file: BinaryIO, *, most: int) -> None:
    """Writes the body into the file. 413 as soon as it is too large, 400 if it breaks off."""
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise MalformedRequest(
                f"the dump has more than {most} bytes, the limit (MEMOS_DUMP_BYTES)",
                status=413,
                close=True,
            )
        await run_in_threadpool(_write, file, chunk)
    await run_in_threadpool(_write, file, b"")


def _write(file: BinaryIO, chunk: bytes) -> None:
    """StorageFull, StorageError: nothing is loaded then."""
    try:
        file.write(chunk)
        if not chunk:
            file.flush()
    except OSError as error:
        kind = StorageFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else StorageError
        raise kind(
            f"the dump can't be put into the data folder: {error.strerror}; make room there"
        ) from error
