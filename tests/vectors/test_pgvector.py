"""What is pgvector's own: the extension, several processes, the plan, and its errors."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import create_engine, text

from memos.errors import IndexUnavailable, MissingDependency, StorageReadOnly, StorageUnavailable
from memos.storage.vectors.pgvector import PgVectorIndex, _require_extension, _table
from tests.vectors.conftest import unit_vectors


def names(count: int) -> list[str]:
    return [f"m{row:05d}" for row in range(count)]


def execute(url: str, statement: str) -> list[tuple[object, ...]]:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            result = connection.execute(text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []
    finally:
        engine.dispose()


def test_several_processes_may_start_at_once(postgres_url: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        indexes = list(pool.map(lambda _: PgVectorIndex(postgres_url), range(6)))
    barrier = threading.Barrier(6)
    vectors = unit_vectors(60, seed=1)

    def write(part: int) -> None:
        barrier.wait()
        rows = slice(10 * part, 10 * part + 10)
        indexes[part].upsert("cube", names(60)[rows], vectors[rows], seq=part + 1)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(6)))
    assert indexes[0].ids("cube") == set(names(60))
    assert indexes[5].reached("cube") == 6
    for index in indexes:
        index.close()


def test_a_search_reads_the_graph(postgres_url: str) -> None:
    index = PgVectorIndex(postgres_url)
    index.upsert("cube", names(3000), unit_vectors(3000, seed=1), seq=1)
    index.close()
    execute(postgres_url, f"ANALYZE {_table('cube')}")
    vector = unit_vectors(1, seed=2)[0].tolist()
    plan = execute(
        postgres_url,
        f"EXPLAIN SELECT memory_id FROM {_table('cube')}"
        f" ORDER BY embedding <=> '{vector}' LIMIT 10",
    )
    assert f"Index Scan using {_table('cube')}_hnsw" in str(plan)


def test_rows_and_number_are_one_transaction(postgres_url: str) -> None:
    index = PgVectorIndex(postgres_url)
    index.upsert("cube", ["a"], unit_vectors(1, seed=1), seq=1)
    vectors = unit_vectors(2, seed=2)
    with pytest.raises(IndexUnavailable):
        index.upsert("cube", ["b", "c"], vectors[:, :48], seq=2)
    assert (index.reached("cube"), index.ids("cube")) == (1, {"a"})
    index.close()


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(StorageUnavailable, match=r"127\.0\.0\.1") as caught:
        PgVectorIndex("postgresql://someone:secret@127.0.0.1:9/none")
    assert "secret" not in caught.value.message


def test_a_user_who_may_not_enable_the_extension_is_told_who_may(postgres_url: str) -> None:
    execute(postgres_url, "DROP ROLE IF EXISTS plain; CREATE ROLE plain LOGIN")
    url = postgres_url.replace("//postgres:", "//plain:")
    assert url != postgres_url
    with pytest.raises(MissingDependency, match="superuser run CREATE EXTENSION vector"):
        PgVectorIndex(url)
    execute(postgres_url, "CREATE EXTENSION vector; GRANT CREATE ON SCHEMA public TO plain")
    index = PgVectorIndex(url)
    index.upsert("cube", ["a"], unit_vectors(1, seed=1), seq=1)
    index.close()
    execute(postgres_url, f"REVOKE ALL ON {_table('cube')} FROM plain")
    index = PgVectorIndex(url)
    with pytest.raises(StorageReadOnly, match="privilege"):
        index.query("cube", unit_vectors(1, seed=1)[0], limit=1)
    index.close()
    execute(postgres_url, "DROP OWNED BY plain; DROP ROLE plain")


def test_an_extension_that_is_too_old_is_named(postgres_url: str) -> None:
    PgVectorIndex(postgres_url).close()
    execute(postgres_url, "UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'")
    with pytest.raises(MissingDependency, match=r"0\.7\.4.*ALTER EXTENSION vector UPDATE"):
        PgVectorIndex(postgres_url)


def test_a_server_without_pgvector_is_told_to_install_it(postgres_url: str) -> None:
    """The real server has the extension, so another one stands for it that no server has."""
    engine = create_engine(postgres_url)
    with engine.begin() as connection, pytest.raises(MissingDependency, match="install pgvector"):
        _require_extension(connection, "here", name="no_such_extension")
    engine.dispose()


def test_too_many_dimensions_for_its_index(postgres_url: str) -> None:
    index = PgVectorIndex(postgres_url)
    with pytest.raises(IndexUnavailable, match="at most 2000 dimensions"):
        index.upsert("cube", ["a"], unit_vectors(1, seed=1, dimensions=2001), seq=1)
    index.upsert("cube", ["a"], unit_vectors(1, seed=1, dimensions=2000), seq=1)
    assert index.ids("cube") == {"a"}
    index.close()


def test_connections_that_the_server_ended_are_replaced(postgres_url: str) -> None:
    index = PgVectorIndex(postgres_url)
    index.upsert("cube", ["a"], unit_vectors(1, seed=1), seq=1)
    execute(
        postgres_url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    assert index.query("cube", unit_vectors(1, seed=1)[0], limit=1)[0][0] == "a"
    index.close()
