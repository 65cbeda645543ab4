"""The temporal cases: small dialogues, what must be true when, and what must end what.

Each case of memos/data/temporal_cases.json goes turn by turn through a service in this process, on
a real database, with the configured extractor, and is then asked by the public verbs. A third of
the cases (`held_out`) was not looked at while the rules were written. Knows nothing of how facts
are read or derived.

A case has `turns` [speaker, time, text] and `steps`, each of one kind; facts are [subject,
predicate, object]:

    {"as_of", "known_as_of"?, "true"?, "false"?}   facts true or not true then
    {"known": fact}                                it was found at all
    {"kept": fact}                                 it is true and open
    {"closed": fact, "by": n}                      turn n ended it, or took it back
    {"from": fact, "at", "granularity"}            when it became true
    {"until": fact, "at"}                          when it ended
    {"forget": n}, {"keep_open": fact}             done now; later steps hold after it
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import memos
from memos.errors import ExtractionFailed, InvalidInput, JobFailed
from memos.graph.resolving.names import normal
from memos.types import Extraction, Fact, JobState, Memory, Message

if TYPE_CHECKING:
    from memos.protocols import Extractor
    from memos.service import MemoryOS, Service

CASES = Path(memos.__file__).parent / "data" / "temporal_cases.json"
_LIMIT = 200
START = datetime(2030, 1, 1, tzinfo=timezone.utc)

Triple = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Case:
    id: str
    category: str
    held_out: bool
    zone: tzinfo
    turns: tuple[tuple[str, datetime, str], ...]
    steps: tuple[dict[str, Any], ...]


@dataclass(slots=True)
class Outcome:
    """What came of one case. Triples are folded; numbers are of turns, from 1."""

    case: Case
    expected: set[tuple[Triple, int]] = field(default_factory=set)
    closings: set[tuple[Triple, int]] = field(default_factory=set)
    wanted: set[Triple] = field(default_factory=set)
    extracted: set[Triple] = field(default_factory=set)
    asked: int = 0
    wrong: list[str] = field(default_factory=list)
    """Answers that are not as they must be, of facts that were extracted."""


def read(path: Path = CASES) -> list[Case]:
    """InvalidInput for a file that is not of this form."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return [
            Case(
                id=raw["id"],
                category=raw["category"],
                held_out=raw["held_out"],
                zone=ZoneInfo(raw.get("zone", "UTC")),
                turns=tuple((who, time(at), text) for who, at, text in raw["turns"]),
                steps=tuple(raw["steps"]),
            )
            for raw in data
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{path} holds no temporal cases: {error}") from error


def time(text: str) -> datetime:
    """An RFC 3339 time as the cases write it. Python 3.10 knows no Z."""
    return datetime.fromisoformat(text.removesuffix("Z") + "+00:00")


def folded(triple: Sequence[str]) -> Triple:
    subject, predicate, thing = triple
    return normal(subject), predicate, normal(thing)


def triple_of(fact: Fact) -> Triple:
    thing = fact.object.name if fact.object is not None else fact.value or ""
    return normal(fact.subject.name), fact.predicate, normal(thing)


class Clock:
    """System time of the measured service: it goes on by an hour with each turn."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


class ZonedExtractor:
    """An extractor whose speakers' zone changes from case to case."""

    def __init__(self, make: Callable[[tzinfo], Extractor]) -> None:
        self._make = make
        self._now = make(timezone.utc)

    def move(self, zone: tzinfo) -> None:
        self._now = self._make(zone)

    @property
    def name(self) -> str:
        return self._now.name

    def extract(
        self, memories: Sequence[Memory], *, before: Sequence[Memory] = ()
    ) -> list[Extraction | ExtractionFailed]:
        return self._now.extract(memories, before=before)


def rules(zone: tzinfo) -> Extractor:
    from memos.extraction.rules import RulesExtractor

    return RulesExtractor(zone=zone)


def run(
    cases: Iterable[Case], folder: Path, *, make: Callable[[tzinfo], Extractor] = rules
) -> Iterator[Outcome]:
    """Measures the cases one by one in a service whose data lie in `folder`."""
    from memos.assembly import build
    from memos.config import load
    from memos.testing import HashEmbedder

    clock, extractor = Clock(), ZonedExtractor(make)
    settings = load(data_dir=folder, notes=False)
    service = build(settings, embedder=HashEmbedder(), extractor=extractor, clock=clock)
    try:
        for number, case in enumerate(cases):
            extractor.move(case.zone)
            yield _Course(case, service, clock, f"case-{number}").run()
    finally:
        service.close()


def _self_ended(fact: Fact) -> bool:
    """ "I used to live in Rome" ends what was said of Rome, and belongs to it."""
    return fact.invalid_at is not None and fact.closed_by is None


