"""What is learnt in which step: a seeded order of examples, with a share of what is to stay.

Steps follow from the seed and their number alone, so a training that goes on after a crash sees
what it would have seen.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence

from memos.kvcache.lora.packing import Tokenised
from memos.types import Recipe

_PASSES = 4
_STEPS = 150
Entry = tuple[int, bool]
"""(number of an example, whether it is one of the replay)."""


class Curriculum:
    """`steps` of a training; each is a list of entries that fit `recipe.tokens`. Of the examples
    `known` each pass has a share only."""

    def __init__(
        self,
        examples: Sequence[Tokenised],
        replay: Sequence[Tokenised],
        recipe: Recipe,
        *,
        head: int,
        known: Collection[int] = (),
    ) -> None:
        self._sizes = [len(example.tokens) for example in examples]
        self._replay_sizes = [len(example.tokens) for example in replay]
        self._recipe = recipe
        self._head = head
        self._known = sorted(known)
        self.ends: list[int] = []
        """The number of steps after each pass."""
        self.steps: list[list[Entry]] = []
        for number in range(recipe.passes or self._usual()):
            self.steps += self._pass(number)
            self.ends.append(len(self.steps))

    def _usual(self) -> int:
        """Few examples make few steps, and what was seen in few is not recalled in other words."""
        return max(_PASSES, -(-_STEPS // len(self._pass(0))))

    def _pass(self, number: int) -> list[list[Entry]]:
        chance = random.Random(f"{self._recipe.seed}:{number}")
        known = set(self._known)
        order = [n for n in range(len(self._sizes)) if n not in known]
        order += chance.sample(self._known, round(self._recipe.again * len(known)))
        chance.shuffle(order)
        room = max(1, round(self._recipe.tokens * (1 - self._recipe.replay)))
        found = []
        for row in _rows(order, self._sizes, self._head, room):
            found.append([*((n, False) for n in row), *self._held(chance)])
        return found

    def _held(self, chance: random.Random) -> list[Entry]:
        """Replay up to its share of a step's tokens."""
        if not self._replay_sizes or not self._recipe.replay:
            return []
        room = self._recipe.tokens * self._recipe.replay
        order = list(range(len(self._replay_sizes)))
        chance.shuffle(order)
        found: list[Entry] = []
        for n in order:
            if found and self._replay_sizes[n] > room:
                break
            found.append((n, True))
            room -= self._replay_sizes[n]
        return found


def _rows(order: Sequence[int], sizes: Sequence[int], head: int, room: int) -> list[list[int]]:
    found: list[list[int]] = []
    left = 0
    for n in order:
        if not found or sizes[n] > left:
            found.append([])
            left = room - head
        found[-1].append(n)
        left -= sizes[n]
    return found
