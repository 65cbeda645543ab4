"""What all groups of verbs of the async client stand on: how a request is sent, and its key."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeVar

from memos.client.requests.request import Request

T = TypeVar("T")


class AsyncVerbs(ABC):
    """Base of the groups of verbs that `memos.client.AsyncClient` is made of."""

    @abstractmethod
    async def _send(self, request: Request[T]) -> T:
        """Sends it, again where that is safe; what the service answers, or its error."""

    @abstractmethod
    def _key(self, given: str | None = None) -> str:
        """The idempotency key that was given, or a new one."""
