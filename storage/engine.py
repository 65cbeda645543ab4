"""The database: connections, transactions and the settings that make them safe.

Knows how SQLite and PostgreSQL are opened, locked and asked; knows nothing of what is stored.
Reads run without a transaction (each statement sees one snapshot); writes take the write lock
first, so they never fail halfway for having to wait.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, exc
from sqlalchemy.engine import URL, make_url

from memos.errors import InvalidSetting, MissingDependency, StorageError, StorageUnavailable
from memos.storage.errors import translated
from memos.storage.file import DatabaseFile

log = logging.getLogger("memos.storage")

_WRITES = "memos_writes"
_GROWING = (
    "memory, memory_version, indexed, reading, entity, entity_alias, mention, assertion, fact,"
    " fact_source"
)

# Seconds.
_IDLE = 1.0


class Database:
    """One SQLite file or PostgreSQL database. Thread-safe.

    `lock_timeout` and `statement_timeout` are in seconds. Opening creates the SQLite file (mode
    0600, its folder 0700) but no tables.
    """

    def __init__(
        self, url: str, *, lock_timeout: float = 10.0, statement_timeout: float = 30.0
    ) -> None:
        parsed = _parse(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self.lock_timeout = lock_timeout
        self.path = _file(parsed) if self.is_sqlite else None
        self.place = str(self.path or parsed.render_as_string(hide_password=True))
        self._turn = threading.Lock()
        self._added, self._analyze_at = 0, 1000
        # A process that died may have left erased text in the log.
        self._unscrubbed = self.is_sqlite
        with translated(self.place):
            if self.path is not None:
                file = DatabaseFile(self.path)
                file.create()
                self.engine = _sqlite(parsed, lock_timeout, file)
                self._reader: Engine = self.engine
                self._writer: Engine = self.engine.execution_options(**{_WRITES: True})
                self._use_wal()
                file.opened()
            else:
                self.engine = _postgres(parsed, lock_timeout, statement_timeout)
                self._reader = self.engine.execution_options(isolation_level="AUTOCOMMIT")
                self._writer = self.engine

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection whose statements each see what is committed when they start."""
        with translated(self.place), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection whose statements all see one state of the database, for as long as that
        takes. Nothing waits for it; on SQLite the log grows meanwhile."""
        with translated(self.place), self.engine.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN")
                try:
                    yield connection
                finally:
                    connection.exec_driver_sql("ROLLBACK")
                return
            connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                connection.exec_driver_sql("SET TRANSACTION READ ONLY")
                connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
                yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write; committed at the end, rolled back on any error."""
        with translated(self.place):
            if not self.is_sqlite:
                with self._writer.begin() as connection:
                    yield connection
                return
            # SQLite lets one write at a time. Threads of this process queue up here, where waking
            # is prompt; only other processes are waited for by SQLite's polling.
            if not self._turn.acquire(timeout=self.lock_timeout):
                raise StorageUnavailable(
                    f"{self.place}: other writes took longer than {self.lock_timeout:g} s;"
                    " nothing was written; try again"
                )
            try:
                with self._writer.begin() as connection:
                    yield connection
                if self._unscrubbed:
                    self._scrub()
            finally:
                self._turn.release()

    @contextmanager
    def erasing(self) -> Iterator[Connection]:
        """As `write`; afterwards the deleted bytes are gone from SQLite's files, not only unlinked.

        Pages are overwritten by `secure_delete`; the write-ahead log still holds earlier copies and
        is emptied here. While a long read keeps it in use, every later write tries again.
        PostgreSQL keeps dead rows until its own vacuum.
        """
        with self.write() as connection:
            yield connection
            self._unscrubbed = self.is_sqlite

    def _scrub(self) -> None:
        """Empties the write-ahead log. Never fails: what was erased is committed already."""
        busy: object = True
        try:
            with self._reader.connect() as connection:
                try:
                    connection.exec_driver_sql(_busy(1.0))
                    busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar()
                finally:
                    connection.exec_driver_sql(_busy(self.lock_timeout))
        except (exc.OperationalError, StorageError) as error:
            log.warning("%s: erased text is still in the log: %s", self.place, error)
        self._unscrubbed = bool(busy)

    def _use_wal(self) -> None:
        """Write-ahead logging: readers and the writer do not wait for each other."""
        deadline = time.monotonic() + self.lock_timeout
        while True:
            try:
                with self._reader.connect() as connection:
                    mode = connection.exec_driver_sql("PRAGMA journal_mode=WAL").scalar()
                break
            except exc.OperationalError as error:
                # The switch needs the file alone and does not wait for it.
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        if mode != "wal":
            raise StorageError(
                f"{self.place}: this file system does not allow write-ahead logging (journal mode"
                f" is {mode}); put data_dir on a local disk"
            )

    def grown(self, rows: int) -> None:
        """Tells that `rows` memories were added. PostgreSQL plans by statistics that its autovacuum
        takes a minute or more to make; until then it would read whole cubes where an index serves,
        so they are made here each time that this process has doubled what it added.
        """
        if self.is_sqlite:
            return
        with self._turn:
            self._added += rows
            if self._added < self._analyze_at:
                return
            self._analyze_at = self._added * 2
        with self.read() as connection:
            connection.exec_driver_sql(f"ANALYZE {_GROWING}")

    def close(self) -> None:
        """Closes all connections; the last one of SQLite moves its log into the file."""
        with translated(self.place):
            self.engine.dispose()


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (exc.ArgumentError, ValueError) as error:
        raise InvalidSetting(
            "database_url is not a URL; use sqlite:////folder/memos.db or"
            " postgresql://user:password@host/database",
            setting="database_url",
        ) from error
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        if parsed.database in (None, "", ":memory:"):
            raise InvalidSetting(
                "database_url names no file; memories need one: sqlite:////folder/memos.db",
                setting="database_url",
            )
        return parsed.set(drivername="sqlite+pysqlite")
    if backend in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    raise InvalidSetting(
        f"database_url is for {backend}; only sqlite and postgresql are supported",
        setting="database_url",
    )


