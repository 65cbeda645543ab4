"""Exact-prefix reuse: what a prompt shares with stored blocks, or with its neighbours, is not run.

The longest stored prefix is loaded and read in place; what several prompts share beyond it is run
once; then all go on together from their first new token. A block that can't be used is computed
again and counted: it never fails a request and never changes an answer.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from memos.errors import ActivationError
from memos.kvcache.blocks.block import BlockId, Source, States
from memos.kvcache.generator.model import LocalModel
from memos.kvcache.generator.rows import Prefix
from memos.kvcache.generator.running import running
from memos.kvcache.reuse.begun import Begun, Between, Counters, Draft, lay
from memos.kvcache.reuse.beside import Beside, nearest, padded
from memos.kvcache.reuse.finding import Found, device_tiers, lent, longest, meets, met
from memos.kvcache.reuse.remembering import PIECE_BYTES, Remembering
from memos.kvcache.reuse.tree import Node, order_of, shared_runs

if TYPE_CHECKING:
    from memos.kvcache.cost import CostModel
    from memos.kvcache.store.hit import Hit
    from memos.kvcache.store.store import BlockStore
    from memos.kvcache.tiers.tiers import Tiers

log = logging.getLogger(__name__)

PART_TOKENS = {"cpu": 128, "cuda": 2048}
"""Of a prompt that is read in parts. Fewer would use the device badly, more keep others waiting."""

EXACT = ("raw", "lossless")
"""Codecs that change nothing."""


class PrefixReuse:
    """One tenant's reuse: blocks are looked for and stored under the model's and tenant's `root`.

    Without a `store` only prompts of one batch share. With a `cost` model a hit is loaded only
    where that is faster than to run its tokens. Blocks are stored by `codec`; those of `codecs` are
    used, by default those that give back every bit. `later`: they are written in the background.
    States of more than `piece_bytes` become several blocks. While others go on a prompt is read in
    parts of `part_tokens`, by default as many as suit the model's device.
    """

    def __init__(
        self,
        model: LocalModel,
        store: BlockStore | Tiers | None = None,
        *,
        salt: bytes = b"",
        cost: CostModel | None = None,
        codec: str = "raw",
        codecs: Sequence[str] = EXACT,
        later: bool = False,
        piece_bytes: int = PIECE_BYTES,
        part_tokens: int | None = None,
    ) -> None:
        self.model = model
        self.store = store
        self.root = model.fingerprint.root(salt)
        self.counters = Counters()
        self.cost = cost
        self.codecs = tuple(dict.fromkeys([codec, *codecs]))
        self._remembering = Remembering(model.layout, codec, later=later, piece_bytes=piece_bytes)
        device = "cpu" if model.device.type == "cpu" else "cuda"
        self.part_tokens = part_tokens or PART_TOKENS[device]
        self._counting = threading.Lock()

    def begin(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        room: int = 0,
        remember: bool = False,
        beside: Sequence[Beside] = (),
        between: Between | None = None,
    ) -> Begun:
        """Reads all prompts up to their last token; `room` is for tokens to come.

        `remember` stores what was not stored yet. What requests of this reuse that run at the
        moment, `beside`, have read of a prompt is not read again. With `between` long prompts are
        read in parts, after each of which it is called, so that others can use the model.
        InvalidInput for a prompt that can't be run.
        """
        read = partial(self._begun, prompts, room, remember, beside=beside, between=between)
        try:
            return read(loading=True)
        except ActivationError as error:
            # States that were still on their way when they were needed, and did not arrive.
            log.warning("stored states can't be used and are computed again: %s", error)
            self.count(recomputed=1)
            return read(loading=False)

    def _begun(
        self,
        prompts: Sequence[Sequence[int]],
        room: int,
        remember: bool,
        *,
        loading: bool,
        beside: Sequence[Beside],
        between: Between | None,
    ) -> Begun:
        born = self._born()
        order = order_of(prompts)
        near = beside if self.model.layout.croppable else ()
        chosen = [prompts[index] for index in order]
        draft = Draft(chosen, loading=loading, beside=near, between=between)
        for tokens in draft.prompts:
            self.model.check(tokens)
        draft.done, draft.cached, draft.shared, draft.computed = (
            [0] * len(order) for _ in range(4)
        )
        nodes = shared_runs(draft.prompts)
        self._walk(draft, nodes, 0, len(order), remember=born if remember else None)
        self._level(draft)
        rows = running(self.model, len(order), draft.prefixes, room=room)
        rests = [p[done:] for p, done in zip(draft.prompts, draft.done, strict=True)]
        logits = rows.advance(rests)
        computed = [own + len(rest) for own, rest in zip(draft.computed, rests, strict=True)]
        if remember:
            for row, tokens in enumerate(draft.prompts):
                self.remember(tokens, partial(rows.states, row), born=born)
        self.count(
            prompt_tokens=sum(map(len, prompts)),
            cached_tokens=sum(draft.cached),
            shared_tokens=sum(draft.shared),
            computed_tokens=sum(computed),
        )
        return Begun(
            rows,
            logits,
            tuple(order),
            tuple(draft.cached),
            tuple(draft.shared),
            tuple(computed),
        )

    def compile(self, tokens: Sequence[int], *, sources: Sequence[Source] = ()) -> BlockId | None:
        """Stores the states of `tokens`, computing what is not stored; the block that ends there.

        None if all of it was there already, or the store did not take it.
        """
        self.model.check(tokens)
        born = self._born()
        draft = Draft([[*tokens, tokens[-1]]], done=[0], cached=[0], shared=[0], computed=[0])
        self._load(draft, 0, 1, len(tokens), compiling=True)
        if draft.done[0] == len(tokens):
            return None
        rows = running(self.model, 1, draft.prefixes)
        rows.advance([tokens[draft.done[0] :]])
        return self.remember(tokens, partial(rows.states, 0), sources=sources, born=born)

    def remember(
        self,
        tokens: Sequence[int],
        states: Callable[[int, int], States],
        *,
        sources: Sequence[Source] = (),
        born: int | None = None,
    ) -> BlockId | None:
        """Stores what the store lacks of `tokens`, if that is a granule or more, or if sources are
        named. `states(start, end)` gives the states of that range; `born` is the store's generation
        before they were computed, so that what was forgotten meanwhile is not stored."""
        if self.store is None:
            return None
        return self._remembering.put(
            self.store, self.root, tokens, states, codecs=self.codecs, sources=sources, born=born
        )

    def _walk(
        self,
        draft: Draft,
        nodes: Sequence[Node],
        first: int,
        last: int,
        *,
        remember: int | None,
    ) -> None:
        """Loads or runs what the rows of each node share, then what its children do; then loads
        for each row by itself."""
        for node in nodes:
            self._load(draft, node.first, node.last, node.end)
            self._run(draft, node, remember)
            self._walk(draft, node.children, node.first, node.last, remember=remember)
        inside = {row for node in nodes for row in range(node.first, node.last)}
        for row in range(first, last):
            if row not in inside:
                self._load(draft, row, row + 1, len(draft.prompts[row]) - 1)

    def _load(
        self, draft: Draft, first: int, last: int, end: int, *, compiling: bool = False
    ) -> None:
        """Puts what runs beside, then the longest stored prefix, up to `end`, under the rows, if it
        is worth it."""
        taken = self._take(draft, first, last, end)
        if self.store is None or not draft.loading or draft.done[first] >= end:
            return
        tokens, done = draft.prompts[first], draft.done[first]
        if not (compiling or self.cost is None or self.cost.looks(done, end, len(tokens))):
            self.count(declined=1)
            return
        sought = tokens[: end + 1]
        if compiling:
            hit = self.store.find(self.root, sought, codecs=self.codecs)
        else:
            hit = longest(
                self.store,
                self.root,
                sought,
                done,
                len(tokens),
                codecs=self.codecs,
                cost=self.cost,
            )
        if hit is None or hit.tokens <= done:
            self.count(misses=not compiling and not taken)
            return
        try:
            found = self._found(draft, first, hit, compiling)
        except ActivationError as error:
            log.warning("stored states can't be used and are computed again: %s", error)
            self.count(recomputed=1)
            return
        if found is None or not (compiling or found.loaded):
            self.count(declined=1)
        else:
            self.count(hits=not compiling, met=found.computed > 0)
        for prefix in found.prefixes if found else ():
            lay(draft, replace(prefix, first=first, last=last))
        draft.computed[first] += found.computed if found else 0
        for row in range(first, last):
            draft.cached[row] += found.loaded if found else 0

    def _take(self, draft: Draft, first: int, last: int, end: int) -> bool:
        """Puts under the rows what a request that is running has read of their tokens."""
        done = draft.done[first]
        found = nearest(draft.beside, draft.prompts[first][:end], done)
        if found is None:
            return False
        row, until = found
        for prefix in row.prefixes(done, until):
            lay(draft, replace(prefix, first=first, last=last))
        loaded = max(0, min(row.cached, until) - done)
        for each in range(first, last):
            draft.cached[each] += loaded
            draft.shared[each] += until - done - loaded
        self.count(hits=loaded > 0)
        return True

    def _level(self, draft: Draft) -> None:
        """Runs long prompts by themselves where all others would be padded to their length, or
        where they are to be read in parts."""
        if self.model.has_rows:
            rests = [len(p) - done for p, done in zip(draft.prompts, draft.done, strict=True)]
            for row in padded(rests) if draft.between is None else self._long(rests):
                end = len(draft.prompts[row]) - 1
                self._run(draft, Node(row, row + 1, draft.done[row], end, ()), None)

    def _long(self, rests: Sequence[int]) -> list[int]:
        long = {row for row, rest in enumerate(rests) if rest > self.part_tokens}
        return sorted(long | set(padded(rests)))

    def _found(self, draft: Draft, row: int, hit: Hit, compiling: bool) -> Found | None:
        """The hit's states for a row, in the way that is worth it; None if none is."""
        assert self.store is not None
        tokens, done = draft.prompts[row], draft.done[row]
        tiers = device_tiers(self.model, self.store)
        if self.cost is not None and not compiling:
            if tiers is not None and meets(self.cost, tiers, hit, done, len(tokens)):
                before = [p for p in draft.prefixes if p.first <= row < p.last]
                return met(self.model, tiers, hit, tokens, before)
            if not self.cost.loads(done, hit.tokens, len(tokens), self.store.held(hit)):
                return None
        return lent(self.store, tiers, hit, done)

    def _run(self, draft: Draft, node: Node, remember: int | None) -> None:
        """Runs the rest of what a node's rows share, once. `remember`: the generation before."""
        done = draft.done[node.first]
        if done >= node.end:
            return
        tokens = draft.prompts[node.first]
        under = [p for p in draft.prefixes if p.first <= node.first < p.last]
        one = running(self.model, 1, [replace(p, first=0, last=1) for p in under])
        step = node.end - done if draft.between is None else self.part_tokens
        for begin in range(done, node.end, step):
            one.advance([tokens[begin : min(begin + step, node.end)]])
            if draft.between is not None:
                draft.between()
        states = one.states(0, done if self.model.has_rows else 0, node.end)
        lay(draft, Prefix(states, done, node.end - done, node.first, node.last))
        draft.computed[node.first] += node.end - done
        if node.last - node.first > 1:
            for row in range(node.first, node.last):
                draft.shared[row] += node.end - done
        if remember is not None:
            self.remember(tokens[: node.end], partial(one.states, 0), born=remember)

    def _born(self) -> int:
        return self.store.generation if self.store is not None else 0

    def count(self, **more: int) -> None:
        """Adds to counters by name."""
        with self._counting:
            for name, value in more.items():
                setattr(self.counters, name, getattr(self.counters, name) + value)
