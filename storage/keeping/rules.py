"""The rules by which memories go through their lives, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, insert, select

from memos.storage.engine import Database
from memos.storage.feed import take_numbers
from memos.storage.jobs.queue import SqlJobQueue
from memos.storage.records import checked, micros, moment
from memos.storage.tables import lifecycle_rule
from memos.types import Kind, LifecycleRule, NewJob

_DAY = 86_400_000_000


class SqlRuleStore:
    """`memos.protocols.RuleStore`."""

    def __init__(self, database: Database, *, jobs: SqlJobQueue) -> None:
        self._db = database
        self._jobs = jobs

    def all(self, cube_id: str) -> tuple[LifecycleRule, ...]:
        columns = lifecycle_rule.c
        query = select(lifecycle_rule).where(columns.cube_id == cube_id).order_by(columns.kind)
        with self._db.read() as connection:
            return tuple(_rule_of(row) for row in connection.execute(query))

    def put(self, cube_id: str, rule: LifecycleRule, *, jobs: Sequence[NewJob] = ()) -> None:
        columns = lifecycle_rule.c
        row = {
            "cube_id": cube_id,
            "kind": rule.kind.value,
            "archive_after": _span(rule.archive_after),
            "expire_after": _span(rule.expire_after),
            "erase_after": _span(rule.erase_after),
            "updated_at": 0 if rule.updated_at is None else micros(rule.updated_at),
            "actor": rule.actor,
        }
        with self._db.write() as connection:
            take_numbers(connection, cube_id, 0)
            connection.execute(
                delete(lifecycle_rule).where(
                    columns.cube_id == cube_id, columns.kind == rule.kind.value
                )
            )
            if any(
                row[name] is not None for name in ("archive_after", "expire_after", "erase_after")
            ):
                connection.execute(insert(lifecycle_rule), checked(row))
            self._jobs.add(connection, jobs)


def _span(days: float | None) -> int | None:
    return None if days is None else int(days * _DAY)


def _days(span: int | None) -> float | None:
    return None if span is None else span / _DAY


def _rule_of(row: Any) -> LifecycleRule:
    return LifecycleRule(
        kind=Kind(row.kind),
        archive_after=_days(row.archive_after),
        expire_after=_days(row.expire_after),
        erase_after=_days(row.erase_after),
        updated_at=moment(row.updated_at),
        actor=row.actor,
    )
