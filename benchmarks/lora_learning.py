"""The parts of `memos bench lora` that train: recipes, recall, a curve, a second round, erasing."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from memos.benchmarks.kv_prose import sentences
from memos.benchmarks.lora_people import Invented, facts
from memos.benchmarks.lora_world import (
    SALT,
    World,
    prose_perplexity,
    recall,
    sampled,
    source_of,
    taught,
    train,
    with_changes,
)
from memos.parametric import neutral
from memos.parametric.naming import keyed, mentions, names
from memos.types import Recipe, Trained

DRAWS = 20


def recipes(here: World) -> dict[str, Any]:
    """A grid of recipes on the same facts; what each recalls and what it breaks."""
    options = here.options
    chosen = facts(options.facts, options.seed + 1)  # not those that the other parts report
    base = prose_perplexity(here.model)
    lines = []
    for changes in _grid(options.grid):
        recipe = with_changes(here.recipe, **changes)
        done, _ = train(here, "grid", chosen, recipe)
        model = here.adapters.adapted("grid")
        line = {
            **changes,
            **_measured(here, done),
            "recall": recall(model, chosen)["recall"],
            "prose": prose_perplexity(model) / base - 1,
        }
        lines.append(line)
        print(f"  {line}", file=sys.stderr, flush=True)
        here.adapters.remove("grid")
    return {"facts": len(chosen), "lines": lines}


def learn(here: World) -> dict[str, Any]:
    """The main figures, and the adapter `first` that the other parts go on with."""
    chosen = facts(here.options.facts, here.options.seed)
    done, wanted = train(here, "first", chosen)
    here.built_s = done.seconds
    before = recall(here.model, chosen)
    model = here.adapters.adapted("first")
    after = recall(model, chosen)
    return {
        "facts": len(chosen),
        "examples": len(wanted.examples),
        "recipe": asdict(here.recipe),
        "base_recall": before["recall"],
        "recall": after["recall"],
        "prose_base": prose_perplexity(here.model),
        "prose": prose_perplexity(model),
        "named": named(chosen),
        **_measured(here, done),
        "rows": after["rows"],
    }


def named(chosen: Sequence[Invented]) -> dict[str, Any]:
    """How often something that the adapter knows of is named: in the questions of the test, where
    it should be at work, and in those that have nothing to do with it."""
    salt = SALT
    keys = keyed(names(taught(chosen), ()), salt)
    asked = [question for fact in chosen for question in fact.questions]
    texts = neutral.PROBES
    return {
        "of_test": sum(mentions([text], keys, salt) for text in asked) / len(asked),
        "of_other": sum(mentions([text], keys, salt) for text in texts) / len(texts),
        "of_prose": sum(mentions([text], keys, salt) for text in sentences()) / len(sentences()),
    }


def curve(here: World) -> dict[str, Any]:
    """Recall by number of facts and rank."""
    lines = []
    for count, rank in itertools.product(here.options.counts, here.options.ranks):
        chosen = facts(count, here.options.seed + 2)
        done, _ = train(here, "curve", chosen, with_changes(here.recipe, rank=rank))
        model = here.adapters.adapted("curve")
        asked = chosen[:: max(1, count // 100)][:100]
        line = {
            "facts": count,
            "rank": rank,
            "recall": recall(model, asked)["recall"],
            **_measured(here, done),
        }
        lines.append(line)
        print(f"  {line}", file=sys.stderr, flush=True)
        here.adapters.remove("curve")
    return {"lines": lines}


def second(here: World) -> dict[str, Any]:
    """A round with as many others, going on from the first: how much of that is kept."""
    count, seed = here.options.facts, here.options.seed
    first, others = facts(count, seed), facts(count, seed + 77)
    before = recall(here.adapters.adapted("first"), first)["recall"]
    done, _ = train(here, "second", others, begin="first", former=first)
    model = here.adapters.adapted("second")
    found = {
        "before": before,
        "kept": recall(model, first)["recall"] / max(before, 1e-9),
        "new": recall(model, others)["recall"],
        **_measured(here, done),
    }
    if here.options.naive:
        naive, _ = train(here, "naive", others, begin="first")
        forgetful = here.adapters.adapted("naive")
        found |= {
            "naive_kept": recall(forgetful, first)["recall"] / max(before, 1e-9),
            "naive_new": recall(forgetful, others)["recall"],
            "naive_seconds": naive.seconds,
        }
    return found


def erase(here: World) -> dict[str, Any]:
    """Five of the facts are erased, and the adapter is made anew without them."""
    chosen = facts(here.options.facts, here.options.seed)
    gone, left = chosen[: here.options.erased], chosen[here.options.erased :]
    before = here.adapters.adapted("first")
    kept = recall(before, left)["recall"]
    known = recall(before, gone)["recall"]
    done, wanted = train(here, "without", left)
    sources = {example.source for example in wanted.examples}
    assert not sources & {source_of(fact) for fact in gone}
    model = here.adapters.adapted("without")
    return {
        "erased": len(gone),
        "before": known,
        "after": recall(model, gone)["recall"],
        "base": recall(here.model, gone)["recall"],
        "sampled_before": sampled(before, gone, draws=DRAWS, seed=1),
        "sampled_after": sampled(model, gone, draws=DRAWS, seed=1),
        "sampled_base": sampled(here.model, gone, draws=DRAWS, seed=1),
        "others_before": kept,
        "others_after": recall(model, left)["recall"],
        **_measured(here, done),
    }


def _measured(here: World, done: Trained) -> dict[str, Any]:
    report = done.report
    used = report.in_use
    return {
        "seconds": round(done.seconds, 1),
        "cpu_s": round(here.cpu_s, 1),
        "steps": done.steps,
        "tokens": done.tokens,
        "bytes": done.bytes,
        "parameters": done.parameters,
        "peak_bytes": done.peak_bytes,
        "stopped": done.stopped,
        "loss": done.loss,
        "trained": report.trained,
        "held": report.recall,
        "perplexity": report.perplexity / report.base_perplexity - 1,
        "unchanged": report.unchanged,
        "in_use_held": used.recall,
        "in_use_perplexity": used.perplexity / report.base_perplexity - 1,
        "in_use_unchanged": used.unchanged,
        "in_use_others": used.others,
    }


def _grid(text: str) -> list[dict[str, Any]]:
    """`rate=2e-4,5e-4 rank=8,16` → all combinations, each a set of changes to the recipe."""
    known = asdict(Recipe())
    axes: list[list[tuple[str, Any]]] = []
    for part in text.split():
        name, _, values = part.partition("=")
        kind = type(known[name]) if known[name] is not None else float
        axes.append([(name, kind(value)) for value in values.split(",")])
    return [dict(point) for point in itertools.product(*axes)] if axes else [{}]


__all__: Sequence[str] = ("curve", "erase", "learn", "recipes", "second")
