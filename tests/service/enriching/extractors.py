"""The real extractor with faults put in, to see what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from memos.errors import ExtractionFailed, ExtractorUnavailable
from memos.types import Extraction, Memory


class Faulty:
    """Reads as `real` does, but fails at what `fails` or `breaks` on, and while it is `down`; what
    `instead` gives it takes for what was read.

    `asked` has the texts of every call, with those of the turns before it.
    """

    def __init__(self, real, *, name: str | None = None) -> None:
        self._real = real
        self._name = name or real.name
        self.fails: Callable[[Memory], str | None] = lambda memory: None
        self.breaks: Callable[[Memory], Exception | None] = lambda memory: None
        self.instead: Callable[[Memory], Extraction | None] = lambda memory: None
        self.down = False
        self.before_answer: Callable[[], None] = lambda: None
        self.asked: list[tuple[tuple[str, ...], tuple[str, ...]]] = []

    @property
    def name(self) -> str:
        return self._name

    def extract(
        self, memories: Sequence[Memory], *, before: Sequence[Memory] = ()
    ) -> list[Extraction | ExtractionFailed]:
        self.asked.append((tuple(m.content for m in memories), tuple(m.content for m in before)))
        if self.down:
            raise ExtractorUnavailable("the model does not answer")
        for memory in memories:
            if (error := self.breaks(memory)) is not None:
                raise error
        found = self._real.extract(memories, before=before)
        self.before_answer()
        found = [self.instead(m) or outcome for m, outcome in zip(memories, found, strict=True)]
        return [
            outcome if (reason := self.fails(memory)) is None else ExtractionFailed(reason)
            for memory, outcome in zip(memories, found, strict=True)
        ]
