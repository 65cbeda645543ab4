"""What is known of prompts while they are read, and once they have been.

Plain values, of rows in the order of their prompts' tree; nothing is read or run here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from torch import Tensor

from memos.kvcache.generator.rows import Prefix
from memos.kvcache.generator.running import Running
from memos.kvcache.reuse.beside import Beside

Between: TypeAlias = Callable[[], object]
"""Called between two parts of a prompt that is being read."""


@dataclass
class Counters:
    """Tokens and events since the start. `cached_tokens` and `shared_tokens` count for each row
    that had them, `computed_tokens` what was run. `declined`: prompts whose tokens are run since no
    load would be faster, whether or not they are stored. `recomputed`: blocks that were found but
    unusable; `met`: hits whose beginning was computed while the rest was loaded."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    shared_tokens: int = 0
    computed_tokens: int = 0
    hits: int = 0
    misses: int = 0
    declined: int = 0
    met: int = 0
    recomputed: int = 0


@dataclass(frozen=True)
class Begun:
    """Prompts that were read. `order` has the prompt of each row; `logits` (rows, vocabulary).

    `cached` and `shared` count, per row, the tokens that were loaded, and that were run once for
    several rows; `computed` what was run, that of several rows with the first of them.
    """

    running: Running
    logits: Tensor
    order: tuple[int, ...]
    cached: tuple[int, ...]
    shared: tuple[int, ...]
    computed: tuple[int, ...]


@dataclass
class Draft:
    """What is known of a batch while its tree is walked; by row."""

    prompts: list[Sequence[int]]
    loading: bool = True
    beside: Sequence[Beside] = ()
    between: Between | None = None
    prefixes: list[Prefix] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    cached: list[int] = field(default_factory=list)
    shared: list[int] = field(default_factory=list)
    computed: list[int] = field(default_factory=list)


def lay(draft: Draft, prefix: Prefix) -> None:
    """Puts a prefix under the rows that it names, which have read up to its end then."""
    draft.prefixes.append(prefix)
    for row in range(prefix.first, prefix.last):
        draft.done[row] = prefix.start + prefix.tokens
