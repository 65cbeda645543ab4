"""The vector index on PostgreSQL with pgvector: one table with an HNSW index per cube.

Knows ids, vectors and change numbers; not what a memory says, nor scopes and filters. A table per
cube, because a graph over all cubes gives too few rows of one cube and is slower the more the
others hold; dropping one is instant. Only cubes too large for exact search come here, so there are
few. How far a cube is complete is written in the transaction of its rows.

The tables are made here and not by the migrations of the truth: they need the extension, and the
dimensions are the model's. HNSW in pgvector: https://github.com/pgvector/pgvector#hnsw.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pgvector.psycopg import register_vector
from sqlalchemy import Connection, create_engine, event, exc, make_url, text

from memos.errors import IndexUnavailable, MissingDependency
from memos.storage.errors import translated

if TYPE_CHECKING:
    from memos.protocols import Vector

# Version n is reached by running entry n - 1. Entries are never edited; a change is a new one.
MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE memos_vector_cube (
        cube_id text PRIMARY KEY,
        dimensions integer,
        reached bigint NOT NULL
    )
    """,
)
ADVISORY_LOCK = 0x6D656D6F73  # "memos": one process at a time makes tables
OLDEST = (0, 8)  # iterative scans
MOST_DIMENSIONS = 2000  # of an HNSW index on the type `vector`
EF_SEARCH = 128
LARGEST_EF_SEARCH = 1000  # pgvector refuses more; the iterative scan goes on from there


