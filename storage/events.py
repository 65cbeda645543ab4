"""Events in SQL: append-only, numbered per tenant, found by what they concern.

Knows how events are kept and in which order they become visible, not what they tell of. Each takes
the tenant's next number under a lock that is held until the commit, so that no reader sees a number
before all smaller ones; therefore a transaction records its events last, when it waits for nothing
else any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Index,
    PrimaryKeyConstraint,
    Table,
    Text,
    and_,
    or_,
    select,
    text,
    update,
)

from memos.errors import EventNotFound
from memos.protocols import Clock, NewId
from memos.storage.bulk import load
from memos.storage.engine import Database
from memos.storage.records import checked, json_text, micros, moment, storable
from memos.storage.tables import Id, metadata
from memos.types import Event, NewEvent, UndoStep

event = Table(
    "event",
    metadata,
    Column("tenant_id", Id, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("id", Id, nullable=False),
    Column("cube_id", Id),
    Column("kind", Id, nullable=False),
    Column("subjects", Text, nullable=False),
    Column("reason", Text),
    Column("numbers", Text, nullable=False),
    Column("actor", Text),
    Column("at", BigInteger, nullable=False),
    Column("undo", Text, nullable=False),
    Column("cause", Id),
    PrimaryKeyConstraint("tenant_id", "seq", name="pk_event"),
    Index("ix_event_id", "tenant_id", "id", unique=True),
    Index("ix_event_cube", "cube_id", "seq"),
)

event_subject = Table(
    "event_subject",
    metadata,
    Column("tenant_id", Id, nullable=False),
    Column("subject", Id, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("cube_id", Id),
    PrimaryKeyConstraint("tenant_id", "subject", "seq", name="pk_event_subject"),
    Index("ix_event_subject_cube", "cube_id"),
)

# The number of each tenant's newest event.
event_mark = Table(
    "event_mark",
    metadata,
    Column("tenant_id", Id, primary_key=True),
    Column("seq", BigInteger, nullable=False),
)

_take = text(
    "INSERT INTO event_mark (tenant_id, seq) VALUES (:tenant_id, :count)"
    " ON CONFLICT (tenant_id) DO UPDATE SET seq = event_mark.seq + :count RETURNING seq"
)
_undo = msgspec.json.Decoder(tuple[UndoStep, ...])
_numbers = msgspec.json.Decoder(dict[str, Any])
_subjects = msgspec.json.Decoder(tuple[str, ...])


class EventLog:
    """Records events in the transactions of the stores."""

    def __init__(self, *, new_id: NewId, clock: Clock) -> None:
        self._new_id = new_id
        self._clock = clock

    def record(
        self, connection: Connection, tenant_id: str, events: Sequence[NewEvent]
    ) -> tuple[str, ...]:
        """Ids in their order. The last thing a transaction does (see the module)."""
        if not events:
            return ()
        now = micros(self._clock())
        asked = {"tenant_id": tenant_id, "count": len(events)}
        last: int = connection.execute(_take, asked).scalar_one()
        rows = [
            _row(new, tenant_id, seq, self._new_id(), now)
            for seq, new in enumerate(events, last - len(events) + 1)
        ]
        load(connection, event, [tuple(row.values()) for row in rows])
        subjects = [
            {
                "tenant_id": tenant_id,
                "subject": subject,
                "seq": row["seq"],
                "cube_id": row["cube_id"],
            }
            for row, new in zip(rows, events, strict=True)
            for subject in dict.fromkeys(new.subjects)
        ]
        if subjects:
            load(connection, event_subject, [tuple(row.values()) for row in subjects])
        return tuple(row["id"] for row in rows)

    def erase(self, connection: Connection, tenant_id: str, subject: str) -> None:
        """Takes reasons and numbers out of what is told of a memory: they may quote it."""
        mine = select(event_subject.c.seq).where(
            event_subject.c.tenant_id == tenant_id, event_subject.c.subject == subject
        )
        connection.execute(
            update(event)
            # From the memory to its events; EXISTS would look through all events of the tenant.
            .where(event.c.tenant_id == tenant_id, event.c.seq.in_(mine))
            .values(reason=None, numbers="{}")
        )


class SqlEventStore:
    """`memos.protocols.EventStore`."""

    def __init__(self, database: Database, *, log: EventLog) -> None:
        self._db = database
        self._log = log

    def append(self, tenant_id: str, events: Sequence[NewEvent]) -> tuple[str, ...]:
        with self._db.write() as connection:
            return self._log.record(connection, tenant_id, events)

    def get(self, tenant_id: str, event_id: str) -> Event:
        query = select(event).where(event.c.tenant_id == tenant_id, event.c.id == event_id)
        row = None
        if storable(event_id):
            with self._db.read() as connection:
                row = connection.execute(query).first()
        if row is None:
            raise EventNotFound(f"there is no event {event_id!r}", event_id=event_id)
        return event_of(row)

    def about(self, tenant_id: str, subject: str, *, limit: int) -> list[Event]:
        if not storable(subject):
            return []
        query = (
            select(event)
            .join(
                event_subject,
                and_(
                    event_subject.c.tenant_id == event.c.tenant_id,
                    event_subject.c.seq == event.c.seq,
                ),
            )
            .where(event_subject.c.tenant_id == tenant_id, event_subject.c.subject == subject)
            .order_by(event_subject.c.seq.desc())
            .limit(limit)
        )
        with self._db.read() as connection:
            rows = connection.execute(query).all()
        return [event_of(row) for row in reversed(rows)]

    def page(
        self,
        tenant_id: str,
        *,
        after: int,
        kinds: Sequence[str] = (),
        cube_id: str | None = None,
        limit: int,
    ) -> list[Event]:
        query = select(event).where(event.c.tenant_id == tenant_id, event.c.seq > after)
        if kinds:
            query = query.where(or_(*map(_of_kind, kinds)))
        if cube_id is not None:
            query = query.where(event.c.cube_id == cube_id)
        with self._db.read() as connection:
            return [
                event_of(row)
                for row in connection.execute(query.order_by(event.c.seq).limit(limit))
            ]

    def last(self, tenant_id: str) -> int:
        query = select(event_mark.c.seq).where(event_mark.c.tenant_id == tenant_id)
        with self._db.read() as connection:
            return int(connection.execute(query).scalar() or 0)


def _of_kind(kind: str) -> ColumnElement[bool]:
    if kind.endswith("."):
        return event.c.kind.startswith(kind, autoescape=True)
    return event.c.kind == kind


def _row(new: NewEvent, tenant_id: str, seq: int, id: str, now: int) -> dict[str, Any]:
    return checked(
        {
            "tenant_id": tenant_id,
            "seq": seq,
            "id": id,
            "cube_id": new.cube_id,
            "kind": new.kind,
            "subjects": json_text(new.subjects),
            "reason": new.reason,
            "numbers": json_text(new.numbers),
            "actor": new.actor,
            "at": now,
            "undo": msgspec.json.encode(new.undo).decode(),
            "cause": new.cause,
        }
    )


def event_of(row: Sequence[Any]) -> Event:
    """From a row with the columns of `event` in their order."""
    return Event(
        id=row[2],
        seq=row[1],
        cube_id=row[3],
        kind=row[4],
        subjects=_subjects.decode(row[5]),
        reason=row[6],
        numbers=_numbers.decode(row[7]),
        actor=row[8],
        at=moment(row[9]),
        undo=_undo.decode(row[10]),
        cause=row[11],
    )
