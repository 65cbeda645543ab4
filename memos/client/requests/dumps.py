"""What dump and load send, and how their answers are read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import BinaryIO

from memos.client.bodies import cube_path, given, nothing, reader
from memos.client.requests.request import Request
from memos.errors import MemosError, ServiceUnavailable
from memos.types import Dump, Loaded
from memos.wire import from_json

GZIP = "application/gzip"
CHUNK = 1 << 18
_PATIENCE = 3600.0
"""Seconds; a large cube takes minutes before its first byte, or its answer."""


def dump(*, cube: str) -> Request[None]:
    return Request(method="GET", path=f"{cube_path(cube)}/dump", read=nothing, patience=_PATIENCE)


def load(*, name: str | None) -> Request[Loaded]:
    """Not sent again once it may have arrived: the second would find the name taken."""
    return Request(
        method="POST",
        path="/v1/dumps",
        query=list(given({"name": name}).items()),
        headers={"Content-Type": GZIP},
        read=reader(Loaded),
        repeatable=False,
        patience=_PATIENCE,
    )


class Receiving:
    """Writes what comes, and compares it at the end with what the service says of it."""

    def __init__(self, file: BinaryIO, headers: Mapping[str, str]) -> None:
        summary = headers.get("memos-dump")
        if summary is None:
            raise MemosError("the answer is no dump of a memos service; check the URL")
        self._told = from_json(summary, Dump)
        self._file = file
        self._digest = hashlib.sha256()

    def put(self, chunk: bytes) -> None:
        self._file.write(chunk)
        self._digest.update(chunk)

    def whole(self) -> Dump:
        """ServiceUnavailable if it is not what was sent."""
        if self._digest.hexdigest() != self._told.sha256:
            raise ServiceUnavailable("the dump did not arrive whole; ask for it again")
        return self._told


def broken_off(url: str) -> ServiceUnavailable:
    return ServiceUnavailable(f"the dump broke off on its way from {url}; ask for it again")
