"""`memos serve` and `memos worker`: the long-running commands, from start to signal.

Knows how they start, what they print and how they end; what they do is the service's.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from memos.cli import failures, output
from memos.cli.options import command
from memos.cli.session import Session, pass_session
from memos.errors import StorageFull, StorageReadOnly

if TYPE_CHECKING:
    from memos.config import Settings
    from memos.types import IssuedKey

FIRST_KEY = "first-key"
_CHECK_SECONDS = 1.0


@command("serve")
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", "-p", type=int, help="Port to listen on; 0: a free one.  [default: 8000]")
@click.option("--no-worker", is_flag=True, help="Leave jobs to `memos worker`.")
@pass_session
def serve(session: Session, host: str | None, port: int | None, no_worker: bool) -> None:
    """Run the HTTP service until it gets SIGINT or SIGTERM.

    On the first start it issues an admin key and keeps it in the data folder's file first-key.
    """
    session.only_here("serve")
    settings = session.settings(
        host=host, port=port, worker_in_process=False if no_worker else None
    )
    _log(settings)
    from memos.api.server import serve as run

    code = run(settings, announce=lambda url, key: _announce(session, settings, url, key))
    click.get_current_context().exit(code)


def _announce(session: Session, settings: Settings, url: str, first: IssuedKey | None) -> None:
    kept = None if first is None else keep_first_key(settings.data_dir, first.secret)
    if session.json:
        output.emit_json({"url": url, "first_key": first, "first_key_file": kept and str(kept)})
        return
    click.echo(url if session.quiet else f"memos serves {url} (described in {url}/openapi.json)")
    if first is not None and not session.quiet:
        click.echo(f"first admin key: {first.secret}")
        click.echo(f"kept in {kept}; it can't be shown again. Try:")
        click.echo(f'  export MEMOS_URL={url} MEMOS_API_KEY="$(cat {kept})"')


def keep_first_key(folder: Path, secret: str) -> Path:
    """Writes the secret to a file that only the owner can read."""
    path = folder / FIRST_KEY
    try:
        # A file left over from a former database holds a key that is worth nothing now.
        path.unlink(missing_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secret + "\n")
    except OSError as error:
        kind = StorageFull if error.errno == errno.ENOSPC else StorageReadOnly
        raise kind(
            f"can't write the first key to {path}: {error.strerror}; free the way and make"
            " another key with `memos key create NAME --role admin`"
        ) from error
    return path


@command("worker")
@pass_session
def worker(session: Session) -> None:
    """Run background jobs until SIGINT or SIGTERM; unfinished ones go back to the queue."""
    session.only_here("worker")
    settings = session.settings()
    _log(settings)
    from memos.assembly import build

    stopping = threading.Event()
    before = {
        name: signal.signal(name, lambda *_: stopping.set())
        for name in (signal.SIGTERM, signal.SIGINT)
    }
    service = build(settings)
    try:
        service.start_worker(serving=False)
        output.note(session, f"{service.worker.name} waits for jobs")
        while service.worker.running and not stopping.wait(_CHECK_SECONDS):
            pass
        if not stopping.is_set():
            output.note(session, "the worker ended by itself; see the log")
            click.get_current_context().exit(failures.FAILURE)
    finally:
        service.close()
        _restore(before)
    output.note(session, "stopped")


def _restore(handlers: dict[signal.Signals, Any]) -> None:
    for name, handler in handlers.items():
        signal.signal(name, handler)


def _log(settings: Settings) -> None:
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
