"""Service: an engine, and what comes to it from outside: tenants, keys, start and health.

One for each process, shared by all tenants.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memos.protocols import VectorIndex
from memos.service.engine import DEFAULT_TENANT, Engine
from memos.service.memory_os import MemoryOS
from memos.service.retrieval.jobs import INDEX_KINDS
from memos.types import ApiKey, IssuedKey

_PATIENCE_SECONDS = 2.0


class Service(Engine):
    """Everything a process needs to serve memories. Thread-safe."""

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

    def vector_index(self) -> VectorIndex:
        """The vector index, opened if it is not yet."""
        if self._vectors is None:
            raise RuntimeError("this service has no vector index")
        return self._vectors.wait()

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
