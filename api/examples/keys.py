"""One example of each answer about keys, as a value of its type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memos.api.examples.cubes import THEN
from memos.types import ApiKey, IssuedKey, Role

_KEY = ApiKey(
    id="01HXA8Q5T9V0J4M2K7N3P6R8SA",
    tenant_id="default",
    name="agent",
    role=Role.WRITER,
    cubes=(),
    created_at=THEN,
    revoked_at=None,
)

KEY_EXAMPLES: Mapping[str, Any] = {
    "ApiKey": _KEY,
    "IssuedKey": IssuedKey(key=_KEY, secret="memos_..."),
}
"""By the name of the schema."""
