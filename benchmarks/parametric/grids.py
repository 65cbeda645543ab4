"""The parts of `memos bench lora` that train many adapters: recipes, a curve, what is kept."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from memos.benchmarks.parametric.learning import measured
from memos.benchmarks.parametric.people import facts
from memos.benchmarks.parametric.spread import spread
from memos.benchmarks.parametric.world import World, prose_perplexity, recall, train, with_changes
from memos.types import Recipe

ASKED = 100
"""Facts of a curve's point whose questions are asked, at most."""
PLENTY = 50
"""Facts up to which a step has the recipe's tokens; with more it has more, up to --most-tokens."""
Point = dict[str, Any]


def recipes(here: World) -> dict[str, Any]:
    """A grid of recipes on the same facts; what each recalls and what it breaks."""
    return _lines(here, tried, grid(here.options.grid))


def unrelated(here: World) -> dict[str, Any]:
    """The same, of ways to leave other answers as they are where the adapter is at work always:
    `more` questions held, `hold`, `apart`, `replay`, `alpha` and `depth` of --kept."""
    points = [point for text in here.options.kept for point in grid(text)]
    return _lines(here, tried, points)


def curve(here: World) -> dict[str, Any]:
    """Recall by number of facts and rank; the longest first, so that all end together."""
    counts = sorted(here.options.counts, reverse=True)
    points = [{"facts": n, "rank": r} for n, r in itertools.product(counts, here.options.ranks)]
    found = _lines(here, learnt, points)
    found["lines"].sort(key=lambda line: (line["rank"], line["facts"]))
    return found


def tried(here: World, point: Mapping[str, Any]) -> dict[str, Any]:
    """One recipe, on people that the other parts do not report."""
    chosen = facts(here.options.facts, here.options.seed + 1)
    changes = {name: value for name, value in point.items() if name != "more"}
    recipe = with_changes(here.recipe, **changes)
    done, _ = train(here, "grid", chosen, recipe, more=point.get("more", 0))
    model = here.adapters.adapted("grid")
    line = {
        **point,
        **measured(here, done),
        "recall": recall(model, chosen)["recall"],
        "prose": prose_perplexity(model) / prose_perplexity(here.model) - 1,
    }
    here.adapters.remove("grid")
    return line


def learnt(here: World, point: Mapping[str, Any]) -> dict[str, Any]:
    """One number of facts at one rank."""
    count = point["facts"]
    chosen = facts(count, here.options.seed + 2)
    tokens = here.recipe.tokens * max(1, count // PLENTY)
    recipe = with_changes(
        here.recipe,
        rank=point["rank"],
        tokens=max(here.recipe.tokens, min(tokens, here.options.most_tokens)),
    )
    done, _ = train(here, "curve", chosen, recipe)
    asked = chosen[:: -(-count // ASKED)]
    line = {
        **point,
        "recall": recall(here.adapters.adapted("curve"), asked)["recall"],
        "asked": 2 * len(asked),
        "step_tokens": recipe.tokens,
        **measured(here, done),
    }
    here.adapters.remove("curve")
    return line


def _lines(here: World, act: Any, points: list[Point]) -> dict[str, Any]:
    found: dict[str, Any] = {"points": len(points), "lines": []}
    for line in spread(here, act, points):
        found["lines"].append(line)
        here.say(str(line))
        here.tell(found)
    return found


def grid(text: str) -> list[Point]:
    """`rate=2e-4,5e-4 rank=8,16` → all combinations, each a set of changes to the recipe."""
    known = {**asdict(Recipe()), "more": 0}
    axes: list[list[tuple[str, Any]]] = []
    for part in text.split():
        name, _, values = part.partition("=")
        kind = type(known[name]) if known[name] is not None else float
        axes.append([(name, kind(value)) for value in values.split(",")])
    return [dict(point) for point in itertools.product(*axes)] if axes else [{}]
