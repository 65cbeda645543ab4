"""2 bits with KIVI's axes, groups of 32: 3 bits a number. Experimental: it changes what is said."""

from __future__ import annotations

from typing import ClassVar

from memos.kvcache.codecs.integers import CHANNELS, TOKENS, Grid
from memos.kvcache.codecs.quantised import Quantised


class Int2(Quantised):
    name: ClassVar[str] = "int2"
    keys: ClassVar[Grid] = Grid(bits=2, group=32, axis=TOKENS)
    values: ClassVar[Grid] = Grid(bits=2, group=32, axis=CHANNELS)
    sinks: ClassVar[int] = 2
