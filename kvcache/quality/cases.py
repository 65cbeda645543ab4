"""Generated texts with facts in them and questions about the facts, in tokens.

The texts are made up from word lists: what a model answers it must have read. The facts are plain
and the questions repeat their words, so that a small model answers nearly all of them with the
full cache; what is missed with another cache is then missed because of that cache.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain

from memos.errors import InvalidInput

Encode = Callable[[str], Sequence[int]]
"""From a text to its tokens, with no special tokens around them."""

_NAMES = [
    "Ada", "Boris", "Clara", "Dmitri", "Elena", "Farid", "Greta", "Hugo", "Irina", "Jonas",
    "Karim", "Lena", "Marco", "Nadia",
]  # fmt: skip
_THINGS = [
    "locker", "bicycle", "garage", "suitcase", "cabin", "archive", "cellar", "boathouse",
    "workshop", "safe",
]  # fmt: skip
_PLACES = [
    "harbour", "library", "bakery", "station", "museum", "orchard", "lighthouse", "market",
    "workshop", "bridge",
]  # fmt: skip
_DOINGS = (
    "walked to the {place} and talked about the weather with the people there",
    "spent the morning near the {place}, which was closed for repairs again",
    "read an old newspaper at the {place} while the rain came down outside",
    "bought bread, apples and a small lamp on the way back from the {place}",
    "waited a long time at the {place}, but nobody whom they knew came by",
    "helped to paint a wooden door of the {place} in a dark shade of green",
)
_WORDS = [
    "apple", "river", "silver", "mountain", "tiger", "candle", "orange", "window", "garden",
    "winter", "rocket", "pepper", "marble", "dragon", "velvet", "copper", "island", "forest",
    "thunder", "lemon", "pirate", "castle", "butter", "eagle",
]  # fmt: skip
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


@dataclass(frozen=True, slots=True)
class Question:
    """`prompt` follows the context; right if the model's own next tokens are `answer`."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """A text that is held, what comes after it, and questions about it. `breaks` are where its
    sentences begin, as indices of tokens: the first is 0."""

    context: tuple[int, ...]
    continuation: tuple[int, ...]
    questions: tuple[Question, ...]
    breaks: tuple[int, ...] = (0,)

    def chunks(self, count: int) -> list[tuple[int, ...]]:
        """The context cut into at most `count` parts, about equally long, between sentences."""
        size = len(self.context) / count
        cuts = {min(self.breaks, key=lambda at: abs(at - size * part)) for part in range(count)}
        ends = [*sorted(cuts)[1:], len(self.context)]
        return [self.context[a:b] for a, b in zip(sorted(cuts), ends, strict=True)]


def diary(sentences: int, *, seed: int) -> list[str]:
    """Sentences about people's days; none states a password."""
    chance = random.Random(seed)
    return [
        f"On {chance.choice(_DAYS)} {chance.choice(_NAMES)} "
        f"{chance.choice(_DOINGS).format(place=chance.choice(_PLACES))}."
        for _ in range(sentences)
    ]


def key_facts(
    encode: Encode,
    *,
    tokens: int,
    seed: int,
    facts: int = 6,
    continuation: int = 64,
    prose: Sequence[str] = (),
) -> Case:
    """A context of about `tokens` tokens with `facts` passwords spread over it, a question each.

    `prose` are sentences to put around the facts, in order; without it a diary is made up. The
    continuation is `continuation` tokens of the sentences that follow. InvalidInput for more facts
    than there are things to tell of.
    """
    if not 1 <= facts <= len(_THINGS):
        raise InvalidInput(f"{facts} facts in a text: 1 to {len(_THINGS)} can be told")
    told = _facts(random.Random(seed), facts)
    filler = list(prose) or diary(tokens // 8 + continuation, seed=seed)
    room = tokens - sum(len(encode(" " + sentence)) for sentence, _, _ in told)
    used, size = 0, 0
    while used < len(filler) and size < room:
        size += len(encode(" " + filler[used]))
        used += 1
    around, after = filler[:used], filler[used:]
    for number, (sentence, _, _) in enumerate(told):
        # Towards the middle of its part of the text: at neither end, where any policy keeps rows.
        around.insert(int((number + 0.5) * used / facts) + number, sentence)
    parts = [list(encode(" " + sentence)) for sentence in around]
    breaks = [0, *accumulate(len(part) for part in parts[:-1])]
    questions = tuple(
        Question(tuple(encode(f"\n\n{ask}")), tuple(encode(f" {word}"))) for _, ask, word in told
    )
    following = tuple(encode(" " + " ".join(after)))[:continuation]
    return Case(tuple(chain.from_iterable(parts)), following, questions, tuple(breaks))


def _facts(chance: random.Random, count: int) -> list[tuple[str, str, str]]:
    """(sentence, how its question begins, answer); no thing, name or answer comes twice."""
    names, things = chance.sample(_NAMES, count), chance.sample(_THINGS, count)
    found = []
    for name, thing, word in zip(names, things, chance.sample(_WORDS, count), strict=True):
        stem = f"The password of {name}'s {thing} is"
        found.append((f"{stem} {word}.", stem, word))
    return found
