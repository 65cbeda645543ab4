"""The verbs that carry cubes from one service to another."""

from __future__ import annotations

import os
from typing import BinaryIO

from memos.service.verbs.base import Verbs
from memos.types import Dump, Loaded


class DumpVerbs(Verbs):
    """dump, load."""

    def dump(self, file: str | os.PathLike[str] | BinaryIO, *, cube: str = "default") -> Dump:
        """Writes a cube into a file, as it is now: memories with their history, links, graph,
        notes, policies and embeddings."""
        return self._service.dumps.dump(self._cube(cube), file)

    def load(self, file: str | os.PathLike[str] | BinaryIO, *, name: str | None = None) -> Loaded:
        """Makes a new cube from such a file, under its name or another: all of it or nothing.
        InvalidDump; AlreadyExists if there is a cube of that name."""
        loaded = self._service.dumps.load(
            file, tenant_id=self.tenant_id, name=name, actor=self._actor
        )
        self._service.worker.wake()
        return loaded
