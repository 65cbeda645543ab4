"""Erasing a memory for good: from every store, along its lineage, with a signed receipt.

Knows which stores there are beside SQL and how each is reached; what SQL removes is its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from memos.forgetting.receipts import Signer
from memos.protocols import Clock, Erasure, NewId, Stores
from memos.service.lifecycle.following import Following
from memos.service.memories.repeating import repeated
from memos.service.memories.writing import Writer
from memos.types import Cube, Erased, ErasureReceipt, ReceiptCheck, Relation

SQL_STORES = (
    "texts",
    "versions",
    "embeddings",
    "terms",
    "links",
    "graph",
    "notes",
    "summaries",
    "lineage",
)


class Eraser:
    """`purge` takes a cube's erased vectors and texts out of caches and of the vector index, and
    says whether that is done; `forget_states` deletes the files of a model's states at once."""

    def __init__(
        self,
        stores: Stores,
        writer: Writer,
        following: Following,
        signer: Callable[[], Signer],
        *,
        purge: Callable[[Cube], bool],
        forget_states: Callable[[Cube, str], None],
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._stores = stores
        self._writer = writer
        self._following = following
        self._signer = signer
        self._purge = purge
        self._forget_states = forget_states
        self._clock = clock
        self._new_id = new_id

    def erase(
        self,
        cube: Cube,
        memory_id: str,
        *,
        if_version: int | None,
        reason: str | None,
        actor: str | None,
        numbers: Mapping[str, Any] | None = None,
    ) -> ErasureReceipt:
        """MemoryNotFound, VersionConflict. What was made of the memory besides is made again of
        the rest by a job; what it had superseded is back. `numbers`: a rule asked for it."""
        done, superseded, remade = repeated(
            if_version,
            lambda: self._erase(
                cube,
                memory_id,
                if_version=if_version,
                reason=reason,
                actor=actor,
                numbers=numbers,
            ),
        )
        self._following.reopen(cube, superseded)
        indexed = self._purge(cube)
        for id in done.memory_ids:
            self._forget_states(cube, id)
        return self._receipt(cube, done, indexed=indexed, remade=remade)

    def _erase(
        self,
        cube: Cube,
        memory_id: str,
        *,
        if_version: int | None,
        reason: str | None,
        actor: str | None,
        numbers: Mapping[str, Any] | None,
    ) -> tuple[Erasure, list[str], bool]:
        """In SQL: what went, what it had superseded, and whether anything is made again."""
        lines = self._stores.keeping.lineage(cube.id, [memory_id])
        going = [memory_id] + [
            line.source_id
            for line in lines
            if line.derived_id == memory_id and line.relation is Relation.MERGED
        ]
        lines = self._stores.keeping.lineage(cube.id, going)
        jobs = [
            job
            for line in lines
            if line.source_id in going and line.relation is Relation.MADE_FROM
            for job in self._following.remaking(cube, line.derived_id, leave=going)
        ]
        superseded = [
            line.source_id
            for line in lines
            if line.relation is Relation.SUPERSEDED and line.derived_id in going
        ]
        done = self._writer.erase(
            cube,
            memory_id,
            if_version=if_version,
            reason=reason,
            actor=actor,
            numbers=numbers,
            jobs=[*jobs, *self._following.reopening(cube, superseded)],
        )
        return done, superseded, bool(jobs)

    def check(self, receipt: ErasureReceipt) -> ReceiptCheck:
        """Whether this server signed it, as it is."""
        return self._signer().check(receipt)

    def _receipt(self, cube: Cube, done: Erasure, *, indexed: bool, remade: bool) -> ErasureReceipt:
        stores = [
            Erased(store=name, removed=int(done.removed.get(name, 0)), done=True)
            for name in SQL_STORES
        ]
        stores.append(Erased(store="vector index", removed=len(done.memory_ids), done=indexed))
        stores += _files(done.file_jobs)
        return self._signer().signed(
            ErasureReceipt(
                id=self._new_id(),
                cube_id=cube.id,
                memory_ids=done.memory_ids,
                stores=tuple(stores),
                recomputed_by="remake" if remade else None,
                erased_at=self._clock(),
                key_id="",
                signature="",
            )
        )


def _files(jobs: Sequence[str]) -> list[Erased]:
    if not jobs:
        return [Erased(store="states and adapters", removed=0, done=True)]
    return [Erased(store="states and adapters", removed=1, done=False, job_id=id) for id in jobs]
