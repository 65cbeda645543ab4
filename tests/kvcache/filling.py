"""States put into stores and tiers by tests, and looked for again."""

from memos.benchmarks.activation.states import FULL, equal, root, states
from memos.kvcache.store.store import BlockStore
from memos.kvcache.tiers.tiers import Tiers

TEXT = list(range(500, 700))


def put(tiers: Tiers | BlockStore, tokens=TEXT, start=0, layout=FULL, **more):
    return tiers.put(root(), tokens, start, states(layout, tokens, start), layout=layout, **more)


def loaded(tiers: Tiers, tokens=TEXT, layout=FULL) -> int:
    """How many of these tokens' states came back; equal to what was put, or the test fails."""
    hit = tiers.longest(root(), [*tokens, 1])
    if hit is None:
        return 0
    assert equal(tiers.load(hit), states(layout, tokens[: hit.tokens]))
    return hit.tokens
