"""How facts follow from what was said: what the store asks the core for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from memos.types import (
    Assertion,
    Granularity,
    PredicateType,
    Ruling,
)


@dataclass(frozen=True, slots=True)
class Stretch:
    """One fact as derived from the assertions of its group: the ids of those that support it, from
    when until when it was true, and the id of the assertion that closed it, with the rule."""

    assertions: tuple[str, ...]
    valid_at: datetime | None
    granularity: Granularity | None
    invalid_at: datetime | None
    invalid_granularity: Granularity | None
    closed_by: str | None
    rule: str | None
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A fact as it stands, of which later assertions may be: `invalid_at` is an end that was
    stated, None if it goes on. `assertions` are all that it rests on, unless it is certain or
    nothing new may say the same."""

    fact_id: str
    object_id: str | None
    value: str | None
    negated: bool
    valid_at: datetime | None
    granularity: Granularity | None
    invalid_at: datetime | None
    invalid_granularity: Granularity | None
    rule: str | None
    confidence: float
    assertions: tuple[Assertion, ...]


class Derivation(Protocol):
    """How assertions become facts: a pure function of them, whatever their order."""

    @property
    def version(self) -> str:
        """Changes whenever the same assertions would become other facts; stored beside the facts,
        so that those of former rules are found and derived anew."""
        ...

    def folded(self, value: str) -> str:
        """The form in which values are compared; folding twice is folding once. Two values that
        `derive` takes for the same must fold to the same."""
        ...

    def predicate(self, name: str) -> PredicateType:
        """Of the built-in vocabulary; a name it does not know is a multi-valued state."""
        ...

    def derive(
        self,
        predicate: PredicateType,
        assertions: Sequence[Assertion],
        rulings: Sequence[Ruling],
    ) -> tuple[Stretch, ...]:
        """The facts of all active assertions of one subject and predicate. For a multi-valued one
        those of one object are given alone where none of the others names no object or corrects:
        what they amount to must be the same as among the others. An assertion in no stretch was
        annulled, and none is in two. The first assertion of a stretch gives the fact its object,
        value, numbers, place and negation.

        `rulings` are the unrevoked `keep_open`s of the cube that name one of the assertions: the
        assertions of a ruling that closes a fact do not close one that rests on another of them."""
        ...

    def plain(self, predicate: PredicateType, assertion: Assertion) -> bool:
        """Whether `extend` can take the assertion: it begins or supports a fact at a time of its
        own, and says nothing of others but by beginning."""
        ...

    def extend(
        self,
        predicate: PredicateType,
        standing: Sequence[Standing],
        assertions: Sequence[Assertion],
    ) -> tuple[tuple[Standing | None, Stretch], ...]:
        """What `derive` would change if it were given these plain assertions too: each fact that
        is another then, or None for a new one, and as what. Of a standing one the stretch names
        the new assertions only.

        All assertions so far were stated before any of these, and those of a state, but events,
        are of times before all of these; no ruling names any. `standing` are the facts of the
        subject and predicate that go on after the first of these, of an event those of its time.
        For a multi-valued predicate those of other objects are left out."""
        ...
