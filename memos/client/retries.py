"""When a call is sent again, and after how long: exponential backoff with jitter.

Pure: counts attempts and answers with seconds. Knows neither client nor how to sleep. Half of each
backoff is fixed and half is random ("equal jitter"), so that clients that failed together do not
come back together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

from memos.client.problems import never_sent, problem, unanswered
from memos.client.requests.request import Request
from memos.errors import InvalidSetting, MemosError, ServiceUnavailable, WaitTimeout

RETRIED = frozenset({502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """`retries`: further attempts after the first. Times in seconds.

    A server that asks by Retry-After for more than `longest` is not waited for.
    """

    retries: int = 3
    first: float = 0.2
    ceiling: float = 8.0
    longest: float = 60.0

    def __post_init__(self) -> None:
        if self.retries < 0:
            raise InvalidSetting(f"retries is {self.retries}; it can't be negative")


class Attempts:
    """The attempts of one call; `failed` and `answered` give the pause before the next or raise."""

    def __init__(
        self,
        request: Request[object],
        policy: Policy,
        *,
        url: str,
        seconds: float,
        random: Callable[[], float],
        now: Callable[[], datetime],
    ) -> None:
        self._request = request
        self._policy = policy
        self._url = url
        self._seconds = seconds
        self._random = random
        self._now = now
        self._made = 0

    def failed(self, error: Exception) -> float:
        """After an exception of the HTTP library."""
        translated = unanswered(error, url=self._url, seconds=self._seconds)
        # Not after a read timeout: the server is busy with this very call, and the caller's
        # patience is used up.
        again = isinstance(translated, ServiceUnavailable) and not isinstance(
            translated, WaitTimeout
        )
        again = again and (self._request.repeatable or never_sent(error))
        return self._pause(translated, again=again, asked=None, cause=error)

    def answered(self, status: int, headers: Mapping[str, str], body: bytes) -> float | None:
        """After an answer; None if it is a good one."""
        if 200 <= status < 300:
            return None
        error = problem(status, body, url=self._url, request_id=headers.get("x-request-id") or None)
        # 504 by the service itself says that what was waited for isn't done: an answer, no failure.
        # Only a proxy's answer keeps its status among the details.
        unfinished = isinstance(error, WaitTimeout) and "status" not in error.details
        again = status in RETRIED and not unfinished and self._request.repeatable
        return self._pause(error, again=again, asked=headers.get("retry-after"), cause=None)

    def _pause(
        self, error: MemosError, *, again: bool, asked: str | None, cause: Exception | None
    ) -> float:
        wanted = seconds_of(asked, now=self._now) if asked else None
        exhausted = self._made >= self._policy.retries
        too_long = wanted is not None and wanted > self._policy.longest
        if not again or exhausted or too_long:
            raise error from cause
        backoff = min(self._policy.ceiling, self._policy.first * 2.0**self._made)
        self._made += 1
        pause = backoff * (0.5 + 0.5 * self._random())
        return pause if wanted is None else max(pause, wanted)


def seconds_of(retry_after: str, *, now: Callable[[], datetime]) -> float | None:
    """A Retry-After header, seconds or an HTTP date, in seconds from now; None if it is neither."""
    from email.utils import parsedate_to_datetime

    text = retry_after.strip()
    if text.isdigit() and text.isascii():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=timezone.utc)
    return max(0.0, (at - now()).total_seconds())
