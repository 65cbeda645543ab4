"""API keys in SQL, by the SHA-256 of their secret. Never sees a secret."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import insert, select, update

from memos.errors import AlreadyExists, KeyNotFound
from memos.storage.audit import AuditTrail
from memos.storage.cubes import ensure_tenant
from memos.storage.engine import Database
from memos.storage.errors import taken
from memos.storage.records import checked, digest, json_text, key_of, micros, micros_or_none
from memos.storage.tables import api_key
from memos.types import ApiKey


class SqlKeyStore:
    """`memos.protocols.KeyStore`."""

    def __init__(self, database: Database, *, audit: AuditTrail) -> None:
        self._db = database
        self._audit = audit

    def add(self, key: ApiKey, secret_sha256: str) -> None:
        row = checked(
            {
                "id": key.id,
                "tenant_id": key.tenant_id,
                "name": key.name,
                "role": key.role.value,
                "cubes": json_text(key.cubes),
                "secret_sha256": digest(secret_sha256),
                "created_at": micros(key.created_at),
                "revoked_at": micros_or_none(key.revoked_at),
            }
        )
        with self._db.write() as connection:
            ensure_tenant(connection, key.tenant_id, micros(key.created_at))
            with taken(lambda: AlreadyExists(f"there is already a key {key.id} or its secret")):
                connection.execute(insert(api_key), row)
            self._audit.record(
                connection,
                tenant_id=key.tenant_id,
                action="key.create",
                target=key.id,
                detail={"role": key.role.value, "cubes": list(key.cubes)},
            )

    def find(self, secret_sha256: str) -> ApiKey | None:
        query = select(api_key).where(api_key.c.secret_sha256 == digest(secret_sha256))
        with self._db.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else key_of(row)

    def page(self, tenant_id: str) -> list[ApiKey]:
        query = select(api_key).where(api_key.c.tenant_id == tenant_id).order_by(api_key.c.id)
        with self._db.read() as connection:
            return [key_of(row) for row in connection.execute(query)]

    def revoke(self, tenant_id: str, key_id: str, *, at: datetime) -> ApiKey:
        mine = (api_key.c.tenant_id == tenant_id, api_key.c.id == key_id)
        with self._db.write() as connection:
            changed = connection.execute(
                update(api_key)
                .where(*mine, api_key.c.revoked_at.is_(None))
                .values(revoked_at=micros(at))
            )
            row = connection.execute(select(api_key).where(*mine)).first()
            if row is None:
                raise KeyNotFound(f"there is no key {key_id!r}", key_id=key_id)
            if changed.rowcount:
                self._audit.record(
                    connection, tenant_id=tenant_id, action="key.revoke", target=key_id
                )
        return key_of(row)

    def any(self) -> bool:
        with self._db.read() as connection:
            return connection.execute(select(api_key.c.id).limit(1)).first() is not None
