"""Answers kept by idempotency key. Knows neither requests nor how long they are remembered."""

from __future__ import annotations

import json
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from memos.errors import IdempotencyConflict
from memos.protocols import Clock, Receipt
from memos.storage.engine import Database
from memos.storage.errors import taken
from memos.storage.records import checked, json_text, micros
from memos.storage.tables import receipt as table


def put_receipt(
    connection: Connection, tenant_id: str, key: str, receipt: Receipt, *, at: int
) -> None:
    """In the caller's transaction; `at` in microseconds. IdempotencyConflict if it is taken."""
    row = checked(
        {
            "tenant_id": tenant_id,
            "key": key,
            "request_hash": receipt.request_hash,
            "result": json_text(receipt.result),
            "created_at": at,
        }
    )
    with taken(lambda: _key_taken(key)):
        connection.execute(insert(table), row)


class SqlReceiptStore:
    """`memos.protocols.ReceiptStore`."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._db = database
        self._clock = clock

    def find(self, tenant_id: str, key: str) -> Receipt | None:
        query = select(table.c.request_hash, table.c.result).where(
            table.c.tenant_id == tenant_id, table.c.key == key
        )
        with self._db.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else Receipt(row[0], json.loads(row[1]))

    def put(self, tenant_id: str, key: str, receipt: Receipt) -> None:
        with self._db.write() as connection:
            put_receipt(connection, tenant_id, key, receipt, at=micros(self._clock()))

    def purge(self, *, before: datetime) -> int:
        with self._db.write() as connection:
            gone = connection.execute(delete(table).where(table.c.created_at < micros(before)))
            return gone.rowcount


def _key_taken(key: str) -> IdempotencyConflict:
    return IdempotencyConflict(
        f"the idempotency key {key!r} was used before; use a new one for a new request", key=key
    )
