"""Which values a row of a dump may have: what the tables allow, and what their readers can read.

The file is hostile input. A value that could be stored but not read again would turn each later
read into a failure, so enumerations, times, JSON texts and vectors are all looked at here.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import cache
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from sqlalchemy import BigInteger, Column, Float, Integer, LargeBinary, Table

from memos.errors import InvalidDump
from memos.storage.dumps.contents import columns
from memos.storage.dumps.form import MOST
from memos.storage.graph.records import BEGINNING, END
from memos.storage.records import vector_of
from memos.storage.tables import entity, indexed, memory, memory_version
from memos.types import (
    EmbeddingModel,
    Granularity,
    Image,
    Kind,
    Memory,
    Policy,
    Provenance,
    RulingKind,
    State,
    Substrate,
    SummaryKind,
)

Row = list[Any]
Check = Callable[[Row], None]

_EARLIEST = -62_135_596_800_000_000
_LATEST = 253_402_300_799_999_999
"""The first and the last microsecond of the years 1 to 9999."""
_OPEN = frozenset({"valid_at", "invalid_at", "expired_at"})
"""Times that may be `BEGINNING` or `END`."""
_KEYS = frozenset({"object_key", "value_key"})
"""Digests: all 64 bits."""
_FROM_ONE = frozenset({"seq", "position", "version"})
_INDEXED_CHARS = 512

_ENUMS: Mapping[str, type[Enum]] = {
    "memory.state": State,
    "memory.kind": Kind,
    "assertion.granularity": Granularity,
    "assertion.invalid_granularity": Granularity,
    "fact.granularity": Granularity,
    "fact.invalid_granularity": Granularity,
    "ruling.kind": RulingKind,
    "summary.kind": SummaryKind,
    "lifecycle_rule.kind": Kind,
    "artifact.substrate": Substrate,
    "artifact.state": State,
}
_JSON: Mapping[str, Any] = {
    "memory.metadata": dict[str, Any],
    "memory.images": tuple[Image, ...],
    "memory.provenance": Provenance,
    "mention.spans": tuple[tuple[str, str, int, int], ...],
    "ruling.assertions": tuple[str, ...],
    "predicate_type.subject_types": tuple[str, ...],
    "predicate_type.object_types": tuple[str, ...],
    "note.keywords": tuple[str, ...],
    "note.tags": tuple[str, ...],
    "summary.entity_ids": tuple[str, ...],
    "policy.content": Policy,
    "artifact.fingerprint": dict[str, str],
}
_snapshot = msgspec.json.Decoder(Memory)


class Rows:
    """Reads the rows of one table from a dump. `names` are the columns that the file has, without
    `cube_id`; `model` is the one that the cube's vectors come from."""

    def __init__(
        self, table: Table, names: Sequence[str], *, cube_id: str, model: EmbeddingModel | None
    ) -> None:
        self.table = table
        known = {column.name: column for column in columns(table)}
        _check_columns(table, names, known)
        kinds = tuple(_kind(table, known[name]) for name in names)
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(tuple[kinds])  # type: ignore[valid-type]
        order = {name: place for place, name in enumerate(names)}
        self._places = [order.get(column.name) for column in table.c]
        self._absent = {
            number: _default(column)
            for number, column in enumerate(table.c)
            if column.name not in order
        }
        place = {column.name: number for number, column in enumerate(table.c)}
        self._absent[place["cube_id"]] = cube_id
        self._checks = [*_json_checks(table, place), *_open_times(table, place)]
        if table is memory_version:
            self._checks.append(_snapshot_of)
        if table in (indexed, entity):
            self._checks.append(_vectors(table, place, model))
        if table is memory:
            self._checks.append(_nothing_erased(place))

    def read(self, line: bytes) -> Row:
        """The values of all columns of the table. InvalidDump."""
        try:
            found = self._decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise InvalidDump(f"a row of {self.table.name} does not fit: {error}") from error
        row: Row = [None if place is None else found[place] for place in self._places]
        for number, value in self._absent.items():
            row[number] = value
        for value in found:
            if type(value) is str and "\0" in value:
                raise InvalidDump(f"a row of {self.table.name} contains a NUL character")
        for check in self._checks:
            check(row)
        return row


def _check_columns(table: Table, names: Sequence[str], known: Mapping[str, Any]) -> None:
    unknown = sorted(set(names) - set(known))
    if unknown or len(set(names)) != len(names):
        what = ", ".join(unknown) or "a name twice"
        raise InvalidDump(
            f"the columns of {table.name} have {what[:200]}, which this version of memos does not "
            "know; load the dump with the version that wrote it, or a newer one"
        )
    for name, column in known.items():
        if name not in names and not column.nullable and column.server_default is None:
            raise InvalidDump(f"{table.name} has no column {name}; the dump is not complete")


