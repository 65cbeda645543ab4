"""The jobs of consolidation and forgetting. Each may run twice and does no harm.

consolidate  merges, retires and makes memories as planned at its start, promotes, summarises
sweep        archives what has faded and what is over the budget, by the cube's policy
remake       makes again of the rest what was made of a memory that was forgotten or erased
reopen       after an erase: brings back what the erased memory had superseded

A run gives way to requests between its parts: it works when nobody asks for anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from memos.protocols import Stores
from memos.scheduler import Foreground, Handler, JobContext
from memos.service.background.handling import unless_cube_gone
from memos.service.keeping.keeping import CONSOLIDATE, SWEEP, Keeping
from memos.service.keeping.sleeping import Sleep
from memos.service.lifecycle.following import REMAKE, REOPEN, Following
from memos.types import ActionKind, Cube, Kind

_TELL_SECONDS = 1.0
"""Work goes on in pieces of milliseconds; its progress is written less often."""


class KeepingJobs:
    def __init__(
        self,
        stores: Stores,
        keeping: Keeping,
        sleep: Sleep,
        following: Following,
        foreground: Foreground,
    ) -> None:
        self._stores = stores
        self._keeping = keeping
        self._sleep = sleep
        self._following = following
        self._foreground = foreground

    def table(self) -> Mapping[str, Handler]:
        return {
            CONSOLIDATE: unless_cube_gone(self._consolidate),
            SWEEP: unless_cube_gone(self._sweep),
            REMAKE: unless_cube_gone(self._remake),
            REOPEN: unless_cube_gone(self._reopen),
        }

    def _consolidate(self, context: JobContext) -> None:
        cube = self._cube(context)
        later = self._keeping.idle_until(cube) if context.job.payload.get("idle") else None
        if later is not None:
            self._stores.jobs.enqueue(later)
            return
        self._sleep.run(cube, run_id=context.job.id, beat=self._beat(context))

    def _sweep(self, context: JobContext) -> None:
        self._keeping.run_sweep(
            self._cube(context), run_id=context.job.id, beat=self._beat(context)
        )

    def _remake(self, context: JobContext) -> None:
        payload = context.job.payload
        kind = payload.get("kind")
        self._following.remake(
            self._cube(context),
            ActionKind(payload["action"]),
            payload["source_ids"],
            kind=None if kind is None else Kind(kind),
        )

    def _reopen(self, context: JobContext) -> None:
        self._following.reopen(self._cube(context), context.job.payload["memory_ids"])

    def _beat(self, context: JobContext) -> Callable[[float], bool]:
        pace = self._foreground.pace()
        told = time.monotonic()

        def beat(progress: float) -> bool:
            nonlocal told
            calm = pace.step()
            context.check_stop()
            if time.monotonic() - told >= _TELL_SECONDS:
                context.beat(min(1.0, progress))
                told = time.monotonic()
            return calm

        return beat

    def _cube(self, context: JobContext) -> Cube:
        return self._stores.cubes.get(context.job.tenant_id, context.job.cube_id or "")