class _Course:
    """One case under way, in a cube of its own."""

    def __init__(self, case: Case, service: Service, clock: Clock, cube: str) -> None:
        self._case = case
        self._service = service
        self._view: MemoryOS = service.tenant()
        self._clock = clock
        self._cube = cube
        self._memories: list[str] = []
        self._told: list[datetime] = []
        self._outcome = Outcome(case)

    def run(self) -> Outcome:
        self._view.create_cube(self._cube)
        former: dict[Triple, Fact] = {}
        for number, turn in enumerate(self._case.turns, 1):
            self._add(*turn)
            present = {triple_of(fact): fact for fact in self._facts() if not fact.negated}
            self._outcome.extracted |= present.keys()
            taken_back = former.keys() - present.keys()
            self._outcome.closings |= {(triple, number) for triple in taken_back}
            ended = {
                triple
                for triple, fact in present.items()
                if _self_ended(fact) and triple in former and former[triple].invalid_at is None
            }
            self._outcome.closings |= {(triple, number) for triple in ended}
            former = present
        self._outcome.closings |= set(self._closed())
        for step in self._case.steps:
            self._take(step)
        return self._outcome

    def _add(self, speaker: str, at: datetime, text: str) -> None:
        added = self._view.add(
            [Message(content=text, speaker=speaker, at=at)], session_id="talk", cube=self._cube
        )
        self._memories += [memory.id for memory in added.memories]
        self._settle()
        self._told.append(self._clock.now)

    def _settle(self) -> None:
        """An hour passes, with all that is to be done in it."""
        self._clock.now += timedelta(hours=1)
        self._service.worker.drain()
        bad = self._view.jobs(states=(JobState.FAILED, JobState.DEAD), limit=1).items
        if bad:
            raise JobFailed(f"{self._case.id}: the job {bad[0].kind} failed: {bad[0].error}")

    def _facts(
        self, *, as_of: datetime | None = None, known_as_of: datetime | None = None
    ) -> list[Fact]:
        page = self._view.facts(cube=self._cube, as_of=as_of, known_as_of=known_as_of, limit=_LIMIT)
        return list(page.items)

    def _closed(self) -> Iterator[tuple[Triple, int]]:
        """Facts that another one ended, with the turn that says so."""
        facts = self._facts()
        turns = {
            fact.id: min(self._memories.index(source.memory_id) + 1 for source in fact.sources)
            for fact in facts
        }
        for fact in facts:
            if fact.closed_by is not None and not fact.negated:
                yield triple_of(fact), turns[fact.closed_by]

    def _take(self, step: dict[str, Any]) -> None:
        if "forget" in step:
            self._view.forget(self._memories[step["forget"] - 1], cube=self._cube)
            self._settle()
        elif "keep_open" in step:
            wanted = folded(step["keep_open"])
            for fact in self._facts():
                if triple_of(fact) == wanted and fact.closed_by is not None:
                    self._view.keep_open(fact.id, cube=self._cube)
        elif "as_of" in step:
            self._as_of(step)
        elif "closed" in step:
            wanted = folded(step["closed"])
            self._outcome.wanted.add(wanted)
            self._outcome.expected.add((wanted, step["by"]))
        else:
            self._one(step)

    def _as_of(self, step: dict[str, Any]) -> None:
        known = self._known(step.get("known_as_of"))
        facts = self._facts(as_of=time(step["as_of"]), known_as_of=known)
        true = {triple_of(fact) for fact in facts if not fact.negated}
        for raw in step.get("true", ()):
            wanted = folded(raw)
            self._check(wanted, wanted in true, f"is not true as of {step['as_of']}")
        for raw in step.get("false", ()):
            self._outcome.asked += 1
            if folded(raw) in true:
                self._outcome.wrong.append(f"{raw} is true as of {step['as_of']}")

    def _known(self, text: str | None) -> datetime | None:
        """The service's time at which it had been told what was said up to `text`."""
        if text is None:
            return None
        turns = zip(self._case.turns, self._told, strict=True)
        heard = [told for (_, said_at, _), told in turns if said_at <= time(text)]
        return heard[-1] if heard else START

    def _one(self, step: dict[str, Any]) -> None:
        (kind,) = step.keys() & {"known", "kept", "from", "until"}
        wanted = folded(step[kind])
        facts = [f for f in self._facts() if triple_of(f) == wanted and not f.negated]
        if kind == "known":
            self._check(wanted, bool(facts), "is not found")
        elif kind == "kept":
            self._check(wanted, any(f.invalid_at is None for f in facts), "is not open")
        elif kind == "from":
            at, grain = time(step["at"]), step["granularity"]
            found = [(f.valid_at, f.granularity and f.granularity.value) for f in facts]
            self._check(wanted, (at, grain) in found, f"began {found}, not {at} ({grain})")
        else:
            ends = [f.invalid_at for f in facts]
            at = time(step["at"])
            close = any(e is not None and abs(e - at) < timedelta(days=1) for e in ends)
            self._check(wanted, close, f"ended {ends}, not {at}")

    def _check(self, wanted: Triple, right: bool, problem: str) -> None:
        """Counts only what was extracted; what was not is counted by itself."""
        self._outcome.wanted.add(wanted)
        if wanted not in self._outcome.extracted:
            return
        self._outcome.asked += 1
        if not right:
            self._outcome.wrong.append(f"{wanted} {problem}")


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Supersession precision and recall, how much was extracted, and how exact the answers are."""
    expected = sum(len(o.expected) for o in outcomes)
    found = sum(len(o.closings) for o in outcomes)
    right = sum(len(o.expected & o.closings) for o in outcomes)
    wanted = sum(len(o.wanted) for o in outcomes)
    got = sum(len(o.wanted & o.extracted) for o in outcomes)
    asked = sum(o.asked for o in outcomes)
    wrong = sum(len(o.wrong) for o in outcomes)
    return {
        "cases": len(outcomes),
        "supersessions": {"expected": expected, "found": found, "right": right},
        "precision": _share(right, found),
        "recall": _share(right, expected),
        "extraction_recall": _share(got, wanted),
        "answers": asked,
        "answers_exact": _share(asked - wrong, asked),
        "cases_right": sum(
            not o.wrong and o.expected == o.closings and o.wanted <= o.extracted for o in outcomes
        ),
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def problems(outcome: Outcome) -> list[str]:
    """What is not as it must be, in words."""
    lost = [f"not found: {t}" for t in sorted(outcome.wanted - outcome.extracted)]
    open_ = [f"not closed: {t} by turn {n}" for t, n in sorted(outcome.expected - outcome.closings)]
    shut = [f"closed: {t} by turn {n}" for t, n in sorted(outcome.closings - outcome.expected)]
    return [*lost, *open_, *shut, *outcome.wrong]
