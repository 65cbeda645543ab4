"""The jobs that make and mend what a search looks at. Each may run twice and does no harm then.

index         makes the indexed form of memories added with wait=False
reindex       rebuilds what is derived from a cube's texts, with or without new vectors
vector_sync   brings the vector index up to the cube's newest change
vector_build  builds a cube's vector index anew, after a reindex that could not open it
vector_drop   drops the vector index of a deleted cube

An index that only one process at a time can open may be another's: what begins with `vector_` is
then left to that one, and costs the job no attempt.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from memos.errors import CubeNotFound, EmbeddingModelChanged, StorageUnavailable
from memos.protocols import Change, Stores, VectorIndex
from memos.scheduler import Handler, JobContext, NotNow
from memos.service.background.handling import unless_cube_gone
from memos.service.retrieval.indexing import Indexer
from memos.types import Cube, Memory, NewJob, State

_log = logging.getLogger(__name__)

_PART = 256
_SYNC_PART = 2000
_LOOKED_AT = 16
"""Changes by which an index is known to be of this database."""
_TOLERANCE = 0.01
"""Of a vector's numbers, which an index may hold less exactly."""
_ELSEWHERE_SECONDS = 2.0

INDEX_KINDS = frozenset({"vector_sync", "vector_build", "vector_drop"})
"""Jobs that need the vector index."""

VectorIndexSource = Callable[[], VectorIndex]


class Handlers:
    """The table of handlers by kind."""

    def __init__(
        self, stores: Stores, indexer: Indexer, vector_index: VectorIndexSource | None
    ) -> None:
        self._stores = stores
        self._indexer = indexer
        self._vector_index = vector_index

    def table(self) -> Mapping[str, Handler]:
        return {
            "index": unless_cube_gone(self._index),
            "reindex": unless_cube_gone(self._reindex),
            "vector_sync": unless_cube_gone(self._vector_sync),
            "vector_build": unless_cube_gone(self._vector_build),
            "vector_drop": self._vector_drop,
        }

    def _cube(self, context: JobContext) -> Cube:
        job = context.job
        return self._stores.cubes.get(job.tenant_id, job.cube_id or "")

    def _index(self, context: JobContext) -> None:
        cube = self._cube(context)
        self._indexer.check_model(cube)
        ids: Sequence[str] = context.job.payload["memory_ids"]
        found = self._stores.memories.get(cube.id, ids)
        live = [m for m in found.values() if m.state is not State.ERASED]
        for start in range(0, len(live), _PART):
            self._put(cube, live[start : start + _PART])
            context.beat(min(1.0, (start + _PART) / len(live)))

    def _put(self, cube: Cube, memories: Sequence[Memory]) -> None:
        indexed = self._indexer.full(cube.id, memories)
        self._stores.feed.put_indexed(
            cube.id,
            [(m.id, m.version, form) for m, form in zip(memories, indexed, strict=True)],
        )

    def _reindex(self, context: JobContext) -> None:
        cube = self._cube(context)
        if context.job.payload.get("embed"):
            self._re_embed(cube, context)
        else:
            self._check_stored_model(cube)
            self._re_analyse(cube, context)
        if self._vector_index is None:
            return
        try:
            index = self._vector_index()
        except StorageUnavailable:
            self._stores.jobs.enqueue(
                NewJob(
                    tenant_id=cube.tenant_id,
                    cube_id=cube.id,
                    kind="vector_build",
                    dedupe_key=f"vector_build:{cube.id}",
                    max_attempts=context.job.max_attempts,
                )
            )
        else:
            index.drop(cube.id)
            sync_vectors(self._stores, index, cube.id, context.beat)

    def _check_stored_model(self, cube: Cube) -> None:
        if cube.embedding is not None and cube.embedding.digest != self._indexer.model:
            raise EmbeddingModelChanged(
                f"cube {cube.name!r} holds vectors of {cube.embedding.id}; "
                f"run `memos reindex --embed {cube.name}` to make them anew",
                cube=cube.name,
            )

    def _re_analyse(self, cube: Cube, context: JobContext) -> None:
        """Terms anew from the texts. Vectors are those that SQL holds of the same texts, so the
        model is asked only for memories that have none yet."""
        after, done = 0, 0
        while rows := self._stores.memories.page(cube.id, after=after, limit=_PART):
            after = rows[-1].position
            self._put(cube, rows)
            done += len(rows)
            context.beat(0.5 * done / (done + _PART))
        self._fill(cube, context)

    def _re_embed(self, cube: Cube, context: JobContext) -> None:
        self._stores.cubes.set_embedding(cube.id, self._indexer.present_model)
        self._fill(cube, context)

    def _fill(self, cube: Cube, context: JobContext) -> None:
        """Indexed forms for all memories that lack one by the present analyser and model."""
        while rows := self._stores.feed.unindexed(
            cube.id, analyzer=self._indexer.analyzer, model=self._indexer.model, limit=_PART
        ):
            self._put(cube, rows)
            context.beat(0.9)

    def _vector_sync(self, context: JobContext) -> None:
        cube, index = self._cube(context), self._index_here()
        if index is not None:
            with _not_now():
                sync_vectors(self._stores, index, cube.id, context.beat)

    def _vector_build(self, context: JobContext) -> None:
        cube, index = self._cube(context), self._index_here()
        if index is not None:
            with _not_now():
                index.drop(cube.id)
                sync_vectors(self._stores, index, cube.id, context.beat)

    def _vector_drop(self, context: JobContext) -> None:
        index = self._index_here()
        if index is not None:
            with _not_now():
                index.drop(str(context.job.payload["cube_id"]))

    def _index_here(self) -> VectorIndex | None:
        """None if the service has no vector index; NotNow while another process holds it."""
        if self._vector_index is None:
            return None
        try:
            return self._vector_index()
        except StorageUnavailable as error:
            raise NotNow(error.message, seconds=_ELSEWHERE_SECONDS) from error


