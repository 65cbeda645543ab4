"""A real server for tests: uvicorn on a loopback port, real SQLite, in a thread of the test.

    with running_server() as server:
        httpx.get(f"{server.url}/v1/cubes", headers=server.headers)

Unpacks to (url, secret, service). Keywords are settings.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from memos import assembly, config
from memos.api.server import Server, bind, url_of
from memos.protocols import Embedder
from memos.service import Service
from memos.testing import HashEmbedder
from memos.types import Role
from tests.local_model import tiny_model

_SECONDS = 60
"""Far longer than a start takes, or an end beyond what the settings allow it."""


class Running(NamedTuple):
    url: str
    secret: str
    service: Service

    @property
    def headers(self) -> dict[str, str]:
        """Signs in as admin of the default tenant."""
        return bearer(self.secret)

    def key(
        self, *, role: Role = Role.ADMIN, tenant: str = "default", cubes: tuple[str, ...] = ()
    ) -> dict[str, str]:
        """Headers that sign in with a new key."""
        issued = self.service.tenant(tenant).create_key("test", role=role, cubes=cubes)
        return bearer(issued.secret)


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@contextmanager
def running_server(*, embedder: Embedder | None = None, **overrides: Any) -> Iterator[Running]:
    """Started and answering inside the block; stopped gracefully, with its data gone, after it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        overrides.setdefault("data_dir", Path(folder))
        overrides.setdefault("local_model", tiny_model())
        overrides.setdefault("kv_cost_model", False)
        settings = config.load({}, **overrides)
        service = assembly.build(settings, embedder=embedder or HashEmbedder())
        first = service.first_key()
        secret = (first or service.tenant().create_key("test", role=Role.ADMIN)).secret
        started = threading.Event()
        with closing(service), closing(bind("127.0.0.1", 0)) as listener:
            url = url_of(listener)
            server = Server(service, on_start=started.set)
            thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
            thread.start()
            assert started.wait(_SECONDS), "the server did not start"
            try:
                yield Running(url, secret, service)
            finally:
                server.should_exit = True
                thread.join(settings.shutdown_seconds + _SECONDS)
                assert not thread.is_alive(), "the server did not stop"
