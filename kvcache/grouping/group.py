"""Requests of their own whose answers are made by the same forward passes.

Each has its own sampling, seed, length and stop strings, and is told its pieces as they are made.
Which requests go together, and when, is decided elsewhere (`memos.kvcache.grouping.grouping`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from queue import SimpleQueue

from torch import Tensor

from memos.kvcache.generator.generator import Answer, Event, generation_of
from memos.kvcache.generator.request import Options
from memos.kvcache.generator.rows import Prefix
from memos.kvcache.generator.running import InTurn, Together
from memos.kvcache.reuse.begun import Between
from memos.kvcache.reuse.beside import Beside
from memos.kvcache.reuse.prefix import PrefixReuse

_ROOM = 64


class Request:
    """One request, between the thread that asked and the one that runs the model.

    `pieces` ends with an event that is done, or with an error. Whoever asked sets `gone` if nobody
    reads them any more. `alone`: it must not be put together with others.
    """

    def __init__(self, reuse: PrefixReuse, prompt: Sequence[int], options: Options) -> None:
        self.reuse = reuse
        self.answer = Answer(0, prompt, options, reuse.model)
        self.pieces: SimpleQueue[Event | Exception] = SimpleQueue()
        self.group: Group | None = None
        self.counts = (0, 0, 0)
        self.gone = False
        self.alone = False
        self.ended = False
        self.grouped = False
        self._asked = time.perf_counter()
        self._first: float | None = None

    @property
    def live(self) -> bool:
        return not (self.gone or self.ended)

    @property
    def tokens(self) -> list[int]:
        """Of the prompt and of the answer up to now; the last one is still to be run."""
        return [*self.answer.prompt, *self.answer.tokens]

    def take(self, likeliest: int, logits: Tensor) -> None:
        """Chooses a token from its logits (vocabulary,) and tells the asker what text is certain
        with it. What goes wrong here is this request's alone."""
        try:
            sampler = self.answer.sampler
            token = likeliest if sampler.greedy else sampler.pick(logits)
            now = time.perf_counter() - self._asked
            self._first = now if self._first is None else self._first
            piece = self.answer.take(token)
            if self.answer.finish is not None:
                done = generation_of(self.answer, self.counts, self._first, now)
                self.ended = True  # first: who has the end of it is not among those under way
                self.pieces.put(Event(0, piece, done))
            elif piece:
                self.pieces.put(Event(0, piece))
        except Exception as error:
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Ends it with an error, unless it has ended."""
        if not self.ended:
            self.ended = True
            self.pieces.put(error)


class Group:
    """Requests of one reuse that go on together; `requests` has the live ones, in rows' order.

    Making one reads the prompts, in parts if there is something to do `between` them, and tells the
    first tokens. A request that has said something
    already goes on from there.
    """

    def __init__(
        self,
        requests: Sequence[Request],
        beside: Sequence[Beside] = (),
        between: Between | None = None,
    ) -> None:
        self.reuse = requests[0].reuse
        self.apart = any(request.alone for request in requests)
        prompts = [one.tokens for one in requests]
        begun = self.reuse.begin(prompts, room=_ROOM, beside=beside, between=between)
        assert isinstance(begun.running, Together | InTurn)
        self._running = begun.running
        self.requests = [requests[index] for index in begun.order]
        for row, request in enumerate(self.requests):
            request.group = self
            if not request.answer.tokens:
                request.counts = (begun.cached[row], begun.shared[row], begun.computed[row])
        self._take(begun.logits)

    def step(self) -> int:
        """One token more for each request that somebody still waits for; how many these are."""
        self._leave()
        last = [[request.answer.tokens[-1]] for request in self.requests]
        if last:
            self._take(self._running.advance(last))
        return len(last)

    def join(self, other: Group) -> None:
        """Goes on with the other's requests too. ModelError if memory is short: both go on apart
        then."""
        # Of both classes there is one per model.
        self._running.join(other._running)  # type: ignore[arg-type]
        for request in other.requests:
            request.group = self
        self.requests += other.requests
        other.requests = []

    def beside(self) -> list[Beside]:
        """What its requests have read: good for as long as these run, in whatever row or group."""
        return [
            Beside(one.tokens[:-1], one.counts[0], partial(_read, one), partial(_runs, one))
            for one in self.requests
        ]

    def _take(self, logits: Tensor) -> None:
        likeliest = logits.argmax(dim=-1).tolist()
        for request, best, row in zip(self.requests, likeliest, logits, strict=True):
            request.take(best, row)
        self._leave()

    def _leave(self) -> None:
        """Rows that have ended, or that nobody reads, are free."""
        left = [row for row, request in enumerate(self.requests) if request.live]
        if left and len(left) < len(self.requests):
            self._running.keep(left)
        self.requests = [self.requests[row] for row in left]


def _runs(request: Request) -> bool:
    return request.group is not None and request in request.group.requests


def _read(request: Request, start: int, end: int) -> Sequence[Prefix]:
    """Its states of that range, from the row where it is now."""
    assert request.group is not None
    group = request.group
    return group._running.prefixes(group.requests.index(request), start, end)
