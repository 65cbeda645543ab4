"""`doctor`: finds, and on request mends, drift between the truth and what is derived from it.

Checks the database itself (the graph in it included) and the files of stored states, then for each
cube the indexed forms (terms and vectors in SQL), the vector index, whether facts were read out of
all memories, and the states of activation memories. The in-RAM projection needs no check: it is
built from SQL in each process.
"""

from __future__ import annotations

from collections.abc import Iterator

from memos.consolidation.made import is_made
from memos.errors import IndexUnavailable, StorageUnavailable
from memos.protocols import Extractor, Stores, VectorIndex
from memos.service.activation.jobs import ActivationDoctor
from memos.service.enriching.due import EXTRACT, Enriching
from memos.service.retrieval.indexing import Indexer
from memos.service.retrieval.jobs import VectorIndexSource, is_complete, sync_vectors
from memos.types import Cube, Finding, JobState, Memory

_PART = 256
_UNDER_WAY = (JobState.QUEUED, JobState.RUNNING, JobState.FAILED)


class Doctor:
    def __init__(
        self,
        stores: Stores,
        indexer: Indexer,
        vector_index: VectorIndexSource | None,
        extractor: Extractor | None,
        enriching: Enriching,
        activations: ActivationDoctor,
    ) -> None:
        self._stores = stores
        self._indexer = indexer
        self._vector_index = vector_index
        self._extractor = extractor
        self._enriching = enriching
        self._activations = activations

    def examine(self, tenant_id: str, *, repair: bool) -> tuple[Finding, ...]:
        """All findings; none means that all is well."""
        findings = list(self._stores.health.check(repair=repair))
        findings += self._activations.orphans(repair=repair)
        for cube in self._cubes(tenant_id):
            findings += self._indexed_forms(cube, repair)
            findings += self._vectors(cube, repair)
            findings += self._unread(cube, repair)
            findings += self._activations.missing(cube, repair=repair)
        return tuple(findings)

    def _cubes(self, tenant_id: str) -> Iterator[Cube]:
        after = None
        while rows := self._stores.cubes.page(tenant_id, after=after, limit=_PART):
            yield from rows
            after = rows[-1].id

    def _indexed_forms(self, cube: Cube, repair: bool) -> list[Finding]:
        if cube.embedding is not None and cube.embedding.digest != self._indexer.model:
            return [
                Finding(
                    check="embedding-model",
                    cube_id=cube.id,
                    problem=f"vectors come from {cube.embedding.id} "
                    f"({cube.embedding.digest[:12]}); mend: `memos reindex --embed {cube.name}`",
                    count=1,
                    repaired=False,
                )
            ]
        count = 0
        while rows := self._unindexed(cube):
            count += len(rows)
            if not repair:
                break
            forms = self._indexer.full(cube.id, rows)
            self._stores.feed.put_indexed(
                cube.id, [(m.id, m.version, form) for m, form in zip(rows, forms, strict=True)]
            )
        if not count:
            return []
        problem = "memories without terms or vector of their present version"
        return [_finding("indexed-form", cube, problem, count, repaired=repair)]

    def _unindexed(self, cube: Cube) -> list[Memory]:
        return self._stores.feed.unindexed(
            cube.id, analyzer=self._indexer.analyzer, model=self._indexer.model, limit=_PART
        )

    def _vectors(self, cube: Cube, repair: bool) -> list[Finding]:
        """A cube that the vector index has never seen is too small to need it: no finding."""
        if self._vector_index is None:
            return []
        try:
            index = self._vector_index()
        except StorageUnavailable as error:
            problem = f"not examined: {error.message}"
            return [_finding("vector-index", cube, problem, 1, repaired=False)]
        try:
            reached = index.reached(cube.id)
            if reached == 0:
                return []
            if reached > self._stores.feed.last(cube.id):
                if repair:
                    self._rebuild(cube, index)
                problem = "an index of a later database than this one"
                return [_finding("vector-index", cube, problem, 1, repaired=repair)]
            missing, extra = self._drift(cube, index)
        except IndexUnavailable as error:
            if repair:
                self._rebuild(cube, index)
            return [_finding("vector-index", cube, error.message, 1, repaired=repair)]
        findings = []
        if missing:
            problem = "vectors that the index lacks"
            findings.append(_finding("vector-index", cube, problem, missing, repaired=repair))
        if extra:
            problem = "vectors in the index that no live memory has"
            findings.append(_finding("vector-index", cube, problem, extra, repaired=repair))
        if not findings and not is_complete(self._stores, index, cube.id, reached):
            problem = "vectors in the index that are not those of their memories"
            findings.append(_finding("vector-index", cube, problem, 1, repaired=repair))
        if findings and repair:
            self._rebuild(cube, index)
        return findings

    def _unread(self, cube: Cube, repair: bool) -> list[Finding]:
        """Memories that wait for the job that reads them are in order; a repair queues that job."""
        if self._extractor is None or self._will_be_read(cube):
            return []
        unread = self._stores.graph.unread(cube.id, self._extractor.name, limit=_PART)
        # There is nothing to read in what consolidation made; the next job passes over it.
        rows = [memory for memory in unread if not is_made(memory)]
        if len(unread) == _PART and not rows:
            rows = unread  # others may stand behind them
        if not rows:
            return []
        if repair:
            self._stores.jobs.enqueue(self._enriching.extract(cube))
        problem = f"memories, of the first {_PART}, that {self._extractor.name} has not read"
        return [_finding("unread", cube, problem, len(rows), repaired=repair)]

    def _will_be_read(self, cube: Cube) -> bool:
        before = None
        while jobs := self._stores.jobs.page(
            cube.tenant_id, states=_UNDER_WAY, cube_id=cube.id, before=before, limit=_PART
        ):
            if any(job.kind == EXTRACT for job in jobs):
                return True
            before = jobs[-1].id
        return False

    def _rebuild(self, cube: Cube, index: VectorIndex) -> None:
        index.drop(cube.id)
        sync_vectors(self._stores, index, cube.id)

    def _drift(self, cube: Cube, index: VectorIndex) -> tuple[int, int]:
        """(missing, extra), counted up to where the index says it is complete."""
        reached = index.reached(cube.id)
        held = index.ids(cube.id)
        expected: set[str] = set()
        later: set[str] = set()
        after = 0
        while changes := self._stores.feed.changes(cube.id, after=after):
            after = changes[-1].seq
            for change in changes:
                if change.seq > reached:
                    later.add(change.memory_id)
                elif change.live and change.vector is not None:
                    expected.add(change.memory_id)
        return len(expected - held), len(held - expected - later)


def _finding(check: str, cube: Cube, problem: str, count: int, *, repaired: bool) -> Finding:
    return Finding(check=check, cube_id=cube.id, problem=problem, count=count, repaired=repaired)
