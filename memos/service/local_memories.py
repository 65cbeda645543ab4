"""Activation and parametric memory, put together over the one local model of a process."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from memos.config import Settings
from memos.protocols import Clock, Embedder, LocalStates, NewId, Rephraser, Stores
from memos.retrieval.search import Searcher
from memos.scheduler import Handler
from memos.service.activation.activations import Activations
from memos.service.activation.answering import Answering
from memos.service.activation.jobs import ActivationDoctor, ActivationJobs
from memos.service.local_model.choosing import Chooser
from memos.service.local_model.late_states import LateStates
from memos.service.parametric.adapters import Adapters
from memos.service.parametric.learning import Learning


class LocalMemories:
    """Its parts; `open_states` gives the local model and its states at the first need."""

    def __init__(
        self,
        stores: Stores,
        searcher: Searcher,
        embedder: Embedder,
        open_states: Callable[[], LocalStates],
        settings: Settings,
        *,
        rephraser: Rephraser | None,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self.states = LateStates(open_states, stores)
        chooser = Chooser(
            stores,
            searcher,
            lambda texts: self.states.wait().count_tokens(texts),
            clock=clock,
        )
        self.adapters = Adapters(
            stores,
            Learning(stores, chooser, embedder, held=settings.lora_held, clock=clock),
            self.states,
            settings,
            rephraser=rephraser,
            clock=clock,
            new_id=new_id,
        )
        self.activations = Activations(
            stores,
            chooser,
            self.states,
            self.adapters,
            settings,
            clock=clock,
            new_id=new_id,
        )
        self.answering = Answering(
            stores,
            self.states,
            self.adapters,
            self.activations.compiling,
            self.activations.refreshing,
            clock=clock,
        )
        self.doctor = ActivationDoctor(stores, self.activations, self.states)
        self._jobs = ActivationJobs(stores, self.activations, self.adapters, self.states)

    def table(self) -> Mapping[str, Handler]:
        """Handlers of the jobs of both."""
        return self._jobs.table()
