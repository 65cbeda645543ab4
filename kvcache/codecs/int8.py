"""8 bits with KIVI's axes, groups of 64: 8.5 bits a number. Hardly to be told from the original."""

from __future__ import annotations

from typing import ClassVar

from memos.kvcache.codecs.integers import CHANNELS, TOKENS, Grid
from memos.kvcache.codecs.quantised import Quantised


class Int8(Quantised):
    name: ClassVar[str] = "int8"
    keys: ClassVar[Grid] = Grid(bits=8, group=64, axis=TOKENS)
    values: ClassVar[Grid] = Grid(bits=8, group=64, axis=CHANNELS)
