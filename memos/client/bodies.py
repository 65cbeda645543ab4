"""Bodies, paths and answers in their wire form: the small print of `memos.client.requests`.

Knows JSON and URL paths, not which route takes what.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from datetime import datetime
from decimal import Decimal
from functools import cache
from math import isfinite
from typing import Any
from urllib.parse import quote

import msgspec

from memos.errors import InvalidInput, MemosError
from memos.messages import Item
from memos.types import JobState, Kind, Message, NewMemory, State, SummaryKind
from memos.validation import check_json

Query = list[tuple[str, str]]


def item_fields(item: Item) -> dict[str, Any]:
    """An item as JSON fields, those at their default left out; a Message always has its `role`."""
    if isinstance(item, str):
        return {"content": item}
    if isinstance(item, Message):
        return {"role": item.role, **changed(item)}
    if isinstance(item, NewMemory):
        return changed(item)
    raise InvalidInput(
        f"an item to add is a {type(item).__name__}; give a str, a NewMemory or a Message",
        field="content",
    )


def changed(value: Any) -> dict[str, Any]:
    """A dataclass's fields without those that equal their default: smaller bodies, same meaning."""
    found = {}
    for name, default in _defaults(value.__class__):
        current = getattr(value, name)
        if current != default:
            found[name] = current
    return found


@cache
def _defaults(kind: Any) -> list[tuple[str, Any]]:
    found = []
    for spec in fields(kind):
        made = spec.default_factory
        found.append((spec.name, spec.default if made is MISSING else made()))
    return found


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def json_body(value: Any) -> bytes:
    """UTF-8 JSON. InvalidInput for what JSON has no form for, NaN and infinities included; nothing
    is quietly made into something else, as a set into a list."""
    _check(value)
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        raise InvalidInput(f"the request can't be written as JSON: {error}") from error


def _check(value: Any) -> None:
    """Against what msgspec would write in a form of its own: null, base64, a text."""
    if isinstance(value, float) and not isfinite(value):
        raise InvalidInput(f"the request has the number {value}, which JSON can't hold")
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidInput(f"the request has the key {key!r}; it must be a text")
            if key == "metadata" and isinstance(item, Mapping):
                check_json("metadata", item)
            else:
                _check(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _check(item)
    elif isinstance(value, (bytes, bytearray, memoryview, set, frozenset, Decimal)):
        raise InvalidInput(f"the request has a {type(value).__name__}, which JSON has no form for")


def word(value: Any) -> str:
    named = isinstance(value, (Kind, State, JobState, SummaryKind))
    return str(value.value) if named else str(value)


def times(**values: datetime | None) -> Query:
    """Query parameters of the times that were given. What is no time goes as it is written: the
    service says what is wrong with it."""
    return [(name, str(msgspec.to_builtins(value))) for name, value in given(values).items()]


def paging(cursor: str | None, limit: int) -> Query:
    return [*given({"cursor": cursor}).items(), ("limit", str(limit))]


def idempotency(key: Any) -> dict[str, str]:
    if not isinstance(key, str) or not key or not key.isascii() or not key.isprintable():
        raise InvalidInput(
            f"the idempotency key is {key!r}; use printable ASCII characters",
            field="idempotency_key",
        )
    return {"Idempotency-Key": key}


def if_match(version: int | None) -> dict[str, str]:
    if version is not None and type(version) is not int:
        raise InvalidInput(
            f"if_version is {version!r}; it must be a whole number", field="if_version"
        )
    return {} if version is None else {"If-Match": f'"{version}"'}


def cube_path(cube: str) -> str:
    return f"/v1/cubes/{segment(cube, 'cube')}"


def memory_path(cube: str, memory_id: str) -> str:
    return f"{cube_path(cube)}/memories/{segment(memory_id, 'memory id')}"


def segment(value: Any, what: str) -> str:
    """One path segment that no normalisation of dots and slashes can turn into another path."""
    if not isinstance(value, str) or not value:
        raise InvalidInput(f"the {what} is {value!r}; it must be a text that is not empty")
    try:
        return quote(value, safe="").replace(".", "%2E")
    except UnicodeEncodeError as error:
        raise InvalidInput(f"the {what} {value!r} is no valid Unicode text") from error


@cache
def reader(kind: Any) -> Callable[[bytes], Any]:
    """Reads an answer of this type; fields that a newer server added are passed over."""
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(kind)

    def read(body: bytes) -> Any:
        try:
            return decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise MemosError(
                f"the answer is not what a memos service sends ({error}); check the URL and that"
                " client and service have the same major version"
            ) from error

    return read


def nothing(body: bytes) -> None:
    return None
