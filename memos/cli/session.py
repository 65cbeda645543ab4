"""What holds for a whole call of `memos`: the global options, and where the memories are.

With a URL the commands go over HTTP, else they run in this process on the data folder; both have
the same verbs, so no command knows the difference.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from memos.client import Client
    from memos.config import Settings
    from memos.service import MemoryOS

    Memories = MemoryOS | Client


@dataclass
class Session:
    """The global options, wherever on the command line they stood."""

    data_dir: Path | None = None
    url: str | None = None
    api_key: str | None = None
    json: bool = False
    quiet: bool = False

    @property
    def service_url(self) -> str | None:
        """The service to talk to; None: work in this process."""
        from memos.config import client_environment

        if self.data_dir is not None:
            if self.url is not None:
                raise click.UsageError(
                    "--data-dir works in this process and --url over HTTP; give one of them"
                )
            return None
        return self.url or client_environment()[0]

    def settings(self, **overrides: Any) -> Settings:
        from memos.config import load

        return load(data_dir=self.data_dir, **overrides)

    @contextmanager
    def memories(self) -> Iterator[Memories]:
        """The verbs: a client, or a MemoryOS in this process."""
        url = self.service_url
        if url is not None:
            from memos.client import Client

            with Client(url, api_key=self.api_key) as client:
                yield client
        else:
            import memos

            with self._remarks(), memos.open(data_dir=self.data_dir) as memory:
                yield memory

    @contextmanager
    def _remarks(self) -> Iterator[None]:
        """Shows people what the first start waits for, which a log would not show by default."""
        log = logging.getLogger("memos.embedding.export")
        level, handler = log.level, logging.StreamHandler(sys.stderr)
        if self.json or self.quiet:
            handler.setLevel(logging.WARNING)
        else:
            log.setLevel(logging.INFO)
        log.addHandler(handler)
        try:
            yield
        finally:
            log.removeHandler(handler)
            log.setLevel(level)

    def only_here(self, command: str) -> None:
        """For commands on the data folder itself. MEMOS_URL, which is for clients, may well be set
        where the service runs; only --url shows that something else was meant."""
        if self.url is not None:
            raise click.UsageError(
                f"`memos {command}` works on the data folder, not over HTTP; run it on the"
                " service's machine, without --url"
            )


def remember(context: click.Context, option: click.Parameter, value: Any) -> None:
    """Callback of the global options; a value near the command wins over one before it."""
    if value is not None and value is not False:
        setattr(context.ensure_object(Session), str(option.name), value)


pass_session = click.make_pass_decorator(Session, ensure=True)
