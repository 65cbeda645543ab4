"""The audit trail: who did what to whom and when, written in the transaction of the deed.

Append-only, and without the content of memories: an erase must not leave it here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert

from memos.protocols import Clock, NewId
from memos.storage.records import checked, json_text, micros
from memos.storage.tables import audit


class AuditTrail:
    """Writes entries; reading is left to SQL."""

    def __init__(self, *, new_id: NewId, clock: Clock) -> None:
        self._new_id = new_id
        self._clock = clock

    def record(
        self,
        connection: Connection,
        *,
        tenant_id: str,
        action: str,
        target: str,
        actor: str | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        connection.execute(
            insert(audit),
            checked(
                {
                    "id": self._new_id(),
                    "tenant_id": tenant_id,
                    "actor": actor,
                    "action": action,
                    "target": target,
                    "at": micros(self._clock()),
                    "detail": json_text(detail or {}),
                }
            ),
        )
