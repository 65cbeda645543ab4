"""A clause: a verb with what hangs on it, whether it is said to be so, and when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spacy.tokens import Token

    from memos.extraction.times import TimeMention


class Mood(Enum):
    """What a clause does with its content."""

    FACT = "fact"
    REPORT = "report"  # somebody else is said to say so, or the speaker believes it
    ABILITY = "ability"
    PLAN = "plan"
    WISH = "wish"
    OPEN = "open"  # asked, supposed, ordered, quoted: nothing is stated


class Tense(Enum):
    PRESENT = "present"
    PAST = "past"
    PERFECT = "perfect"


class Phase(Enum):
    """Where in the course of a doing the clause stands: "I started to run", "I stopped running"."""

    WHOLE = "whole"
    BEGIN = "begin"
    END = "end"
    FORMER = "former"  # used to


@dataclass(slots=True)
class Clause:
    """A verb with what hangs on it. `mood`, `negated` and the rest hold for the whole clause."""

    verb: Token
    lemma: str
    subject: Token | None
    mood: Mood
    tense: Tense
    phase: Phase
    negated: bool
    ended: bool
    """It says that this was so before: "no longer", "anymore"."""
    passive: bool
    progressive: bool
    elliptic: bool
    """The subject is left out; by usage it is the speaker."""
    children: tuple[Token, ...]
    words: frozenset[str]
    """Lower-case adverbs, particles and the like on the verb and its auxiliaries."""
    times: list[TimeMention] = field(default_factory=list)

    def first(self, *labels: str) -> Token | None:
        return next((child for child in self.children if child.dep_ in labels), None)

    def after(self, *prepositions: str) -> Token | None:
        """The object of one of these prepositions on the verb."""
        return next(iter(self.all_after(*prepositions)), None)

    def all_after(self, *prepositions: str) -> Iterator[Token]:
        for child in self.children:
            if child.dep_ in ("prep", "dative", "agent", "prt") and child.lower_ in prepositions:
                yield from (c for c in child.children if c.dep_ in ("pobj", "pcomp"))

    @property
    def object(self) -> Token | None:
        return self.first("dobj")

    @property
    def states(self) -> bool:
        return self.mood in (Mood.FACT, Mood.REPORT)
