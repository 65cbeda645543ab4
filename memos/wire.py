"""The JSON form of the types: what travels over HTTP and what the SDK gives back.

Knows the dataclasses' shape through msgspec and nothing of HTTP.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from memos.errors import InvalidInput

T = TypeVar("T")


def to_json(value: Any) -> bytes:
    """UTF-8 JSON of a dataclass, or of lists and dicts of them."""
    return msgspec.json.encode(value)


def to_builtins(value: Any) -> Any:
    """The same as dicts, lists, strings and numbers."""
    return msgspec.to_builtins(value)


def from_builtins(data: Any, kind: type[T]) -> T:
    """A typed value from parsed JSON. InvalidInput names the place that doesn't fit."""
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"{kind.__name__}: {error}") from error


def from_json(data: bytes | str, kind: type[T]) -> T:
    """A typed value from JSON text. InvalidInput if it is no JSON or doesn't fit."""
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"{kind.__name__}: {error}") from error
