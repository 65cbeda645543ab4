"""Service: one process's stores, embedder, searcher and worker, shared by all tenants.

Knows protocols only; `memos.assembly` puts the backends in.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from memos.admission.auditing import Auditor
from memos.admission.recalls import Recalls
from memos.config import Settings
from memos.errors import CubeNotFound, StorageUnavailable
from memos.extraction.ledger import ModelUse
from memos.extraction.structured import Structured
from memos.forgetting.receipts import Signer
from memos.graph.communities import communities
from memos.graph.resolution import Resolver
from memos.protocols import (
    RETRAIN,
    Clock,
    Embedder,
    Extractor,
    LocalStates,
    NewId,
    Rephraser,
    Stores,
    VectorIndex,
)
from memos.retrieval.reranking import Reranker
from memos.retrieval.search import Searcher
from memos.scheduler import Foreground, Handler, Worker
from memos.service.activation.activations import Activations
from memos.service.activation.answering import Answering
from memos.service.activation.compiling import COMPILE
from memos.service.activation.jobs import ActivationDoctor, ActivationJobs
from memos.service.background.handling import unless_cube_gone
from memos.service.background.retention import PRUNE, Retention
from memos.service.background.schedules import Schedules
from memos.service.cubes import Cubes
from memos.service.dumps import Dumps
from memos.service.enriching.due import PATIENT, Enriching
from memos.service.enriching.extraction import Extractions
from memos.service.enriching.jobs import Enrichment
from memos.service.enriching.notes import Notes
from memos.service.explaining import Explainer
from memos.service.graph.graph import Graph
from memos.service.keeping.jobs import KeepingJobs
from memos.service.keeping.keeping import CONSOLIDATE, SWEEP
from memos.service.keeping.promoting import Promoter
from memos.service.keeping.sleeping import Sleep
from memos.service.keys import Keys
from memos.service.lifecycle.erasing import Eraser
from memos.service.lifecycle.following import REMAKE
from memos.service.lifecycle.forgetting import Forgetter
from memos.service.lifecycle.lifecycle import Lifecycle
from memos.service.lifecycle.sweeps import LIFECYCLE
from memos.service.local_model.choosing import Chooser
from memos.service.local_model.late_states import LateStates
from memos.service.memories.adding import Adder
from memos.service.memories.admission import Admission
from memos.service.memories.reading import Reader
from memos.service.memories.uses import Uses
from memos.service.memories.writing import Writer
from memos.service.memory_os import MemoryOS
from memos.service.parametric.adapters import DISTILL, Adapters
from memos.service.parametric.learning import Learning
from memos.service.retrieval.contexts import Contexts
from memos.service.retrieval.indexing import Indexer
from memos.service.retrieval.jobs import INDEX_KINDS, Handlers, sync_vectors
from memos.service.retrieval.summaries import SummarySearch
from memos.service.retrieval.vectors import LateVectorIndex
from memos.service.upkeep import Doctor
from memos.summaries.communities import CommunitySummaries
from memos.summaries.sessions import SessionSummaries
from memos.summaries.writing import SummaryWriter
from memos.types import LIVE, ApiKey, Cube, IssuedKey, Memory

log = logging.getLogger(__name__)

DEFAULT_TENANT = "default"

_PATIENCE_SECONDS = 2.0


class Service:
    """Everything a process needs to serve memories. Thread-safe.

    `open_vector_index` is called at the first need, so that a process with small cubes only never
    pays for the index; None: there is no vector index and all search is exact. `forget_texts` is
    called after an erase, to drop what the embedder remembers of texts. `one_holder`: only one
    process at a time can have the index open. `extractor` None: no facts are read;
    `summary_writer` None: summaries quote. `model_use`
    tells what language models were asked, by name, since this process began. `open_states` gives
    the local model and its states at the first need; `signer` signs receipts of erasures.
    """

    def __init__(
        self,
        settings: Settings,
        stores: Stores,
        embedder: Embedder,
        *,
        open_vector_index: Callable[[], VectorIndex] | None,
        open_states: Callable[[], LocalStates],
        signer: Callable[[], Signer],
        clock: Clock,
        new_id: NewId,
        forget_texts: Callable[[], None] = lambda: None,
        one_holder: bool = False,
        extractor: Extractor | None = None,
        rephraser: Rephraser | None = None,
        reranker: Reranker | None = None,
        summary_writer: SummaryWriter | None = None,
        model_use: Callable[[], Mapping[str, ModelUse]] = dict,
    ) -> None:
        self.settings = settings
        self.stores = stores
        self.embedder = embedder
        self.clock = clock
        self.new_id = new_id
        self._forget_texts = forget_texts
        self._model_use = model_use
        self._one_holder = one_holder
        extractor = None if extractor is None else Structured(extractor)
        self.extractor = extractor
        self.foreground = Foreground()
        vectors = None if open_vector_index is None else LateVectorIndex(open_vector_index)
        self._vectors = vectors
        source = None if vectors is None else vectors.wait
        indexer = Indexer(stores.cubes, stores.feed, embedder)
        self.cubes = Cubes(stores, settings, clock=clock, new_id=new_id)
        self.keys = Keys(stores, clock=clock, new_id=new_id)
        self.reader = Reader(stores, settings, clock=clock)
        self.enriching = Enriching(settings, stores.feed, clock=clock)
        self.recalls = Recalls()
        self.uses = Uses(stores.keeping, self.recalls)
        self.writer = Writer(
            stores,
            indexer,
            self.enriching,
            settings,
            clock=clock,
            new_id=new_id,
            has_vector_index=open_vector_index is not None,
        )
        self.keeping = self.writer.keeping
        self.adder = Adder(
            stores,
            indexer,
            self.enriching,
            self.keeping,
            Admission(stores, self.recalls, clock=clock),
            settings,
            clock=clock,
            new_id=new_id,
            sync_jobs=self.writer.sync_jobs,
        )
        self.following = self.writer.following
        self.auditor = Auditor(stores.keeping, clock=clock)
        self.resolver = Resolver(stores.graph, embedder, new_id, clock)
        self.graph = Graph(stores, self.adder, self.resolver, settings, clock=clock, new_id=new_id)
        self.explainer = Explainer(stores, self.graph)
        self.searcher = Searcher(
            stores.feed,
            stores.memories,
            embedder,
            None if vectors is None else vectors.at_hand,
            settings,
            clock=clock,
            past=stores.past,
            form=indexer.full,
            graph=self.graph.projections,
            reranker=reranker,
        )
        self.notes = Notes(
            stores,
            self.searcher.projections,
            embedder,
            settings,
            clock=clock,
            new_id=new_id,
        )
        self._states = LateStates(open_states, stores)
        chooser = Chooser(
            stores,
            self.searcher,
            lambda texts: self._states.wait().count_tokens(texts),
            clock=clock,
        )
        self.adapters = Adapters(
            stores,
            Learning(stores, chooser, embedder, held=settings.lora_held, clock=clock),
            self._states,
            settings,
            rephraser=rephraser,
            clock=clock,
            new_id=new_id,
        )
        self.activations = Activations(
            stores,
            chooser,
            self._states,
            self.adapters,
            settings,
            clock=clock,
            new_id=new_id,
        )
        self.answering = Answering(
            stores,
            self._states,
            self.adapters,
            self.activations.compiling,
            self.activations.refreshing,
            clock=clock,
        )
        self.contexts = Contexts(
            stores,
            self.reader,
            self.searcher.projections,
            embedder,
            clock=clock,
            most=settings.max_limit,
        )
        self.sessions = SessionSummaries(
            stores, self.searcher.projections, clock=clock, new_id=new_id, writer=summary_writer
        )
        self.summary_search = SummarySearch(stores, self.searcher, settings, clock=clock)
        self.sleep = Sleep(
            stores,
            self.keeping,
            Promoter(
                stores,
                self.contexts,
                indexer,
                settings,
                clock=clock,
                new_id=new_id,
                sync_jobs=self.writer.sync_jobs,
            ),
            self.sessions,
            self.enriching,
        )
        self.eraser = Eraser(
            stores,
            self.writer,
            self.following,
            signer,
            purge=self.purge,
            forget_states=self.activations.forget_source,
            clock=clock,
            new_id=new_id,
        )
        self.lifecycle = Lifecycle(
            stores,
            self.writer,
            clock=clock,
            gone=self.activations.forget_source,
            erase=self.eraser.erase,
            pinned=self.keeping.pinned,
        )
        self.forgetter = Forgetter(
            stores, self.writer, self.lifecycle, gone=self.activations.forget_source
        )
        self.dumps = Dumps(
            stores, settings, self.uses, self.enriching, self.writer, self.activations
        )
        self.schedules = Schedules(stores, settings, clock=clock)
        self.retention = Retention(
            stores, settings, self.foreground, tenant_id=DEFAULT_TENANT, clock=clock
        )
        self.doctor = Doctor(
            stores,
            indexer,
            source,
            extractor,
            self.enriching,
            ActivationDoctor(stores, self.activations, self._states),
        )
        activation_jobs = ActivationJobs(stores, self.activations, self.adapters, self._states)
        self.worker = Worker(
            stores.jobs,
            {
                **Handlers(stores, indexer, source).table(),
                **activation_jobs.table(),
                **KeepingJobs(
                    stores, self.keeping, self.sleep, self.following, self.foreground
                ).table(),
                **self.forgetter.table(),
                **self.retention.table(),
                **self._lifecycle_jobs(),
                **self._enrichers(),
            },
            name=f"worker-{new_id()}",
            lease_seconds=settings.lease_seconds,
            patient=PATIENT | {COMPILE, CONSOLIDATE, DISTILL, LIFECYCLE, PRUNE, RETRAIN, SWEEP},
            versions={REMAKE: 2},
            chores=(self.retention.schedule, self.schedules.fire),
        )

    def _lifecycle_jobs(self) -> Mapping[str, Handler]:
        table = self.lifecycle.table()
        return {kind: unless_cube_gone(handler) for kind, handler in table.items()}

    def _enrichers(self) -> Mapping[str, Handler]:
        """Handlers of the jobs that read facts, notes and summaries out of memories; without an
        extractor those of sessions only."""
        stores, clock, new_id = self.stores, self.clock, self.new_id

        def groups(cube: Cube) -> list[tuple[str, ...]]:
            return communities(stores.graph, cube.id, now=clock())

        projections, reads = self.searcher.projections, self.extractor is not None
        enrichment = Enrichment(
            stores,
            self.notes,
            self.sessions,
            CommunitySummaries(stores, projections, clock=clock, new_id=new_id) if reads else None,
            groups,
            self.enriching,
            self.foreground,
        )
        if self.extractor is None:
            return enrichment.table()
        extractions = Extractions(
            stores, self.extractor, self.resolver, self.enriching, self.foreground
        )
        return {**extractions.table(), **enrichment.table()}

    def vector_index(self) -> VectorIndex:
        """The vector index, opened if it is not yet."""
        if self._vectors is None:
            raise RuntimeError("this service has no vector index")
        return self._vectors.wait()

    def purge(self, cube: Cube) -> bool:
        """After an erase: takes the vector out of the embedder's cache and of the index now, not
        when a job comes round; the job, queued with the erase, does it where another process holds
        the index. Small cubes have no index; then there is nothing to open. False: the job has
        still to do it.
        """
        self._forget_texts()
        self.graph.forget_names(cube.id)
        self.searcher.drop_past(cube.id)
        self.recalls.drop(cube.id)
        if self._vectors is None:
            return True
        if self.stores.feed.last(cube.id) < self.settings.vector_index_min:
            return True
        try:
            sync_vectors(self.stores, self.vector_index(), cube.id)
        except StorageUnavailable as error:
            log.warning("an erased vector waits for the job that takes it away: %s", error)
            return False
        except CubeNotFound:
            pass  # deleted meanwhile, and its index with it
        return True

    def gave_out(self, cube: Cube, memories: Sequence[Memory]) -> None:
        """Notes that these were given out, for counts of use and against loops; writes nothing."""
        self.recalls.note(cube.id, memories, self.clock())
        self.uses.start()

    def drop(self, cube_id: str) -> None:
        """Forgets what is held in RAM of a cube that was deleted."""
        self.searcher.drop(cube_id)
        self.recalls.drop(cube_id)
        self.graph.projections.drop(cube_id)
        self.graph.forget_names(cube_id)

    def enrich(self, cube: Cube, memory_ids: Sequence[str]) -> None:
        """Queues notes and summaries of memories whose facts were given."""
        found = self.stores.memories.get(cube.id, memory_ids)
        memories = [memory for memory in found.values() if memory.state in LIVE]
        for job in self.enriching.after_reading(cube, memories):
            self.stores.jobs.enqueue(job)
        self.worker.wake()

    def tenant(self, tenant_id: str = DEFAULT_TENANT, *, actor: str | None = None) -> MemoryOS:
        """The verbs for one tenant; cheap, made per request."""
        return MemoryOS(self, tenant_id, actor=actor)

    def authenticate(self, secret: str) -> ApiKey:
        """NotAuthenticated if there is no such key, or it was revoked."""
        return self.keys.authenticate(secret)

    def first_key(self) -> IssuedKey | None:
        """An admin key of the default tenant if there is no key at all, else None."""
        return self.keys.first(DEFAULT_TENANT)

    def start_worker(self, *, serving: bool) -> None:
        """Runs background jobs in a thread.

        An index that one process at a time can open belongs to the one that searches. So a process
        that serves keeps it in step even if it leaves all other jobs to others, and one that only
        runs jobs never opens it.
        """
        if not serving:
            if self._one_holder and self._vectors is not None:
                self._vectors.leave()
                self.worker.start(leave=INDEX_KINDS)
            else:
                self.worker.start()
        elif self.settings.worker_in_process:
            # Who has just started is asked something first; the parser takes seconds to load.
            self.worker.start(patience=_PATIENCE_SECONDS)
        elif self._one_holder:
            self.worker.start(only=INDEX_KINDS)

    def ready(self) -> None:
        """Returns if requests can be served; else the error that prevents it."""
        self.stores.health.ping()

    def warm(self) -> None:
        """Loads the model now rather than at the first request; its errors show here."""
        self.embedder.embed(["warm"])

    def metrics_snapshot(self) -> Mapping[str, Any]:
        """Present values: jobs by (kind, state), `model_use` by model, projections and graphs held
        and their bytes."""
        return {
            "jobs": self.stores.jobs.counts(),
            "job_kinds": self.stores.jobs.report(None),
            "model_use": self._model_use(),
            **self.searcher.usage(),
            **self.graph.projections.usage(),
            **self._states_usage(),
        }

    def _states_usage(self) -> Mapping[str, float]:
        """Nothing while this process has no states open: opening them takes seconds."""
        opened = self._states.at_hand
        return {} if opened is None else opened.stats()

    def close(self) -> None:
        """Stops the worker, returns its leases, closes the stores."""
        self.worker.stop(self.settings.shutdown_seconds)
        self.uses.close()
        self._states.close()
        if self._vectors is not None:
            self._vectors.close()
        self.stores.health.close()
