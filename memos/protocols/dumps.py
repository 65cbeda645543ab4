"""Cubes in files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from memos.types import Cube, Dump, Loaded, NewJob


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """What was loaded, as far as it matters for what has to follow: the cube and its newest change
    number, activation memories that were compiled and adapters that were at work, by id, and
    whether memories lack their indexed form."""

    cube: Cube
    last: int
    compiled: tuple[str, ...]
    attached: tuple[str, ...]
    unindexed: bool


class DumpStore(Protocol):
    """Cubes in files."""

    def write(self, cube_id: str, file: BinaryIO, *, product: str) -> Dump:
        """Writes the cube as it is at one moment, while others go on writing. CubeNotFound."""
        ...

    def load(
        self,
        file: BinaryIO,
        *,
        tenant_id: str,
        name: str | None,
        ratio: int,
        analyzer: str,
        check: Callable[[Cube], None],
        jobs: Callable[[Arrived], Sequence[NewJob]],
        actor: str | None,
    ) -> Loaded:
        """Makes a new cube of a dump: all of it, with the jobs, or nothing. `file` can be read
        twice: all is checked before anything is written. At most `ratio` bytes may come out of
        each one of it. `name` None: as it was called. `check` sees the cube before it is made.

        InvalidDump; PayloadTooLarge; AlreadyExists if the tenant has a cube of that name."""
        ...
