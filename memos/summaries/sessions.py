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
from memos.retrieval.projection import Projections
from memos.summaries.passages import Passages, passages
from memos.summaries.writing import ExtractiveWriter, SummaryWriter
from memos.tiers.segments import boundaries
from memos.types import LIVE, Cube, Memory, NewEvent, Summary, SummaryKind

MADE = "summary.make"
"""The kind of event that tells of summaries."""
KINDS = (SummaryKind.SESSION, SummaryKind.SEGMENT)
_PAGE = 1000
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
        made, failure = 0, None
        for done, session_id in enumerate(sessions):
            try:
                made += self._renew(cube, session_id, run_id)
            except ExtractionFailed as error:
                failure = error
            beat(done / len(sessions))
        if failure is not None:
            raise failure
        return made

    def _all(self, cube: Cube) -> list[str]:
        """Sessions of live memories, and those that have a summary, in order of their names."""
        with self._projections.fresh(cube.id) as projection:
            factor = projection.columns.texts["session_id"]
            size = projection.columns.size
            codes = set(factor.codes[:size][projection.columns.live[:size]].tolist())
            found = {factor.values[code] for code in codes if code}
        return sorted(found | {key for _, key in self._stores.summaries.covered(cube.id, KINDS)})

    def _renew(self, cube: Cube, session_id: str, run_id: str | None) -> int:
        """How many summaries the session as a whole has now."""
        parts = list(self._parts(cube, session_id))
        stored = 0
        for kind in KINDS:
            former = self._stores.summaries.former(cube.id, kind, session_id)
            wanted = [part for part in parts if part.kind is kind]
            texts = [
                text for part in wanted if (text := self._text(cube, part, former)) is not None
            ]
            told = _event(cube, session_id, wanted, self.writer.method, run_id)
            self._stores.summaries.replace(cube.id, kind, texts, keys=[session_id], told=told)
            stored += len(texts) if kind is SummaryKind.SESSION else 0
        return stored

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
    cube: Cube, session_id: str, parts: Sequence[Part], method: str, run_id: str | None
) -> NewEvent:
    turns = sum(len(part.turns.memories) for part in parts)
    return NewEvent(
        kind=MADE,
        subjects=() if run_id is None else (run_id,),
        reason="its turns were not those that a summary told of",
        numbers={"session": session_id, "turns": turns, "parts": len(parts), "method": method},
        cube_id=cube.id,
    )
