"""The SQLite file as the system sees it: made with the right mode, writable, and still the one
that was opened.

An open file can be moved, removed or replaced (a backup put back under a running server). SQLite
goes on with what it has open, so a write would be acknowledged and never found again, and a
connection made later would join a new file to the log of the old one
(sqlite.org/howtocorrupt.html: "Unlinking or renaming a database file while in use").
"""

from __future__ import annotations

import os
from pathlib import Path

from memos.errors import StorageReadOnly, StorageUnavailable


class DatabaseFile:
    """The file at `path`. Thread-safe after `opened`."""

    def __init__(self, path: Path) -> None:
        # As the engine does, once: the process may go to another folder.
        self.path = path.absolute()
        self._identity: tuple[int, int] | None = None

    def create(self) -> None:
        """Mode 0600, its folder 0700. What is there is kept; StorageReadOnly if it can't be
        written."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.path.exists():
            # The log files beside it get the mode of this one.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        elif not os.access(self.path, os.W_OK):
            # Found now, not by the first write of a server that has long been started.
            raise StorageReadOnly(
                f"{self.path} can't be written; give this user permission to write the file and"
                " its folder"
            )

    def opened(self) -> None:
        """From now on `check` asks for the file that is there now."""
        self._identity = self._found()

    def check(self) -> None:
        """StorageUnavailable if another file, or none, is where this one was opened. About two
        microseconds; always in order before `opened`."""
        if self._identity is None:
            return
        try:
            found = self._found()
        except OSError as error:
            raise StorageUnavailable(
                f"{self.path} was opened and can't be found any more ({error.strerror}); put it"
                " back, or stop, restore and start again; nothing was written"
            ) from error
        if found != self._identity:
            raise StorageUnavailable(
                f"{self.path} is not the file that was opened: it was replaced; put the former one"
                " back, or start again to use this one; nothing was written"
            )

    def _found(self) -> tuple[int, int]:
        # By name: closing a descriptor of the file would drop the locks that SQLite holds on it.
        found = os.stat(self.path)
        return found.st_dev, found.st_ino
