"""Answers from the local model: one or many at once, whole or as they come.

How prompts are read is somebody else's matter (`Reader`): with stored prefixes or without. It
chooses tokens, turns them to text and ends answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from memos.errors import InvalidInput
from memos.kvcache.blocks.block import States
from memos.kvcache.generator.model import LocalModel
from memos.kvcache.generator.request import Finish, Generation, Options
from memos.kvcache.generator.running import Running
from memos.kvcache.generator.sampling import Sampler
from memos.kvcache.generator.text import TextStream
from memos.kvcache.reuse.tree import order_of

Prompt = str | Sequence[Mapping[str, str]]
"""A text as it stands, or messages ({role, content}) for the model's chat template."""


class ReadPrompts(Protocol):
    """Prompts that were read; see `memos.kvcache.reuse.prefix.Begun`."""

    @property
    def running(self) -> Running: ...
    @property
    def logits(self) -> Tensor: ...
    @property
    def order(self) -> Sequence[int]: ...
    @property
    def cached(self) -> Sequence[int]: ...
    @property
    def shared(self) -> Sequence[int]: ...
    @property
    def computed(self) -> Sequence[int]: ...


class Reader(Protocol):
    """Reads prompts up to their last token."""

    @property
    def model(self) -> LocalModel: ...

    def begin(
        self, prompts: Sequence[Sequence[int]], *, room: int, remember: bool
    ) -> ReadPrompts: ...

    def remember(self, tokens: Sequence[int], states: Callable[[int, int], States]) -> object: ...


@dataclass(frozen=True)
class Event:
    """A piece of the answer to prompt `index`, or its end: `done` with the last piece."""

    index: int
    text: str
    done: Generation | None = None


class Answer:
    """One answer in the making."""

    def __init__(self, index: int, prompt: Sequence[int], options: Options, model: LocalModel):
        self.index = index
        self.prompt = prompt
        self.tokens: list[int] = []
        self.sampler = Sampler(options)
        self._stream = TextStream(model.tokenizer, options.stop)
        self._eos = model.eos
        left = model.context - len(prompt) if model.context else options.max_new_tokens
        self._most = min(options.max_new_tokens, max(left, 1))
        self.finish: Finish | None = None

    def take(self, token: int) -> str:
        """The text that is certain with this token; sets `finish` at the end."""
        self.tokens.append(token)
        piece = "" if token in self._eos else self._stream.add(token)
        if token in self._eos or self._stream.stopped:
            self.finish = "stop"
        elif len(self.tokens) >= self._most:
            self.finish = "length"
        return piece + self._stream.finish() if self.finish else piece

    @property
    def text(self) -> str:
        return self._stream.text


class LocalGenerator:
    """Generates with `reader.model`. Thread-safe; `rows` requests at most run at once.

    `remember`: "nothing", the "prompt" or "all", so also the answer, is stored for later.
    """

    def __init__(self, reader: Reader, *, rows: int = 16, remember: str = "nothing") -> None:
        if remember not in ("nothing", "prompt", "all"):
            raise InvalidInput(f"remember is {remember!r}; use nothing, prompt or all")
        self.reader = reader
        self._rows = rows
        self._remember = remember

    @property
    def model(self) -> LocalModel:
        return self.reader.model

    def generate(self, prompt: Prompt, options: Options | None = None) -> Generation:
        """The whole answer to one prompt."""
        return self.generate_many([prompt], options)[0]

    def generate_many(
        self, prompts: Sequence[Prompt], options: Options | Sequence[Options] | None = None
    ) -> list[Generation]:
        """The answers, in the order of the prompts; `options` for all or one for each.

        Each is what it would be alone, up to rounding (in float32 the same tokens).
        """
        found = {event.index: event.done for event in self.events(prompts, options)}
        return [done for _, done in sorted(found.items()) if done is not None]

    def stream(self, prompt: Prompt, options: Options | None = None) -> Iterator[Event]:
        """The answer as it comes, in whole characters; the last event is done."""
        return self.events([prompt], options)

    def events(
        self, prompts: Sequence[Prompt], options: Options | Sequence[Options] | None = None
    ) -> Iterator[Event]:
        """The pieces of all answers as they come; each ends with an event that is done.

        InvalidInput at once for a prompt that can't be run.
        """
        each = _each(options, len(prompts))
        read = [self._tokens(prompt) for prompt in prompts]
        answers = [
            Answer(i, t, o, self.model) for i, (t, o) in enumerate(zip(read, each, strict=True))
        ]
        for answer in answers:
            self.model.check(answer.prompt)
        ordered = [answers[index] for index in order_of(read)]
        groups = [ordered[at : at + self._rows] for at in range(0, len(ordered), self._rows)]
        return (event for group in groups for event in self._run(group))

    def _tokens(self, prompt: Prompt) -> list[int]:
        return (
            self.model.tokens(prompt) if isinstance(prompt, str) else self.model.chat_tokens(prompt)
        )

    def _run(self, answers: list[Answer]) -> Iterator[Event]:
        """Read the prompts; then choose, tell, let go of what is done, and run one token more."""
        began = time.perf_counter()
        begun = self.reader.begin(
            [answer.prompt for answer in answers], room=64, remember=self._remember == "prompt"
        )
        rows, logits = begun.running, begun.logits
        live = [(answers[index], row) for row, index in enumerate(begun.order)]
        first: float | None = None
        while live:
            tokens = chosen(logits, [answer.sampler for answer, _ in live])
            now = time.perf_counter() - began
            first = now if first is None else first
            left = []
            for place, (token, (answer, row)) in enumerate(zip(tokens, live, strict=True)):
                piece = answer.take(token)
                if answer.finish is None:
                    left.append(place)
                    if piece:
                        yield Event(answer.index, piece)
                    continue
                self._keep(rows, place, answer)
                counts = (begun.cached[row], begun.shared[row], begun.computed[row])
                yield Event(answer.index, piece, generation_of(answer, counts, first, now))
            if left and len(left) < len(live):
                rows.keep(left)
            live = [live[place] for place in left]
            if live:
                logits = rows.advance([[answer.tokens[-1]] for answer, _ in live])

    def _keep(self, rows: Running, place: int, answer: Answer) -> None:
        """Stores prompt and answer, but for the last token, which was not run."""
        if self._remember == "all":
            known = [*answer.prompt, *answer.tokens[:-1]]
            self.reader.remember(known, lambda a, b: rows.states(place, a, b))


def _each(options: Options | Sequence[Options] | None, count: int) -> list[Options]:
    if options is None or isinstance(options, Options):
        return [options or Options()] * count
    if len(options) != count:
        raise InvalidInput(f"{len(options)} options for {count} prompts; give one or one for each")
    return list(options)


def chosen(logits: Tensor, samplers: Sequence[Sampler]) -> list[int]:
    """One token per row; the likeliest ones by one call for all."""
    likeliest = logits.argmax(dim=-1).tolist()
    return [
        best if sampler.greedy else sampler.pick(row)
        for best, sampler, row in zip(likeliest, samplers, logits, strict=True)
    ]


def generation_of(
    answer: Answer, counts: tuple[int, int, int], first: float, now: float
) -> Generation:
    assert answer.finish is not None
    return Generation(
        text=answer.text,
        tokens=tuple(answer.tokens),
        prompt_tokens=len(answer.prompt),
        cached_tokens=counts[0],
        shared_tokens=counts[1],
        computed_tokens=counts[2],
        finish=answer.finish,
        ttft_s=first,
        total_s=now,
    )
