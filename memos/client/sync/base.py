"""What all groups of verbs of the sync client stand on: how a request is sent, and its key."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeVar

from memos.client.requests.request import Request

T = TypeVar("T")


class Verbs(ABC):
    """Base of the groups of verbs that `memos.client.Client` is made of."""

    @abstractmethod
    def _send(self, request: Request[T]) -> T:
        """Sends it, again where that is safe; what the service answers, or its error."""

    @abstractmethod
    def _key(self, given: str | None = None) -> str:
        """The idempotency key that was given, or a new one."""
