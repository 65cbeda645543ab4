"""The part `forms` of `memos bench lora`: other forms of parametric memory, at equal bytes.

Every form learns the same examples by the same training, holds the same replay, and is asked the
same questions by the same greedy decoding: low-rank weights, an activated adapter, a cartridge, a
product-key memory. Each has as many numbers as low-rank weights of a rank have, and rates of its
own; the low-rank weights have the recipe's only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from memos.benchmarks.parametric.forms.activated import Activated, lone_states
from memos.benchmarks.parametric.forms.cartridge import Cartridge
from memos.benchmarks.parametric.forms.product_keys import ProductKeys
from memos.benchmarks.parametric.people import facts
from memos.benchmarks.parametric.spread import spread
from memos.benchmarks.parametric.substrates import opening, sentence
from memos.benchmarks.parametric.world import World, exactly, training_set
from memos.kvcache.lora import forward
from memos.kvcache.lora.judging import Neutral, share
from memos.kvcache.lora.learning import Learner
from memos.kvcache.lora.packing import NOTHING, Tokenised, Tokeniser, packed
from memos.kvcache.lora.training import Outcome, Training
from memos.types import Recipe

RATES = {
    "low rank": (None,),
    "activated": (3e-3, 6e-3),
    "cartridge": (3e-3, 1e-2, 3e-2),
    "product keys": (3e-2, 1e-1, 2e-1),
}
"""None is that of the recipe."""
PASSES = 6
"""Of the other forms: they learn for longer than low-rank weights, and no recall ends it, since one
that can still read its memory passes the probes before it has learnt to answer."""
TOKENS = 24
"""Of an answer."""
TOGETHER = 25
"""Questions in a row."""
BYTES = 2
"""Of a number that is kept."""


def forms(here: World) -> dict[str, Any]:
    """A line for each form, size and rate; the smaller size first."""
    points = [
        {"form": form, "like_rank": rank, "rate": rate}
        for rank in sorted(here.options.sizes)
        for form, rates in RATES.items()
        if not here.options.forms or form in here.options.forms
        for rate in (here.options.rates or rates if form != "low rank" else rates)
    ]
    found: dict[str, Any] = {"points": len(points), "lines": []}
    for line in spread(here, formed, points):
        found["lines"].append(line)
        here.say(str(line))
        here.tell(found)
    order = list(RATES)
    found["lines"].sort(key=lambda line: (line["like_rank"], order.index(line["form"])))
    return found


def formed(here: World, point: Mapping[str, Any]) -> dict[str, Any]:
    """One form of one size, trained and asked."""
    chosen = facts(here.options.facts, here.options.seed)
    wanted = training_set(chosen)
    tokeniser = Tokeniser(here.model)
    held, neutral = here.adapters._left_alone(here.model, tokeniser, wanted)
    module = here.adapters._module()
    recipe = _recipe(here.recipe, point, here.options.passes)
    asked = [tokeniser.probe(probe) for probe in wanted.probes if not probe.trained]
    training = Training(
        module,
        tokeniser.head,
        recipe,
        examples=[tokeniser.example(example) for example in wanted.examples],
        replay=held,
        probes=asked if point["rate"] is None else [],
        learner=_maker(here, point, tokeniser),
    )
    learner: Any = training.learner
    start = forward.right(module, tokeniser.head, asked)
    outcome = training.run()
    return {
        **point,
        "rate": recipe.rate,
        **_size(learner),
        "held_at_start": share(start),
        "held": share(forward.right(learner.module, tokeniser.head, asked)),
        **_asked(here, learner, tokeniser, chosen),
        **_left(learner, tokeniser, neutral),
        **_spent(outcome),
        **(_states(here, learner, recipe, tokeniser) if point["form"] == "activated" else {}),
    }


def _recipe(recipe: Recipe, point: Mapping[str, Any], passes: int | None) -> Recipe:
    recipe = replace(recipe, rank=point["like_rank"], rate=point["rate"] or recipe.rate)
    return recipe if point["rate"] is None else replace(recipe, passes=passes or PASSES)


def _maker(here: World, point: Mapping[str, Any], tokeniser: Tokeniser) -> Callable[..., Any]:
    """What makes the form of a module, a recipe and a number of steps."""
    model = here.model
    room = _numbers(here, point["like_rank"])
    if point["form"] == "activated":
        return partial(Activated, invocation=invocation(tokeniser), head=len(tokeniser.head))
    if point["form"] == "cartridge":
        text = opening([sentence(fact) for fact in facts(here.options.facts, here.options.seed)])
        layers = model.config.num_hidden_layers
        a_token = 2 * layers * _width(model.config)
        return partial(Cartridge, tokens=model.tokens(text), size=max(2, room // a_token))
    if point["form"] == "product keys":
        layers = int(model.config.num_hidden_layers)
        return partial(ProductKeys, at=layers // 2, room=room)
    return Learner


def _width(config: Any) -> int:
    """Numbers of the keys of one token in one layer."""
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(config.num_key_value_heads * size)


def _numbers(here: World, rank: int) -> int:
    """That low-rank weights of the recipe have at this rank."""
    recipe = replace(here.recipe, rank=rank)
    return Learner(here.adapters._module(), recipe, steps=1).parameters


def invocation(tokeniser: Tokeniser) -> list[int]:
    """What stands between a question and its answer, whatever is asked."""
    one, other = tokeniser.question("x")[::-1], tokeniser.question("1 ?")[::-1]
    same = next((n for n, (a, b) in enumerate(zip(one, other)) if a != b), len(one))  # noqa: B905
    return one[:same][::-1]


def _size(learner: Any) -> dict[str, Any]:
    numbers = learner.parameters
    return {
        "parameters": numbers,
        "bytes": BYTES * numbers,
        "prefix_tokens": getattr(learner, "size", 0),
    }


def _asked(
    here: World, learner: Any, tokeniser: Tokeniser, chosen: Sequence[Any]
) -> dict[str, Any]:
    asked = [(fact, question) for fact in chosen for question in fact.questions]
    began = time.perf_counter()
    told = answers(here, learner.module, tokeniser, [question for _, question in asked])
    right = [exactly(answer, fact) for answer, (fact, _) in zip(told, asked, strict=True)]
    return {"recall": share(right), "asking_s": round(time.perf_counter() - began, 1)}


@torch.no_grad()
def answers(here: World, module: Any, tokeniser: Tokeniser, questions: Sequence[str]) -> list[str]:
    """By greedy decoding, everything read anew for each token: it is the same for all forms."""
    found: list[str] = []
    head = len(tokeniser.head)
    for start in range(0, len(questions), TOGETHER):
        asked = [tokeniser.question(text)[head:] for text in questions[start : start + TOGETHER]]
        said: list[list[int]] = [[] for _ in asked]
        live = list(range(len(asked)))
        while live:
            parts = [_open([*asked[n], *said[n]]) for n in live]
            row = packed(tokeniser.head, parts, device=module.device, dtype=module.dtype)
            last = [int((row.owner == n).nonzero()[-1]) for n in range(len(live))]
            places = torch.tensor(last, device=module.device)
            for n, token in zip(list(live), forward.run(module, row, places).argmax(-1).tolist()):  # noqa: B905
                said[n].append(token)
                if token in here.model.eos or len(said[n]) >= TOKENS:
                    live.remove(n)
        found += [here.model.tokenizer.decode(one, skip_special_tokens=True) for one in said]
    return found


def _open(tokens: Sequence[int]) -> Tokenised:
    return Tokenised(tokens=tuple(tokens), labels=(NOTHING,) * len(tokens), headed=True)


def _left(learner: Any, tokeniser: Tokeniser, neutral: Neutral) -> dict[str, Any]:
    """What is left as it was, the form being at work with everything."""
    module = learner.module
    with learner.without():
        before = forward.perplexity(forward.surprise(module, neutral.texts))
    after = forward.perplexity(forward.surprise(module, neutral.texts))
    same = forward.right(module, tokeniser.head, neutral.asked)
    return {"perplexity": after / before - 1, "unchanged": share(same)}


def _spent(outcome: Outcome) -> dict[str, Any]:
    return {
        "steps": outcome.steps,
        "tokens": outcome.tokens,
        "seconds": round(outcome.seconds, 1),
        "stopped": outcome.stopped,
        "loss": outcome.loss,
    }


def _states(here: World, learner: Any, recipe: Recipe, tokeniser: Tokeniser) -> dict[str, Any]:
    """peft's own activated adapter with these weights: its states before the invocation are those
    of the model alone, and what it says is what the packed one does."""
    tokens = tokeniser.question("What do you know about it?")
    found = lone_states(
        here.adapters._module(), recipe, learner.lora(), tokens, invocation(tokeniser)
    )
    part = _open(tokens[len(tokeniser.head) :])
    module = learner.module
    with torch.no_grad():
        row = packed(tokeniser.head, [part], device=module.device, dtype=module.dtype)
        place = torch.tensor([row.tokens - 1], device=module.device)
        logits = forward.run(module, row, place)[0]
    return {
        "states_before_off": found["off_before"],
        "states_after_off": found["off_after"],
        "reusable_tokens": found["tokens_before"],
        "logits_off": float((logits - found["logits"]).abs().max()),
    }
