"""A hit as prefixes of a row: loaded, or met while its beginning is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memos.kvcache.generator.model import LocalModel
from memos.kvcache.generator.rows import Prefix
from memos.kvcache.reuse import meeting
from memos.kvcache.tiers.exchange import Patience
from memos.kvcache.tiers.tiers import Tiers

if TYPE_CHECKING:
    from memos.kvcache.cost import CostModel
    from memos.kvcache.store.hit import Hit
    from memos.kvcache.store.store import BlockStore

_MOST_APART = 8
"""Blocks of one hit that are read in place; of more a copy is made, since each is attended to."""


@dataclass(frozen=True)
class Found:
    """Prefixes of row 0, which follow each other, and how many of their tokens were loaded, and
    computed."""

    prefixes: Sequence[Prefix]
    loaded: int
    computed: int = 0


def device_tiers(model: LocalModel, store: BlockStore | Tiers) -> Tiers | None:
    """The store, if it brings blocks to a device where any part of a hit can be used."""
    if not isinstance(store, Tiers) or store.device is None:
        return None
    return store if model.has_rows and model.layout.croppable else None


def longest(
    store: BlockStore | Tiers,
    root: bytes,
    tokens: Sequence[int],
    done: int,
    length: int,
    *,
    codecs: Sequence[str],
    cost: CostModel | None,
) -> Hit | None:
    """The longest stored prefix of `tokens`, for a prompt of `length` of which `done` tokens are
    there. What is only elsewhere is waited for where the cost model says that it pays."""
    if cost is None or not isinstance(store, Tiers):
        return store.longest(root, tokens, codecs=codecs)

    def pays(near: int, far: int, seconds: float | None) -> bool:
        return cost.fetches(max(done, near), far, length, seconds)

    patience = Patience(cost.patience_s(done, length), pays)
    return store.longest(root, tokens, codecs=codecs, patience=patience)


def lent(store: BlockStore | Tiers, tiers: Tiers | None, hit: Hit, done: int) -> Found:
    """The hit's states after `done` tokens, each block where it lies if that is not slower. Errors
    are the store's."""
    loaded = hit.tokens - done
    if tiers is None or len(hit.segments) > _MOST_APART:
        return Found([Prefix(store.lend(hit), done, loaded, 0, 1)], loaded)
    prefixes = [
        Prefix(states, begin, segment.end - begin, 0, 1)
        for states, segment in zip(tiers.lend_apart(hit), hit.segments, strict=True)
        if (begin := max(done, segment.start)) < segment.end
    ]
    return Found(prefixes, loaded)


def meets(cost: CostModel, tiers: Tiers, hit: Hit, done: int, length: int) -> bool:
    """Whether to load the hit from its end while its tokens are computed from the beginning."""
    runs = [
        (segment.start, segment.end, tiers.held(part))
        for segment, part in zip(hit.segments, hit.apart(), strict=True)
    ]
    return meeting.worth(cost, done, runs, length)


def met(
    model: LocalModel, tiers: Tiers, hit: Hit, tokens: Sequence[int], before: Sequence[Prefix]
) -> Found:
    """Does so; `before` are the row's prefixes up to now."""
    made, used = meeting.met(model, tokens, before, tiers.coming(hit))
    computed = sum(prefix.tokens for prefix in made)
    last = made[-1] if made else before[-1] if before else None
    done = begin = last.start + last.tokens if last else 0
    prefixes = list(made)
    for block in used:
        if done < block.segment.end:
            prefixes.append(Prefix(block.states(), done, block.segment.end - done, 0, 1))
            done = block.segment.end
    tiers.keep(used)
    return Found(prefixes, done - begin, computed)
