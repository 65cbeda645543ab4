"""Which jobs read facts, notes and summaries out of memories, and when they are due.

    extract      reads what has not been read of a cube
    extract_one  tries again to read one memory that could not be read
    notes        gives notes to memories that were read
    summarise    makes the summaries of a cube's sessions and communities anew

A burst of writes makes one job of each kind per cube. What the jobs do is not known here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta

from memos.config import Settings
from memos.protocols import ChangeFeed, Clock
from memos.types import Cube, Memory, NewJob

EXTRACT, EXTRACT_ONE, NOTES, SUMMARISE = "extract", "extract_one", "notes", "summarise"

PATIENT = frozenset({EXTRACT, EXTRACT_ONE, NOTES, SUMMARISE})
"""Jobs that may take long and that nobody waits for."""

_GATHER = timedelta(seconds=1)
_SETTLE = timedelta(seconds=10)
"""Summaries look at whole sessions, so they wait for a lull."""
_PER_CHANGE = timedelta(milliseconds=10)
"""Communities are of the whole graph: the larger it is, the more news they wait for."""
_LONGEST = timedelta(hours=1)


class Enriching:
    """Makes the jobs; none at all if nothing is read out of memories."""

    def __init__(self, settings: Settings, feed: ChangeFeed, *, clock: Clock) -> None:
        self._settings = settings
        self._feed = feed
        self._clock = clock
        self._on = settings.extraction != "none"

    def after_write(self, cube: Cube) -> list[NewJob]:
        """After memories were added, changed or brought back."""
        return [self.extract(cube, after=_GATHER)] if self._on else []

    def after_forgetting(self, cube: Cube, memory: Memory) -> list[NewJob]:
        """What a forgotten memory changed in notes is taken back, and the summaries that went with
        it are made anew."""
        if not self._on:
            return []
        jobs = self.summaries(cube, [memory])
        if self._settings.notes:
            jobs.append(self._job(cube, NOTES, {"forgotten": memory.id}))
        return jobs

    def extract(
        self, cube: Cube, *, again: bool = False, after: timedelta = timedelta(0)
    ) -> NewJob:
        key = f"extract:{cube.id}"
        return self._job(
            cube, EXTRACT, {"again": again}, key=f"{key}:again" if again else key, after=after
        )

    def extract_one(self, cube: Cube, memory: Memory) -> NewJob:
        return self._job(
            cube,
            EXTRACT_ONE,
            {"memory_id": memory.id, "version": memory.version},
            key=f"extract_one:{memory.id}:{memory.version}",
            after=_GATHER,
        )

    def after_reading(self, cube: Cube, memories: Sequence[Memory]) -> list[NewJob]:
        """What is made of facts: notes, summaries."""
        if not self._on or not memories:
            return []
        return [*self.notes(cube, memories), *self.summaries(cube, memories)]

    def notes(self, cube: Cube, memories: Sequence[Memory]) -> list[NewJob]:
        """None if notes are switched off."""
        if not self._settings.notes or not memories:
            return []
        ids = [memory.id for memory in memories]
        return [self._job(cube, NOTES, {"memory_ids": ids}, after=_GATHER)]

    def notes_again(self, cube: Cube, ids: Sequence[str], round: int) -> NewJob:
        """For memories that could not have a note yet; later each time."""
        return self._job(
            cube, NOTES, {"memory_ids": list(ids), "round": round}, after=_GATHER * 2**round
        )

    def summaries(self, cube: Cube, memories: Sequence[Memory]) -> list[NewJob]:
        """After memories were read or forgotten: of their sessions soon, of communities later."""
        sessions = sorted({m.session_id for m in memories if m.session_id is not None})
        jobs = []
        if sessions:
            which = hashlib.sha256("\0".join(sessions).encode()).hexdigest()[:16]
            key = f"summarise:{cube.id}:{which}"
            jobs.append(self._job(cube, SUMMARISE, {"sessions": sessions}, key=key, after=_SETTLE))
        later = min(_LONGEST, _SETTLE + _PER_CHANGE * self._feed.last(cube.id))
        key = f"summarise:{cube.id}:communities"
        jobs.append(self._job(cube, SUMMARISE, {"communities": True}, key=key, after=later))
        return jobs

    def after_sleep(self, cube: Cube, run_id: str) -> NewJob:
        """Summaries of all sessions whose turns are not those that they tell of; `run_id` is the
        job that asks for it."""
        return self._job(
            cube, SUMMARISE, {"due": True, "run_id": run_id}, key=f"summarise:{cube.id}:due"
        )

    def summarise(self, cube: Cube) -> NewJob:
        """All summaries, now."""
        return self._job(cube, SUMMARISE, {}, key=f"summarise:{cube.id}")

    def _job(
        self,
        cube: Cube,
        kind: str,
        payload: dict[str, object],
        *,
        key: str | None = None,
        after: timedelta = timedelta(0),
    ) -> NewJob:
        return NewJob(
            tenant_id=cube.tenant_id,
            cube_id=cube.id,
            kind=kind,
            payload=payload,
            dedupe_key=key,
            max_attempts=self._settings.job_attempts,
            run_at=self._clock() + after,
        )
