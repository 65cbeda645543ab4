"""A real HTTP server on loopback that fails the way a test tells it to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Failing:
    """Plays `script` one answer per request, the last one for all further requests."""

    url: str
    script: list[Answer]
    seen: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    def keys(self) -> list[str | None]:
        """The idempotency keys of the requests so far."""
        return [headers.get("idempotency-key") for _, _, headers, _ in self.seen]


def answer(status: int, body: object = None, **headers: str) -> Answer:
    """JSON with a status; header names are written with underscores."""
    data = b"" if body is None else json.dumps(body).encode()

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return reply


def problem(status: int, code: str, detail: str, **more: object) -> Answer:
    document = {"type": f"https://memos.invalid/problems/{code}", "title": code, "status": status}
    return answer(status, {**document, "detail": detail, "code": code, **more})


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    """Takes the request and closes the connection without an answer."""
    handler.close_connection = True


@contextmanager
def failing(*script: Answer) -> Iterator[Failing]:
    state = Failing("", list(script))
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with lock:
                state.seen.append((self.command, self.path, headers, body))
                step = state.script.pop(0) if len(state.script) > 1 else state.script[0]
            step(self)

        do_GET = do_POST = do_PATCH = do_DELETE = reply

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
