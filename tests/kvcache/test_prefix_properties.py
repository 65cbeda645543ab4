"""Whatever is stored and whatever is asked, answers are those of a full prefill, in float32."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memos.kvcache.reuse.prefix import PrefixReuse
from memos.kvcache.store.store import BlockStore
from tests.kvcache import local_models as local

CLOSE = 1e-4
TEXT = local.some_tokens(400, seed=9)
OTHER = local.some_tokens(400, seed=10)


@st.composite
def batches(draw):
    """Prompts that go along one of two texts for a while and then their own way."""
    found = []
    for _ in range(draw(st.integers(1, 3))):
        stem = draw(st.sampled_from([TEXT, OTHER]))
        own = draw(st.lists(st.integers(0, 255), max_size=30))
        prompt = stem[: draw(st.integers(0, 220))] + own
        found.append(prompt or [1])
    return found


@pytest.mark.parametrize("kind", ["llama", "gemma3", "mistral", "lfm2"])
@settings(max_examples=10)
@given(
    stored=st.lists(st.integers(1, 260), max_size=3),
    groups=st.lists(batches(), min_size=1, max_size=2),
    remember=st.booleans(),
)
def test_every_split_into_stored_and_new_gives_the_same(kind, stored, groups, remember):
    model = local.tiny(kind)
    with (
        tempfile.TemporaryDirectory() as folder,
        BlockStore(Path(folder) / "kv", budget_bytes=1 << 30) as store,
    ):
        reuse = PrefixReuse(model, store)
        for length in stored:
            reuse.compile(TEXT[:length])
        for prompts in groups:
            begun = reuse.begin(prompts, remember=remember)
            assert sorted(begun.order) == list(range(len(prompts)))
            logits = begun.logits
            rows = [list(prompts[index]) for index in begun.order]
            for _ in range(2):
                for row, prompt in enumerate(rows):
                    full = model.prefill(prompt).logits[0]
                    assert float((logits[row] - full).abs().max()) < CLOSE
                tokens = logits.argmax(-1).tolist()
                rows = [[*prompt, token] for prompt, token in zip(rows, tokens, strict=True)]
                logits = begun.running.advance([[token] for token in tokens])
        assert reuse.counters.recomputed == 0


@pytest.mark.parametrize("kind", ["llama", "gemma3", "lfm2"])
@pytest.mark.parametrize("length", [1, 63, 64, 65, 127, 128, 129, 130])
def test_a_prompt_equal_to_or_shorter_than_what_is_stored_is_right(kind, length, store):
    model = local.tiny(kind)
    reuse = PrefixReuse(model, store)
    assert reuse.compile(TEXT[:129])
    begun = reuse.begin([TEXT[:length]])
    assert begun.cached[0] < length
    full = model.prefill(TEXT[:length]).logits[0]
    assert float((begun.logits[0] - full).abs().max()) < CLOSE
