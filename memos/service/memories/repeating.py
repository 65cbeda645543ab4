"""A write without a condition is not refused for what came between: it is done again on that."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from memos.errors import VersionConflict

Result = TypeVar("Result")

_TIMES = 100
"""Each time another write was done: so many have to come between that it is no longer a crowd."""


def repeated(if_version: int | None, write: Callable[[], Result]) -> Result:
    """What `write` answers, which reads a memory, makes the next version of it and stores that.

    It is called anew where another writer was faster, unless the caller has asked for a version:
    VersionConflict then, and after a hundred times.
    """
    for _ in range(_TIMES - 1):
        try:
            return write()
        except VersionConflict:
            if if_version is not None:
                raise
    return write()
