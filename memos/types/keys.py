"""API keys and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum


class Role(str, Enum):
    """What an API key may do: `reader` reads, `writer` also writes, `admin` also keys and cubes."""

    READER = "reader"
    WRITER = "writer"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key without its secret. `cubes` limits it to these cube ids (empty: all of the tenant)."""

    id: str
    tenant_id: str
    name: str
    role: Role
    cubes: tuple[str, ...]
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedKey:
    """A key at its creation, the only time the secret can be seen."""

    key: ApiKey
    secret: str
