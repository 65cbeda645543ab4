"""API keys: issued once, stored as a hash, looked up by it, revoked.

A secret has 256 random bits, so a plain SHA-256 is as good as a slow hash, and costs a request
nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence

from memos.errors import NotAuthenticated
from memos.protocols import Clock, NewId, Stores
from memos.types import ApiKey, IssuedKey, Role
from memos.validation import check_label

_PREFIX = "memos_"


class Keys:
    def __init__(self, stores: Stores, *, clock: Clock, new_id: NewId) -> None:
        self._stores = stores
        self._clock = clock
        self._new_id = new_id

    def issue(
        self, tenant_id: str, name: str, *, role: Role, cubes: Sequence[str] = ()
    ) -> IssuedKey:
        """`cubes` names the only cubes it reaches, by name or id; none: all of the tenant."""
        check_label("name", name)
        ids = tuple(self._stores.cubes.get(tenant_id, cube).id for cube in cubes)
        secret = _PREFIX + secrets.token_urlsafe(32)
        key = ApiKey(
            id=self._new_id(),
            tenant_id=tenant_id,
            name=name,
            role=role,
            cubes=ids,
            created_at=self._clock(),
            revoked_at=None,
        )
        self._stores.keys.add(key, _hash(secret))
        return IssuedKey(key=key, secret=secret)

    def authenticate(self, secret: str) -> ApiKey:
        """The key of this secret. NotAuthenticated if there is none, or it was revoked."""
        key = self._stores.keys.find(_hash(secret))
        if key is None or key.revoked_at is not None:
            raise NotAuthenticated(
                "the API key is unknown or revoked; `memos key create` makes one"
            )
        return key

    def of(self, tenant_id: str) -> tuple[ApiKey, ...]:
        return tuple(self._stores.keys.page(tenant_id))

    def revoke(self, tenant_id: str, key_id: str) -> ApiKey:
        return self._stores.keys.revoke(tenant_id, key_id, at=self._clock())

    def first(self, tenant_id: str) -> IssuedKey | None:
        """An admin key if there is no key at all yet, else None."""
        if self._stores.keys.any():
            return None
        return self.issue(tenant_id, "first", role=Role.ADMIN)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
