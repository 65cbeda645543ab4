"""StoreHealth: what check finds after damage done by hand, and what it repairs."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from memos.errors import StorageReadOnly
from memos.graph.deriving.validity import Rules
from memos.protocols import Stores
from memos.storage.engine import Database
from memos.types import Cube
from tests.storage.samples import Clock, form, memory


@pytest.fixture
def ids(stores: Stores, clock: Clock, cube: Cube) -> list[str]:
    made = [memory(clock, cube.id, str(n)) for n in range(4)]
    stores.memories.insert(cube.id, made, [form(item.content) for item in made])
    return [item.id for item in made]


def damage(url: str, *statements: str) -> None:
    database = Database(url)
    with database.write() as connection:
        for statement in statements:
            connection.execute(text(statement))
    database.close()


def test_a_whole_database_has_no_findings(stores: Stores, ids: list[str]) -> None:
    stores.health.ping()
    assert stores.health.check(repair=False) == []
    assert stores.health.check(repair=True) == []


@pytest.mark.parametrize(
    ("statement", "check", "count"),
    [
        ("DELETE FROM memory WHERE id IN ('{0}', '{1}')", "orphans", 2),
        ("UPDATE cube SET change_seq = 1", "change numbers", 3),
        ("UPDATE memory SET state = 'erased' WHERE id = '{0}'", "erasure", 1),
    ],
)
def test_damage_is_found_and_repaired(
    url: str, stores: Stores, cube: Cube, ids: list[str], statement: str, check: str, count: int
) -> None:
    damage(url, statement.format(*ids))
    found = stores.health.check(repair=False)
    assert {(finding.check, finding.cube_id, finding.count) for finding in found} == {
        (check, cube.id, count)
    }
    assert not any(finding.repaired for finding in found)
    repaired = stores.health.check(repair=True)
    assert len(repaired) == len(found)
    assert all(finding.repaired for finding in repaired)
    assert stores.health.check(repair=False) == []


def test_numbers_go_on_after_a_repaired_counter(
    url: str, stores: Stores, clock: Clock, cube: Cube, ids: list[str]
) -> None:
    damage(url, "UPDATE cube SET change_seq = 1")
    stores.health.check(repair=True)
    (stored,), _ = stores.memories.insert(cube.id, [memory(clock, cube.id)], [form()])
    assert stored.position == 5


def test_lost_history_is_reported_and_not_made_up(
    url: str, stores: Stores, cube: Cube, ids: list[str]
) -> None:
    damage(url, f"DELETE FROM memory_version WHERE memory_id = '{ids[0]}'")
    for repair in (False, True, False):
        (finding,) = stores.health.check(repair=repair)
        assert (finding.check, finding.count, finding.repaired) == ("history", 1, False)


def test_a_standby_is_not_ready(postgres_url: str) -> None:
    from memos.storage import open_stores

    stores = open_stores(postgres_url, new_id=lambda: "x", clock=Clock(), derivation=Rules())
    name = postgres_url.split("?")[0].rsplit("/", 1)[1]
    damage(postgres_url, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    stores.health.close()
    with pytest.raises(StorageReadOnly, match="primary"):
        stores.health.ping()
    stores.health.close()
