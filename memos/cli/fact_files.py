"""Files of facts: JSON, JSON lines and CSV, row by row, each with the number of its line.

Holds one row and a piece of the file at a time. Knows how files are written, and of facts only
their fields.
"""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections.abc import Callable, Container, Iterator
from typing import IO, Any, NoReturn

import click

from memos.errors import InvalidInput, MemosError
from memos.messages import as_fact

FORMS = ("json", "jsonl", "csv")
Row = tuple[int, Any]
Advance = Callable[[int], None]
Reads = Callable[[str], Callable[[str], Any]]
"""How the cells of a column are read, by its name."""

_PLAIN = ("subject", "predicate", "object", "valid_at", "invalid_at")
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,15})?\Z", re.ASCII)
_PIECE = 1 << 16
_ROW_CHARS = 1 << 22


def form_of(name: str) -> str:
    """The format by the name's end. UsageError for any other."""
    end = name.rpartition(".")[2].lower()
    end = {"ndjson": "jsonl"}.get(end, end)
    if end not in FORMS:
        raise click.UsageError(f"what {name!r} holds is not clear; add --format {'|'.join(FORMS)}")
    return end


def items(
    stream: IO[bytes], form: str, *, records: bool, advance: Advance, texts: Container[str] = ()
) -> Iterator[Row]:
    """The rows, as facts or as records, each with its line. InvalidInput names the line; `advance`
    is told how many bytes were read. `texts`: fields of a record that are no numbers in CSV."""
    if form == "csv":
        rows = _csv(stream, advance, _of_records(texts) if records else _of_facts)
    else:
        rows = {"json": _json, "jsonl": _lines}[form](stream, advance)
    for line, value in rows:
        try:
            yield line, _record(value) if records else as_fact(_named(value))
        except InvalidInput as error:
            raise _on_line(error, line) from error


def at_line(error: MemosError, lines: list[int]) -> MemosError:
    """The error of a part, told by the line of the row that it is about, if it says which."""
    number = error.details.get("fact", error.details.get("record"))
    if not isinstance(number, int):
        said = f"{error.details.get('field', '')} {error.message}"
        found = re.search(r"\b(?:facts?|records?|item)[ .](\d+)\b", said)
        number = int(found[1]) if found else None
    if number is None or number >= len(lines):
        return error
    return _on_line(error, lines[number])


def cell(text: str) -> Any:
    """A text of a table or command line: a number if it is written like one, else as it is."""
    found = _NUMBER.match(text)
    if found is None:
        return text
    return float(text) if found[2] else int(text)


