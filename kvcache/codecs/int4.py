"""4 bits with KIVI's axes, groups of 32: 5 bits a number."""

from __future__ import annotations

from typing import ClassVar

from memos.kvcache.codecs.integers import CHANNELS, TOKENS, Grid
from memos.kvcache.codecs.quantised import Quantised


class Int4(Quantised):
    name: ClassVar[str] = "int4"
    keys: ClassVar[Grid] = Grid(bits=4, group=32, axis=TOKENS)
    values: ClassVar[Grid] = Grid(bits=4, group=32, axis=CHANNELS)