def _file(url: URL) -> Path:
    """The file of an SQLite URL, also of one that holds a URI (sqlite.org/uri.html)."""
    return Path((url.database or "").removeprefix("file:").partition("?")[0])


def _sqlite(url: URL, lock_timeout: float, file: DatabaseFile) -> Engine:
    engine = create_engine(
        url, pool_size=16, max_overflow=64, pool_timeout=lock_timeout, pool_use_lifo=True
    )
    pragmas = (
        _busy(lock_timeout),
        # What was acknowledged survives power loss, not only the death of the process.
        "PRAGMA synchronous=FULL",
        "PRAGMA foreign_keys=ON",
        "PRAGMA secure_delete=ON",
        "PRAGMA temp_store=MEMORY",
        # Per connection, in KiB. No mmap: a file that is cut short would kill the process by SIGBUS
        # where a read gives an error.
        "PRAGMA cache_size=-16384",
    )

    def connecting(*_: Any) -> None:
        # SQLite would make an empty file where there is none.
        file.check()

    def connected(connection: sqlite3.Connection, _record: Any) -> None:
        # The driver would otherwise begin transactions by itself, late and without the write lock.
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(pragma).close()

    def taken(*_: Any) -> None:
        file.check()

    def begun(connection: Connection) -> None:
        if connection.get_execution_options().get(_WRITES):
            _begin_immediate(connection.connection.dbapi_connection, lock_timeout)
            # Waiting for the lock may have taken long.
            file.check()

    event.listen(engine, "do_connect", connecting)
    event.listen(engine, "connect", connected)
    event.listen(engine, "checkout", taken)
    event.listen(engine, "begin", begun)
    return engine


def _begin_immediate(connection: Any, lock_timeout: float) -> None:
    """Takes the write lock. SQLite's own waiting sleeps up to 0.1 s between looks, so a process
    that writes without pause would starve all others; here it is asked every millisecond."""
    deadline = time.monotonic() + lock_timeout
    connection.execute("PRAGMA busy_timeout=0").close()
    try:
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE").close()
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.001)
    finally:
        connection.execute(_busy(lock_timeout)).close()


def _busy(seconds: float) -> str:
    return f"PRAGMA busy_timeout={int(seconds * 1000)}"


def _postgres(url: URL, lock_timeout: float, statement_timeout: float) -> Engine:
    given = url.query.get("options", "")
    options = " ".join(
        (
            given if isinstance(given, str) else " ".join(given),
            f"-c statement_timeout={int(statement_timeout * 1000)}",
            f"-c lock_timeout={int(lock_timeout * 1000)}",
        )
    )
    try:
        engine = create_engine(
            url.difference_update_query(["options"]),
            pool_size=16,
            max_overflow=16,
            pool_timeout=lock_timeout,
            pool_use_lifo=True,
            isolation_level="READ COMMITTED",
            connect_args={"options": options.strip(), "connect_timeout": 10},
        )
    except ImportError as error:
        raise MissingDependency(
            "PostgreSQL needs psycopg; install it with: pip install 'memos-engine[postgres]'"
        ) from error

    def returned(_connection: Any, record: Any) -> None:
        record.info["used"] = time.monotonic()

    def taken(connection: Any, record: Any, _proxy: Any) -> None:
        # A connection that lay idle may have been closed by the server; asking each time would
        # double the time of a short read.
        if time.monotonic() - record.info.get("used", time.monotonic()) < _IDLE:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise exc.DisconnectionError from error

    event.listen(engine, "checkin", returned)
    event.listen(engine, "checkout", taken)
    return engine
