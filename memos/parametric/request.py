"""What is asked for when memories are distilled, and its checks."""

from __future__ import annotations

from dataclasses import dataclass, field

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
        check_text("name", self.name)
        if self.query is not None:
            check_text("query", self.query)
        if not self.name.strip():
            raise InvalidInput("name is empty; leave it out or give one", field="name")
        if not 0 <= self.diversity <= 1:
            raise InvalidInput(f"diversity is {self.diversity}; use 0 to 1", field="diversity")
        if self.when not in WHEN:
            raise InvalidInput(f"when is {self.when!r}; use {' or '.join(WHEN)}", field="when")
        check_recipe(self.recipe)


_RANGES = {
    "rank": (1, 256),
    "rate": (1e-7, 1.0),
    "passes": (1, 200),
    "replay": (0.0, 0.9),
    "decay": (0.0, 1.0),
    "hold": (0.0, 1000.0),
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
