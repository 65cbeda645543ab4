"""Idempotency-Key for writes other than `add`, which has its own within its transaction.

The answer is kept with the key and given again to the same request; another request with the key
is refused. Failures are not kept: they changed nothing, so the request may be tried again. Texts of
memories and links are not kept either, since an erase could not reach them: such an answer is read
again from the stores.
Duplicates that arrive at the same time wait for each other within a process. Between processes the
first receipt wins, and the writes guarded here do no harm when done twice.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Header, Request
from starlette.responses import Response

from memos.api.auth import Caller
from memos.errors import IdempotencyConflict, InvalidInput
from memos.protocols import Receipt, ReceiptStore

if TYPE_CHECKING:
    from memos.service import Service

_MAX_CHARS = 255
_REPLAYED = "Idempotency-Replayed"
_KEPT_HEADERS = ("etag", "content-type")

KeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        json_schema_extra={"minLength": 1, "maxLength": _MAX_CHARS, "pattern": "^[\\x20-\\x7e]+$"},
        description="Makes it safe to send the request again: the same key and request give the "
        "first answer, marked `Idempotency-Replayed: true`.",
    ),
]


class Turns:
    """One request per (tenant, key) at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[tuple[str, str], tuple[threading.Lock, int]] = {}

    @contextmanager
    def of(self, tenant_id: str, key: str) -> Iterator[None]:
        place = (tenant_id, key)
        with self._lock:
            lock, waiting = self._held.get(place, (threading.Lock(), 0))
            self._held[place] = (lock, waiting + 1)
        try:
            with lock:
                yield
        finally:
            with self._lock:
                lock, waiting = self._held.pop(place)
                if waiting > 1:
                    self._held[place] = (lock, waiting - 1)


@dataclass(frozen=True)
class Recall:
    """How an answer is given again of which only `mark` is kept."""

    mark: Callable[[Response], str]
    answer: Callable[[str], Response]


class Once:
    """Does a write once per idempotency key. Without a key it is simply done."""

    def __init__(
        self, receipts: ReceiptStore, turns: Turns, tenant_id: str, key: str | None, request: str
    ) -> None:
        self._receipts = receipts
        self._turns = turns
        self._tenant_id = tenant_id
        self.key = key
        self._request = request

    def seen(self) -> bool:
        """Whether the key has an answer already."""
        return self.key is not None and self._find(self.key) is not None

    def do(
        self, write: Callable[[], Response], *, secret: bool = False, recall: Recall | None = None
    ) -> Response:
        """The answer of `write`, now or from the first time. An answer with a secret is never kept:
        IdempotencyConflict tells the second caller so. With `recall` it is not kept but made
        again, and what that raises comes through."""
        if self.key is None:
            return write()
        with self._turns.of(self._tenant_id, self.key):
            if (receipt := self._find(self.key)) is not None:
                return self._replay(self.key, receipt, recall)
            answer = write()
            self._keep(self.key, answer, secret=secret, recall=recall)
            return answer

    def _find(self, key: str) -> Receipt | None:
        return self._receipts.find(self._tenant_id, key)

    def _keep(self, key: str, answer: Response, *, secret: bool, recall: Recall | None) -> None:
        bare = secret or recall is not None
        result = {
            "verb": "http",
            "secret": secret,
            "status": answer.status_code,
            "headers": {n: v for n, v in answer.headers.items() if n in _KEPT_HEADERS},
            "body": "" if bare else base64.b64encode(bytes(answer.body)).decode(),
            "mark": recall and recall.mark(answer),
        }
        try:
            self._receipts.put(self._tenant_id, key, Receipt(self._request, result))
        except IdempotencyConflict:
            # Another process was faster with the same request; what this one did stands as well.
            if (kept := self._find(key)) is None or kept.request_hash != self._request:
                raise

    def _replay(self, key: str, receipt: Receipt, recall: Recall | None) -> Response:
        if receipt.request_hash != self._request:
            raise IdempotencyConflict(
                f"idempotency key {key!r} was used for another request; use a new key", key=key
            )
        kept = receipt.result
        if kept["secret"]:
            raise IdempotencyConflict(
                f"the request with idempotency key {key!r} was done; its answer held a secret, "
                "which is not kept. List the keys, revoke the one that was made, and issue another",
                key=key,
            )
        if recall is not None:
            answer = recall.answer(kept["mark"])
        else:
            answer = Response(base64.b64decode(kept["body"]), kept["status"], kept["headers"])
        answer.headers[_REPLAYED] = "true"
        return answer


def checked_key(key: str | None) -> str | None:
    """InvalidInput for what is no header-safe key of reasonable length."""
    if key is None:
        return None
    if not key or len(key) > _MAX_CHARS or not (key.isascii() and key.isprintable()):
        raise InvalidInput(
            f"the Idempotency-Key is {key[:40]!r}; it must be 1 to {_MAX_CHARS} printable ASCII "
            "characters",
            field="Idempotency-Key",
        )
    return key


def mark_replayed(answer: Response) -> Response:
    """For `add`, whose receipt the service keeps."""
    answer.headers[_REPLAYED] = "true"
    return answer


async def _once(request: Request, caller: Caller, key: KeyHeader = None) -> Once:
    service: Service = request.app.state.service
    scope = request.scope
    # Without the key that asks: a rotated key may repeat what the old one began.
    parts = [
        scope["method"].encode(),
        scope["path"].encode("utf-8", "surrogateescape"),
        scope["query_string"],
        request.headers.get("if-match", "").encode("latin-1"),
        b"" if request.app.state.streams(scope) else await request.body(),
    ]
    digest = hashlib.sha256(b"\n".join(hashlib.sha256(part).digest() for part in parts))
    return Once(
        service.stores.receipts,
        request.app.state.turns,
        caller.key.tenant_id,
        checked_key(key),
        digest.hexdigest(),
    )


Repeatable = Annotated[Once, Depends(_once)]
