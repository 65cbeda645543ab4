"""`memos serve`: the application on uvicorn, from a bound port to a clean end.

Knows sockets, signals and deadlines; what is served is `memos.api.app`.
"""

from __future__ import annotations

import contextlib
import errno
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import uvicorn

from memos.api.app import create_app
from memos.assembly import build
from memos.config import Settings
from memos.errors import InvalidSetting, PortInUse
from memos.types import IssuedKey

if TYPE_CHECKING:
    from memos.service import Service

_KEEP_ALIVE_SECONDS = 30
"""Longer than clients keep idle connections, so that they, not the server, close them."""
_LEAST_STOP_SECONDS = 1.0
_ANSWER_SECONDS = 5.0
"""Beyond the deadline, for the answers to requests whose computing was broken off then."""

Announce = Callable[[str, "IssuedKey | None"], None]
"""Called with the URL once requests are answered, and with the first key if one was issued."""


def serve(settings: Settings, *, announce: Announce) -> int:
    """Serves until SIGINT or SIGTERM; the exit code.

    The port is taken before anything is opened. PortInUse, InvalidSetting for a host or port that
    can't be bound, and whatever `memos.assembly.build` raises.
    """
    listener = bind(settings.host, settings.port)
    with contextlib.closing(listener):
        service = build(settings)
        try:
            service.warm()

            def started() -> None:
                # Only now: a key that was issued by a start that then failed would be shown to
                # nobody, and never issued again.
                announce(url_of(listener), service.first_key())

            Server(service, on_start=started).run([listener])
        finally:
            service.close()
    return 0


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. PortInUse if another process listens there."""
    try:
        place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except socket.gaierror as error:
        raise InvalidSetting(
            f"can't listen on host {host!r}: {error.strerror}; use an address of this machine, "
            "such as 127.0.0.1 (MEMOS_HOST)",
            setting="host",
        ) from error
    listener = socket.socket(place[0], socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place[4])
        # At once: until it listens, another process could still take the port.
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise _refused(host, port, error) from error
    return listener


def _refused(host: str, port: int, error: OSError) -> PortInUse | InvalidSetting:
    if error.errno == errno.EADDRINUSE:
        return PortInUse(
            f"port {port} on {host} is in use; stop what listens there, or choose another port "
            "(--port or MEMOS_PORT; 0 takes a free one)",
            host=host,
            port=port,
        )
    return InvalidSetting(
        f"can't listen on {host} port {port}: {error.strerror}; use an address of this machine "
        "and a port from 1024 on (MEMOS_HOST, MEMOS_PORT)",
        setting="port",
    )


def url_of(listener: socket.socket) -> str:
    """Where a client on this machine reaches it."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """uvicorn with a start that is announced and an end with one deadline for everything."""

    def __init__(self, service: Service, *, on_start: Callable[[], None]) -> None:
        self._app = create_app(service)
        self._seconds = service.settings.shutdown_seconds
        self._break_off = service.break_off
        self._on_start = on_start
        super().__init__(
            uvicorn.Config(
                self._app,
                lifespan="on",
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=math.ceil(self._seconds + _ANSWER_SECONDS),
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """First tells whoever waits or streams to come to an end, then waits for requests, at the
        deadline breaks off what the local model computes for them, then waits for the worker, which
        returns its leases in the lifespan's end."""
        deadline = time.monotonic() + self._seconds
        state = self._app.state
        state.stopping.set()
        state.stop_left = lambda: max(_LEAST_STOP_SECONDS, deadline - time.monotonic())
        late = threading.Timer(self._seconds, self._break_off)
        late.daemon = True
        late.start()
        await super().shutdown(sockets)
        late.cancel()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn raises the signal again at the end; here an asked-for stop is a success."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()
