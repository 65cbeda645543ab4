"""Adapters on a small random model: packing, training, files, serving, merging."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import pytest
import torch

from memos.errors import (
    AdapterCorrupt,
    AdapterMismatch,
    AdapterNotFound,
    InvalidInput,
    TrainingFailed,
)
from memos.kvcache.generator.generator import LocalGenerator
from memos.kvcache.generator.request import Options
from memos.kvcache.lora import forward
from memos.kvcache.lora.adapters import LocalAdapters, base_parts
from memos.kvcache.lora.checkpoint import Checkpoint
from memos.kvcache.lora.learning import Learner
from memos.kvcache.lora.merging import merged
from memos.kvcache.lora.mixed import generate_mixed
from memos.kvcache.lora.packing import Tokeniser, packed
from memos.kvcache.lora.shelf import Shelf
from memos.kvcache.lora.training import Training, divergence
from memos.kvcache.lora.weights import About, Weights, dumps, loads, made, of_pairs, to_lora
from memos.kvcache.reuse.prefix import PrefixReuse
from memos.types import ArtifactSource, Example, Form, Gate, LeftAlone, Probe, Recipe, TrainingSet
from tests.kvcache.local_models import tiny

OPEN = Gate(recall=0.0, perplexity=1e9, unchanged=0.0, harm=1e9)
RECIPE = Recipe(rank=4, passes=3, tokens=160, rate=1e-2, seed=3)
EXAMPLES = tuple(
    Example(prompt=f"Where is {name}?", answer=f"{name} is in {place}.", form=Form.QUESTION)
    for name, place in (("Ana", "Porto"), ("Ben", "Oslo"), ("Cleo", "Lima"), ("Dan", "Riga"))
)
EXAMPLES += (Example(prompt="Ana lives in", answer=" Porto.", form=Form.CLOZE, chat=False),)
PROBES = (
    Probe(prompt="Where's Ana?", answer="Porto", said="Ana is in Porto.", source="a"),
    Probe(prompt="Where is Ana?", answer="Porto", said="Ana is in Porto.", trained=True),
)
ALONE = LeftAlone(
    held=("What is one?", "What is two?"),
    asked=("What is three?",),
    held_texts=("The sea is calm.",),
    texts=("The rain is soft.",),
)


def fresh(kind="llama"):
    """A model of its own, which may be changed."""
    found = copy.copy(tiny(kind))
    found.module = copy.deepcopy(tiny(kind).module)
    found._applying = None
    return found


def random_weights(model, seed, *, rank=4, size=0.1, codec="float32"):
    chance = torch.Generator().manual_seed(seed)
    layers = {
        name: (
            torch.randn(rank, part.in_features, generator=chance) / 8,
            size * torch.randn(part.out_features, rank, generator=chance),
        )
        for name, part in model.module.named_modules()
        if name.endswith("_proj")
    }
    about = About(rank=rank, scale=2.0, base=base_parts(model), sources=(), codec=codec)
    return of_pairs(about, layers)


@pytest.fixture
def adapters(tmp_path: Path) -> LocalAdapters:
    model = tiny()
    return LocalAdapters(lambda: model, fresh, tmp_path / "lora", ram_bytes=1 << 20)


def test_a_packed_row_is_what_its_examples_are_alone():
    model = fresh()
    model.module.set_attn_implementation("sdpa")
    tokeniser = Tokeniser(model)
    every = [tokeniser.example(example) for example in EXAMPLES]
    assert tokeniser.head == tuple(model.tokens("[user] "))
    row = packed(tokeniser.head, every, device=model.device, dtype=model.dtype)
    together, labels = forward.label_logits(model.module, row)
    alone = []
    for example in every:
        head = tokeniser.head if example.headed else ()
        one = packed(head, [example], device=model.device, dtype=model.dtype)
        logits, _ = forward.label_logits(model.module, one)
        whole = torch.tensor([[*head, *example.tokens]])
        plain = model.module(input_ids=whole).logits[0]
        assert torch.allclose(logits, plain[-len(logits) - 1 : -1], atol=1e-3)
        alone.append(logits)
    assert torch.allclose(together, torch.cat(alone), atol=1e-3)
    assert len(labels) == sum(label != -100 for example in every for label in example.labels)


@pytest.mark.parametrize(("kind", "at"), [("llama", 2), ("gemma3", 2), ("falcon_h1", 0)])
def test_a_model_that_is_cut_gives_what_it_gives_whole(kind: str, at: int):
    """falcon_h1 hands on more from layer to layer than can be kept: it is run whole."""
    model = fresh(kind)
    model.module.set_attn_implementation("sdpa")
    tokeniser = Tokeniser(model)
    every = [tokeniser.example(example) for example in EXAMPLES]

    def learnt(depth):
        recipe = dataclasses.replace(RECIPE, depth=depth, replay=0.0, apart=0.0)
        training = Training(
            copy.deepcopy(model.module),
            tokeniser.head,
            recipe,
            learner=Learner,
            examples=every,
            replay=[],
            probes=[],
        )
        return training._begun, training.learner.module

    cut, cut_module = learnt(0.5)
    whole, module = learnt(1.0)
    assert (cut._split.first, whole._split.first) == (at, 0)
    for numbers in ([0, 4], [1], [4, 2, 0]):
        found, labels, owner, size = cut.logits(cut_module, numbers)
        expected = whole.logits(module, numbers)
        assert torch.allclose(found, expected[0], atol=1e-3)
        assert (labels.tolist(), owner.tolist()) == (expected[1].tolist(), expected[2].tolist())
        assert size == expected[3]
        assert found.requires_grad


def test_nothing_is_learnt_of_what_neutral_text_is():
    model = fresh()
    model.module.set_attn_implementation("sdpa")
    tokeniser = Tokeniser(model)
    held = [tokeniser.begun(text, [65, 66]) for text in ("What is one?", "Who is it?")]

    def trained(apart):
        recipe = dataclasses.replace(RECIPE, apart=apart, replay=0.0)
        training = Training(
            copy.deepcopy(model.module),
            tokeniser.head,
            recipe,
            learner=Learner,
            examples=[tokeniser.example(example) for example in EXAMPLES],
            replay=held,
            probes=[],
        )
        training.run()
        with torch.no_grad():
            after = training._begun.logits(training.learner.module, training._replay)[0]
            with training.learner.without():
                before = training._begun.logits(training.learner.module, training._replay)[0]
        return training.learner, float((after - before).abs().mean())

    apart, moved = trained(0.9)
    free, moved_freely = trained(0.0)
    assert moved < 0.7 * moved_freely
    for one in apart._apart:
        assert float((one.a.detach() @ one.directions).abs().max()) < 1e-5
        assert float(one.a.detach().abs().max()) > 1e-3
    # What an adapter to go on from says of them already is left as it was.
    begun = Learner(copy.deepcopy(model.module), RECIPE, steps=1)
    begun.begin(free.lora())
    directions = {name: apart._apart[n].directions for n, name in enumerate(apart.layers)}
    begun.keep_apart(directions)
    for name, value in begun.lora().items():
        assert torch.allclose(value, free.lora()[name], atol=1e-6)


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_dora_answers_as_it_was_trained(kind: str):
    model = fresh(kind)
    model.module.set_attn_implementation("sdpa")
    tokeniser = Tokeniser(model)
    every = [tokeniser.example(example) for example in EXAMPLES]
    recipe = dataclasses.replace(RECIPE, dora=True, passes=1)
    module = copy.deepcopy(model.module)
    if kind == "qwen2":  # which has biases, zero in a new model
        for name, weight in [*model.module.named_parameters(), *module.named_parameters()]:
            if name.endswith("bias"):
                weight.data.fill_(0.5)
    training = Training(
        module, tokeniser.head, recipe, examples=every, replay=[], probes=[], learner=Learner
    )
    training.run()
    about = About(rank=4, scale=training.learner.scale, base=base_parts(model), sources=())
    weights = loads(
        dumps(made(dataclasses.replace(about, codec="float32"), training.learner.lora()))
    )
    assert len(weights.more) == len(weights.layers)
    row = packed(tokeniser.head, every, device=model.device, dtype=model.dtype)
    with torch.no_grad():
        expected, _ = forward.label_logits(training.learner.module, row)
        base, _ = forward.label_logits(model.module, row)
        with model.applying.at_work((weights,)):
            found, _ = forward.label_logits(model.module, row)
    assert torch.allclose(found, expected, atol=2e-3)
    assert not torch.allclose(found, base, atol=0.1)
    # To go on from it is to have it.
    again = Learner(copy.deepcopy(model.module), recipe, steps=1)
    again.begin(to_lora(weights))
    assert all(
        torch.allclose(value, weights.more[name.removesuffix(".lora_more.weight")], atol=1e-5)
        for name, value in again.lora().items()
        if name.endswith("more.weight")
    )
    with pytest.raises(InvalidInput, match="DoRA"):
        merged([weights, weights])


def test_what_was_trained_is_what_answers(adapters: LocalAdapters):
    heard = []
    wanted = TrainingSet(examples=EXAMPLES, probes=PROBES, alone=ALONE)
    recipe = dataclasses.replace(RECIPE, passes=25, hold=0.1)
    done = adapters.train(
        "one", wanted, recipe, OPEN, (), told=lambda share, recall: heard.append(share)
    )
    assert done.loss < 0.5
    assert heard[-1] <= 1.0
    assert done.report.trained == 1.0
    assert done.report.base_recall == 0.0
    assert done.report.refused is None
    base, adapted = tiny(), adapters.adapted("one")
    question = [{"role": "user", "content": "Where is Ben?"}]
    before = LocalGenerator(PrefixReuse(base, None, salt=b"")).generate(
        question, Options(max_new_tokens=16)
    )
    after = LocalGenerator(PrefixReuse(adapted, None, salt=b"")).generate(
        question, Options(max_new_tokens=16)
    )
    again = LocalGenerator(PrefixReuse(base, None, salt=b"")).generate(
        question, Options(max_new_tokens=16)
    )
    assert after.text == "Ben is in Oslo."
    assert before.tokens == again.tokens != after.tokens
    # Its states are nobody else's.
    assert adapted.fingerprint.differences(base.fingerprint) == ["adapter"]
    assert adapted.fingerprint.root(b"s") != base.fingerprint.root(b"s")
    told = adapters.evaluate("one", wanted, Gate(recall=1.1))
    assert "it recalls" in told.refused
    assert told.trained == 1.0


def test_a_gate_that_is_not_passed_leaves_no_file(adapters: LocalAdapters):
    wanted = TrainingSet(examples=EXAMPLES, probes=PROBES, alone=ALONE)
    recipe = dataclasses.replace(RECIPE, passes=1)
    done = adapters.train("one", wanted, recipe, Gate(recall=1.1), ())
    assert "110% are wanted" in done.report.refused
    with pytest.raises(AdapterNotFound, match="distill it again"):
        adapters.weights("one")


def test_an_adapter_is_judged_as_it_will_be_used(adapters: LocalAdapters):
    adapters.shelf.put("one", random_weights(tiny(), 1))
    strict = Gate(recall=0.0, perplexity=0.01, unchanged=1.0, harm=1e9)
    wanted = TrainingSet(examples=EXAMPLES, probes=PROBES, alone=ALONE)
    everywhere = adapters.evaluate("one", wanted, strict)
    assert everywhere.perplexity > 1.01 * everywhere.base_perplexity
    assert everywhere.in_use.perplexity == everywhere.perplexity
    assert (everywhere.in_use.named, everywhere.in_use.others) == (1.0, 1.0)
    assert "perplexity of neutral text grew" in str(everywhere.refused)
    idle = (*ALONE.asked, *ALONE.texts)
    named = adapters.evaluate("one", dataclasses.replace(wanted, idle=idle), strict)
    assert (named.perplexity, named.unchanged) == (everywhere.perplexity, everywhere.unchanged)
    assert named.in_use.perplexity == named.base_perplexity
    assert (named.in_use.unchanged, named.in_use.others) == (1.0, 0.0)
    assert named.refused is None
    # What its weights break is told, and has a bound of its own.
    bounded = dataclasses.replace(strict, harm=0.01)
    broken = adapters.evaluate("one", dataclasses.replace(wanted, idle=idle), bounded)
    assert "its weights raise the perplexity" in str(broken.refused)


def test_a_probe_that_names_nothing_is_answered_without_it(adapters: LocalAdapters):
    recipe = dataclasses.replace(RECIPE, passes=25, hold=0.1)
    known = dataclasses.replace(PROBES[1], trained=False)
    wanted = TrainingSet(examples=EXAMPLES, probes=(known,), alone=ALONE, idle=(known.prompt,))
    done = adapters.train("one", wanted, recipe, Gate(recall=0.5, harm=1e9), ())
    assert (done.report.recall, done.report.in_use.recall) == (1.0, 0.0)
    assert "it recalls 0%" in str(done.report.refused)


class Killed(Exception):
    """As if the process had ended."""


def test_a_killed_training_goes_on_to_the_same_result(tmp_path: Path):
    def training(folder, stop=None):
        model = fresh()
        model.module.set_attn_implementation("sdpa")
        tokeniser = Tokeniser(model)

        def told(progress):
            if progress.step == stop:
                raise Killed

        return Training(
            model.module,
            tokeniser.head,
            RECIPE,
            learner=Learner,
            examples=[tokeniser.example(example) for example in EXAMPLES],
            replay=[tokeniser.begun("What is one?", [65, 66, 67])],
            probes=[],
            checkpoint=Checkpoint(folder / "x.training", "this one", sources=["m"], every=0),
            told=told,
        )

    whole = training(tmp_path / "whole")
    outcome = whole.run()
    with pytest.raises(Killed):
        training(tmp_path / "killed", stop=4).run()
    rest = training(tmp_path / "killed")
    resumed = rest.run()
    assert (resumed.steps, resumed.tokens) == (outcome.steps, outcome.tokens)
    expected, found = whole.learner.lora(), rest.learner.lora()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    # Another training does not go on from it, nor from a damaged one.
    path = tmp_path / "killed" / "x.training"
    assert Checkpoint(path, "another").read() is None
    path.write_bytes(path.read_bytes()[:-9])
    assert Checkpoint(path, "this one").read() is None


def test_a_loss_that_is_no_number_is_told(adapters: LocalAdapters, monkeypatch):
    def broken():
        found = fresh()
        with torch.no_grad():
            found.module.get_output_embeddings().weight[3] = float("nan")
        return found

    monkeypatch.setattr(adapters, "_load", broken)
    wanted = TrainingSet(examples=EXAMPLES, probes=(), alone=LeftAlone())
    with pytest.raises(TrainingFailed, match="the loss is nan"):
        adapters.train("one", wanted, RECIPE, OPEN, ())
    with pytest.raises(InvalidInput, match="no example"):
        adapters.train("one", dataclasses.replace(wanted, examples=()), RECIPE, OPEN, ())
    with pytest.raises(InvalidInput, match="rank is 0"):
        adapters.train("one", wanted, dataclasses.replace(RECIPE, rank=0), OPEN, ())


def test_what_is_forgotten_leaves_neither_adapter_nor_draft(
    adapters: LocalAdapters, tmp_path: Path
):
    weights = random_weights(tiny(), 1)
    carried = dataclasses.replace(
        weights.about, sources=(ArtifactSource(memory_id="m", version=1),)
    )
    adapters.shelf.put("one", made(carried, to_lora(weights)))
    adapters.shelf.put("two", weights)
    draft = Checkpoint(tmp_path / "lora" / "three.training", "x", sources=["m", "n"], every=0)
    draft.offer(1, 1, 1.0, lambda: to_lora(weights))
    assert set(adapters.inventory()["three"]) == {"m", "n"}
    assert sorted(adapters.forget(["m"])) == ["one", "three", "two"]
    assert adapters.inventory() == {}


@pytest.mark.parametrize("codec", ["float32", "bfloat16", "int8"])
def test_a_file_is_what_was_written_or_refused(codec: str, tmp_path: Path):
    weights = random_weights(tiny(), 1, codec=codec)
    content = dumps(weights)
    read = loads(content)
    assert read.about == weights.about
    assert read.digest == weights.digest != random_weights(tiny(), 2, codec=codec).digest
    assert all(torch.equal(read.layers[name][1], b) for name, (_, b) in weights.layers.items())
    exact = random_weights(tiny(), 1)
    for name, (_, b) in exact.layers.items():
        assert (weights.layers[name][1] - b).abs().max() <= 0.02 * b.abs().max()
    for at in range(0, len(content), max(1, len(content) // 25)):
        damaged = bytearray(content)
        damaged[at] ^= 0x10
        with pytest.raises(AdapterCorrupt):
            loads(bytes(damaged))
    with pytest.raises(AdapterCorrupt):
        loads(content[:-1])


def test_rows_of_a_batch_have_adapters_of_their_own():
    model = tiny()
    made = [random_weights(model, seed) for seed in range(3)]
    prompts = ["Tell me of the sea.", "And of rain.", "What is a boat for?", "Who is there?"]
    chosen = [made[0], None, made[1], made[2]]
    options = Options(max_new_tokens=10)
    together = generate_mixed(model, prompts, chosen, options)
    for prompt, weights, answer in zip(prompts, chosen, together, strict=True):
        view = model if weights is None else model.adapted(weights)
        alone = LocalGenerator(PrefixReuse(view, None, salt=b"")).generate(prompt, options)
        assert alone.tokens == answer.tokens
    assert len({answer.tokens for answer in together}) == 4
    with pytest.raises(InvalidInput, match="one for each"):
        generate_mixed(model, prompts, chosen[:2])


def test_an_adapter_of_another_model_is_refused(tmp_path: Path):
    model, other = tiny(), tiny("qwen2")
    weights = random_weights(model, 1)
    adapters = LocalAdapters(lambda: other, fresh, tmp_path, ram_bytes=1 << 20)
    other_parts = {**base_parts(other), "weights": "another"}
    adapters.shelf.put(
        "one", made(dataclasses.replace(weights.about, base=other_parts), to_lora(weights))
    )
    with pytest.raises(AdapterMismatch, match="differ in weights"):
        adapters.weights("one")
    narrow = {"model.layers.0.mlp.up_proj": (torch.zeros(4, 9), torch.zeros(96, 4))}
    with pytest.raises(AdapterMismatch, match="96 × 9"):
        model.adapted(of_pairs(weights.about, narrow))


def test_states_belong_to_what_an_adapter_holds_and_not_to_its_name(adapters: LocalAdapters):
    one, other = (random_weights(tiny(), seed) for seed in (1, 2))
    adapters.shelf.put("named", one)
    adapters.shelf.put("twin", one)
    roots = [adapters.adapted(name).fingerprint.root(b"") for name in ("named", "twin")]
    adapters.shelf.remove("named")
    adapters.shelf.put("named", other)
    roots.append(adapters.adapted("named").fingerprint.root(b""))
    assert roots[0] == roots[1]
    assert len({tiny().fingerprint.root(b""), *roots}) == 3


def test_a_shelf_holds_what_its_budget_allows(tmp_path: Path):
    one = random_weights(tiny(), 1)
    shelf = Shelf(tmp_path, ram_bytes=3 * one.bytes)
    for number in range(6):
        shelf.put(f"a{number}", one)
    assert (shelf.stats().registered, shelf.stats().held) == (6, 3)
    assert shelf.get("a0").digest == one.digest
    assert shelf.stats().bytes <= 3 * one.bytes
    shelf.get("a0")
    assert (shelf.stats().hits, shelf.stats().misses) == (1, 1)
    assert shelf.remove("a0")
    assert not shelf.remove("a0")
    with pytest.raises(AdapterNotFound):
        shelf.get("a0")
    with pytest.raises(InvalidInput):
        shelf.get("../a1")
    (tmp_path / "a1.lora").write_bytes(b"\0" * 50)
    shelf._drop("a1")
    with pytest.raises(AdapterCorrupt, match="a1"):
        shelf.get("a1")


def dense(weights: Weights, name: str) -> torch.Tensor:
    a, b = weights.layers[name]
    return weights.about.scale * (b @ a)


def test_merging():
    one, two = random_weights(tiny(), 1), random_weights(tiny(), 2)
    name = next(iter(one.layers))
    wanted = dense(one, name) + 0.5 * dense(two, name)
    whole = merged([one, two], [1.0, 0.5])
    assert whole.about.rank == 8
    assert torch.allclose(dense(whole, name), wanted, atol=1e-5)
    cut = merged([one, two], [1.0, 0.5], rank=6)
    u, s, v = torch.linalg.svd(wanted)
    best = (u[:, :6] * s[:6]) @ v[:6]
    assert torch.allclose(dense(cut, name), best, atol=1e-4)
    # Two that agree are averaged, and what only noise says is dropped.
    same = merged([one, one], method="ties", density=1.0)
    assert torch.allclose(dense(same, name), dense(one, name), atol=1e-4)
    drawn = [merged([one, two], method="dare", density=0.9, rank=60, seed=s) for s in (1, 2)]
    assert not torch.equal(dense(drawn[0], name), dense(drawn[1], name))
    assert torch.equal(
        dense(drawn[0], name),
        dense(merged([one, two], method="dare", density=0.9, rank=60, seed=1), name),
    )
    with pytest.raises(InvalidInput, match="two adapters"):
        merged([one])
    with pytest.raises(AdapterMismatch):
        merged([one, of_pairs(dataclasses.replace(two.about, base={}), two.layers)])


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
def test_merging_is_that_of_peft():
    from peft import LoraConfig, get_peft_model

    model, names = fresh(), ["one", "two"]
    adapters = [random_weights(tiny(), seed) for seed in (1, 2)]
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["up_proj", "v_proj"])
    peft = get_peft_model(model.module, config, adapter_name="one")
    peft.add_adapter("two", config)
    for name, weights in zip(names, adapters, strict=True):
        for layer, part in peft.named_modules():
            if hasattr(part, "lora_A"):
                a, b = weights.layers[layer.removeprefix("base_model.model.")]
                part.lora_A[name].weight.data.copy_(a)
                part.lora_B[name].weight.data.copy_(b)
    layer = "model.layers.1.mlp.up_proj"
    part = peft.get_submodule(f"base_model.model.{layer}")
    for method, theirs in (("linear", "svd"), ("ties", "ties_svd")):
        how = {"density": 0.3} if method == "ties" else {}
        # More ranks than the change has leave nothing to how it is factored.
        peft.add_weighted_adapter(
            names, [1.0, 1.0], method, combination_type=theirs, svd_rank=64, **how
        )
        expected = part.get_delta_weight(method)
        found = dense(merged(adapters, method=method, rank=64, **how), layer)
        assert torch.allclose(found, expected, atol=1e-3 * float(expected.abs().max()))


def test_what_is_held_is_nearest_where_nothing_has_changed():
    chance = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 300, generator=chance)
    chances, tokens = logits.softmax(-1).topk(8, dim=-1)
    kept = divergence(logits, tokens, chances)
    assert float(kept) == pytest.approx(0.0, abs=1e-5)
    moved = logits.clone().requires_grad_()
    divergence(moved, tokens, chances).backward()
    assert moved.grad is not None
    assert float(moved.grad.abs().max()) < 1e-6
    # Sharper is as wrong as anything else, however likely its tokens are.
    sharper = logits.scatter_add(-1, tokens, torch.full_like(chances, 2.0))
    assert float(divergence(sharper, tokens, chances)) > 0.1
    other = logits + torch.randn(300, generator=chance)
    assert float(divergence(other, tokens, chances)) > 0.01
