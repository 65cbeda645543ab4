"""One request to a language model through litellm: capabilities, hard time limit, typed errors.

litellm is imported at the first request, with its own price list, since its import would ask the
network for one otherwise. Knows no prompt and no schema of answers beyond handing it on.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from memos.errors import ExtractorAnswer, ExtractorUnavailable, MissingDependency
from memos.extraction.ledger import Ledger

log = logging.getLogger(__name__)

_OWN_SERVER_KEY = "no-key"
"""A server of one's own mostly wants none, but the client sends one; never a provider's."""
_SECRET = re.compile(r"\b(?:sk|pk|key|gsk|xai|AIza)[-_A-Za-z0-9]{8,}|(?<=Bearer )\S+")
_REASON_CHARS = 400
_ABOUT_FORMAT = re.compile(r"response_format|json_schema|json_object|structured output", re.I)
_ABOUT_TEMPERATURE = re.compile(r"temperature", re.I)

Messages = Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What the model is asked with. `format` is "json_schema" (the answer is constrained to it),
    "json_object" (to be some JSON), or "text", as far down as the provider's refusals led;
    `temperature`: whether it takes one (0)."""

    format: str = "json_schema"
    temperature: bool = True


@dataclass(frozen=True, slots=True)
class Reply:
    """`cut`: the model reached its limit of tokens before it was done."""

    text: str
    cut: bool


class Refused(ExtractorUnavailable):
    """The provider answers nobody with this key, or has no such model."""


class Rejected(ExtractorAnswer):
    """It will not answer this request, be it too long or against its rules; others it may."""


