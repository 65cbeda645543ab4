"""JSON as it comes in: decoded strictly, refused with 400 or 415 where it is none.

Knows bytes and media types; what the values must be is `memos.api.schemas`.
"""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import Request

from memos.api.errors import MalformedRequest


class JSONRequest(Request):
    """A request whose body must be JSON by RFC 8259: UTF-8, no NaN, no half surrogates."""

    async def body(self) -> bytes:
        found = await super().body()
        if found and media_type(self) != "application/json":
            raise unsupported(self, "application/json")
        return found

    async def json(self) -> Any:
        return decode(await self.body())


def _byte(error: UnicodeDecodeError) -> bytes:
    return bytes(error.object[error.start : error.start + 1])


def decode(data: bytes) -> Any:
    """Parsed JSON. MalformedRequest with the place of the first fault."""
    try:
        return msgspec.json.decode(data)
    except UnicodeDecodeError as error:
        raise MalformedRequest(
            f"the body is not UTF-8: byte {_byte(error)!r} at its "
            f"position {error.start} within a string"
        ) from error
    except RecursionError as error:
        raise MalformedRequest("the JSON is nested too deeply") from error
    except msgspec.MsgspecError as error:
        raise MalformedRequest(f"the body is not JSON: {error}") from error


def media_type(request: Request) -> str:
    """Without parameters, in lower case."""
    header = request.headers.get("content-type", "")
    return header.partition(";")[0].strip().lower()


def unsupported(request: Request, wanted: str) -> MalformedRequest:
    return MalformedRequest(
        f"the body's Content-Type is {request.headers.get('content-type', '')!r}; send {wanted}",
        status=415,
    )
