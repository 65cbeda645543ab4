"""Who may call, and what was answered to whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from memos.types import ApiKey


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an idempotency key stands for: which request, and what it answered."""

    request_hash: str
    result: Mapping[str, Any]


class KeyStore(Protocol):
    """API keys, by the SHA-256 of their secret; the secret itself is never stored."""

    def add(self, key: ApiKey, secret_sha256: str) -> None: ...

    def find(self, secret_sha256: str) -> ApiKey | None:
        """Revoked keys are found too; the caller looks at `revoked_at`."""
        ...

    def page(self, tenant_id: str) -> list[ApiKey]: ...

    def revoke(self, tenant_id: str, key_id: str, *, at: datetime) -> ApiKey: ...

    def any(self) -> bool:
        """Whether any key exists; the first start issues one if not."""
        ...


class ReceiptStore(Protocol):
    """Answers kept by idempotency key, per tenant."""

    def find(self, tenant_id: str, key: str) -> Receipt | None: ...

    def put(self, tenant_id: str, key: str, receipt: Receipt) -> None:
        """IdempotencyConflict if the key is taken."""
        ...

    def purge(self, *, before: datetime) -> int: ...
