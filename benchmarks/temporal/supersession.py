"""Which facts of real conversations were ended by which statements, against labels made by hand.

Each conversation in LoCoMo's format goes into a cube of its own, is read by the rule extractor, and
every fact that another statement ended is listed by the ids of the turns. The labels
(data/supersession_labels.json) name turns, predicates and verdicts, and no text, so that they can
be shared where the conversations can't. Knows nothing of how facts are read or derived.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memos.benchmarks.texts import locomo_data
from memos.errors import InvalidInput, JobFailed
from memos.graph.resolving.names import normal
from memos.types import Fact, JobState

if TYPE_CHECKING:
    from memos.service import MemoryOS, Service

LABELS = Path(__file__).parents[1] / "data" / "supersession_labels.json"
_SURE = 0.3
VERDICTS = ("related", "unrelated")


@dataclass(frozen=True, slots=True, order=True)
class Closing:
    """A statement of turn `closing` ended what turn `closed` had said of the same predicate."""

    conversation: str
    closed: str
    closing: str
    predicate: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A closing as it reads, to be judged."""

    closing: Closing
    subject: str
    before: str
    after: str
    rule: str | None
    confidence: float
    candidate: bool = False
    """The derivation did not do it, only nearly: see `candidates`."""


@dataclass(frozen=True, slots=True)
class Read:
    """What came of the conversations."""

    shown: list[Shown]
    facts: int
    turns: int