class PgVectorIndex:
    """`VectorIndex` in the database at `url` (a SQLAlchemy URL; the driver is psycopg 3).

    Any number of processes may share it. Raises MissingDependency without pgvector 0.8 or newer,
    StorageUnavailable if the server can't be reached.
    """

    def __init__(self, url: str) -> None:
        address = make_url(url).set(drivername="postgresql+psycopg")
        self._place = address.render_as_string(hide_password=True)
        self._engine = create_engine(address, pool_pre_ping=True, pool_size=8)
        try:
            with self._translated():
                self._migrate()
        except BaseException:
            self._engine.dispose()
            raise
        event.listen(self._engine, "connect", _prepare)
        # A query is one statement; without BEGIN and ROLLBACK it is one round trip.
        self._reader = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._engine.dispose()  # connections opened before the extension don't know its type

    def upsert(
        self,
        cube_id: str,
        ids: Sequence[str],
        vectors: Vector,
        *,
        seq: int,
        after: int | None = None,
    ) -> bool:
        """Of ids given twice the last row counts. IndexUnavailable if the dimensions are others
        than the cube's, or more than pgvector can index (2,000)."""
        if len(ids) != len(vectors):
            raise ValueError(f"{len(ids)} ids for {len(vectors)} vectors")
        # In the order of the keys, so that two writers never wait for each other in a circle.
        rows = sorted({memory_id: row for row, memory_id in enumerate(ids)}.items())
        with self._translated(), self._engine.begin() as connection:
            cube = _reach(connection, cube_id, seq, after)
            if cube is None:
                return False
            if rows:
                _fit(connection, cube_id, cube.dimensions, int(vectors.shape[1]))
                connection.exec_driver_sql(
                    f"INSERT INTO {_table(cube_id)} VALUES (%s, %s)"
                    " ON CONFLICT (memory_id) DO UPDATE SET embedding = excluded.embedding",
                    [(memory_id, vectors[row]) for memory_id, row in rows],
                )
            return True

    def delete(
        self, cube_id: str, ids: Sequence[str], *, seq: int, after: int | None = None
    ) -> bool:
        with self._translated(), self._engine.begin() as connection:
            cube = _reach(connection, cube_id, seq, after)
            if cube is None:
                return False
            if cube.dimensions is not None:
                connection.exec_driver_sql(
                    f"DELETE FROM {_table(cube_id)} WHERE memory_id = ANY(%s)", (sorted(ids),)
                )
            return True

    def query(self, cube_id: str, vector: Vector, *, limit: int) -> list[tuple[str, float]]:
        if limit < 1:
            return []
        statement = (
            f"SELECT memory_id, 1 - (embedding <=> %s) FROM {_table(cube_id)}"
            " ORDER BY embedding <=> %s LIMIT %s"
        )
        with self._translated(), self._reader.connect() as connection:
            _widen(connection, limit)
            rows = _rows(connection, statement, (vector, vector, limit))
        return [(memory_id, float(cosine)) for memory_id, cosine in rows]

    def reached(self, cube_id: str) -> int:
        with self._translated(), self._reader.connect() as connection:
            found = connection.execute(
                text("SELECT reached FROM memos_vector_cube WHERE cube_id = :cube_id"),
                {"cube_id": cube_id},
            ).scalar()
            return int(found or 0)

    def ids(self, cube_id: str) -> set[str]:
        with self._translated(), self._reader.connect() as connection:
            rows = _rows(connection, f"SELECT memory_id FROM {_table(cube_id)}", ())
        return {memory_id for (memory_id,) in rows}

    def vectors(self, cube_id: str, ids: Sequence[str]) -> dict[str, Vector]:
        statement = f"SELECT memory_id, embedding FROM {_table(cube_id)} WHERE memory_id = ANY(%s)"
        with self._translated(), self._reader.connect() as connection:
            rows = _rows(connection, statement, (sorted(ids),))
        # pgvector 0.3 gives arrays, later ones vectors of their own.
        return {id: getattr(vector, "to_numpy", lambda v=vector: v)() for id, vector in rows}

    def drop(self, cube_id: str) -> None:
        with self._translated(), self._engine.begin() as connection:
            # The row first, as a writer does: so neither waits for the other in a circle.
            connection.execute(
                text("DELETE FROM memos_vector_cube WHERE cube_id = :cube_id"),
                {"cube_id": cube_id},
            )
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {_table(cube_id)}")

    def close(self) -> None:
        """Closes its connections. Safe to call twice."""
        self._engine.dispose()

    def _migrate(self) -> None:
        with self._engine.begin() as connection:
            _lock(connection)
            _require_extension(connection, self._place)
            connection.exec_driver_sql(
                "CREATE TABLE IF NOT EXISTS memos_vector_schema (version integer PRIMARY KEY)"
            )
            done = connection.exec_driver_sql(
                "SELECT coalesce(max(version), 0) FROM memos_vector_schema"
            ).scalar_one()
            for version, statement in enumerate(MIGRATIONS[done:], done + 1):
                connection.exec_driver_sql(statement)
                connection.exec_driver_sql(
                    "INSERT INTO memos_vector_schema VALUES (%s)", (version,)
                )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        with translated(f"the vector index in {self._place}"):
            try:
                yield
            except exc.DBAPIError as error:
                state = getattr(error.orig, "sqlstate", None) or ""
                # A damaged index, or vectors that don't fit the cube's: derived, so build it anew.
                if state.startswith("XX") or state == "22000":
                    raise IndexUnavailable(
                        f"the vector index in {self._place} can't answer ({error.orig}); it is"
                        " derived data: run `memos reindex` to build it again"
                    ) from error
                raise


def _rows(connection: Connection, statement: str, values: tuple[Any, ...]) -> list[Any]:
    """No rows for a cube that was never written, or is dropped meanwhile: it has no table."""
    try:
        return list(connection.exec_driver_sql(statement, values))
    except exc.ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) != "42P01":
            raise
        return []


def _table(cube_id: str) -> str:
    """A safe table name within PostgreSQL's 63 bytes that keeps ids apart."""
    return f"memos_vector_{hashlib.sha256(cube_id.encode()).hexdigest()[:32]}"


def _lock(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})


def _prepare(connection: Any, _record: Any) -> None:
    """Each new connection: the type `vector`, and scans that go on until they have `limit` rows
    (rows deleted since the last vacuum are passed over only after the graph gave them)."""
    register_vector(connection)
    connection.execute("SET hnsw.iterative_scan = strict_order")
    connection.execute(f"SET hnsw.ef_search = {EF_SEARCH}")
    connection.commit()


