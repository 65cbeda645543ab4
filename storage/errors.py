"""Turns what SQLite, PostgreSQL and SQLAlchemy raise into `memos.errors`, in one place.

`translated()` wraps every access to the database; nothing a driver raises passes it. Knows the
drivers' codes and messages, not the tables: what a violated constraint means is said by the
repository that wrote the row.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import exc

from memos.errors import (
    InvalidInput,
    MemosError,
    SchemaMismatch,
    StorageCorrupt,
    StorageError,
    StorageFull,
    StorageReadOnly,
    StorageUnavailable,
)

_RETRY = "nothing was written; try again"
_SCHEMA = "the schema is not the one of this version; upgrade memos or restore a backup"
_RESTORE = (
    "run `memos doctor`; if it can't open the file either, restore a backup or salvage the rows"
    " with `sqlite3 FILE .recover`"
)

# Parts of SQLite's messages; its numeric codes reach Python only from 3.11 on.
_SQLITE: tuple[tuple[str, type[StorageError], str], ...] = (
    ("is locked", StorageUnavailable, f"another process holds the database; {_RETRY}"),
    ("file is not a database", StorageCorrupt, _RESTORE),
    ("malformed", StorageCorrupt, _RESTORE),
    ("unsupported file format", StorageCorrupt, _RESTORE),
    ("database or disk is full", StorageFull, "free some space; nothing was written"),
    ("readonly database", StorageReadOnly, "give this user write permission to file and folder"),
    ("attempt to write a readonly", StorageReadOnly, "make the file writable"),
    (
        "no such table",
        SchemaMismatch,
        _SCHEMA,
    ),
    (
        "no such column",
        SchemaMismatch,
        _SCHEMA,
    ),
    ("interrupted", StorageUnavailable, _RETRY),
)

# SQLSTATE codes or their class (first two characters); the longest match wins.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRES: dict[str, tuple[type[MemosError], str]] = {
    "08": (StorageUnavailable, f"the connection failed; {_RETRY}"),
    "22": (InvalidInput, "the database can't hold this value"),
    "25006": (StorageReadOnly, "the server accepts no writes (a standby?); connect to the primary"),
    "28": (StorageUnavailable, "the server refused the user or password; check database_url"),
    "3D000": (StorageUnavailable, "the database does not exist; create it or check database_url"),
    "3F000": (SchemaMismatch, "the schema named in database_url does not exist; create it"),
    "40": (StorageUnavailable, f"another transaction was in the way; {_RETRY}"),
    "42501": (StorageReadOnly, "the database user lacks a privilege; grant it"),
    "42703": (SchemaMismatch, _SCHEMA),
    "42P01": (SchemaMismatch, _SCHEMA),
    "53": (StorageUnavailable, f"the server is out of resources; {_RETRY}"),
    "53100": (StorageFull, "the server's disk is full; free some space; nothing was written"),
    "54": (InvalidInput, "the value is larger than the database allows"),
    "55": (StorageUnavailable, f"the row is locked; {_RETRY}"),
    "57": (StorageUnavailable, f"the server cancelled the statement or is stopping; {_RETRY}"),
    "58": (StorageUnavailable, "the server has trouble with its files; look into its log"),
    "XX001": (StorageCorrupt, _RESTORE),
    "XX002": (StorageCorrupt, _RESTORE),
}


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Errors of the drivers leave this block as MemosError; `place` names the database in them."""
    try:
        yield
    except (exc.SQLAlchemyError, sqlite3.Error, UnicodeError, OverflowError, OSError) as error:
        raise translate(error, place) from error
    except Exception as error:
        if type(error).__module__.startswith("psycopg"):
            raise translate(error, place) from error
        raise


def translate(error: BaseException, place: str) -> MemosError:
    """The MemosError for what a driver, SQLAlchemy or the system raised."""
    cause = error.orig if isinstance(error, exc.DBAPIError) and error.orig else error
    text = str(cause).strip().replace("\n", " ") or type(cause).__name__
    if isinstance(cause, UnicodeError):
        return InvalidInput(f"text that is not valid Unicode can't be stored: {text}")
    if isinstance(cause, OverflowError):
        return InvalidInput(f"a number is too large to be stored: {text}")
    if isinstance(cause, exc.TimeoutError):
        return StorageUnavailable(f"{place}: every connection is busy; {_RETRY}")
    if isinstance(cause, exc.StatementError) and isinstance(cause.orig, (UnicodeError, TypeError)):
        return InvalidInput(f"a value can't be stored: {cause.orig}")
    if isinstance(cause, sqlite3.Error):
        return _from_sqlite(cause, text, place)
    if isinstance(cause, OSError):
        return _from_system(cause, place)
    if type(cause).__module__.startswith("psycopg"):
        return _from_postgres(cause, text, place)
    return StorageError(f"{place}: {type(cause).__name__}: {text}")


