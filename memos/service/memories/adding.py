"""The verb that stores memories: `add`, judged, indexed, once for an idempotency key.

What is added is prepared (checked, analysed, embedded) outside the database and then committed as
one transaction, so that what was acknowledged is whole and searchable, and a refusal leaves
nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from memos.config import Settings
from memos.errors import BatchTooLarge, IdempotencyConflict, InvalidInput
from memos.messages import Defaults, Item, normalise
from memos.protocols import Clock, NewId, Receipt, Stores
from memos.service.enriching.due import Enriching
from memos.service.keeping.keeping import Keeping
from memos.service.lifecycle.sweeps import sweeps
from memos.service.memories.admission import Admission
from memos.service.retrieval.indexing import Indexer
from memos.types import Added, Cube, Judgement, Memory, NewJob, NewMemory, Policy, State
from memos.validation import check_label, check_memory
from memos.wire import from_builtins, to_builtins, to_json


class Adder:
    """Adds for all tenants; callers hand in a cube they may write to."""

    def __init__(
        self,
        stores: Stores,
        indexer: Indexer,
        enriching: Enriching,
        keeping: Keeping,
        admission: Admission,
        settings: Settings,
        *,
        clock: Clock,
        new_id: NewId,
        sync_jobs: Callable[[Cube], list[NewJob]],
    ) -> None:
        self._stores = stores
        self._indexer = indexer
        self._enriching = enriching
        self._keeping = keeping
        self._admission = admission
        self._settings = settings
        self._clock = clock
        self._new_id = new_id
        self._sync_jobs = sync_jobs

    def add(
        self,
        cube: Cube,
        items: Sequence[Item],
        defaults: Defaults,
        *,
        wait: bool,
        idempotency_key: str | None,
        actor: str | None,
    ) -> Added:
        """Durable when it returns; with `wait` also searchable by meaning, else a job does that."""
        if not items:
            raise InvalidInput("there is nothing to add; give at least one memory")
        if len(items) > self._settings.max_batch:
            raise BatchTooLarge(
                f"{len(items)} memories in one add; the limit is {self._settings.max_batch} "
                "(MEMOS_MAX_BATCH). Use add_batch",
                limit=self._settings.max_batch,
            )
        news = self._normalised(items, defaults)
        request = "" if idempotency_key is None else _request_hash(cube.id, news)
        if idempotency_key is not None:
            check_label("idempotency_key", idempotency_key)
            if (replay := self._replay(cube, idempotency_key, request)) is not None:
                return replay
        self._indexer.check_model(cube)
        admitted = self._admission.admit(cube, [self._memory(cube, new, actor) for new in news])
        memories = admitted.stored
        indexed = (
            self._indexer.full(cube.id, memories) if wait else self._indexer.terms_only(memories)
        )
        indexing = [] if wait or not memories else [self._index_job(cube, memories)]
        enriching = self._enriching.after_write(cube) if memories else []
        receipt = None
        if idempotency_key is not None:
            result = {
                "verb": "add",
                "indexing": len(indexing),
                "enriching": len(enriching),
                "places": list(admitted.places),
                "judged": to_builtins(list(admitted.judged)),
            }
            receipt = (cube.tenant_id, idempotency_key, Receipt(request, result))
        try:
            stored, jobs = self._stores.memories.insert(
                cube.id,
                memories,
                indexed,
                jobs=[*indexing, *enriching, *self._sync_jobs(cube), *sweeps(cube, memories)],
                receipt=receipt,
            )
        except IdempotencyConflict:
            # Another request with this key was faster; its answer is this one's too.
            if idempotency_key and (replay := self._replay(cube, idempotency_key, request)):
                return replay
            raise
        self._admission.record(cube, admitted, actor=actor)
        self._consolidate_when_due(cube, admitted.policy, stored)
        known = self._stores.memories.get(cube.id, _known(admitted.places))
        added = _added(stored, jobs, len(indexing), len(enriching))
        return replace(
            added, memories=_placed(admitted.places, stored, known), judged=admitted.judged
        )

    def _consolidate_when_due(self, cube: Cube, policy: Policy, stored: Sequence[Memory]) -> None:
        if stored:
            for job in self._keeping.due(cube, policy, stored[0].position, stored[-1].position):
                self._stores.jobs.enqueue(job)

    def _normalised(self, items: Sequence[Item], defaults: Defaults) -> list[NewMemory]:
        news = []
        for number, item in enumerate(items):
            at = f"item {number}: " if len(items) > 1 else ""
            try:
                new = normalise(item, defaults)
            except InvalidInput as error:
                raise type(error)(f"{at}{error.message}", **error.details) from error
            check_memory(new, self._settings, at=at)
            news.append(new)
        return news

    def _memory(self, cube: Cube, new: NewMemory, actor: str | None) -> Memory:
        now = self._clock()
        provenance = new.provenance
        if provenance.actor is None and actor is not None:
            provenance = replace(provenance, actor=actor)
        return Memory(
            id=self._new_id(),
            cube_id=cube.id,
            content=new.content,
            kind=new.kind,
            state=State.ACTIVATED,
            version=1,
            position=0,
            user_id=new.user_id,
            agent_id=new.agent_id,
            session_id=new.session_id,
            speaker=new.speaker,
            occurred_at=new.occurred_at,
            place=new.place,
            images=new.images,
            metadata=dict(new.metadata),
            priority=float(new.priority),
            expires_at=new.expires_at,
            provenance=provenance,
            created_at=now,
            updated_at=now,
        )

    def _index_job(self, cube: Cube, memories: Sequence[Memory]) -> NewJob:
        return NewJob(
            tenant_id=cube.tenant_id,
            cube_id=cube.id,
            kind="index",
            payload={"memory_ids": [memory.id for memory in memories]},
            max_attempts=self._settings.job_attempts,
        )

    def _replay(self, cube: Cube, key: str, request: str) -> Added | None:
        receipt = self._stores.receipts.find(cube.tenant_id, key)
        if receipt is None:
            return None
        if receipt.request_hash != request:
            raise IdempotencyConflict(
                f"idempotency key {key!r} was used for another request; use a new key",
                key=key,
            )
        result = receipt.result
        ids = result.get("memories", [])
        found = self._stores.memories.get(cube.id, ids)
        places = result.get("places", range(len(ids)))
        known = self._stores.memories.get(cube.id, _known(places))
        added = _added(
            (),
            tuple(result.get("jobs", ())),
            result.get("indexing", 0),
            result.get("enriching", 0),
        )
        stored = [found.get(id) for id in ids]
        judged = from_builtins(result.get("judged", []), tuple[Judgement, ...])
        return replace(added, memories=_placed(places, stored, known), judged=judged)


def _known(places: Sequence[int | str]) -> list[str]:
    return [place for place in places if isinstance(place, str)]


def _placed(
    places: Sequence[int | str], stored: Sequence[Memory | None], known: Mapping[str, Memory]
) -> tuple[Memory, ...]:
    """The memory of each text that was sent: stored, or known before; those gone since left out."""
    found = [known.get(place) if isinstance(place, str) else stored[place] for place in places]
    return tuple(memory for memory in found if memory is not None)


def _added(
    memories: tuple[Memory, ...], jobs: tuple[str, ...], indexing: int, enriching: int
) -> Added:
    """`jobs` begin with so many that index and so many that enrich; the others concern nobody."""
    return Added(
        memories=memories, jobs=jobs[:indexing], enriching=jobs[indexing : indexing + enriching]
    )


def _request_hash(cube_id: str, news: Sequence[NewMemory]) -> str:
    return hashlib.sha256(cube_id.encode() + to_json(list(news))).hexdigest()
