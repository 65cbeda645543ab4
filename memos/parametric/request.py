"""What is asked for when memories are distilled, and its checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from memos.config import Settings
from memos.errors import InvalidInput
from memos.types import Kind, Recipe
from memos.validation import check_limit, check_text

WHEN = ("named", "always")


@dataclass(frozen=True, slots=True, kw_only=True)
class Distilling:
    """Memories by id, by what a search finds, or of a kind; none of these: those that the policy
    scores best, `limit` at most and as many as the parameters are for. `begin`: the adapter to go
    on from, whose memories are learnt again beside the new ones. `diversity` spreads the choice.
    `when` it is at work: where something that it knows of is "named", or "always"."""

    memories: tuple[str, ...] = ()
    query: str | None = None
    kind: Kind | None = None
    limit: int = 100
    diversity: float = 0.0
    name: str = "default"
    begin: str | None = None
    attach: bool = True
    when: str = "named"
    recipe: Recipe = field(default_factory=Recipe)

    def check(self, settings: Settings) -> None:
        """InvalidInput for more than one way to choose, or values out of range."""
        ways = [bool(self.memories), self.query is not None, self.kind is not None]
        if sum(ways) > 1:
            raise InvalidInput(
                "memories, query and kind are three ways to choose; give one of them",
                field="memories",
            )
        if len(self.memories) > settings.max_limit:
            raise InvalidInput(
                f"{len(self.memories)} memories to distill; the limit is {settings.max_limit} "
                "(MEMOS_MAX_LIMIT)",
                field="memories",
            )
        check_limit("limit", self.limit, settings)
        if self.query is not None:
            check_text("query", self.query)
        if not 0 <= self.diversity <= 1:
            raise InvalidInput(f"diversity is {self.diversity}; use 0 to 1", field="diversity")
        check_use(self.name, self.when)
        check_recipe(self.recipe)


METHODS = ("linear", "ties", "dare")


@dataclass(frozen=True, slots=True, kw_only=True)
class Merging:
    """Adapters of a cube to be made into one. `shares` are their weights, 1 each if there are none;
    `method` "linear" (the sum), "ties" or "dare". `rank` of the outcome: by default the sum of the
    ranks for linear, else the largest."""

    adapters: tuple[str, ...]
    shares: tuple[float, ...] = ()
    method: str = "linear"
    rank: int | None = None
    name: str = "default"
    attach: bool = True
    when: str = "named"

    @property
    def recipe(self) -> Recipe:
        """By which it is trained anew if a source is forgotten."""
        return Recipe() if self.rank is None else replace(Recipe(), rank=self.rank)

    @property
    def detail(self) -> Mapping[str, Any]:
        """What it is made of, for the row."""
        return {
            "adapters": list(self.adapters),
            "shares": list(self.shares),
            "method": self.method,
            "rank": self.rank,
        }

    def check(self) -> None:
        """InvalidInput for what can't be merged, or not so."""
        if len(set(self.adapters)) < 2:
            raise InvalidInput(
                f"{len(set(self.adapters))} adapters to merge; give two or more", field="adapters"
            )
        if len(set(self.adapters)) < len(self.adapters):
            raise InvalidInput("an adapter is given twice; give each once", field="adapters")
        if self.shares and len(self.shares) != len(self.adapters):
            raise InvalidInput(
                f"{len(self.shares)} shares for {len(self.adapters)} adapters; give one for each",
                field="shares",
            )
        for share in self.shares:
            if not -_MOST <= share <= _MOST:
                raise InvalidInput(f"share is {share}; use {-_MOST} to {_MOST}", field="shares")
        if self.method not in METHODS:
            raise InvalidInput(
                f"method is {self.method!r}; use one of {', '.join(METHODS)}", field="method"
            )
        check_use(self.name, self.when)
        check_recipe(self.recipe)


def check_use(name: str, when: str) -> None:
    """InvalidInput for an empty name, or an unknown time to be at work."""
    check_text("name", name)
    if not name.strip():
        raise InvalidInput("name is empty; leave it out or give one", field="name")
    if when not in WHEN:
        raise InvalidInput(f"when is {when!r}; use {' or '.join(WHEN)}", field="when")


_MOST = 10.0
_RANGES = {
    "rank": (1, 256),
    "rate": (1e-7, 1.0),
    "passes": (0, 200),
    "replay": (0.0, 0.9),
    "decay": (0.0, 1.0),
    "hold": (0.0, 1000.0),
    "apart": (0.0, 0.999),
    "again": (0.0, 1.0),
    "depth": (0.01, 1.0),
    "tokens": (16, 1 << 16),
    "enough": (0.0, 1.0),
}
_CHOICES = {"targets": ("all", "attention", "mlp"), "optimizer": ("adamw", "adafactor")}


def check_recipe(recipe: Recipe) -> None:
    """InvalidInput for values that no training can have."""
    for name, (low, high) in _RANGES.items():
        value = getattr(recipe, name)
        if not low <= value <= high:
            raise InvalidInput(f"{name} is {value}; use {low} to {high}", field=name)
    for name, known in _CHOICES.items():
        if getattr(recipe, name) not in known:
            raise InvalidInput(
                f"{name} is {getattr(recipe, name)!r}; use one of {', '.join(known)}", field=name
            )
