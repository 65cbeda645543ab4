"""Rows that go on together: what they hold in common, and what of it is lent to others."""

from __future__ import annotations

import pytest
import torch

from memos.kvcache.generator.running import Together, running
from memos.kvcache.generator.union import ASIDE
from memos.kvcache.reuse.beside import Beside, padded
from memos.kvcache.reuse.prefix import PrefixReuse
from memos.kvcache.store.store import BlockStore
from tests.kvcache import local_models as local


def test_what_is_stored_is_held_once_by_rows_that_join(store: BlockStore):
    """And a row that is long beyond it does not make the others as wide."""
    model = local.tiny()
    reuse = PrefixReuse(model, store)
    text = local.some_tokens(260, seed=3)
    reuse.compile(text[:128])
    prompts = [text[:128] + [n + 1] * 9 for n in range(3)] + [text[:128] + [7] * (ASIDE + 50)]
    rows = reuse.begin(prompts[:1]).running
    assert isinstance(rows, Together)
    near = Beside(prompts[0], 128, lambda start, end: rows.prefixes(0, start, end))
    for prompt in prompts[1:]:
        begun = reuse.begin([prompt], beside=[near])
        assert (begun.cached, begun.shared) == ((128,), (0,))
        rows.join(begun.running)
    assert (reuse.counters.hits, reuse.counters.misses) == (4, 0)
    layer = rows._cache.layers[0]
    held = [(s.keys.shape[1], s.first, s.last) for s in layer.segments]
    assert held == [(128, 0, 4), (ASIDE + 50, 3, 4)]
    assert layer.filled == 9
    far = (rows.advance([[5]] * 4) - full(model, prompts, range(4), [5])).abs().max()
    rows.keep([1, 3])
    later = (rows.advance([[6]] * 2) - full(model, prompts, [1, 3], [5, 6])).abs().max()
    assert float(max(far, later)) < 1e-4


@pytest.mark.parametrize("kind", ["gemma3", "mistral"])
def test_windows_of_rows_that_join_are_whole(kind):
    model = local.tiny(kind)
    reuse = PrefixReuse(model)
    prompts = [local.some_tokens(n, seed=n) for n in (70, 3, local.WINDOW)]
    rows = reuse.begin(prompts[:2]).running
    assert isinstance(rows, Together)
    order = reuse.begin(prompts[:2]).order
    prompts = [*(prompts[i] for i in order), prompts[2]]
    rows.join(reuse.begin(prompts[2:]).running)
    for more in ([5], [5, 6]):
        logits = rows.advance([more[-1:]] * 3)
        assert float((logits - full(model, prompts, range(3), more)).abs().max()) < 1e-4
    assert min(layer.filled for layer in rows._cache.layers) <= local.WINDOW + 1


def full(model, prompts, rows, more):
    return torch.stack([model.prefill([*prompts[row], *more]).logits[-1] for row in rows])


def test_what_a_running_request_has_read_is_lent_in_place():
    model = local.tiny()
    reuse, text = PrefixReuse(model), local.some_tokens(100, seed=4)
    first = reuse.begin([[*text, 1], [*text, 2]])
    group = first.running
    assert isinstance(group, Together)
    [segment] = group._cache.layers[0].segments
    lent = group.prefixes(0, 40, 101)
    assert [(p.start, p.tokens) for p in lent] == [(40, 60), (100, 1)]
    assert lent[0].states[0].keys.data_ptr() == segment.keys.data_ptr()
    whole = running(model, 1)
    whole.advance([[*text, 1]])
    for layer, expected in enumerate(whole.states(0, 100, 101)):
        assert float((lent[1].states[layer].keys - expected.keys).abs().max()) < 1e-4


@pytest.mark.parametrize(
    ("rests", "apart"),
    [([9, 9, 9], []), ([200, 210], []), ([20, 20, 900], [2]), ([900], []), ([5, 70, 5, 5], [1])],
)
def test_one_long_prompt_is_not_what_all_are_padded_to(rests, apart):
    assert padded(rests) == apart
