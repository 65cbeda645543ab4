"""The graph kept in step with memories: within the transaction that changes one.

What a memory says counts while it is active and as it was read; knows which changes of a memory
bear on that. Erasing is `erasure`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from memos.protocols import Clock
from memos.storage.bulk import change, matching
from memos.storage.derived import summaries
from memos.storage.graph import erasure
from memos.storage.graph.deriving import Deriver
from memos.storage.graph.edit import Edit, edit
from memos.storage.graph.readings import lower_marks
from memos.storage.graph.records import ACTIVE, INACTIVE, STALE
from memos.storage.records import micros
from memos.storage.tables import assertion, mention, note, reading, summary_source
from memos.types import COUNTED, LIVE, Memory

_STORES = {
    "graph": (assertion, mention, reading),
    "notes": (note,),
    "summaries": (summary_source,),
}


class GraphUpkeep:
    """What `SqlMemoryStore` calls on each change, holding the cube's lock."""

    def __init__(self, deriver: Deriver, clock: Clock) -> None:
        self._deriver = deriver
        self._clock = clock

    def changed(self, connection: Connection, before: Memory, after: Memory) -> None:
        """A memory became its next version."""
        cube_id, id = after.cube_id, after.id
        was, live = (item.state in COUNTED for item in (before, after))
        same = _read_of(before) == _read_of(after)
        if same:
            # What was read of the former version is right for this one.
            kept = reading.c.cube_id == cube_id, reading.c.memory_id == id
            connection.execute(
                reading.update()
                .where(*kept, reading.c.version == before.version)
                .values(version=after.version)
            )
            if was == live:
                return
        if live:
            lower_marks(connection, cube_id, after.position)
        if not same or not live:
            summaries.expire_those_of(connection, cube_id, id, at=micros(self._clock()))
        with edit(
            connection, cube_id, now=micros(self._clock()), rules=self._deriver.rules.version
        ) as opened:
            self._turn(opened, id, live=live, stale=not same)

    def moved(self, connection: Connection, pairs: Sequence[tuple[Memory, Memory]]) -> None:
        """Memories (before, after) changed their states, and nothing that is read of them.

        Most of many say nothing that counts otherwise now, and cost no more than a look.
        """
        if not pairs:
            return
        cube_id = pairs[0][1].cube_id
        read = [(old.id, old.version, new.version) for old, new in pairs]
        now = micros(self._clock())
        # Two columns of one name can't be set by `change`; readings of other versions stay.
        known = matching(
            connection,
            reading,
            cube_id,
            ("memory_id", "version"),
            [row[:2] for row in read],
            columns="memory_id",
        )
        ids = {row[0] for row in known}
        there = [(id, then) for id, _, then in read if id in ids]
        change(connection, reading, cube_id, ("memory_id",), ("version",), there)
        back = [new.position for old, new in pairs if _returns(old, new)]
        if back:
            lower_marks(connection, cube_id, min(back))
        turned = {
            new.id: new.state in COUNTED
            for old, new in pairs
            if (old.state in COUNTED) != (new.state in COUNTED)
        }
        keys = [(id,) for id in turned]
        for id in [id for id, live in turned.items() if not live]:
            summaries.expire_those_of(connection, cube_id, id, at=now)
        heard = {
            row[0]
            for table in (assertion, mention)
            for row in matching(
                connection, table, cube_id, ("memory_id",), keys, columns="memory_id"
            )
        }
        if heard:
            with edit(connection, cube_id, now=now, rules=self._deriver.rules.version) as opened:
                for id in sorted(heard):
                    self._turn(opened, id, live=turned[id], stale=False)

    def erased(self, connection: Connection, memories: Sequence[Memory]) -> Mapping[str, int]:
        """These memories of one cube are being erased: nothing of them stays. Rows that told of
        them, by store."""
        cube_id, ids = memories[0].cube_id, [memory.id for memory in memories]
        key = [(id,) for id in ids]
        count = {
            store: sum(
                len(
                    matching(
                        connection,
                        table,
                        cube_id,
                        ("memory_id",),
                        key,
                        columns="memory_id",
                    )
                )
                for table in tables
            )
            for store, tables in _STORES.items()
        }
        with edit(
            connection, cube_id, now=micros(self._clock()), rules=self._deriver.rules.version
        ) as opened:
            erasure.erase(opened, self._deriver, ids)
        return count

    def _turn(self, opened: Edit, memory_id: str, *, live: bool, stale: bool) -> None:
        """Its assertions and mentions count from now on, or no longer; those of a former text
        never again."""
        connection, cube_id, key = opened.connection, opened.cube_id, [(memory_id,)]
        said = matching(
            connection,
            assertion,
            cube_id,
            ("memory_id",),
            key,
            columns="id, subject_id, predicate, object_key",
            where="current = 1",
        )
        current, active = (0, 0) if stale else (1, int(live))
        change(
            connection,
            assertion,
            cube_id,
            ("id",),
            ("current", "active"),
            [(row[0], current, active) for row in said],
        )
        named = matching(
            connection,
            mention,
            cube_id,
            ("memory_id",),
            key,
            columns="said_id",
            where=f"active <> {STALE}",
        )
        state = STALE if stale else ACTIVE if live else INACTIVE
        change(
            connection,
            mention,
            cube_id,
            ("memory_id", "said_id"),
            ("active", "seq"),
            [(memory_id, row[0], state, opened.number()) for row in named],
        )
        self._deriver.derive(opened, {(row[1], row[2], row[3]) for row in said})


def _returns(before: Memory, after: Memory) -> bool:
    return after.state in LIVE and before.state not in LIVE


def _read_of(memory: Memory) -> tuple[object, ...]:
    """What an extractor reads of a memory."""
    return (memory.content, memory.speaker, memory.occurred_at, memory.place, memory.images)
