"""The form of a dump: JSON lines in gzip, in the order in which they are written and read.

    {"memos_dump": 1, "product": …, "at": …, "cube": {…}, "tables": {"memory": [columns…], …}}
    {"table": "memory"}
    […] one line per row
    {"table": "link"}
    …
    {"rows": {"memory": 3, …}, "sha256": of all lines before this one}

Knows bytes and lines, not what the rows mean. A stream of lines has no index, no names of files and
no second place where its sizes stand, so there is little in it to lie about; both sides hold one
line at a time. `sha256` finds damage, not forgery: who can write the file can write that too.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, BinaryIO

import msgspec

from memos.errors import InvalidDump, PayloadTooLarge
from memos.types import EmbeddingModel

FORMAT = 1
MOST = 1 << 53
"""The greatest change number that a dump may have; the service counts on from there."""
LINE_BYTES = 32 << 20
"""The longest line. Of a memory's row and its snapshots, with room."""
_CHUNK = 1 << 18
_LEVEL = 2
"""Of compression: vectors, which are most of it, hardly shrink whatever the level."""
_SLACK = 16 << 20
"""So much may come out of a small file, whatever the ratio."""


Number = Annotated[int, msgspec.Meta(ge=0, le=MOST)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeHead:
    """What a dump says of the cube itself. The counters are those of `tables.cube`."""

    name: str
    description: str
    metadata: dict[str, Any]
    embedding: EmbeddingModel | None
    created_at: datetime
    change_seq: Number
    graph_seq: Number
    graph_rules: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The first line."""

    memos_dump: int
    product: str
    at: datetime
    cube: CubeHead
    tables: dict[str, list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Format:
    memos_dump: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    """Another line that is no row: a table begins, or it is the end."""

    table: str | None = None
    rows: dict[str, int] | None = None
    sha256: str = ""


_head = msgspec.json.Decoder(Head)
_format = msgspec.json.Decoder(_Format)
_mark = msgspec.json.Decoder(_Mark)


@dataclass
class Sink:
    """Takes the bytes of a file that is being written, and knows what came through."""

    file: BinaryIO
    size: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def write(self, data: bytes) -> int:
        self.file.write(data)
        self.size += len(data)
        self.digest.update(data)
        return len(data)

    def flush(self) -> None:
        self.file.flush()


class LineWriter:
    """Writes the lines of a dump."""

    def __init__(self, sink: Sink, head: Head) -> None:
        self._zip = gzip.GzipFile("", "wb", _LEVEL, sink, mtime=0)
        self._digest = hashlib.sha256()
        self.rows: dict[str, int] = {}
        self._put(msgspec.json.encode(head) + b"\n")

    def table(self, name: str) -> None:
        self.rows[name] = 0
        self._put(msgspec.json.encode({"table": name}) + b"\n")

    def part(self, name: str, lines: list[bytes]) -> None:
        """Rows of the table begun last."""
        self.rows[name] += len(lines)
        self._put(b"\n".join(lines) + b"\n")

    def end(self) -> None:
        end = {"rows": self.rows, "sha256": self._digest.hexdigest()}
        self._put(msgspec.json.encode(end) + b"\n")
        self._zip.close()

    def _put(self, data: bytes) -> None:
        self._digest.update(data)
        self._zip.write(data)


class LineReader:
    """Reads a dump from its beginning to its end. `ratio`: how many bytes may come out of each one
    of the file's `size`. All that is wrong is an InvalidDump, or PayloadTooLarge."""

    def __init__(self, file: BinaryIO, *, size: int, ratio: int) -> None:
        self._zip = gzip.GzipFile(fileobj=file, mode="rb")
        self._left = size * ratio + _SLACK
        self._ratio = ratio
        self._digest = hashlib.sha256()
        self._lines = self._split()
        self.head = self._read_head()

    def rows(self) -> Iterator[tuple[str, bytes]]:
        """(table, line) of all rows; at the end all was there, and undamaged."""
        counts: dict[str, int] = {}
        present = ""
        for line in self._lines:
            if not line.startswith(b"{"):
                if not present:
                    raise InvalidDump("a row comes before the name of its table")
                counts[present] += 1
                yield present, line
                self._digest.update(line + b"\n")
                continue
            mark = _decoded(_mark, line)
            if mark.rows is not None:
                self._finish(mark, counts)
                return
            present = self._begun(mark.table, counts)
            self._digest.update(line + b"\n")
        raise InvalidDump("the file ends in the middle; copy it again, or make the dump again")

    def _begun(self, name: str | None, counts: dict[str, int]) -> str:
        if name not in self.head.tables or name in counts:
            raise InvalidDump(f"table {str(name)[:100]!r} is not announced, or comes twice")
        counts[name] = 0
        return name

    def _finish(self, mark: _Mark, counts: Mapping[str, int]) -> None:
        announced = {name: counts.get(name, 0) for name in self.head.tables}
        if mark.rows != announced or mark.sha256 != self._digest.hexdigest():
            raise InvalidDump(
                "the file is damaged: its rows are not those that were written; copy it again"
            )
        if next(self._lines, None) is not None:
            raise InvalidDump("something follows the end of the dump")

    def _read_head(self) -> Head:
        line = next(self._lines, b"")
        found = _decoded(_format, line)
        if found.memos_dump != FORMAT:
            raise InvalidDump(
                f"the dump has format {found.memos_dump}, and this version of memos reads "
                f"{FORMAT}; load it with a newer version"
            )
        head: Head = _decoded(_head, line)
        self._digest.update(line + b"\n")
        return head

    def _split(self) -> Iterator[bytes]:
        rest = b""
        while chunk := self._chunk():
            *lines, last = chunk.split(b"\n")
            if lines:
                lines[0] = rest + lines[0]
                rest = last
                yield from lines
            else:
                rest += last
            if len(rest) > LINE_BYTES:
                raise PayloadTooLarge(f"a line of the dump has more than {LINE_BYTES} bytes")
        if rest:
            yield rest

    def _chunk(self) -> bytes:
        try:
            chunk = self._zip.read(_CHUNK)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise InvalidDump(
                f"the file is no dump, or a damaged one: {error}; copy it again"
            ) from error
        self._left -= len(chunk)
        if self._left < 0:
            raise PayloadTooLarge(
                f"more than {self._ratio} bytes come out of each byte of the dump, the limit "
                "(MEMOS_DUMP_RATIO); raise it if you trust the file"
            )
        return chunk


def _decoded(decoder: msgspec.json.Decoder[Any], line: bytes) -> Any:
    try:
        return decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidDump(f"the file is no dump of a cube: {error}") from error
