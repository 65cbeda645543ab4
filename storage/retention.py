"""What has grown old and that nobody needs any more, taken out of jobs and events bit by bit.

Knows which rows something living still points to; how old is old is decided elsewhere. The history
of memories is not touched, nor are jobs that have not ended well.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, select, text

from memos.storage.engine import Database
from memos.storage.events import event, event_mark, event_subject
from memos.storage.records import micros
from memos.storage.tables import job
from memos.types import JobState, State

_OVER = (JobState.SUCCEEDED.value, JobState.CANCELLED.value)
_KEPT_KIND = "memory.erase"
"""That something was erased stays on record."""

# By the range of a page; what a subject is, nobody has written down.
_range = " WHERE s.tenant_id = :tenant AND s.seq BETWEEN :first AND :last"
_needed = text(
    "SELECT s.seq FROM event_subject AS s JOIN memory AS m ON m.cube_id = s.cube_id"
    f" AND m.id = s.subject{_range} AND m.state <> :erased"
    " UNION SELECT s.seq FROM event_subject AS s JOIN fact AS f ON f.cube_id = s.cube_id"
    f" AND f.id = s.subject{_range}"
    " UNION SELECT s.seq FROM event_subject AS s JOIN job AS j ON j.id = s.subject"
    f" AND j.tenant_id = s.tenant_id{_range} AND j.state NOT IN (:succeeded, :cancelled)"
)


class SqlRetention:
    """`memos.protocols.Retention`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def tenants(self) -> tuple[str, ...]:
        with self._db.read() as connection:
            query = select(event_mark.c.tenant_id).order_by(event_mark.c.tenant_id)
            return tuple(connection.execute(query).scalars())

    def jobs(self, *, before: datetime, limit: int) -> int:
        old = (job.c.state.in_(_OVER), job.c.finished_at < micros(before))
        with self._db.read() as connection:
            ids = connection.execute(select(job.c.id).where(*old).limit(limit)).scalars().all()
        if ids:
            with self._db.write() as connection:
                # Somebody may have queued one again in between.
                connection.execute(delete(job).where(job.c.id.in_(ids), *old))
        return len(ids)

    def events(
        self, tenant_id: str, *, before: datetime, after: int, limit: int
    ) -> tuple[int, int | None]:
        with self._db.read() as connection:
            rows = connection.execute(
                select(event.c.seq, event.c.kind, event.c.at)
                .where(event.c.tenant_id == tenant_id, event.c.seq > after)
                .order_by(event.c.seq)
                .limit(limit)
            ).all()
            old = [row for row in rows if row.at < micros(before)]
            if not old:
                return 0, None
            needed = _living(connection, tenant_id, old[0].seq, old[-1].seq)
        gone = [row.seq for row in old if row.kind != _KEPT_KIND and row.seq not in needed]
        self._remove(tenant_id, gone)
        return len(gone), rows[-1].seq if len(rows) == limit else None

    def _remove(self, tenant_id: str, numbers: Sequence[int]) -> None:
        if not numbers:
            return
        with self._db.write() as connection:
            for table in (event_subject, event):
                connection.execute(
                    delete(table).where(
                        table.c.tenant_id == tenant_id, table.c.seq.in_(list(numbers))
                    )
                )


def _living(connection: Connection, tenant_id: str, first: int, last: int) -> set[int]:
    """Numbers of events about something that is still there, or still to be dealt with."""
    asked = {
        "tenant": tenant_id,
        "first": first,
        "last": last,
        "erased": State.ERASED.value,
        "succeeded": JobState.SUCCEEDED.value,
        "cancelled": JobState.CANCELLED.value,
    }
    return set(connection.execute(_needed, asked).scalars())