def is_unique_violation(error: BaseException) -> bool:
    """Whether a unique or primary key was already taken (and not, say, a parent missing)."""
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, sqlite3.IntegrityError):
        return "UNIQUE constraint failed" in str(cause)
    return getattr(cause, "sqlstate", None) == "23505"


def is_misfit(error: BaseException) -> bool:
    """Whether the database refused rows for what they are: keys twice, no parent, too long for an
    index, not storable."""
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, (sqlite3.IntegrityError, sqlite3.DataError)):
        return True
    # Data exceptions, integrity, and limits such as an index's (PostgreSQL, appendix A).
    return (getattr(cause, "sqlstate", None) or "")[:2] in ("22", "23", "54")


@contextmanager
def taken(conflict: Callable[[], MemosError]) -> Iterator[None]:
    """A unique key that is already there leaves this block as the error that `conflict` makes."""
    try:
        yield
    except Exception as error:
        if is_unique_violation(error):
            raise conflict() from error
        raise


def _from_sqlite(cause: sqlite3.Error, text: str, place: str) -> MemosError:
    for part, kind, advice in _SQLITE:
        if part in text:
            return kind(f"{place}: {text}; {advice}")
    if isinstance(cause, sqlite3.DataError) or "too big" in text:
        return InvalidInput(f"a value is larger than the database allows: {text}")
    if isinstance(cause, (sqlite3.ProgrammingError, sqlite3.InterfaceError)):
        return StorageError(f"{place}: {text}")
    if "unable to open" in text:
        return _unopened(text, place)
    if "disk I/O error" in text:
        return _io_error(text, place)
    return StorageError(f"{place}: {text}")


def _unopened(text: str, place: str) -> StorageError:
    folder = Path(place).parent
    if not folder.is_dir():
        return StorageUnavailable(f"{place}: {text}; {folder} is not a folder; check data_dir")
    if not os.access(folder, os.W_OK) or (
        Path(place).exists() and not os.access(place, os.R_OK | os.W_OK)
    ):
        return StorageReadOnly(f"{place}: {text}; give this user permission to file and folder")
    return StorageUnavailable(f"{place}: {text}; check data_dir and the limit of open files")


def _io_error(text: str, place: str) -> StorageError:
    """A full disk met outside a write to the database is an I/O error to SQLite."""
    try:
        free = os.statvfs(Path(place).parent)
    except OSError:
        return StorageUnavailable(f"{place}: {text}; the folder can't be reached; check the disk")
    if free.f_bavail * free.f_frsize < 1 << 20:
        return StorageFull(f"{place}: {text}; the disk is full: free some space")
    return StorageUnavailable(f"{place}: {text}; check the disk and its log")


def _from_system(cause: OSError, place: str) -> StorageError:
    text = cause.strerror or str(cause)
    if cause.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(f"{place}: {text}; free some space")
    if cause.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StorageReadOnly(f"{place}: {text}; give this user write permission to the folder")
    return StorageUnavailable(f"{place}: {text}; check data_dir")


def _from_postgres(cause: BaseException, text: str, place: str) -> MemosError:
    state = getattr(cause, "sqlstate", None) or ""
    for key in (state, state[:2]):
        if key in _POSTGRES:
            kind, advice = _POSTGRES[key]
            return kind(f"{place}: {text}; {advice}")
    name = type(cause).__name__
    if name == "DataError":
        return InvalidInput(f"a value can't be stored: {text}")
    if not state and name in ("OperationalError", "InterfaceError", "ConnectionTimeout"):
        # A refused connection carries no code, only the server's words.
        advice = (
            "create the database or check database_url"
            if "does not exist" in text
            else "is the server running, and database_url right?"
        )
        return StorageUnavailable(f"{place}: {text}; {advice}")
    return StorageError(f"{place}: {name} {state}: {text}")
