"""A model that answers from a recording: a real HTTP server that speaks OpenAI's chat completions.

For tests, ours and those of code that uses memos: no model and no network but loopback. It can be
told to misbehave as real servers do. Knows the prompt's form, to answer for just the turns asked.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

FAULTS = frozenset(
    {
        "ok",
        "prose",  # words around or instead of JSON
        "invalid_json",
        "wrong_schema",
        "missing_turn",
        "empty",
        "cut",  # the limit of tokens is reached
        "no_json_schema",  # 400 unless asked for json_object or less
        "no_response_format",  # 400 if asked for any format
        "no_temperature",
        "rejected",  # 400 for another reason
        "hang",  # nothing is answered
        "trickle",  # a byte now and then, never all
        "disconnect",
        "401",
        "404",
        "429",
        "500",
    }
)
_NOTHING: Mapping[str, Any] = {"mentions": [], "claims": []}


class RecordedModel:
    """Serves `recording`: what to answer for a turn, by its text. A turn that is not in it states
    nothing. Use it as a context manager; `url` is the base to give to an extractor.

    `faults` are used up one per request, in order, then `always` counts ("ok": answer well); see
    FAULTS. `requests` are the bodies received, `keys` the keys that came with them.
    """

    def __init__(
        self,
        recording: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        faults: Iterable[str] = (),
        always: str = "ok",
        retry_after: float | None = None,
    ) -> None:
        self._recording = dict(recording or {})
        self._faults = list(faults)
        self._always = always
        unknown = {*self._faults, always} - FAULTS
        if unknown:
            raise ValueError(f"no such faults: {sorted(unknown)}; use {sorted(FAULTS)}")
        self._retry_after = retry_after
        self.requests: list[Mapping[str, Any]] = []
        self.keys: list[str] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="recorded-model", daemon=True
        )

    @classmethod
    def of(cls, path: Path, **how: Any) -> RecordedModel:
        """From a JSON file: an object with `turns`, the recording."""
        return cls(json.loads(path.read_text(encoding="utf-8"))["turns"], **how)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> RecordedModel:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def take(self, body: Mapping[str, Any], key: str) -> str:
        """Notes a request; gives the fault it meets."""
        with self._lock:
            self.requests.append(body)
            self.keys.append(key)
            return self._faults.pop(0) if self._faults else self._always

    def wait(self, seconds: float) -> bool:
        """True as soon as the server is being closed."""
        return self._ended.wait(seconds)

    @property
    def headers(self) -> Mapping[str, str]:
        """Sent with a 429."""
        return {} if self._retry_after is None else {"Retry-After": f"{self._retry_after:g}"}

    def content(self, body: Mapping[str, Any], fault: str) -> str:
        """The message that a well or badly behaved model answers with."""
        if (summary := self._summary(body)) is not None:
            return {
                "prose": f"Here you are: {summary}",
                "invalid_json": json.dumps({"summary": summary})[:-2],
                "wrong_schema": json.dumps({"text": summary}),
                "empty": "",
            }.get(fault, json.dumps({"summary": summary}, ensure_ascii=False))
        turns = asked(body)
        answers = [
            {"id": turn["id"], **self._recording.get(turn["text"], _NOTHING)} for turn in turns
        ]
        whole = json.dumps({"turns": answers}, ensure_ascii=False)
        return {
            "prose": f"Sure! Here is what I found: {len(turns)} turns about everyday life.",
            "invalid_json": whole[:-2] + ",",
            "wrong_schema": json.dumps({"facts": answers}),
            "missing_turn": json.dumps({"turns": answers[1:]}),
            "empty": "",
            "cut": whole[: len(whole) // 2],
        }.get(fault, whole)

    def _summary(self, body: Mapping[str, Any]) -> str | None:
        """What the recording has as `summary` for the turns of a request for one, joined; else
        their first words. None: it asks for something else."""
        turns = _question(body).get("summarise")
        if turns is None:
            return None
        texts = [turn["text"] for turn in turns]
        kept = [self._recording.get(text, _NOTHING).get("summary") for text in texts]
        return " ".join(filter(None, kept)) or " ".join(" ".join(texts).split()[:12])


def _question(body: Mapping[str, Any]) -> Mapping[str, Any]:
    users = [message["content"] for message in body["messages"] if message["role"] == "user"]
    question: Mapping[str, Any] = json.loads(users[0])
    return question


def asked(body: Mapping[str, Any]) -> list[Mapping[str, str]]:
    """The turns that a request asks for."""
    turns: list[Mapping[str, str]] = _question(body)["turns"]
    return turns


def _handler(model: RecordedModel) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            key = self.headers.get("Authorization", "").removeprefix("Bearer ")
            fault = model.take(body, key)
            if not self.path.endswith("/chat/completions"):
                self._error(404, f"no such path: {self.path}")
            elif fault == "hang":
                model.wait(600)
                self.close_connection = True
            elif fault == "disconnect":
                self.close_connection = True
                self.connection.close()
            elif fault == "trickle":
                self._trickle()
            elif (refusal := _refusal(body, fault, key)) is not None:
                self._error(*refusal)
            else:
                self._send(200, _completion(body, model.content(body, fault), fault))

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def _error(self, status: int, message: str) -> None:
            self._send(status, {"error": {"message": message, "type": "error", "code": None}})

        def _send(self, status: int, body: Mapping[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            if status == 429:
                for name, value in model.headers.items():
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def _trickle(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            try:
                while not model.wait(0.05):
                    self.wfile.write(b" ")
                    self.wfile.flush()
            except OSError:
                pass  # the client has gone
            self.close_connection = True

    return Handler


def _refusal(body: Mapping[str, Any], fault: str, key: str) -> tuple[int, str] | None:
    wanted = body.get("response_format", {}).get("type")
    if fault == "no_json_schema" and wanted == "json_schema":
        return 400, "response_format of type json_schema is not supported by this model"
    if fault == "no_response_format" and wanted is not None:
        return 400, f"response_format {wanted} is not supported"
    if fault == "no_temperature" and "temperature" in body:
        return 400, "Unsupported parameter: temperature"
    return {
        "401": (401, f"Incorrect API key provided: {key}"),
        "404": (404, f"the model {body.get('model')} does not exist"),
        "429": (429, "rate limit reached, slow down"),
        "500": (500, "the server had an error"),
        "rejected": (400, "this model's maximum context length is exceeded"),
    }.get(fault)


def _completion(body: Mapping[str, Any], content: str, fault: str) -> Mapping[str, Any]:
    prompt = sum(len(message["content"].split()) for message in body["messages"])
    said = len(content.split())
    return {
        "id": "recorded",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content},
                "finish_reason": "length" if fault == "cut" else "stop",
            }
        ],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": said,
            "total_tokens": prompt + said,
        },
    }
