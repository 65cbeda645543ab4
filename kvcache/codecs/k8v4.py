"""Keys in 8 bits, values in 4, groups of 32: 7 bits a number.

Keys matter more, since an error in one moves the weights of all."""

from __future__ import annotations

from typing import ClassVar

from memos.kvcache.codecs.integers import CHANNELS, TOKENS, Grid
from memos.kvcache.codecs.quantised import Quantised


class K8V4(Quantised):
    name: ClassVar[str] = "k8v4"
    keys: ClassVar[Grid] = Grid(bits=8, group=32, axis=TOKENS)
    values: ClassVar[Grid] = Grid(bits=4, group=32, axis=CHANNELS)
