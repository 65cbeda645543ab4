"""Requests under way: their caches, and one token more for each.

Two forms, which behave alike: together, as rows of one cache, or in turn, for models whose layers
can't share a prefix in place. They don't choose tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from memos.kvcache.blocks.block import States
from memos.kvcache.generator.model import LocalModel
from memos.kvcache.generator.rows import Prefix
from memos.kvcache.generator.union import unite


class Running(Protocol):
    """Rows are numbered from 0 in the order they were given, less those that were let go."""

    lengths: list[int]
    """Tokens that each row has read."""

    def advance(self, tokens: Sequence[Sequence[int]]) -> Tensor:
        """Runs one or more tokens of each row; logits (rows, vocabulary) after each one's last."""
        ...

    def keep(self, rows: Sequence[int]) -> None:
        """Lets the other rows go; ascending."""
        ...

    def states(self, row: int, start: int, end: int) -> States:
        """Copies of a row's states of tokens [start, end); `end` before the row's last token only
        where layers allow it."""
        ...


class Together:
    """All rows in one forward pass, on prefixes that are held once. Needs `model.has_rows`."""

    def __init__(
        self, model: LocalModel, rows: int, prefixes: Sequence[Prefix] = (), *, room: int = 0
    ) -> None:
        self._model = model
        self._cache = model.rows(rows, room=room)
        self._cache.share(prefixes)
        self.lengths = [0] * rows
        for prefix in prefixes:
            for row in range(prefix.first, prefix.last):
                self.lengths[row] = prefix.start + prefix.tokens

    def advance(self, tokens: Sequence[Sequence[int]]) -> Tensor:
        width = max(map(len, tokens))
        ids = torch.zeros(len(tokens), width, dtype=torch.long)
        positions = torch.full((len(tokens), width), -1)
        for row, (own, before) in enumerate(zip(tokens, self.lengths, strict=True)):
            ids[row, width - len(own) :] = self._model.check(own, before=before)
            positions[row, width - len(own) :] = torch.arange(before, before + len(own))
            self.lengths[row] = before + len(own)
        place = self._model.device
        return self._model.run_rows(self._cache, ids.to(place), positions.to(place))

    def own(self) -> States:
        """What the only row has read by itself, as views, to be put under other rows."""
        return self._cache.own()

    def use(self, model: LocalModel) -> None:
        """Goes on with another view of the same model."""
        self._model = model

    def keep(self, rows: Sequence[int]) -> None:
        self._cache.keep(rows)
        self.lengths = [self.lengths[row] for row in rows]

    def join(self, other: Together) -> None:
        """Goes on with the other's rows after its own; the other is used up. ModelError if memory
        is short: both are then as they were."""
        unite(self._cache, other._cache)
        self.lengths += other.lengths

    def prefixes(self, row: int, start: int, end: int) -> list[Prefix]:
        """What a row has read of tokens [start, end), to be put under rows that begin alike; only
        where layers can be cut at any token."""
        return self._cache.prefixes(row, start, end)

    def states(self, row: int, start: int, end: int) -> States:
        return self._cache.states(row, start, end)


class InTurn:
    """Each row on a cache of its own. A shared prefix is computed once and copied to each row."""

    def __init__(
        self, model: LocalModel, rows: int, prefixes: Sequence[Prefix] = (), *, room: int = 0
    ) -> None:
        self._model = model
        self._room = room
        self._caches: list[Any] = [None] * rows
        self.lengths = [0] * rows
        for prefix in prefixes:
            for row in range(prefix.first, prefix.last):
                self._lay(row, prefix)

    def _lay(self, row: int, prefix: Prefix) -> None:
        """Prefixes follow each other; each has all the states up to its end."""
        end = prefix.start + prefix.tokens
        self._caches[row] = self._model.to_cache(prefix.states, tokens=end, room=self._room)
        self.lengths[row] = end

    def advance(self, tokens: Sequence[Sequence[int]]) -> Tensor:
        logits = []
        for row, own in enumerate(tokens):
            done = self._model.prefill(own, self._caches[row], room=self._room)
            self._caches[row] = done.cache
            self.lengths[row] += len(own)
            logits.append(done.logits[-1])
        return torch.stack(logits)

    def keep(self, rows: Sequence[int]) -> None:
        self._caches = [self._caches[row] for row in rows]
        self.lengths = [self.lengths[row] for row in rows]

    def join(self, other: InTurn) -> None:
        """As `Together.join`."""
        self._caches += other._caches
        self.lengths += other.lengths

    def prefixes(self, row: int, start: int, end: int) -> list[Prefix]:
        """As `Together.prefixes`."""
        states = self._model.from_cache(self._caches[row], end=end)
        return [Prefix(states, start, end - start, 0, 1)]

    def states(self, row: int, start: int, end: int) -> States:
        return self._model.from_cache(self._caches[row], start=start, end=end)


def running(
    model: LocalModel, rows: int, prefixes: Sequence[Prefix] = (), *, room: int = 0
) -> Together | InTurn:
    """Together where the model's layers allow it, else in turn."""
    form = Together if model.has_rows else InTurn
    return form(model, rows, prefixes, room=room)
