"""What a cache other than the full one changes, measured against the full one.

It knows no codec and no policy: it is given a function that makes what shall be held.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from memos.errors import InvalidInput
from memos.kvcache.attention.continuation import Continuation
from memos.kvcache.attention.rows import Held, from_states, plain, to_states
from memos.kvcache.blocks.block import States
from memos.kvcache.quality.cases import Case, Question

if TYPE_CHECKING:
    pass

Hold = Callable[[Case, Sequence[int]], Held]
"""From a case and the tokens of a prompt that is known in advance (often none) to what is held."""


@dataclass(frozen=True, slots=True)
class Quality:
    """Means over all tokens and questions.

    `kl` is KL(full ‖ this) of the next-token distributions in nats, `top1` the share of tokens
    where both have the same likeliest next token, `accuracy` the share of questions answered right
    and `full_accuracy` the same with the full cache. `bytes` are of keys and values, `overhead` of
    what says which they are, `full_bytes` of the full cache.
    """

    kl: float
    top1: float
    accuracy: float
    full_accuracy: float
    bytes: int
    overhead: int
    full_bytes: int

    @property
    def share(self) -> float:
        """Bytes of the full cache that are left, all counted."""
        return (self.bytes + self.overhead) / self.full_bytes


class Harness:
    """Runs the full cache of each case once, then measures any number of others against it."""

    def __init__(self, model: Any, cases: Sequence[Case]) -> None:
        if not cases:
            raise InvalidInput("nothing to measure: give at least one case")
        self._model = model
        self.cases = tuple(cases)
        self._full = [full(model, case.context) for case in cases]
        self._expected = [
            Continuation(model, held).feed(case.continuation).log_softmax(-1)
            for case, held in zip(cases, self._full, strict=True)
        ]
        asked = list(zip(cases, self._full, strict=True))
        self._full_right = [
            self.answers(held, question) for case, held in asked for question in case.questions
        ]

    def held(self, case: Case) -> Held:
        """The full cache of one of the cases."""
        return self._full[self.cases.index(case)]

    def measure(self, hold: Hold, *, guided: bool = False) -> Quality:
        """Quality of what `hold` makes of each case; with `guided` it makes another one for each
        question, whose prompt it is shown."""
        kl, same, right, sizes = [], [], [], []
        for index, case in enumerate(self.cases):
            held = hold(case, ())
            sizes.append((held.bytes, held.overhead, self._full[index].bytes))
            one, two = self._compare(index, held)
            kl += one
            same += two
            for question in case.questions:
                answering = hold(case, question.prompt) if guided else held
                right.append(self.answers(answering, question))
        size, overhead, total = (sum(part) for part in zip(*sizes, strict=True))
        return Quality(
            _mean(kl), _mean(same), _mean(right), _mean(self._full_right), size, overhead, total
        )

    def measure_states(
        self, change: Callable[[States], States], *, size_of: Callable[[States], int] | None = None
    ) -> Quality:
        """Quality of a codec: `change` takes the states of all layers to what they decode to;
        `size_of` says how many bytes they are when encoded, those of the decoded ones if None."""
        plain_states = [to_states(held) for held in self._full]
        by_context = dict(zip((case.context for case in self.cases), plain_states, strict=True))
        quality = self.measure(lambda case, _: from_states(change(by_context[case.context])))
        if size_of is None:
            return quality
        return replace(quality, bytes=sum(size_of(states) for states in plain_states), overhead=0)

    def _compare(self, index: int, held: Held) -> tuple[list[float], list[float]]:
        """KL and agreement at each token of the continuation."""
        expected = self._expected[index]
        got = Continuation(self._model, held).feed(self.cases[index].continuation).log_softmax(-1)
        kl = (expected.exp() * (expected - got)).sum(-1)
        same = expected.argmax(-1) == got.argmax(-1)
        return kl.clamp(min=0).tolist(), same.float().tolist()

    def answers(self, held: Held, question: Question) -> float:
        """1.0 if each token of the answer is the likeliest one after the ones before it."""
        tokens = [*question.prompt, *question.answer]
        logits = Continuation(self._model, held).feed(tokens[:-1])
        likeliest = logits[len(question.prompt) - 1 :].argmax(-1).tolist()
        return float(likeliest == list(question.answer))


def full(model: Any, tokens: Sequence[int]) -> Held:
    """All rows of `tokens`, also those that a sliding window would drop: a mask hides them."""
    import torch
    from transformers import DynamicCache

    cache: Any = DynamicCache()
    ids = torch.tensor([list(tokens)], device=model.device)
    with torch.inference_mode():
        model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return plain([(layer.keys, layer.values) for layer in cache.layers])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")
