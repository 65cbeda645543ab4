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
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memos.benchmarks import locomo_data
from memos.errors import InvalidInput, JobFailed
from memos.types import Fact, JobState

if TYPE_CHECKING:
    from memos.service import MemoryOS, Service

LABELS = Path(__file__).parent / "data" / "supersession_labels.json"
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

    def facts(self) -> Read:
        self._view.create_cube(self._cube)
        turns = [turn.as_memory() for turn in self._conversation.turns]
        for start in range(0, len(turns), 200):
            part = turns[start : start + 200]
            added = self._view.add_batch(part, cube=self._cube)
            ids = [id for progress in added for id in progress.ids]
            for id, turn in zip(ids, part, strict=True):
                self._turn_of[id] = turn.provenance.external_id or ""
        self._settle()
        facts = list(self._all())
        return Read(
            shown=[*self._closings(facts), *self._candidates(facts)],
            facts=len(facts),
            turns=len(turns),
        )

    def _settle(self) -> None:
        from datetime import timedelta

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

    def _turns(self, fact: Fact) -> list[tuple[datetime, str]]:
        return sorted((s.stated_at, self._turn_of[s.memory_id]) for s in fact.sources)

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
        """Placeholder."""
        yield from ()


def _words(fact: Fact) -> str:
    thing = fact.object.name if fact.object is not None else fact.value or "anything"
    return ("not " if fact.negated else "") + thing


def retired_unrelated(shown: Sequence[Shown], judged: dict[Closing, str]) -> dict[str, Any]:
    """How many of the closings are labelled, and how many of these ended something unrelated."""
    found = [judged.get(one.closing) for one in shown if not one.candidate]
    return {
        "closings": len(found),
        "labelled": sum(label is not None for label in found),
        "unrelated": sum(label == "unrelated" for label in found),
    }


def as_row(one: Shown) -> dict[str, Any]:
    """Without what the turns say: ids and the predicate alone."""
    return {**asdict(one.closing), "rule": one.rule, "confidence": one.confidence}
