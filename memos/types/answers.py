"""What any verb may use: values left out, pages, and findings about the stores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")

UNSET = msgspec.UNSET
"""Marks an argument that was not given, where None is a value."""
Unset = msgspec.UnsetType


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Some items, and the cursor for the next ones (None at the end)."""

    items: tuple[T, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something `doctor` found; `repaired` says whether it was mended in this run."""

    check: str
    cube_id: str | None
    problem: str
    count: int
    repaired: bool
