"""Answers of the local model as they come: one line of JSON for each piece.

The first piece is waited for before the head is sent, so that what is wrong with a request is a
plain problem document with its status; a later failure is a last line with `problem`. Knows HTTP
streams, no model.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import chain

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from memos.api.errors import internal, problem_of, request_id
from memos.api.items import NDJSON
from memos.errors import MemosError
from memos.types import Piece
from memos.wire import to_json

log = logging.getLogger("memos.api")


def streamed(request: Request, pieces: Iterator[Piece]) -> Response:
    """The answer that carries them. What the first one raises comes through."""
    first = next(pieces)
    return StreamingResponse(_lines(request, chain([first], pieces)), media_type=NDJSON)


def _lines(request: Request, pieces: Iterator[Piece]) -> Iterator[bytes]:
    try:
        for piece in pieces:
            yield to_json(piece) + b"\n"
    except MemosError as error:
        yield to_json({"text": "", "problem": problem_of(error, request).document()}) + b"\n"
    except Exception:
        log.exception("an answer broke off, request %s", request_id(request))
        yield to_json({"text": "", "problem": internal(request).document()}) + b"\n"