def labels(path: Path = LABELS) -> dict[Closing, str]:
    """By closing. InvalidInput for a file that is not of this form, or a verdict that is none."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        found = {
            Closing(row["conversation"], row["closed"], row["closing"], row["predicate"]): str(
                row["label"]
            )
            for row in rows
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{path} holds no labels of supersessions: {error}") from error
    if wrong := set(found.values()) - set(VERDICTS):
        raise InvalidInput(f"{path} has the label {wrong.pop()!r}; there are {', '.join(VERDICTS)}")
    return found


def read(data: Path, folder: Path, *, limit: int | None = None) -> Read:
    """Reads the conversations of `data` in a service whose data lie in `folder`."""
    from memos.assembly import build
    from memos.config import load
    from memos.testing import HashEmbedder

    clock = _Clock()
    settings = load(data_dir=folder, notes=False, extraction="rules")
    service = build(settings, embedder=HashEmbedder(), clock=clock)
    shown: list[Shown] = []
    facts = turns = 0
    try:
        for conversation in locomo_data.read(data, limit=limit).conversations:
            found = _Conversation(conversation, service, clock).facts()
            shown += found.shown
            facts += found.facts
            turns += found.turns
    finally:
        service.close()
    return Read(shown=sorted(shown, key=lambda one: one.closing), facts=facts, turns=turns)


class _Clock:
    def __init__(self) -> None:
        self.now = datetime(2030, 1, 1, tzinfo=timezone.utc)

    def __call__(self) -> datetime:
        return self.now


class _Conversation:
    """One conversation in a cube of its own."""

    def __init__(
        self, conversation: locomo_data.Conversation, service: Service, clock: _Clock
    ) -> None:
        self._conversation = conversation
        self._service = service
        self._view: MemoryOS = service.tenant()
        self._clock = clock
        self._cube = conversation.id.lower()
        self._turn_of: dict[str, str] = {}
        self._place: dict[str, int] = {}

    def facts(self) -> Read:
        self._view.create_cube(self._cube)
        turns = [turn.as_memory() for turn in self._conversation.turns]
        for start in range(0, len(turns), 200):
            part = turns[start : start + 200]
            added = self._view.add_batch(part, cube=self._cube)
            ids = [id for progress in added for id in progress.ids]
            for id, turn in zip(ids, part, strict=True):
                self._turn_of[id] = turn.provenance.external_id or ""
                self._place[id] = len(self._place)
        self._settle()
        facts = list(self._all())
        return Read(
            shown=[*self._closings(facts), *self._candidates(facts)],
            facts=len(facts),
            turns=len(turns),
        )

    def _settle(self) -> None:
        for _ in range(20):
            self._clock.now += timedelta(hours=1)
            if not self._service.worker.drain():
                break
        bad = self._view.jobs(states=(JobState.FAILED, JobState.DEAD), limit=1).items
        if bad:
            raise JobFailed(f"the job {bad[0].kind} failed: {bad[0].error}")

    def _all(self) -> Iterator[Fact]:
        cursor = None
        while True:
            page = self._view.facts(cube=self._cube, limit=500, cursor=cursor)
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def _turns(self, fact: Fact) -> list[tuple[int, str]]:
        """(place in the conversation, id) of the turns that say it."""
        return sorted((self._place[s.memory_id], self._turn_of[s.memory_id]) for s in fact.sources)

    def _closings(self, facts: Sequence[Fact]) -> Iterator[Shown]:
        by_id = {fact.id: fact for fact in facts}
        for fact in facts:
            if fact.closed_by is not None:
                yield self._shown(fact, by_id[fact.closed_by], candidate=False)

    def _shown(self, fact: Fact, closer: Fact, *, candidate: bool) -> Shown:
        return Shown(
            closing=Closing(
                conversation=self._conversation.id,
                closed=self._turns(fact)[0][1],
                closing=self._turns(closer)[0][1],
                predicate=fact.predicate,
            ),
            subject=fact.subject.name,
            before=_words(fact),
            after=_words(closer),
            rule=fact.rule,
            confidence=min(fact.confidence, closer.confidence),
            candidate=candidate,
        )

    def _candidates(self, facts: Sequence[Fact]) -> Iterator[Shown]:
        """What a rule that asks for less would have ended: a fact by the next statement of its
        subject that differs in the object alone, as if one thing could be true at a time, and by
        the next one that is about the same thing (shares a word of its object) in another
        predicate."""
        said = sorted(
            (f for f in facts if f.predicate != "showed" and f.confidence >= _SURE),
            key=lambda f: (self._turns(f)[0], f.id),
        )
        for fact in (f for f in said if not f.negated):
            first = self._turns(fact)[0]
            later = [f for f in said if f.subject == fact.subject and self._turns(f)[0] > first]
            other = next((f for f in later if f.predicate == fact.predicate), None)
            about = next(
                (f for f in later if f.predicate != fact.predicate and _topic(f) & _topic(fact)),
                None,
            )
            for closer in (other, about):
                if closer is not None and closer.id != fact.closed_by:
                    yield self._shown(fact, closer, candidate=True)


_COMMON = frozenset(
    [
        "a",
        "an",
        "the",
        "my",
        "our",
        "some",
        "any",
        "new",
        "more",
        "lot",
        "lots",
        "of",
        "to",
        "in",
        "on",
        "at",
        "with",
        "for",
        "from",
        "and",
        "or",
        "up",
        "out",
        "it",
        "that",
        "this",
        "them",
        "you",
        "me",
        "be",
        "is",
        "get",
        "make",
        "go",
        "do",
        "have",
    ]
)


def _topic(fact: Fact) -> frozenset[str]:
    """Words of the object, in their stems."""
    thing = fact.object.name if fact.object is not None else fact.value or ""
    return frozenset(word.rstrip("s") for word in normal(thing).split() if word not in _COMMON)


def _words(fact: Fact) -> str:
    thing = fact.object.name if fact.object is not None else fact.value or "anything"
    return ("not " if fact.negated else "") + thing


def judged(shown: Sequence[Shown], labels: dict[Closing, str]) -> dict[str, int]:
    """Closings and candidates that were found, how many of both are labelled, and of those labelled
    unrelated how many the derivation retired all the same."""
    ended = [one for one in shown if not one.candidate]
    open_ = [one for one in shown if one.candidate]
    return {
        "closings": len(ended),
        "candidates": len(open_),
        "labelled": sum(one.closing in labels for one in shown),
        "unlabelled_closings": sum(one.closing not in labels for one in ended),
        "related": sum(labels.get(one.closing) == "related" for one in shown),
        "retired_related": sum(labels.get(one.closing) == "related" for one in ended),
        "retired_unrelated": sum(labels.get(one.closing) == "unrelated" for one in ended),
    }


def as_row(one: Shown, labels: dict[Closing, str]) -> dict[str, Any]:
    """Without what the turns say: ids and the predicate alone."""
    return {
        **asdict(one.closing),
        "retired": not one.candidate,
        "rule": one.rule,
        "confidence": one.confidence,
        "label": labels.get(one.closing),
    }
