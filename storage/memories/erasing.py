"""Erasure of a memory from all tables of the truth, and of what was derived from it alone."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, or_, update

from memos.protocols import Clock, Erasure
from memos.storage.audit import AuditTrail
from memos.storage.bulk import by_ids
from memos.storage.derived.leftovers import after_forgetting
from memos.storage.events import EventLog
from memos.storage.feed import take_numbers
from memos.storage.graph.upkeep import GraphUpkeep
from memos.storage.jobs.queue import SqlJobQueue
from memos.storage.keeping import lineage
from memos.storage.memories.rows import check_version, present, update_rows
from memos.storage.records import checked, memory_of, version_row
from memos.storage.tables import indexed, link, memory, memory_version, removed_link
from memos.types import Memory, NewEvent, NewJob, Provenance, State


@dataclass(frozen=True)
class Eraser:
    """What an erasure has to reach besides the rows of the memory. Each call is a part of the
    caller's transaction."""

    jobs: SqlJobQueue
    audit: AuditTrail
    events: EventLog
    graph: GraphUpkeep
    clock: Clock

    def erase(
        self,
        connection: Connection,
        cube_id: str,
        memory_id: str,
        *,
        actor: str | None,
        reason: str | None,
        expected_version: int | None,
        jobs: Sequence[NewJob],
        events: Sequence[NewEvent],
    ) -> Erasure:
        """As `memos.protocols.MemoryStore.erase`; an erased memory has nothing more to remove."""
        removed: Counter[str] = Counter()
        files: list[str] = []
        take_numbers(connection, cube_id, 0)
        former = present(connection, cube_id, memory_id)
        if expected_version is not None:
            check_version(former, expected_version)
        if former.state is State.ERASED:
            return Erasure((memory_id,), {})
        ids = lineage.doomed(connection, cube_id, memory_id)
        seq, tenant_id = take_numbers(connection, cube_id, len(ids))
        found = {row[1]: memory_of(row) for row in by_ids(connection, memory, cube_id, ids)}
        going = [found[id] for id in ids]
        for number, each in enumerate(going, seq - len(ids) + 1):
            removed += self._one(connection, tenant_id, each, number, actor, reason)
            gone = after_forgetting(connection, tenant_id, cube_id, each.id)
            files += self.jobs.add(connection, gone)
        # Together: what they said is mostly of the same facts.
        removed += Counter(self.graph.erased(connection, going))
        removed["lineage"] += lineage.erase(connection, cube_id, ids)
        self.jobs.add(connection, jobs)
        self.events.record(connection, tenant_id, events)
        return Erasure(tuple(ids), removed, tuple(files))

    def _one(
        self,
        connection: Connection,
        tenant_id: str,
        present: Memory,
        seq: int,
        actor: str | None,
        reason: str | None,
    ) -> Counter[str]:
        """What was removed, by store; the graph's part is still to be."""
        cube_id, memory_id = present.cube_id, present.id
        now = self.clock()
        tombstone = dataclasses.replace(
            _blank(present), version=present.version + 1, updated_at=now
        )
        update_rows(connection, tombstone, seq)
        versions = memory_version.c
        former = connection.execute(
            update(memory_version)
            .where(versions.cube_id == cube_id, versions.memory_id == memory_id)
            # Reasons may quote the text.
            .values(snapshot=None, reason=None)
        )
        entry = version_row(
            tombstone, operation="erase", changed_at=now, actor=actor, reason=reason
        )
        connection.execute(insert(memory_version), checked({**entry, "snapshot": None}))
        forms = connection.execute(
            delete(indexed).where(indexed.c.cube_id == cube_id, indexed.c.memory_id == memory_id)
        )
        links = 0
        for table in (link, removed_link):
            links += connection.execute(
                delete(table).where(
                    table.c.cube_id == cube_id,
                    or_(table.c.source_id == memory_id, table.c.target_id == memory_id),
                )
            ).rowcount
        self.jobs.erase(connection, cube_id, memory_id)
        self.events.erase(connection, tenant_id, memory_id)
        self.audit.record(
            connection,
            tenant_id=tenant_id,
            actor=actor,
            action="memory.erase",
            target=memory_id,
            detail={"cube": cube_id, "versions": tombstone.version},
        )
        return Counter(
            texts=1,
            versions=former.rowcount,
            embeddings=forms.rowcount,
            terms=forms.rowcount,
            links=links,
        )


def _blank(present: Memory) -> Memory:
    """What stays of an erased memory: that it was there, and when."""
    return dataclasses.replace(
        present,
        content="",
        state=State.ERASED,
        user_id=None,
        agent_id=None,
        session_id=None,
        speaker=None,
        occurred_at=None,
        place=None,
        images=(),
        metadata={},
        expires_at=None,
        provenance=Provenance(source=present.provenance.source),
    )
