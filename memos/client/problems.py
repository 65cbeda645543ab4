"""Turns what came back, or did not, into the errors of `memos.errors`.

Knows problem documents (RFC 9457) and the HTTP library's exceptions; decides nothing about retries.
"""

from __future__ import annotations

from typing import Any

import msgspec

from memos.errors import (
    Conflict,
    InvalidInput,
    InvalidSetting,
    MemosError,
    NotAuthenticated,
    NotFound,
    PayloadTooLarge,
    PermissionDenied,
    ServiceUnavailable,
    StorageFull,
    VersionConflict,
    WaitTimeout,
    by_code,
)

_STANDARD = {"type", "title", "status", "detail", "instance", "code"}

# For answers that are no problem documents: a proxy's page, or another service on that port.
_BY_STATUS: dict[int, type[MemosError]] = {
    400: InvalidInput,
    401: NotAuthenticated,
    403: PermissionDenied,
    404: NotFound,
    409: Conflict,
    412: VersionConflict,
    413: PayloadTooLarge,
    422: InvalidInput,
    429: ServiceUnavailable,
    502: ServiceUnavailable,
    503: ServiceUnavailable,
    504: WaitTimeout,
    507: StorageFull,
}


def problem(status: int, body: bytes, *, url: str, request_id: str | None) -> MemosError:
    """The error that an answer with a status of 300 or more stands for."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        document = None
    if isinstance(document, dict) and isinstance(document.get("code"), str):
        return _documented(status, document, request_id)
    details: dict[str, Any] = {"status": status}
    if request_id:
        details["request_id"] = request_id
    kind = _BY_STATUS.get(status, MemosError)
    return kind(
        f"{url} answered {status} with something that no memos service sends;"
        " check the URL and what stands between",
        **details,
    )


def _documented(status: int, document: dict[str, Any], request_id: str | None) -> MemosError:
    details = {name: value for name, value in document.items() if name not in _STANDARD}
    if request_id:
        details.setdefault("request_id", request_id)
    code = document["code"]
    kind = by_code().get(code)
    if kind is None:
        # A newer server's code: the nearest error that this client has, and the code kept.
        kind = _BY_STATUS.get(status, MemosError)
        details["code"] = code
    message = document.get("detail") or document.get("title") or code
    error = kind(str(message))
    error.details = details
    return error


def never_sent(error: Exception) -> bool:
    """Whether the service can't have seen the request."""
    import httpx

    return isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout))


def unanswered(error: Exception, *, url: str, seconds: float) -> MemosError:
    """The error for an exception of the HTTP library."""
    import httpx

    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
        return ServiceUnavailable(
            f"can't connect to {url}: {_words(error)}; is `memos serve` running there?"
            " Check the URL (base_url, --url or MEMOS_URL)",
            url=url,
        )
    if isinstance(error, httpx.PoolTimeout):
        return ServiceUnavailable(
            f"all connections of this client to {url} stayed busy for {seconds:g} s;"
            " use fewer threads or tasks per client",
            url=url,
        )
    if isinstance(error, httpx.TimeoutException):
        return WaitTimeout(
            f"{url} did not answer within {seconds:g} s; it may still do the work."
            " Ask again, or give the client a longer timeout",
            url=url,
        )
    if isinstance(error, (httpx.UnsupportedProtocol, httpx.InvalidURL)):
        return InvalidSetting(
            f"the URL is {url!r}: {_words(error)}; use one like http://127.0.0.1:8000",
            setting="url",
        )
    return ServiceUnavailable(
        f"the connection to {url} broke: {_words(error)}; ask again, and see the server's log",
        url=url,
    )


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