def _record(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput("it is no object; a record has named fields")
    return value


def _named(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    if isinstance(value, list) and 2 <= len(value) <= len(_PLAIN):
        return dict(zip(_PLAIN, value, strict=False))
    raise InvalidInput(f"it is no object and no array of {', '.join(_PLAIN)}")


def _on_line(error: MemosError, line: int) -> MemosError:
    return type(error)(f"line {line}: {error.message}", **{**error.details, "line": line})


def _refuse(line: int, message: str) -> NoReturn:
    raise InvalidInput(f"line {line}: {message}", line=line)


# JSON lines


def _texts(stream: IO[bytes], advance: Advance) -> Iterator[Row]:
    """The lines as texts with their ends."""
    for number, line in enumerate(stream, start=1):
        advance(len(line))
        try:
            yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            _refuse(number, f"it is no UTF-8 text (byte {error.start}); convert the file first")


def _lines(stream: IO[bytes], advance: Advance) -> Iterator[Row]:
    for number, text in _texts(stream, advance):
        if text.strip():
            try:
                yield number, _DECODER.decode(text)
            except (ValueError, RecursionError) as error:
                _refuse(number, f"it is no JSON: {_words(error)}")


# JSON


def _json(stream: IO[bytes], advance: Advance) -> Iterator[Row]:
    """The elements of one array; one object stands for itself."""
    source = _Source(stream, advance)
    if source.peek() == "{":
        yield source.value()
    elif source.peek() == "[":
        source.take()
        while source.peek() != "]":
            yield source.value()
            if source.peek() == ",":
                source.take()
                if source.peek() != "]":
                    continue
            elif source.peek() == "]":
                break
            _refuse(source.line, "the array goes on with neither a comma and a row nor its end")
        source.take()
    elif source.peek():
        _refuse(source.line, "the file must hold an array of rows; one object per line is .jsonl")
    if source.peek():
        _refuse(source.line, "something follows the end of the JSON")


class _Source:
    """A JSON text, read in pieces; `line` is that of the next character."""

    def __init__(self, stream: IO[bytes], advance: Advance) -> None:
        self._stream = stream
        self._advance = advance
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text = ""
        self._at = 0
        self._ended = False
        self.line = 1

    def peek(self) -> str:
        """The next character that is no blank; empty at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in " \t\r\n":
                    return self._text[self._at]
                self.take()
            if self._ended:
                return ""
            self._read(_PIECE)

    def take(self) -> None:
        self.line += self._text[self._at] == "\n"
        self._at += 1

    def value(self) -> Row:
        """The next object or array, with the line of its start."""
        if self.peek() not in ("{", "["):
            _refuse(self.line, "here must be an object or an array")
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except RecursionError:
                _refuse(self.line, "it is nested too deeply")
            except ValueError as error:
                held = len(self._text) - self._at
                if self._ended or held > _ROW_CHARS or not isinstance(error, json.JSONDecodeError):
                    self._fail(error)
                self._read(max(_PIECE, held))
            else:
                row = (self.line, value)
                self.line += self._text.count("\n", self._at, end)
                self._at = end
                return row

    def _fail(self, error: ValueError) -> NoReturn:
        place = getattr(error, "pos", self._at)
        line = self.line + self._text.count("\n", self._at, place)
        _refuse(line, f"it is no JSON: {_words(error)}")

    def _read(self, size: int) -> None:
        data = self._stream.read(size)
        self._advance(len(data))
        self._ended = not data
        try:
            fresh = self._decoder.decode(data, final=self._ended)
        except UnicodeDecodeError:
            line = self.line + self._text.count("\n", self._at)
            _refuse(line, "here or soon after it is no UTF-8 text; convert the file first")
        self._text = self._text[self._at :] + fresh
        self._at = 0


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _words(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return getattr(error, "msg", str(error))


# CSV


def _csv(stream: IO[bytes], advance: Advance, reads: Reads) -> Iterator[Row]:
    """Rows by the names in the first line; an empty cell is left out."""
    reader = csv.reader((text for _, text in _texts(stream, advance)), strict=True)
    names: list[str] | None = None
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            _refuse(line, f"it is no CSV: {error}")
        if cells is None:
            return
        if not any(text.strip() for text in cells):
            continue
        if names is None:
            names = _header(cells, line)
        elif len(cells) != len(names):
            _refuse(line, f"it has {len(cells)} cells, and the first line {len(names)} names")
        else:
            pairs = zip(names, cells, strict=True)
            yield line, {name: reads(name)(text.strip()) for name, text in pairs if text.strip()}


def _header(cells: list[str], line: int) -> list[str]:
    names = [text.strip() for text in cells]
    if "" in names or len(set(names)) < len(names):
        _refuse(line, "the first line must name each column, and none twice")
    return names


def _of_facts(name: str) -> Callable[[str], Any]:
    return _TYPED.get(name, str)


def _of_records(texts: Container[str]) -> Reads:
    return lambda name: str if name in texts else cell


def _truth(text: str) -> Any:
    return {"true": True, "false": False}.get(text.lower(), text)


# Cells of facts that are no texts.
_TYPED: dict[str, Callable[[str], Any]] = {"object": cell, "negated": _truth, "confidence": cell}
