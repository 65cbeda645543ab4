"""What both clients share besides the requests: their settings, and a call's headers and outcome.

Knows the HTTP library only to build its client; sends nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

from memos.client.requests.request import Request
from memos.client.retries import Attempts, Policy
from memos.config import client_environment
from memos.errors import InvalidSetting, JobFailed, WaitTimeout
from memos.types import Job, JobState

DEFAULT_URL = "http://127.0.0.1:8000"
_CONNECT_SECONDS = 5.0
_LONGEST_TIMEOUT = 31_536_000.0
LONGEST_POLL = 20.0
"""Seconds that one request waits for a job; proxies cut longer ones."""


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


def _random() -> float:
    """In [0, 1). The modules `random` and `uuid` would take a good part of the import time."""
    return int.from_bytes(os.urandom(4), "big") / 2**32


def _random_key() -> str:
    return os.urandom(16).hex()


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Where the service is and how it is talked to. `timeout` is in seconds, for one attempt."""

    url: str
    api_key: str | None
    timeout: float
    policy: Policy
    random: Callable[[], float] = _random
    now: Callable[[], datetime] = _utc_now
    new_key: Callable[[], str] = _random_key

    def attempts(self, request: Request[Any]) -> Attempts:
        return Attempts(
            request,
            self.policy,
            url=self.url,
            seconds=self.timeout + request.patience,
            random=self.random,
            now=self.now,
        )

    def http_options(self) -> dict[str, Any]:
        """Arguments for `httpx.Client` and `httpx.AsyncClient`."""
        from memos import __version__  # loads a lot, so not with the module

        headers = {"User-Agent": f"memos-python/{__version__}", "Accept": "application/json"}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        return {"base_url": self.url, "headers": headers, "timeout": self.read_timeout(0.0)}

    def call_options(self, request: Request[Any]) -> dict[str, Any]:
        """Arguments for the `request` method of both."""
        headers = dict(request.headers)
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        return {
            "method": request.method,
            "url": request.path,
            "params": request.query or None,
            "content": request.body,
            "headers": headers,
            "timeout": self.read_timeout(request.patience),
        }

    def read_timeout(self, patience: float) -> Any:
        import httpx

        connect = min(_CONNECT_SECONDS, self.timeout)
        return httpx.Timeout(self.timeout + patience, connect=connect)


def connection(
    base_url: str | None,
    api_key: str | None,
    *,
    timeout: float,
    retries: int,
    environ: Mapping[str, str] | None = None,
) -> Connection:
    """Explicit values before `MEMOS_URL` and `MEMOS_API_KEY`. InvalidSetting for unusable ones."""
    env_url, env_key = None, None
    if not (base_url and api_key):  # else nothing is looked for there
        env_url, env_key = client_environment(environ)
    url = (base_url or env_url or DEFAULT_URL).rstrip("/")
    key = api_key or env_key
    _check_url(url)
    if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
        raise InvalidSetting(
            "the API key has characters that no key has; copy it again (api_key or MEMOS_API_KEY)",
            setting="api_key",
        )
    _check_options(timeout, retries)
    return Connection(url=url, api_key=key, timeout=timeout, policy=Policy(retries=retries))


def _check_options(timeout: Any, retries: Any) -> None:
    if not (isinstance(timeout, (int, float)) and 0 < timeout < _LONGEST_TIMEOUT):
        raise InvalidSetting(
            f"timeout is {timeout!r}; it must be more than 0 s, and less than a year",
            setting="timeout",
        )
    if type(retries) is not int:
        raise InvalidSetting(
            f"retries is {retries!r}; it must be a whole number", setting="retries"
        )


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        usable = usable and parts.port != 0 and not parts.query and not parts.fragment
    except ValueError:
        usable = False
    if not usable:
        raise InvalidSetting(
            f"the URL is {url!r}; use one like {DEFAULT_URL} (base_url, --url or MEMOS_URL)",
            setting="url",
        )


def ended(job: Job) -> bool:
    """Whether waiting for the job is over. JobFailed if it will never succeed by itself."""
    if job.state in (JobState.DEAD, JobState.CANCELLED):
        reason = job.error or "no error was recorded"
        raise JobFailed(
            f"job {job.id} ({job.kind}) is {job.state.value} after {job.attempts} attempts:"
            f" {reason}. `retry_job` queues it again",
            job_id=job.id,
            state=job.state.value,
        )
    return job.state is JobState.SUCCEEDED


def overdue(job_id: str, timeout: float) -> WaitTimeout:
    return WaitTimeout(
        f"job {job_id} has not ended within {timeout:g} s; it goes on, so wait again or ask for it",
        job_id=job_id,
    )
