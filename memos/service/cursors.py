"""Page cursors: opaque, and refused when this service did not issue them for this listing."""

from __future__ import annotations

import base64
import binascii
import hashlib

from memos.errors import InvalidCursor

_CHECK_CHARS = 6


def encode(listing: str, place: str) -> str:
    """A cursor for `place` (a position or id) in `listing` (which rows, with which filter)."""
    text = f"{_check(listing, place)}{place}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(listing: str, cursor: str) -> str:
    """The place. InvalidCursor for a damaged cursor, or one of another listing."""
    try:
        text = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidCursor(_refusal(cursor)) from error
    check, place = text[:_CHECK_CHARS], text[_CHECK_CHARS:]
    if check != _check(listing, place):
        raise InvalidCursor(_refusal(cursor))
    return place


def _check(listing: str, place: str) -> str:
    """Not a secret: it catches mistakes. What a place may reach is checked by the listing."""
    return hashlib.sha256(f"{listing}\n{place}".encode()).hexdigest()[:_CHECK_CHARS]


def _refusal(cursor: str) -> str:
    return (
        f"cursor {cursor[:40]!r} is not one this listing gave; start again without a cursor, with "
        "the same filters on each page"
    )
