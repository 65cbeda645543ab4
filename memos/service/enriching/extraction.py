"""The jobs that read facts out of memories. Each may run twice and does no harm then.

A memory that can't be read does not harm the others: that it failed is recorded with the reason,
and a job of its own tries it again. If the extractor itself can't be reached nothing is recorded,
and the whole job is tried again. What is read is in step with the memories' versions by itself: a
changed memory counts as unread.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from memos.errors import (
    EntityNotFound,
    ExtractionFailed,
    ExtractorUnavailable,
    NotFound,
    StorageError,
)
from memos.extraction.runs import extracted
from memos.graph.resolving.resolution import Resolver
from memos.protocols import Extractor, Reading, Stores
from memos.scheduler import Foreground, Handler, JobContext, NotNow
from memos.service.background.handling import unless_cube_gone
from memos.service.enriching.due import EXTRACT, EXTRACT_ONE, Enriching
from memos.service.enriching.turns import Run, cut, runs
from memos.types import LIVE, Cube, Extraction, Memory

log = logging.getLogger(__name__)

_BATCH, _SMALL_BATCH = 64, 16
"""Memories whose facts are stored in one transaction: in a calm, and while requests come in."""
_PIECE, _SMALL_PIECE = 16, 4
"""Memories read at a time; requests are looked after between pieces."""
_TRIES = 3
_TURN_SECONDS = 30.0
"""After so long a job goes back to the queue, so that one large cube does not hold up the rest."""

_Outcome = Extraction | ExtractionFailed


class Extractions:
    """Handlers of the jobs `extract` and `extract_one`."""

    def __init__(
        self,
        stores: Stores,
        extractor: Extractor,
        resolver: Resolver,
        enriching: Enriching,
        foreground: Foreground,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stores = stores
        self._extractor = extractor
        self._resolver = resolver
        self._enriching = enriching
        self._foreground = foreground
        self._monotonic = monotonic

    def table(self) -> Mapping[str, Handler]:
        return {
            EXTRACT: unless_cube_gone(self._extract),
            EXTRACT_ONE: unless_cube_gone(self._extract_one),
        }

    def _extract(self, context: JobContext) -> None:
        cube = self._cube(context)
        again = bool(context.job.payload.get("again"))
        # What is added from now on has queued a job of its own by then.
        end = self._stores.feed.last(cube.id)
        begun = self._monotonic()
        for batch in self._everything(cube, end) if again else self._unread(cube, end):
            self._read(cube, batch, context)
            context.beat(min(1.0, batch[-1].position / max(end, 1)))
            context.check_stop()
            if not again and self._monotonic() - begun > _TURN_SECONDS:
                raise NotNow("others have waited long enough", seconds=0)

    def _extract_one(self, context: JobContext) -> None:
        """Raises what the extractor says, until it can read the memory or the attempts are used
        up. Reads the memory as it is now; to have read it twice does no harm."""
        cube = self._cube(context)
        memory = self._live(cube, context.job.payload["memory_id"])
        if memory is None:
            return
        (run,) = runs(self._stores.memories, [memory])
        ((_, (found,)),) = self._extracted([run])
        if isinstance(found, ExtractionFailed):
            if self._live(cube, memory.id) is None:
                return  # forgotten meanwhile: the reason, which may quote it, must not be kept
            raise found
        self._queue_enriching(cube, [memory])
        for _, failure in self._store(cube, [(memory, found)]):
            raise failure

    def _live(self, cube: Cube, memory_id: str) -> Memory | None:
        memory = self._stores.memories.get(cube.id, [memory_id]).get(memory_id)
        return memory if memory and memory.state in LIVE else None

    def _cube(self, context: JobContext) -> Cube:
        return self._stores.cubes.get(context.job.tenant_id, context.job.cube_id or "")

    def _unread(self, cube: Cube, end: int) -> Iterator[list[Memory]]:
        """Batches of what is unread up to position `end`; each must be recorded before the next is
        asked for."""
        name = self._extractor.name
        seen: set[tuple[str, int]] = set()
        while True:
            limit = _BATCH if self._foreground.calm else _SMALL_BATCH
            rows = self._stores.graph.unread(cube.id, name, limit=limit)
            batch = [memory for memory in rows if memory.position <= end]
            if not batch:
                return
            fresh = [m for m in batch if (m.id, m.version) not in seen]
            if not fresh:
                raise RuntimeError(
                    f"{len(batch)} memories were read but count as unread, such as {batch[0].id}"
                )
            seen.update((memory.id, memory.version) for memory in fresh)
            yield fresh

    def _everything(self, cube: Cube, end: int) -> Iterator[list[Memory]]:
        after = 0
        while rows := self._stores.memories.page(cube.id, after=after, limit=_BATCH):
            after = rows[-1].position
            if batch := [memory for memory in rows if memory.position <= end]:
                yield batch

    def _read(self, cube: Cube, memories: Sequence[Memory], context: JobContext) -> None:
        """Reads and records a batch. What could be read is kept even if the extractor then becomes
        unreachable, which is raised."""
        found: list[tuple[Memory, _Outcome]] = []
        unavailable: ExtractorUnavailable | None = None
        try:
            for turns, outcomes in self._outcomes(memories, context):
                found += zip(turns, outcomes, strict=True)
        except ExtractorUnavailable as error:
            unavailable = error
        for _, outcome in found:
            if isinstance(outcome, ExtractorUnavailable):
                unavailable = outcome
        self._record(cube, [pair for pair in found if not _is_unavailable(pair[1])])
        if unavailable is not None:
            raise unavailable

    def _outcomes(
        self, memories: Sequence[Memory], context: JobContext
    ) -> Iterator[tuple[Sequence[Memory], list[_Outcome]]]:
        """Piece by piece, stepping aside for requests."""
        pace = self._foreground.pace()
        left = list(runs(self._stores.memories, memories))
        while left:
            piece, left = cut(left, _PIECE if pace.step() else _SMALL_PIECE)
            for turns, outcomes in self._extracted(piece):
                yield turns, outcomes
                context.beat()

    def _extracted(self, piece: Sequence[Run]) -> Iterator[tuple[Sequence[Memory], list[_Outcome]]]:
        """One outcome per turn. An extractor that breaks is asked run by run, then turn by turn."""
        done = 0
        try:
            asked = [(run.turns, run.before) for run in piece]
            for run, outcomes in zip(piece, extracted(self._extractor, asked), strict=True):
                done += 1
                yield run.turns, outcomes
        except (ExtractorUnavailable, StorageError, MemoryError):
            raise
        except Exception as error:
            left = piece[done:]
            if len(left) > 1:
                for run in left:
                    yield from self._extracted([run])
                return
            (run,) = left
            yield run.turns, self._broken(run, error)

    def _broken(self, run: Run, error: Exception) -> list[_Outcome]:
        """The outcomes of a run that the extractor broke on."""
        if len(run.turns) > 1:
            return self._one_by_one(run)
        log.error("the extractor broke on memory %s", run.turns[0].id, exc_info=error)
        if isinstance(error, ExtractionFailed):
            return [error]
        return [_failure("the extractor broke", run.turns[0], error)]

    def _one_by_one(self, run: Run) -> list[_Outcome]:
        outcomes: list[_Outcome] = []
        rest: Run | None = run
        while rest is not None:
            one, rest = rest.cut(1)
            outcomes += [found for _, turn in self._extracted([one]) for found in turn]
        return outcomes

    def _record(self, cube: Cube, found: Sequence[tuple[Memory, _Outcome]]) -> None:
        """Jobs that follow are queued first: a crash in between repeats them, but loses none."""
        read = [(m, outcome) for m, outcome in found if isinstance(outcome, Extraction)]
        self._queue_enriching(cube, [memory for memory, _ in read])
        failed = [(m, outcome) for m, outcome in found if isinstance(outcome, ExtractionFailed)]
        failed += self._stored(cube, read)
        for memory, _ in failed:
            self._stores.jobs.enqueue(self._enriching.extract_one(cube, memory))
        if failed:
            name = self._extractor.name
            self._stores.graph.record(
                cube.id,
                [],
                [
                    Reading(memory_id=m.id, version=m.version, extractor=name, error=str(error))
                    for m, error in failed
                ],
            )

    def _queue_enriching(self, cube: Cube, memories: Sequence[Memory]) -> None:
        for job in self._enriching.after_reading(cube, memories):
            self._stores.jobs.enqueue(job)

    def _stored(
        self, cube: Cube, read: list[tuple[Memory, Extraction]]
    ) -> list[tuple[Memory, ExtractionFailed]]:
        """Stores what was read; gives back what no graph can hold. One of many is looked for."""
        if not read:
            return []
        try:
            return self._store(cube, read)
        except (StorageError, NotFound, MemoryError):
            raise
        except Exception as error:
            if len(read) > 1:
                return [failure for one in read for failure in self._stored(cube, [one])]
            memory = read[0][0]
            log.exception("what was read in memory %s can't be stored", memory.id)
            return [(memory, _failure("what was read can't be stored", memory, error))]

    def _store(
        self, cube: Cube, read: list[tuple[Memory, Extraction]]
    ) -> list[tuple[Memory, ExtractionFailed]]:
        """Gives back those of which nothing could be kept."""
        for tries in range(1, _TRIES + 1):
            name = self._extractor.name
            entities, readings = self._resolver.resolve(cube, read, extractor=name)
            try:
                self._stores.graph.record(cube.id, entities, readings)
                break
            except EntityNotFound:
                # Erased between being found and being used.
                if tries == _TRIES:
                    raise
        errors = {one.memory_id: one.error for one in readings if one.error is not None}
        return [(m, ExtractionFailed(errors[m.id])) for m, _ in read if m.id in errors]


def _failure(what: str, memory: Memory, error: Exception) -> ExtractionFailed:
    failure = ExtractionFailed(f"{what}: {type(error).__name__}: {error}", memory_id=memory.id)
    failure.__cause__ = error
    return failure


def _is_unavailable(outcome: _Outcome) -> bool:
    return isinstance(outcome, ExtractorUnavailable)
