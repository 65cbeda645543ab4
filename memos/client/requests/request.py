"""One call: what is sent, how the answer is read, and whether it may be sent twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from memos.client.bodies import Query

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Generic[T]):
    """One call. `repeatable`: sending it twice does what sending it once does.

    `patience` is how many seconds longer than usual the answer may take.
    """

    method: str
    path: str
    read: Callable[[bytes], T]
    query: Query = field(default_factory=list)
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = True
    patience: float = 0.0
