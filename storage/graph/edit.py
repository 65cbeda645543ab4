"""One change of a cube's graph: the cube's lock, the time of it, and the change numbers it takes.

Knows the counter of the cube and nothing of what is numbered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, bindparam, update

from memos.storage.bulk import load
from memos.storage.cubes import cube_missing
from memos.storage.tables import cube, graph_gone

_lock = (
    update(cube)
    .where(cube.c.id == bindparam("cube"))
    .values(graph_seq=cube.c.graph_seq)
    .returning(cube.c.graph_seq, cube.c.graph_rules)
)
_store = (
    update(cube)
    .where(cube.c.id == bindparam("cube"))
    .values(graph_seq=bindparam("seq"), graph_rules=bindparam("rules"))
)


class Edit:
    """Within a transaction that holds the cube's lock. `now` is in microseconds; `rules` is the
    version of the rules that derived the cube's facts."""

    def __init__(
        self, connection: Connection, cube_id: str, now: int, seq: int, rules: str
    ) -> None:
        self.connection = connection
        self.cube_id = cube_id
        self.now = now
        self.seq = seq
        self.rules = rules

    def number(self) -> int:
        """The next graph change number."""
        self.seq += 1
        return self.seq

    def gone(self, kind: str, ids: Iterable[str]) -> None:
        """Tells followers that these are no more; call it once their rows are deleted."""
        rows: Sequence[tuple[str, int, str, str]] = [
            (self.cube_id, self.number(), kind, id) for id in ids
        ]
        if rows:
            load(self.connection, graph_gone, rows)


@contextmanager
def edit(connection: Connection, cube_id: str, *, now: int, rules: str) -> Iterator[Edit]:
    """Locks the cube's row until the transaction ends, so that numbers become visible in their
    order. `rules` is the version of those at work. CubeNotFound."""
    row = connection.execute(_lock, {"cube": cube_id}).first()
    if row is None:
        raise cube_missing(cube_id)
    # The facts of a cube are of the oldest rules that derived any of them.
    opened = Edit(connection, cube_id, now, row[0], row[1] or rules)
    yield opened
    if opened.seq != row[0] or opened.rules != row[1]:
        connection.execute(_store, {"cube": cube_id, "seq": opened.seq, "rules": opened.rules})
