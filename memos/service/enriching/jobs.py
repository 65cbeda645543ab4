"""The jobs that make notes and summaries of what was read. Each may run twice and does no harm.

What a note or a summary says is the business of `memos.notes` and `memos.summaries`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from memos.errors import IndexUnavailable
from memos.protocols import Stores
from memos.scheduler import Foreground, Handler, JobContext
from memos.service.background.handling import unless_cube_gone
from memos.service.enriching.due import NOTES, SUMMARISE, Enriching
from memos.service.enriching.notes import Notes
from memos.summaries.communities import CommunitySummaries
from memos.summaries.sessions import SessionSummaries
from memos.types import LIVE, Cube

_PART, _SMALL_PART = 16, 4
"""Memories that get notes at a time: in a calm, and while requests come in."""
_ROUNDS = 6
"""How often the notes of memories without a vector are put off before that is a failure."""

Communities = Callable[[Cube], Sequence[Sequence[str]]]
"""The groups of entity ids that a cube's graph falls into."""


class Enrichment:
    """Handlers of the jobs `notes` and `summarise`. `communities` None: nothing is read of the
    memories, so there are none."""

    def __init__(
        self,
        stores: Stores,
        notes: Notes,
        sessions: SessionSummaries,
        communities: CommunitySummaries | None,
        find_communities: Communities,
        enriching: Enriching,
        foreground: Foreground,
    ) -> None:
        self._stores = stores
        self._notes = notes
        self._sessions = sessions
        self._communities = communities
        self._find_communities = find_communities
        self._enriching = enriching
        self._foreground = foreground

    def table(self) -> Mapping[str, Handler]:
        return {
            NOTES: unless_cube_gone(self._make_notes),
            SUMMARISE: unless_cube_gone(self._summarise),
        }

    def _make_notes(self, context: JobContext) -> None:
        cube, payload = self._cube(context), context.job.payload
        if "forgotten" in payload:
            self._notes.forgotten(cube, payload["forgotten"])
            return
        ids: Sequence[str] = payload["memory_ids"]
        waiting: list[str] = []
        done, pace = 0, self._foreground.pace()
        while done < len(ids):
            size = _PART if pace.step() else _SMALL_PART
            found = self._stores.memories.get(cube.id, ids[done : done + size])
            live = [memory for memory in found.values() if memory.state in LIVE]
            waiting += self._notes.draft(cube, live).wait
            done += size
            context.beat(min(1.0, done / len(ids)))
            context.check_stop()
        self._come_again(cube, waiting, int(payload.get("round", 0)))

    def _come_again(self, cube: Cube, ids: Sequence[str], rounds: int) -> None:
        """Vectors are made by a job after `add` without waiting; it may still be under way."""
        if not ids:
            return
        if rounds >= _ROUNDS:
            raise IndexUnavailable(
                f"{len(ids)} memories of cube {cube.name!r} have no vector, such as {ids[0]}, so "
                f"no note was made of them; run `memos reindex {cube.name}`, then try again"
            )
        self._stores.jobs.enqueue(self._enriching.notes_again(cube, ids, rounds + 1))

    def _summarise(self, context: JobContext) -> None:
        """With `sessions` those only, with `due` those that have changed; with `communities` the
        communities only; else all."""
        cube, payload = self._cube(context), context.job.payload

        pace = self._foreground.pace()

        def beat(progress: float) -> None:
            pace.step()
            context.beat(min(1.0, progress))
            context.check_stop()

        sessions: Sequence[str] | None = payload.get("sessions")
        if payload.get("due"):
            sessions = self._sessions.due(cube)
        if sessions is not None or not payload.get("communities"):
            self._sessions.make(cube, sessions, run_id=payload.get("run_id"), beat=beat)
        if sessions is None and self._communities is not None:
            self._communities.make(cube, self._find_communities(cube), beat=beat)

    def _cube(self, context: JobContext) -> Cube:
        return self._stores.cubes.get(context.job.tenant_id, context.job.cube_id or "")