def _default(column: Column[Any]) -> Any:
    """Of a column that the dump is too old to have."""
    if column.name == "cube_id" or column.server_default is None:
        return None
    text = str(column.server_default.arg)  # type: ignore[attr-defined]
    return int(text) if isinstance(column.type, Integer) else text


def _kind(table: Table, column: Column[Any]) -> Any:
    kind = _type(table, column)
    return kind | None if column.nullable else kind


def _type(table: Table, column: Column[Any]) -> Any:
    name = column.name
    if isinstance(column.type, LargeBinary):
        return bytes
    if isinstance(column.type, Float):
        return float
    if isinstance(column.type, BigInteger):
        return _whole(name)
    if isinstance(column.type, Integer):
        return Annotated[int, msgspec.Meta(ge=int(name in _FROM_ONE) or -(2**31), le=2**31 - 1)]
    if (found := _ENUMS.get(f"{table.name}.{name}")) is not None:
        return Literal[tuple(member.value for member in found)]
    if name in _indexed_names(table):
        return Annotated[str, msgspec.Meta(max_length=_INDEXED_CHARS)]
    return str


def _whole(name: str) -> Any:
    if name in _OPEN or name in _KEYS:
        return Annotated[int, msgspec.Meta(ge=BEGINNING, le=END)]
    if name.endswith("_at"):
        return Annotated[int, msgspec.Meta(ge=_EARLIEST, le=_LATEST)]
    return Annotated[int, msgspec.Meta(ge=1 if name in _FROM_ONE else 0, le=MOST)]


@cache
def _indexed_names(table: Table) -> frozenset[str]:
    """Columns of indexes, which can't hold long texts."""
    held = {column.name for index in table.indexes for column in index.columns}
    for constraint in table.constraints:
        held |= {column.name for column in getattr(constraint, "columns", ())}
    return frozenset(held)


def _json_checks(table: Table, place: Mapping[str, int]) -> list[Check]:
    return [
        _json_check(table, column.name, place[column.name], kind)
        for column in table.c
        if (kind := _JSON.get(f"{table.name}.{column.name}")) is not None
    ]


def _json_check(table: Table, name: str, place: int, kind: Any) -> Check:
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(kind)

    def check(row: Row) -> None:
        text = row[place]
        if text is None or text in ("{}", "[]"):
            return
        try:
            found = decoder.decode(text)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise InvalidDump(f"{table.name}.{name} does not fit: {error}") from error
        if "\\u0000" in text and _holds_nul(found):
            raise InvalidDump(f"{table.name}.{name} contains a NUL character")

    return check


def _holds_nul(value: Any) -> bool:
    return "\\u0000" in msgspec.json.encode(value).decode()


def _open_times(table: Table, place: Mapping[str, int]) -> list[Check]:
    """Of the graph's times, whose ends may be open."""
    places = [place[name] for name in sorted(_OPEN & set(place))]

    def check(row: Row) -> None:
        for number in places:
            value = row[number]
            fits = value is None or _EARLIEST <= value <= _LATEST or value in (BEGINNING, END)
            if not fits:
                raise InvalidDump(f"a time of {table.name} is no time: {value}")

    return [check] if places else []


def _snapshot_of(row: Row) -> None:
    """Puts the new cube into the memory as it was, which must be the one that the row is of."""
    _, memory_id, version, *_, text = row
    if text is None:
        return
    try:
        then = _snapshot.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidDump(f"memory_version.snapshot does not fit: {error}") from error
    if (then.id, then.version) != (memory_id, version):
        raise InvalidDump(
            f"version {version} of memory {memory_id} holds version {then.version} of {then.id}"
        )
    row[-1] = msgspec.json.encode(dataclasses.replace(then, cube_id=row[0])).decode()


def _vectors(table: Table, place: Mapping[str, int], model: EmbeddingModel | None) -> Check:
    """Finite numbers. One that is not of the cube's model is left out, to be made anew: vectors of
    two models are never compared."""
    at = place["vector"]

    def check(row: Row) -> None:
        data = row[at]
        if data is None:
            return
        vector = vector_of(data) if len(data) % 4 == 0 or (len(data) % 4 == 1 and data[5:]) else ()
        if not len(vector) or not math.isfinite(float(np.dot(vector, vector))):
            raise InvalidDump("a vector is no list of finite numbers")
        fits = model is not None and model.dimensions == len(vector)
        if table is indexed:
            fits = fits and model is not None and model.digest == row[place["model"]]
        if not fits:
            row[at] = None

    return check


def _nothing_erased(place: Mapping[str, int]) -> Check:
    def check(row: Row) -> None:
        if row[place["state"]] == State.ERASED.value and row[place["content"]]:
            raise InvalidDump(f"memory {row[place['id']]} is erased and has a text")

    return check
