"""How a summary is put into words: by quoting, or by a language model. Knows no store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from memos.summaries.extractive import length_of
from memos.summaries.passages import Passages, days, line
from memos.types import Memory

EXTRACTIVE = "lexrank-1"


@dataclass(frozen=True, slots=True)
class Written:
    """A text, and the memories that something of is in it."""

    text: str
    memories: tuple[Memory, ...]


class SummaryWriter(Protocol):
    """Writes the summary of a run of turns. `method` names how, so that a summary by another one
    is written anew; `asks` whether it costs a request elsewhere."""

    @property
    def method(self) -> str: ...

    @property
    def asks(self) -> bool: ...

    def write(self, turns: Passages) -> Written | None:
        """None: they say nothing worth a summary. ExtractionFailed of a language model that gives
        no answer, or none of use."""
        ...


class ExtractiveWriter:
    """The sentences that say most, each with its speaker, under the days they are of."""

    method = EXTRACTIVE
    asks = False

    def write(self, turns: Passages) -> Written | None:
        chosen, said = turns.chosen(length_of(len(turns.memories)))
        if not chosen:
            return None
        lines = "\n".join(map(line, chosen, said))
        return Written(f"{days(chosen)}\n{lines}", chosen)
