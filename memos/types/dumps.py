"""What is told of a cube that was written into a file, or read from one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from memos.types.cubes import Cube


@dataclass(frozen=True, slots=True, kw_only=True)
class Dump:
    """A file that holds the cube `name`. `rows` counts what is in it by table; `sha256` (hex) is
    that of the whole file."""

    name: str
    rows: Mapping[str, int]
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A cube made from such a file. `jobs` make anew what does not travel: states of compiled
    memories, adapters that were at work, a vector index, what had not been read yet."""

    cube: Cube
    rows: Mapping[str, int]
    jobs: tuple[str, ...] = ()
