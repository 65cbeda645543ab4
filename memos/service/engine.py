"""Engine: one process's stores, embedder, searcher and worker, put together for all tenants.

Knows protocols only; `memos.assembly` puts the backends in. Knows no verb: the verbs work with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from memos.admission.auditing import Auditor
from memos.admission.recalls import Recalls
from memos.config import Settings
from memos.extraction.ledger import ModelUse
from memos.extraction.structured import Structured
from memos.forgetting.receipts import Signer
from memos.graph.resolving.resolution import Resolver
from memos.protocols import (
    Clock,
    Embedder,
    Extractor,
    LocalStates,
    NewId,
    Rephraser,
    Stores,
    VectorIndex,
)
from memos.retrieval.ranking.reranking import Reranker
from memos.retrieval.search import Searcher
from memos.scheduler import Foreground
from memos.service.background.retention import Retention
from memos.service.background.schedules import Schedules
from memos.service.background.working import make_worker
from memos.service.cubes import Cubes
from memos.service.dumps import Dumps
from memos.service.enriching.due import Enriching
from memos.service.enriching.handlers import enrichers
from memos.service.enriching.notes import Notes
from memos.service.explaining import Explainer
from memos.service.graph.graph import Graph
from memos.service.keeping.jobs import KeepingJobs
from memos.service.keeping.promoting import Promoter
from memos.service.keeping.sleeping import Sleep
from memos.service.keys import Keys
from memos.service.lifecycle.erasing import Eraser
from memos.service.lifecycle.forgetting import Forgetter
from memos.service.lifecycle.lifecycle import Lifecycle
from memos.service.lifecycle.purging import Purger
from memos.service.local_memories import LocalMemories
from memos.service.memories.adding import Adder
from memos.service.memories.admission import Admission
from memos.service.memories.reading import Reader
from memos.service.memories.uses import Uses
from memos.service.memories.writing import Writer
from memos.service.retrieval.contexts import Contexts
from memos.service.retrieval.indexing import Indexer
from memos.service.retrieval.jobs import Handlers
from memos.service.retrieval.summaries import SummarySearch
from memos.service.retrieval.vectors import LateVectorIndex
from memos.service.upkeep import Doctor
from memos.summaries.sessions import SessionSummaries
from memos.summaries.writing import SummaryWriter
from memos.types import LIVE, Cube, Memory

DEFAULT_TENANT = "default"


class Engine:
    """Everything that the verbs need. Thread-safe.

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
            stores, self.searcher.projections, embedder, settings, clock=clock, new_id=new_id
        )
        local = LocalMemories(
            stores,
            self.searcher,
            embedder,
            open_states,
            settings,
            rephraser=rephraser,
            clock=clock,
            new_id=new_id,
        )
        self._states = local.states
        self.adapters = local.adapters
        self.activations = local.activations
        self.answering = local.answering
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
        self.purger = Purger(
            stores,
            settings,
            self.graph,
            self.searcher,
            self.recalls,
            vectors,
            forget_texts=forget_texts,
        )
        self.eraser = Eraser(
            stores,
            self.writer,
            self.following,
            signer,
            purge=self.purger.purge,
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
        self.doctor = Doctor(stores, indexer, source, extractor, self.enriching, local.doctor)
        self.worker = make_worker(
            stores.jobs,
            (
                Handlers(stores, indexer, source).table(),
                local.table(),
                KeepingJobs(
                    stores, self.keeping, self.sleep, self.following, self.foreground
                ).table(),
                self.forgetter.table(),
                self.retention.table(),
                self.lifecycle.table(),
                enrichers(
                    stores,
                    extractor,
                    self.resolver,
                    self.notes,
                    self.sessions,
                    self.searcher.projections,
                    self.enriching,
                    self.foreground,
                    clock=clock,
                    new_id=new_id,
                ),
            ),
            name=f"worker-{new_id()}",
            lease_seconds=settings.lease_seconds,
            chores=(self.retention.schedule, self.schedules.fire),
        )

    def gave_out(self, cube: Cube, memories: Sequence[Memory]) -> None:
        """Notes that these were given out, for counts of use and against loops; writes nothing."""
        self.recalls.note(cube.id, memories, self.clock())
        self.uses.start()

    def enrich(self, cube: Cube, memory_ids: Sequence[str]) -> None:
        """Queues notes and summaries of memories whose facts were given."""
        found = self.stores.memories.get(cube.id, memory_ids)
        memories = [memory for memory in found.values() if memory.state in LIVE]
        for job in self.enriching.after_reading(cube, memories):
            self.stores.jobs.enqueue(job)
        self.worker.wake()

    def break_off(self) -> bool:
        """Ends what the local model computes: whoever waits for it gets ServiceUnavailable. False
        if this process has none."""
        return self._states.end()

    def close(self) -> None:
        """Stops the worker, returns its leases, closes the stores."""
        self.worker.stop(self.settings.shutdown_seconds, end=self.break_off)
        self.uses.close()
        self._states.close()
        if self._vectors is not None:
            self._vectors.close()
        self.stores.health.close()