def _widen(connection: Connection, limit: int) -> None:
    """Lets the scan hold at least `limit` rows. The setting stays with the connection, where it is
    remembered, since callers mostly ask for the same number."""
    wide = min(max(limit, EF_SEARCH), LARGEST_EF_SEARCH)
    if connection.info.get("ef_search", EF_SEARCH) != wide:
        connection.exec_driver_sql(f"SET hnsw.ef_search = {wide}")
        connection.info["ef_search"] = wide


def _reach(connection: Connection, cube_id: str, seq: int, after: int | None) -> Any:
    """Records `seq`; answers a row with the `dimensions` of the cube's table (None if it has none
    yet), or None if the cube is not at `after`. The cube's row stays locked until the transaction
    ends, so writers of a cube come one after the other, and each sees what the last one reached."""
    if after:
        record = (
            "UPDATE memos_vector_cube SET reached = greatest(reached, :seq)"
            " WHERE cube_id = :cube_id AND reached = :after RETURNING dimensions"
        )
    else:
        record = (
            "INSERT INTO memos_vector_cube (cube_id, reached) VALUES (:cube_id, :seq)"
            " ON CONFLICT (cube_id) DO UPDATE"
            " SET reached = greatest(memos_vector_cube.reached, excluded.reached)"
            + (" WHERE memos_vector_cube.reached = :after" if after == 0 else "")
            + " RETURNING dimensions"
        )
    values = {"cube_id": cube_id, "seq": seq}
    return connection.execute(
        text(record), values if after is None else {**values, "after": after}
    ).first()


def _fit(connection: Connection, cube_id: str, held: int | None, given: int) -> None:
    """Makes the cube's table if there is none; IndexUnavailable if vectors don't fit into it."""
    if held is None:
        _create(connection, cube_id, given)
    elif held != given:
        raise IndexUnavailable(
            f"the vector index of cube {cube_id} holds vectors of {held} dimensions, given were"
            f" {given}: they come from another model; run `memos reindex` to build it again",
            cube_id=cube_id,
        )


def _create(connection: Connection, cube_id: str, dimensions: int) -> None:
    if dimensions > MOST_DIMENSIONS:
        raise IndexUnavailable(
            f"pgvector indexes at most {MOST_DIMENSIONS} dimensions, the model gives {dimensions};"
            f" set vector_index=none to search cube {cube_id} exactly",
            cube_id=cube_id,
        )
    # PLAIN keeps the vectors in the table's own pages: one look-up less for each row.
    table = _table(cube_id)
    connection.exec_driver_sql(
        f"CREATE TABLE {table} (memory_id text PRIMARY KEY,"
        f" embedding vector({dimensions}) STORAGE PLAIN NOT NULL)"
    )
    connection.exec_driver_sql(
        f"CREATE INDEX {table}_hnsw ON {table} USING hnsw (embedding vector_cosine_ops)"
        " WITH (m = 16, ef_construction = 64)"
    )
    connection.execute(
        text("UPDATE memos_vector_cube SET dimensions = :dimensions WHERE cube_id = :cube_id"),
        {"cube_id": cube_id, "dimensions": dimensions},
    )


def _require_extension(connection: Connection, place: str, *, name: str = "vector") -> None:
    version = f"SELECT extversion FROM pg_extension WHERE extname = '{name}'"
    found = connection.exec_driver_sql(version).scalar()
    if found is None:
        try:
            connection.exec_driver_sql(f"CREATE EXTENSION {name}")
        except exc.DBAPIError as error:
            state = getattr(error.orig, "sqlstate", None)
            todo = (
                "let a superuser run CREATE EXTENSION vector"
                if state == "42501"
                else "install pgvector 0.8 or newer on the server"
            )
            raise MissingDependency(
                f"{place} lacks the extension `vector`: {todo}, or set vector_index=none"
                f" ({error.orig})"
            ) from error
        found = connection.exec_driver_sql(version).scalar_one()
    if tuple(int(part) for part in found.split(".")[:2]) < OLDEST:
        raise MissingDependency(
            f"{place}: pgvector is {found}, needed is 0.8 or newer: upgrade it on the server, then"
            " run ALTER EXTENSION vector UPDATE, or set vector_index=none"
        )
