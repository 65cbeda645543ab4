"""Exact-prefix reuse on a real store: what is loaded, what is run, what is refused."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from memos.errors import InvalidInput
from memos.kvcache.blocks.block import Source
from memos.kvcache.codecs.registry import CODECS
from memos.kvcache.cost import CostModel, LoadRate, RunRate
from memos.kvcache.generator.generator import LocalGenerator
from memos.kvcache.generator.request import Options
from memos.kvcache.reuse.prefix import PrefixReuse
from memos.kvcache.store.store import BlockStore
from memos.kvcache.tiers.ram import RamTier
from memos.kvcache.tiers.tiers import Tiers
from tests.kvcache import local_models as local

TEXT = local.some_tokens(300, seed=3)
FEW = Options(max_new_tokens=12)
ROOT = Path(__file__).parents[2]


def close(logits, prompt, model):
    return float((logits - model.prefill(prompt).logits[0]).abs().max()) < 1e-4


@pytest.mark.parametrize(
    "kind", ["llama", "gemma3", "falcon_h1", "qwen3_next", "granitemoehybrid", "mamba2"]
)
def test_what_was_compiled_is_loaded_and_not_run(kind, store):
    model = local.tiny(kind)
    reuse = PrefixReuse(model, store)
    assert reuse.compile(TEXT[:200])
    assert reuse.compile(TEXT[:200]) is None
    begun = reuse.begin([TEXT[:230]])
    assert begun.cached == (200,)
    assert close(begun.logits[0], TEXT[:230], model)
    assert reuse.counters.hits == 1


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("kind", ["mamba", "mamba2", "falcon_mamba"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_recurrent_states_are_kept_to_the_bit_by_every_codec(kind, dtype, codec, store):
    model = local.tiny(kind, dtype)
    computed = model.from_cache(model.prefill(TEXT[:128]).cache)
    reuse = PrefixReuse(model, store, codec=codec)
    reuse.compile(TEXT[:128])
    loaded = store.load(store.find(reuse.root, TEXT[:129], codecs=(codec,)))
    for mine, theirs in zip(loaded, computed, strict=True):
        assert mine.tensors.keys() == theirs.tensors.keys()
        for name, tensor in theirs.tensors.items():
            assert mine.tensors[name].dtype == tensor.dtype
            assert torch.equal(mine.tensors[name], tensor)


def test_a_hit_ends_inside_a_block_where_all_layers_are_full(store):
    model = local.tiny()
    reuse = PrefixReuse(model, store)
    reuse.compile(TEXT[:256])
    prompt = TEXT[:150] + [7] * 20
    begun = reuse.begin([prompt])
    assert begun.cached == (150,)
    assert close(begun.logits[0], prompt, model)


def test_a_hit_does_not_end_inside_a_block_of_sliding_windows(store):
    model = local.tiny("gemma3")
    reuse = PrefixReuse(model, store)
    reuse.compile(TEXT[:256])
    prompt = TEXT[:150] + [7] * 20
    begun = reuse.begin([prompt])
    assert begun.cached == (0,)
    assert close(begun.logits[0], prompt, model)


def test_what_prompts_share_is_run_once(monkeypatch):
    model = local.tiny()
    run = []
    plain = model.run_rows

    def counted(rows, tokens, positions):
        run.append(int((positions >= 0).sum()))
        return plain(rows, tokens, positions)

    monkeypatch.setattr(model, "run_rows", counted)
    prompts = [TEXT[:200] + [n] * 5 for n in range(4)]
    begun = PrefixReuse(model).begin(prompts)
    assert sum(run) == 200 + 4 * 5
    assert begun.shared == (200,) * 4
    # Held once: one segment for all four rows, and no copy of it in their own columns.
    layer = begun.running._cache.layers[0]
    assert [(s.first, s.last, s.keys.shape[1]) for s in layer.segments] == [(0, 4, 200)]
    assert layer.filled == 5


def test_prompts_remembered_are_stored_once_where_they_share(store):
    model = local.tiny()
    reuse = PrefixReuse(model, store)
    prompts = [TEXT[:128] + local.some_tokens(70, seed=n) for n in range(3)]
    reuse.begin(prompts, remember=True)
    covered = [(h.start, h.end) for h in store.headers(reuse.root)]
    assert covered.count((0, 128)) == 1
    assert [start for start, _ in covered].count(0) == 1
    again = reuse.begin(prompts)
    assert min(again.cached) >= 192


@pytest.mark.parametrize("kind", ["llama", "gemma3", "bamba"])
def test_a_conversation_goes_on_from_its_own_answer(kind, store):
    model = local.tiny(kind)
    generator = LocalGenerator(PrefixReuse(model, store), remember="all")
    plain = LocalGenerator(PrefixReuse(model))
    prompt = model.tokenizer.decode([t % 128 for t in TEXT[:130]])
    first = generator.generate(prompt, Options(max_new_tokens=20))
    further = prompt + first.text + " and then?"
    second = generator.generate(further, FEW)
    assert second.tokens == plain.generate(further, FEW).tokens
    # Text and tokens are one to one here, unless the answer is half a character.
    assert second.cached_tokens > 0 or "\ufffd" in first.text or kind != "llama"


def test_another_tenant_or_adapter_finds_nothing(store):
    model = local.tiny()
    PrefixReuse(model, store, salt=b"one").compile(TEXT[:128])
    other = PrefixReuse(local.tiny(adapter="digest"), store, salt=b"one")
    for reuse in (PrefixReuse(model, store, salt=b"two"), other):
        assert reuse.begin([TEXT[:140]]).cached == (0,)


def test_a_damaged_block_is_computed_again_and_counted(folder):
    model = local.tiny()
    with BlockStore(folder, budget_bytes=1 << 30) as store:
        block = PrefixReuse(model, store).compile(TEXT[:192])
    (file,) = [path for path in folder.rglob("*") if path.is_file() and block in path.name]
    content = bytearray(file.read_bytes())
    content[-100] ^= 1
    file.write_bytes(content)
    with BlockStore(folder, budget_bytes=1 << 30) as store:
        reuse = PrefixReuse(model, store)
        begun = reuse.begin([TEXT[:200]])
        assert begun.cached == (0,)
        assert reuse.counters.recomputed == 1
        assert close(begun.logits[0], TEXT[:200], model)


def test_a_forgotten_source_is_not_used(store):
    model = local.tiny()
    reuse = PrefixReuse(model, store)
    reuse.compile(TEXT[:128], sources=[Source("memory", 1)])
    assert reuse.begin([TEXT[:140]]).cached == (128,)
    store.forget(["memory"])
    begun = reuse.begin([TEXT[:140]])
    assert begun.cached == (0,)
    assert close(begun.logits[0], TEXT[:140], model)


def test_the_cost_model_can_decline_a_hit(store):
    model = local.tiny()
    rates = RunRate(((1, 0.001), (100, 0.01)), 0.0), LoadRate(10.0, 1e9)
    cost = CostModel(model.layout, *rates)
    reuse = PrefixReuse(model, store, cost=cost)
    reuse.compile(TEXT[:128])
    assert reuse.begin([TEXT[:140]]).cached == (0,)
    assert reuse.counters.declined == 1


def test_what_is_stored_is_never_changed_by_use(store):
    model = local.tiny()
    reuse = PrefixReuse(model, store)
    reuse.compile(TEXT[:128])
    hit = store.longest(reuse.root, TEXT[:129])
    before = [(s.keys.clone(), s.values.clone()) for s in store.load(hit)]
    for n in range(3):
        LocalGenerator(reuse).generate_many([model.tokenizer.decode(TEXT[:128]) + str(n)], FEW)
        reuse.begin([TEXT[:128] + [n] * 9]).running.advance([[5]])
    after = store.load(hit)
    for (keys, values), state in zip(before, after, strict=True):
        assert torch.equal(keys, state.keys)
        assert torch.equal(values, state.values)


def test_it_reads_from_tiers_as_well(store):
    model = local.tiny()
    tiers = Tiers(store, ram=RamTier(budget_bytes=1 << 28))
    try:
        reuse = PrefixReuse(model, tiers)
        assert reuse.compile(TEXT[:192])
        for _ in range(2):
            begun = reuse.begin([TEXT[:200]])
            assert begun.cached == (192,)
            assert close(begun.logits[0], TEXT[:200], model)
        assert tiers.stats().loads["ram"] >= 1
    finally:
        tiers.close()


def test_it_writes_in_the_background(store):
    model = local.tiny()
    reuse = PrefixReuse(model, store, later=True)
    reuse.begin([TEXT[:200]], remember=True)
    store.flush()
    assert reuse.begin([TEXT[:210]]).cached == (200,)


def test_a_prompt_that_can_not_be_run_is_refused_before_any_is():
    reuse = PrefixReuse(local.tiny())
    with pytest.raises(InvalidInput, match="vocabulary"):
        reuse.begin([TEXT[:10], [999]])


CHILD = """
import sys, torch
from memos.kvcache.reuse.prefix import PrefixReuse
from memos.kvcache.store.store import BlockStore
from tests.kvcache import local_models as local
model = local.real(sys.argv[3]) if sys.argv[2] == "real" else local.tiny(sys.argv[2], sys.argv[3])
prompt, split = torch.load(sys.argv[1] + "/prompt.pt", weights_only=True)
with BlockStore(sys.argv[1] + "/kv", budget_bytes=1 << 30) as store:
    begun = PrefixReuse(model, store).begin([prompt], room=16)
