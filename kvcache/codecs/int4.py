"""Values in 4 bits, keys in 5, with KIVI's axes and groups of 64: 5 bits a number with the steps.

A step and a low are 32 bits for each group. Groups of 64 instead of 32 save half a bit, and that
is worth more as a fifth bit of the keys. With it and two sinks the divergence is about a third
of that of 4 bits in groups of 32 (KL 0.0021 against 0.0060, top-1 0.969 against 0.945, SmolLM2-135M
after 512 tokens), for 0.004 more of bfloat16's bytes.
"""

from __future__ import annotations

from typing import ClassVar

from memos.kvcache.codecs.integers import CHANNELS, TOKENS, Grid
from memos.kvcache.codecs.quantised import Quantised


class Int4(Quantised):
    name: ClassVar[str] = "int4"
    keys: ClassVar[Grid] = Grid(bits=5, group=64, axis=TOKENS)
    values: ClassVar[Grid] = Grid(bits=4, group=64, axis=CHANNELS)
    sinks: ClassVar[int] = 2
