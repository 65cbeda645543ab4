"""Forms of parametric memory beside adapters, on a small random model."""

import copy
import dataclasses
from functools import partial
from types import SimpleNamespace

import pytest
import torch

from memos.benchmarks.parametric import grids
from memos.benchmarks.parametric.forms import comparison
from memos.benchmarks.parametric.forms.activated import Activated, invoked, lone_states
from memos.benchmarks.parametric.forms.cartridge import Cartridge
from memos.benchmarks.parametric.forms.product_keys import (
    HALF,
    HEADS,
    NEAREST,
    ProductKeys,
    keys_for,
)
from memos.kvcache.lora import forward
from memos.kvcache.lora.packing import Tokeniser, packed
from memos.kvcache.lora.training import Training
from memos.types import Example, Form, Recipe
from tests.kvcache.local_models import tiny

RECIPE = Recipe(rank=4, passes=6, tokens=300, rate=2e-2, replay=0.0, apart=0.0, depth=0.5)
RATES = {"activated": 2e-2, "cartridge": 5e-2, "product keys": 0.2}
TAUGHT = [
    Example(prompt=f"Where is {name}?", answer=f"{place}.", form=Form.QUESTION)
    for name, place in (("Ana", "Porto"), ("Ben", "Oslo"))
]
MAKERS = {
    "activated": lambda ours: partial(
        Activated, invocation=comparison.invocation(ours), head=len(ours.head)
    ),
    "cartridge": lambda _: partial(Cartridge, tokens=list(b"Ana is in Porto."), size=9),
    "product keys": lambda _: partial(ProductKeys, at=2, room=40_000),
}


def learnt(form):
    """(what learnt, what was said before, what after, with it and without)."""
    module = copy.deepcopy(tiny().module)
    module.set_attn_implementation("sdpa")
    ours = Tokeniser(tiny())
    losses = []
    training = Training(
        module,
        ours.head,
        dataclasses.replace(RECIPE, rate=RATES[form]),
        examples=[ours.example(example) for example in TAUGHT],
        replay=[],
        probes=[],
        told=lambda progress: losses.append(progress.loss),
        learner=MAKERS[form](ours),
    )
    row = packed(ours.head, [ours.example(TAUGHT[0])], device=module.device, dtype=module.dtype)
    training.run()
    with torch.no_grad():
        plain, _ = forward.label_logits(copy.deepcopy(tiny().module), row)
        after, _ = forward.label_logits(training.learner.module, row)
        with training.learner.without():
            without, _ = forward.label_logits(training.learner.module, row)
    return training.learner, losses, plain, after, without


@pytest.mark.parametrize("form", list(MAKERS))
def test_a_form_learns_and_can_be_put_aside(form):
    learner, losses, plain, after, without = learnt(form)
    assert losses[-1] < 0.9 * losses[0]
    assert torch.allclose(plain, without, atol=1e-4)
    assert not torch.allclose(plain, after, atol=0.1)
    if form == "cartridge":
        assert learner.parameters == 9 * 4 * 2 * 2 * 16
        first = learner._peft.prompt_encoder["default"].frozen_embedding
        assert (first.shape[0], first.requires_grad) == (1, False)
    if form == "product keys":
        assert learner.parameters <= 40_000


def test_an_activated_adapter_is_that_of_peft():
    learner, *_ = learnt("activated")
    ours = Tokeniser(tiny())
    tokens, at = ours.question("Where is Ana?"), comparison.invocation(ours)
    base = copy.deepcopy(tiny().module)
    base.set_attn_implementation("sdpa")
    found = lone_states(base, RECIPE, learner.lora(), tokens, at)
    assert found["off_before"] == 0.0
    assert found["off_after"] > 0.01
    part = comparison._open(tokens[len(ours.head) :])
    # Another text in the row, with an invocation of its own before it.
    row = packed(ours.head, [part, part], device=base.device, dtype=base.dtype)
    with torch.no_grad():
        said = forward.run(learner.module, row, torch.tensor([row.tokens - 1]))[0]
    assert torch.allclose(said, found["logits"], atol=1e-3)


def test_what_is_invoked():
    #       head        a text with an invocation, one without, one with another before it
    ids = torch.tensor([1, 2, 5, 8, 9, 6, 7, 5, 6, 4, 8, 9, 8, 9, 3])
    places = torch.tensor([0, 1, 2, 3, 4, 5, 6, 2, 3, 4, 0, 1, 2, 3, 4])
    found = invoked(ids, places, [8, 9], 2)
    assert found.long().tolist() == [0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1]


def test_product_keys_are_the_nearest_of_all():
    memory = ProductKeys(copy.deepcopy(tiny().module), RECIPE, at=1, room=60_000, steps=1)
    width, count = 64, memory.count
    assert count == keys_for(60_000, width) > NEAREST
    with torch.no_grad():
        memory._values.normal_(generator=torch.Generator().manual_seed(1))
        given = torch.randn(1, 3, width, generator=torch.Generator().manual_seed(2))
        found = memory.read(given)
        queries = (given[0] @ memory._query.T).view(3, HEADS, 2, HALF)
        queries = torch.nn.functional.layer_norm(queries, (HALF,))
        halves = torch.einsum("thsd,hsnd->thsn", queries, memory._keys)
        # Every pair, and the best of them.
        every = (halves[:, :, 0, :, None] + halves[:, :, 1, None, :]).flatten(2)
        best = every.topk(NEAREST, dim=-1)
        shares = best.values.softmax(-1)
        expected = (shares[..., None] * memory._values[best.indices]).sum((1, 2))
    assert torch.allclose(found[0], expected, atol=1e-5)


def test_answers_are_those_of_the_product():
    ours = Tokeniser(tiny())
    here = SimpleNamespace(model=tiny())
    from memos.kvcache.generator.request import Options
    from memos.kvcache.lora.judging import answers

    asked = ["Where is Ana?", "Who is in Oslo today?"]
    found = comparison.answers(here, tiny().module, ours, asked)
    assert found == answers(tiny(), asked, Options(max_new_tokens=comparison.TOKENS))


def test_a_grid_is_every_combination():
    found = grids.grid("more=0,300 hold=2,10.5 targets=mlp")
    assert found[1] == {"more": 0, "hold": 10.5, "targets": "mlp"}
    assert len(found) == 4
    recipe = dataclasses.replace(Recipe(), **{k: v for k, v in found[1].items() if k != "more"})
    assert recipe.hold == 10.5
