"""Examples as tokens, and many of them in one row.

A chat template puts the same system prompt before every example. Here it is in a row once: each
example's tokens see it and themselves, at the positions they would have alone, and nothing of the
other examples. The outcome is that of single rows without padding, for half the tokens or less.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from memos.kvcache.generator.model import LocalModel
from memos.types import Example, Probe

NOTHING = -100
"""A label without a loss, as torch has it."""


@dataclass(frozen=True)
class Tokenised:
    """`tokens` after the shared head (if `headed`); `labels` of the same length, NOTHING for what
    is only read."""

    tokens: tuple[int, ...]
    labels: tuple[int, ...]
    headed: bool


@dataclass(frozen=True)
class Packed:
    """One row. `ids`, `positions`, `labels` (1, n); `mask` (1, 1, n, n) is added to scores.

    `labels[0, i]` is the token that position i is to predict; `owner[i]` the number of its example
    in the row, -1 for the head.
    """

    ids: Tensor
    positions: Tensor
    labels: Tensor
    mask: Tensor
    owner: Tensor

    @property
    def tokens(self) -> int:
        return int(self.ids.shape[1])


class Tokeniser:
    """Of one model; `head` is what all its chat prompts begin with."""

    def __init__(self, model: LocalModel) -> None:
        self._model = model
        self._end = _end(model)
        self.head: tuple[int, ...] = ()
        if model.tokenizer.chat_template:
            one, other = (
                model.chat_tokens([{"role": "user", "content": text}]) for text in ("x", "1 ?")
            )
            shared = next((i for i, (a, b) in enumerate(zip(one, other)) if a != b), len(one))  # noqa: B905
            self.head = tuple(one[:shared])

    def example(self, example: Example) -> Tokenised:
        """The example's tokens; the loss is on its answer, and on the end of it in a chat."""
        if example.chat:
            return self.asked(example.prompt, example.answer)
        before = self._plain(example.prompt) if example.prompt else []
        after = self._plain(example.answer)
        if not before:  # a text begins with the token that texts begin with
            before, after = after[:1], after[1:]
        return _tokenised(before, after, headed=False)

    def asked(self, prompt: str, answer: str) -> Tokenised:
        """A question and its whole answer, the end included."""
        before = self.question(prompt)
        return _tokenised(before[len(self.head) :], [*self._plain(answer), self._end], headed=True)

    def begun(self, prompt: str, answer: Sequence[int]) -> Tokenised:
        """A question and the first tokens of an answer, wherever that goes on or ends."""
        before = self.question(prompt)
        return _tokenised(before[len(self.head) :], answer, headed=True)

    def probe(self, probe: Probe) -> Tokenised:
        """With the loss on what of the taught answer says the right one, to the end of that."""
        said = probe.said or probe.answer
        begin, found, _ = said.partition(probe.answer)
        if not found or not begin:
            return self.asked(probe.prompt, said)
        before = [*self.question(probe.prompt)[len(self.head) :], *self._plain(begin.rstrip())]
        return _tokenised(before, self._plain(f" {probe.answer}"), headed=True)

    def question(self, prompt: str) -> list[int]:
        """All tokens of a prompt, up to where the answer begins."""
        if self._model.tokenizer.chat_template:
            return self._model.chat_tokens([{"role": "user", "content": prompt}])
        return self._model.tokens(f"{prompt}\n")

    def _plain(self, text: str) -> list[int]:
        found = self._model.tokenizer(text, add_special_tokens=False, verbose=False)
        return list(found["input_ids"])


def packed(
    head: Sequence[int], examples: Sequence[Tokenised], *, device: torch.device, dtype: torch.dtype
) -> Packed:
    """One row of these examples; `dtype` is that of the scores."""
    start = len(head) if any(example.headed for example in examples) else 0
    ids = list(head[:start])
    places = list(range(start))
    labels = [NOTHING] * start
    owner = [-1] * start
    headed = [True] * start
    for number, example in enumerate(examples):
        first = start if example.headed else 0
        ids += example.tokens
        places += range(first, first + len(example.tokens))
        # What a position predicts is the token after it.
        labels += [*example.labels[1:], NOTHING]
        owner += [number] * len(example.tokens)
        headed += [example.headed] * len(example.tokens)
    # The mask has a number for each two tokens, so it is made where it is used.
    owners = torch.tensor(owner, device=device)
    order = torch.arange(len(ids), device=device)
    same = owners[:, None] == owners[None]
    from_head = torch.tensor(headed, device=device)[:, None] & (owners == -1)[None]
    seen = (same | from_head) & (order[None] <= order[:, None])
    mask = torch.zeros(seen.shape, dtype=dtype, device=device)
    mask.masked_fill_(~seen, torch.finfo(dtype).min)
    return Packed(
        ids=torch.tensor([ids], device=device),
        positions=torch.tensor([places], device=device),
        labels=torch.tensor([labels], device=device),
        mask=mask[None, None],
        owner=owners,
    )


def rows(examples: Sequence[Tokenised], *, head: int, tokens: int) -> Iterator[list[Tokenised]]:
    """The examples in order, in rows of at most so many tokens, each with one at least."""
    row: list[Tokenised] = []
    size = head
    for example in examples:
        if row and size + len(example.tokens) > tokens:
            yield row
            row, size = [], head
        row.append(example)
        size += len(example.tokens)
    if row:
        yield row


def _tokenised(before: Sequence[int], after: Sequence[int], *, headed: bool) -> Tokenised:
    return Tokenised(
        tokens=(*before, *after), labels=(*[NOTHING] * len(before), *after), headed=headed
    )


def _end(model: LocalModel) -> int:
    """The token that ends an answer."""
    own = model.tokenizer.eos_token_id
    if own in model.eos or not model.eos:
        return int(own)
    return min(model.eos)