@contextmanager
def _not_now() -> Iterator[None]:
    """An open index that another process (`pid`) holds for a while is waited for, at no cost. Any
    other failure is the job's own, and counts."""
    try:
        yield
    except StorageUnavailable as error:
        if "pid" not in error.details:
            raise
        raise NotNow(error.message, seconds=_ELSEWHERE_SECONDS) from error


def sync_vectors(
    stores: Stores,
    index: VectorIndex,
    cube_id: str,
    beat: Callable[[float], None] = lambda progress: None,
) -> None:
    """Brings `index` up to the cube's newest change, in order, so that `reached` is always true.

    Any number of threads and processes may do so at once. CubeNotFound if the cube is deleted
    meanwhile; nothing is left of its index then.
    """
    try:
        _follow(stores, index, cube_id, beat)
    except CubeNotFound:
        # Its index may have been dropped before the last of these writes.
        index.drop(cube_id)
        raise


def _follow(
    stores: Stores, index: VectorIndex, cube_id: str, beat: Callable[[float], None]
) -> None:
    import numpy as np

    # In this order, since the truth only grows while others sync.
    before = index.reached(cube_id)
    newest = stores.feed.last(cube_id)
    if before > newest or not is_complete(stores, index, cube_id, before):
        _log.warning(
            "the vector index of cube %s is of another database than this one, as after a restore;"
            " it is built anew",
            cube_id,
        )
        index.drop(cube_id)
    while True:
        before = index.reached(cube_id)
        changes = stores.feed.changes(cube_id, after=before, limit=_SYNC_PART)
        if not changes:
            return
        after = changes[-1].seq
        gone = [c.memory_id for c in changes if not _has_vector(c)]
        held = [(c.memory_id, c.vector) for c in changes if _has_vector(c)]
        # Either is refused if another was faster: then what was read may be out of date.
        kept = True
        if gone:
            # Only the last write of a part may record its end: a crash can come between the two.
            end = before if held else after
            kept = index.delete(cube_id, gone, seq=end, after=before)
        if held and kept:
            vectors = np.stack([vector for _, vector in held if vector is not None])
            index.upsert(cube_id, [i for i, _ in held], vectors, seq=after, after=before)
        beat(min(1.0, after / max(newest, 1)))


def is_complete(stores: Stores, index: VectorIndex, cube_id: str, reached: int) -> bool:
    """Whether the index holds the last changes up to the number that it says to have reached. One
    made of another history, which was since overtaken by the one that is there, does not."""
    import numpy as np

    def last() -> dict[str, Change]:
        after = max(0, reached - _LOOKED_AT)
        found = stores.feed.changes(cube_id, after=after, limit=_LOOKED_AT)
        return {c.memory_id: c for c in found if c.seq <= reached and _has_vector(c)}

    expected = last()
    if not expected:
        return True
    held = index.vectors(cube_id, list(expected))
    # What has changed meanwhile proves nothing: another sync may have been at it.
    standing = {(c.memory_id, c.seq) for c in last().values()}
    for id, change in expected.items():
        if (id, change.seq) not in standing or change.vector is None:
            continue
        if id not in held or held[id].shape != change.vector.shape:
            return False
        if not np.allclose(held[id], change.vector, atol=_TOLERANCE):
            return False
    return True


def _has_vector(change: Change) -> bool:
    return change.live and change.vector is not None