assert begun.cached[0] == split, begun.cached
found, logits = [], begun.logits
for _ in range(12):
    found.append(int(logits[0].argmax()))
    logits = begun.running.advance([found[-1:]])
torch.save([begun.logits, found], sys.argv[1] + "/answer.pt")
"""


def _in_new_process(folder, kind, dtype, prompt, split):
    torch.save([prompt, split], folder / "prompt.pt")
    subprocess.run(
        [sys.executable, "-c", CHILD, str(folder), kind, dtype], cwd=ROOT, check=True, timeout=170
    )
    return torch.load(folder / "answer.pt", weights_only=True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gemma3", "real"])
def test_a_new_process_answers_from_what_another_stored(kind, tmp_path):
    model = local.real() if kind == "real" else local.tiny(kind)
    prompt = model.tokens("The keeper of the lighthouse wrote in her book every night. " * 12)
    with BlockStore(tmp_path / "kv", budget_bytes=1 << 30) as store:
        PrefixReuse(model, store).compile(prompt[:-9])
    logits, answer = _in_new_process(tmp_path, kind, "float32", prompt, len(prompt) - 9)
    assert close(logits[0], prompt, model)
    assert answer == local.greedy(model, prompt, 12)


@pytest.mark.slow
def test_bfloat16_in_a_new_process_is_bit_identical_to_the_same_split(tmp_path):
    model = local.tiny("llama", "bfloat16")
    prompt = TEXT[:200]
    reuse = PrefixReuse(model)
    with BlockStore(tmp_path / "kv", budget_bytes=1 << 30) as store:
        PrefixReuse(model, store).compile(prompt[:192])
    logits, _ = _in_new_process(tmp_path, "llama", "bfloat16", prompt, 192)
    # Two prompts that part at the same place are split there, without any store.
    begun = reuse.begin([prompt, [*prompt[:192], *([0] * 8)]])
    row = begun.order.index(0)
    from memos.kvcache.generator.rows import Prefix
    from memos.kvcache.generator.running import running

    first = running(model, 1)
    first.advance([prompt[:192]])
    split = running(model, 1, [Prefix(first.states(0, 0, 192), 0, 192, 0, 1)])
    assert torch.equal(split.advance([prompt[192:]])[0], logits[0])
    assert float((begun.logits[row] - logits[0]).abs().max()) < 0.5