class Busy(ExtractorUnavailable):
    """It may answer later; `after` seconds at the earliest, if it said so."""

    def __init__(self, message: str, *, after: float | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.after = after


class Provider:
    """Asks one model. Thread-safe; at most `concurrency` requests at a time."""

    def __init__(
        self,
        model: str,
        *,
        url: str = "",
        key: str = "",
        timeout: float,
        concurrency: int,
        ledger: Ledger,
    ) -> None:
        self.model = model
        self.capabilities = Capabilities()
        self._url = url
        self._key = key
        self._timeout = timeout
        self._ledger = ledger
        self._slots = threading.BoundedSemaphore(concurrency)
        self._lock = threading.Lock()
        self._litellm: Any = None

    def ask(self, messages: Messages, schema: Mapping[str, Any]) -> Reply:
        """One answer, asked for again at once only where the provider refuses how it was asked.

        Busy if a later try may succeed; Refused if none will, Rejected if none with these messages;
        ExtractorAnswer for an empty answer; MissingDependency without litellm. No message has the
        key in it.
        """
        litellm = self._library()
        while True:
            asked_with = self.capabilities
            try:
                with self._slots:
                    return self._one(litellm, messages, schema, asked_with)
            except _NotCapable as error:
                self._do_without(error, asked_with)

    def _one(
        self, litellm: Any, messages: Messages, schema: Mapping[str, Any], how: Capabilities
    ) -> Reply:
        self._ledger.asked(self.model)
        try:
            response = self._within_time(
                lambda: litellm.completion(**self._request(litellm, messages, schema, how))
            )
            return self._reply(litellm, response)
        except ExtractorAnswer:
            raise  # an answer, if an empty one: the caller counts those of no use
        except Exception as error:
            self._ledger.failed(self.model)
            raise self._translated(litellm, error, how) from error

    def _request(
        self, litellm: Any, messages: Messages, schema: Mapping[str, Any], how: Capabilities
    ) -> dict[str, Any]:
        request: dict[str, Any] = {
            "model": self.model,
            "messages": [dict(message) for message in messages],
            "timeout": self._timeout,
            "num_retries": 0,
            "max_retries": 0,
        }
        if self._key:
            request["api_key"] = self._key
        if self._url:
            request["api_base"] = self._url
            request.setdefault("api_key", _OWN_SERVER_KEY)
            if self.model.split("/", 1)[0] not in set(map(str, litellm.provider_list)):
                request["custom_llm_provider"] = "openai"
        if how.temperature:
            request["temperature"] = 0
        if how.format == "json_schema":
            request["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "turns", "strict": True, "schema": schema},
            }
        elif how.format == "json_object":
            request["response_format"] = {"type": "json_object"}
        return request

    def _within_time(self, call: Any) -> Any:
        """The result of `call`, or TimeoutError when the time is up.

        The client's own limit is one per read: a server that sends a byte now and then would hold
        it for ever. The thread that is left behind ends when the server lets go of it.

        A failure that came when the time was up, mostly that limit, is told as TimeoutError too,
        so that it does not depend on which of the two is noticed first.
        """
        box: list[Any] = []
        failure: list[BaseException] = []
        end = time.monotonic() + self._timeout

        def run() -> None:
            try:
                box.append(call())
            except BaseException as error:
                if time.monotonic() < end:
                    failure.append(error)

        thread = threading.Thread(target=run, name="llm-request", daemon=True)
        thread.start()
        thread.join(self._timeout)
        if failure:
            raise failure[0]
        if not box:
            raise TimeoutError(f"no whole answer within {self._timeout:g} s")
        return box[0]

    def _reply(self, litellm: Any, response: Any) -> Reply:
        usage = getattr(response, "usage", None)
        prompt = getattr(usage, "prompt_tokens", None)
        completion = getattr(usage, "completion_tokens", None)
        self._ledger.answered(
            self.model,
            prompt=prompt,
            completion=completion,
            cost_usd=self._price(litellm, prompt, completion),
        )
        choices = getattr(response, "choices", None)
        if not choices:
            raise ExtractorAnswer(f"{self.model} answered without any choice")
        text = choices[0].message.content
        if not isinstance(text, str) or not text.strip():
            raise ExtractorAnswer(f"{self.model} gave an empty answer")
        return Reply(text, cut=choices[0].finish_reason == "length")

    def _price(self, litellm: Any, prompt: int | None, completion: int | None) -> float | None:
        """US dollars by litellm's list; None for a model that is not on it."""
        if prompt is None or completion is None or not self._is_listed(litellm):
            return None
        parts = litellm.cost_per_token(
            model=self.model, prompt_tokens=prompt, completion_tokens=completion
        )
        return float(sum(parts))

    def _is_listed(self, litellm: Any) -> bool:
        names = {self.model, self.model.split("/", 1)[-1]}
        return not names.isdisjoint(litellm.model_cost)

    def _translated(self, litellm: Any, error: Exception, how: Capabilities) -> Exception:
        reason = self._reason(error)
        about = f"{self.model} {reason}"
        if isinstance(error, (litellm.BadRequestError, litellm.UnsupportedParamsError)):
            if how.format != "text" and _ABOUT_FORMAT.search(str(error)):
                return _NotCapable("format", about)
            if how.temperature and _ABOUT_TEMPERATURE.search(str(error)):
                return _NotCapable("temperature", about)
            return Rejected(f"{about}; it will not read this text", model=self.model)
        if isinstance(error, (litellm.AuthenticationError, litellm.PermissionDeniedError)):
            return Refused(f"{about}; check extraction_key", model=self.model)
        if isinstance(error, litellm.NotFoundError):
            return Refused(f"{about}; check extraction_model and extraction_url", model=self.model)
        return Busy(about, after=_retry_after(error), model=self.model)

    def _reason(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"did not answer: {error}"
        status = getattr(error, "status_code", None)
        text = " ".join(str(error).split())
        if self._key:
            text = text.replace(self._key, "•••")
        text = _SECRET.sub("•••", text)[:_REASON_CHARS]
        code = f" (HTTP {status})" if status else ""
        return f"failed{code}: {type(error).__name__}: {text}"

    def _do_without(self, error: _NotCapable, asked_with: Capabilities) -> None:
        """Goes on with less, for all requests to come, and says so."""
        with self._lock:
            if self.capabilities != asked_with:
                return  # another thread was told the same
            if error.what == "temperature":
                self.capabilities = replace(asked_with, temperature=False)
            else:
                less = "json_object" if asked_with.format == "json_schema" else "text"
                self.capabilities = replace(asked_with, format=less)
        log.warning("%s; from now on asked with %s", error, self.capabilities)

    def _library(self) -> Any:
        with self._lock:
            if self._litellm is None:
                self._litellm = _imported()
            return self._litellm


class _NotCapable(Exception):
    """The provider refuses `format` or `temperature`."""

    def __init__(self, what: str, about: str) -> None:
        super().__init__(about)
        self.what = what


def _imported() -> Any:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    try:
        import litellm
    except ImportError as error:
        raise MissingDependency(
            f"extraction=llm needs {error.name}; install the extra: pip install 'memos[llm]'"
        ) from error
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    return litellm


def _retry_after(error: Exception) -> float | None:
    """Seconds. litellm keeps the provider's headers beside a response of its own without any."""
    kept = getattr(error, "litellm_response_headers", None) or {}
    sent = getattr(getattr(error, "response", None), "headers", None) or {}
    try:
        seconds = float(kept.get("retry-after") or sent.get("retry-after") or "")
    except ValueError:  # none, or a date
        return None
    return seconds if seconds >= 0 else None
