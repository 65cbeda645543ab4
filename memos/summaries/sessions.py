"""Summaries of sessions, and of the segments that they fall into by topic.

Sessions of the same name that belong to different users are summarised apart, so that no text is
made of two users' words. What the turns of a summary were is kept as a digest: it is made anew when
they are others, and not before. It goes when one of its sources is forgotten.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from memos.errors import ExtractionFailed
from memos.protocols import Clock, Covered, NewId, Stores
from memos.retrieval.projection.projection import Projections
from memos.summaries.passages import Passages, passages
from memos.summaries.writing import ExtractiveWriter, SummaryWriter
from memos.tiers.segments import boundaries
from memos.types import LIVE, Cube, Memory, NewEvent, Summary, SummaryKind

MADE = "summary.make"
"""The kind of event that tells of summaries."""
KINDS = (SummaryKind.SESSION, SummaryKind.SEGMENT)
_PAGE = 1000
_PART = 8
"""Sessions whose summaries are stored in one transaction."""
_FEWEST = 3
"""What has fewer turns is its own summary."""

Beat = Callable[[float], object]


@dataclass(frozen=True, slots=True)
class Part:
    """Turns that a summary is to be made of; `covers` is their digest."""

    kind: SummaryKind
    session_id: str
    turns: Passages
    covers: str


class SessionSummaries:
    """`writer` None: they quote."""

    def __init__(
        self,
        stores: Stores,
        projections: Projections,
        *,
        clock: Clock,
        new_id: NewId,
        writer: SummaryWriter | None = None,
    ) -> None:
        self._stores = stores
        self._projections = projections
        self._clock = clock
        self._new_id = new_id
        self.writer: SummaryWriter = writer or ExtractiveWriter()

    def due(self, cube: Cube) -> list[str]:
        """Sessions whose turns are not those that their summary tells of, in order of names; by
        one look at each memory and each summary."""
        digests: dict[str, dict[str | None, list[str]]] = defaultdict(lambda: defaultdict(list))
        for memory in self._turns(cube, None):
            if memory.session_id is not None:
                digests[memory.session_id][memory.user_id].append(_mark(memory))
        covered = self._stores.summaries.covered(cube.id, [SummaryKind.SESSION])
        known = {key: found for (_, key), found in covered.items()}
        found = []
        for session_id in digests.keys() | known.keys():
            wanted = {
                _digest(self.writer.method, marks)
                for marks in digests[session_id].values()
                if len(marks) >= _FEWEST
            }
            has = known.get(session_id, Covered())
            if wanted - has.either or has.present - wanted:
                found.append(session_id)
        return sorted(found)

    def missing(self, cube: Cube, session_ids: Sequence[str]) -> Iterator[Part]:
        """What has to be summarised of these sessions, and says enough for it."""
        covered = self._stores.summaries.covered(cube.id, KINDS)
        for session_id in session_ids:
            for part in self._parts(cube, session_id):
                has = covered.get((part.kind, session_id), Covered())
                if part.covers not in has.either and ExtractiveWriter().write(part.turns):
                    yield part

    def make(
        self,
        cube: Cube,
        session_ids: Sequence[str] | None = None,
        *,
        run_id: str | None = None,
        beat: Beat = lambda progress: None,
    ) -> int:
        """Makes the summaries of these sessions anew, or of all, where their turns have changed.
        Answers how many of sessions are stored now for them.

        A session whose summary can't be written does not hold up the others; the last failure is
        raised at the end."""
        sessions = self._all(cube) if session_ids is None else session_ids
        made, failures = 0, list[ExtractionFailed]()
        for start in range(0, len(sessions), _PART):
            part = sessions[start : start + _PART]
            made += self._renew(cube, part, run_id, failures)
            beat(start / len(sessions))
        if failures:
            raise failures[-1]
        return made

    def _all(self, cube: Cube) -> list[str]:
        """Sessions of live memories, and those that have a summary, in order of their names."""
        with self._projections.fresh(cube.id) as projection:
            factor = projection.columns.texts["session_id"]
            size = projection.columns.size
            codes = set(factor.codes[:size][projection.columns.live[:size]].tolist())
            found = {factor.values[code] for code in codes if code}
        return sorted(found | {key for _, key in self._stores.summaries.covered(cube.id, KINDS)})

    def _renew(
        self,
        cube: Cube,
        session_ids: Sequence[str],
        run_id: str | None,
        failures: list[ExtractionFailed],
    ) -> int:
        """How many summaries these sessions as a whole have now, but for those that failed."""
        new: dict[SummaryKind, list[Summary]] = {kind: [] for kind in KINDS}
        told: dict[SummaryKind, dict[str, NewEvent]] = {kind: {} for kind in KINDS}
        for session_id in session_ids:
            parts = list(self._parts(cube, session_id))
            try:
                texts = {kind: self._texts(cube, session_id, kind, parts) for kind in KINDS}
            except ExtractionFailed as error:
                failures.append(error)
                continue
            for kind in KINDS:
                new[kind] += texts[kind]
                told[kind][session_id] = _event(cube, parts, kind, self.writer.method, run_id)
        for kind in KINDS:
            if told[kind]:
                self._stores.summaries.replace(
                    cube.id, kind, new[kind], keys=list(told[kind]), told=told[kind]
                )
        return len(new[SummaryKind.SESSION])

    def _texts(
        self, cube: Cube, session_id: str, kind: SummaryKind, parts: Sequence[Part]
    ) -> list[Summary]:
        wanted = [part for part in parts if part.kind is kind]
        former = self._stores.summaries.former(cube.id, kind, session_id)
        found = [self._text(cube, part, former) for part in wanted]
        return [summary for summary in found if summary is not None]

    def _text(
        self, cube: Cube, part: Part, former: Sequence[tuple[Summary, bool]]
    ) -> Summary | None:
        """The summary of a part: the one there was of the same turns, if there was; none, if that
        was taken back."""
        for old, undone in reversed(former):
            if old.covers == part.covers:
                return None if undone else replace(old, id=self._new_id())
        written = self.writer.write(part.turns)
        if written is None:
            return None
        return Summary(
            id=self._new_id(),
            cube_id=cube.id,
            kind=part.kind,
            key=part.session_id,
            text=written.text,
            memory_ids=tuple(memory.id for memory in written.memories),
            entity_ids=(),
            method=self.writer.method,
            created_at=self._clock(),
            covers=part.covers,
        )

    def _parts(self, cube: Cube, session_id: str) -> Iterator[Part]:
        """The session as a whole, and its segments if there are several, by user."""
        users: dict[str | None, list[Memory]] = {}
        for memory in self._turns(cube, session_id):
            users.setdefault(memory.user_id, []).append(memory)
        for user in sorted(users, key=lambda name: name or ""):
            whole = passages(self._projections, cube.id, users[user])
            if len(users[user]) < _FEWEST:
                continue
            yield self._part(SummaryKind.SESSION, session_id, whole, users[user])
            if len(whole.memories) < len(users[user]):
                continue  # some have no vector yet, and segments are cut by vectors
            starts = boundaries(whole.vectors)
            for start, end in zip(starts, [*starts[1:], len(whole.memories)], strict=True):
                cut = whole.between(start, end)
                if len(starts) > 1 and end - start >= _FEWEST:
                    yield self._part(SummaryKind.SEGMENT, session_id, cut, cut.memories)

    def _part(
        self, kind: SummaryKind, session_id: str, turns: Passages, told: Sequence[Memory]
    ) -> Part:
        # A summary without those that have no vector yet is made anew when they have.
        method = self.writer.method if len(turns.memories) == len(told) else "in part"
        return Part(kind, session_id, turns, _digest(method, map(_mark, told)))

    def _turns(self, cube: Cube, session_id: str | None) -> Iterator[Memory]:
        after, now = 0, self._clock()
        while rows := self._stores.memories.page(
            cube.id, after=after, limit=_PAGE, states=LIVE, session_id=session_id
        ):
            after = rows[-1].position
            yield from (m for m in rows if m.expires_at is None or m.expires_at > now)


def _mark(memory: Memory) -> str:
    return f"{memory.id} {memory.version}"


def _digest(method: str, marks: Iterable[str]) -> str:
    return hashlib.sha256("\n".join([method, *marks]).encode()).hexdigest()[:32]


def _event(
    cube: Cube, parts: Sequence[Part], kind: SummaryKind, method: str, run_id: str | None
) -> NewEvent:
    turns = [len(part.turns.memories) for part in parts if part.kind is kind]
    return NewEvent(
        kind=MADE,
        subjects=() if run_id is None else (run_id,),
        reason="the turns were not those that a summary told of",
        numbers={"kind": kind.value, "turns": sum(turns), "parts": len(turns), "method": method},
        cube_id=cube.id,
    )
