"""What the core needs from models: an embedder, an extractor, a local language model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from memos.errors import ExtractionFailed
from memos.types import (
    AdapterReport,
    Answers,
    ArtifactSource,
    EmbeddingModel,
    Extraction,
    Gate,
    Inventory,
    Joined,
    JoinReport,
    Kept,
    LanguageModel,
    Memory,
    Opening,
    Piece,
    Prompting,
    Recipe,
    Recomputed,
    Trained,
    TrainingSet,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]


class Embedder(Protocol):
    """Turns texts into unit vectors."""

    @property
    def model(self) -> EmbeddingModel: ...

    def embed(self, texts: Sequence[str]) -> Vector:
        """float32 array (n, dimensions), rows of length 1; no texts give shape (0, dimensions)."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, by the model's own tokenizer, without truncation."""
        ...


class Extractor(Protocol):
    """Finds entities and claims in memories. Deterministic ones say so in their docstring."""

    @property
    def name(self) -> str:
        """Identity with version, such as `rules-1`; what another name extracted is done anew."""
        ...

    def extract(
        self, memories: Sequence[Memory], *, before: Sequence[Memory] = ()
    ) -> list[Extraction | ExtractionFailed]:
        """One entry per memory, in order; `before` are the turns that preceded the first in its
        session, oldest first, for pronouns and answers. What can't be extracted is an
        ExtractionFailed in its place, with the reason; the others are not harmed by it."""
        ...


class Rephraser(Protocol):
    """Says questions in other words. What it says need not be the same twice."""

    def rephrase(self, questions: Mapping[str, str], *, count: int) -> dict[str, tuple[str, ...]]:
        """Other wordings by question, `count` at most, each with the name that `questions` has for
        it. ExtractorUnavailable: nothing was to be had; ExtractorAnswer: nothing of use."""
        ...


Turns = tuple[Sequence[Memory], Sequence[Memory]]
"""Memories that follow each other in one session, and the turns that preceded the first."""


@runtime_checkable
class RunExtractor(Protocol):
    """An extractor that reads several sessions at once for less than one after the other."""

    def extract_runs(self, runs: Sequence[Turns]) -> Iterator[list[Extraction | ExtractionFailed]]:
        """What `extract` would find in each of `runs`, in their order; none knows of another."""
        ...


class Generator(Protocol):
    """A local language model, loaded when it is first asked. Raises the ModelErrors of loading."""

    @property
    def model(self) -> LanguageModel: ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text by itself, without special ones."""
        ...

    def stream(
        self, opening: Opening, messages: Sequence[Mapping[str, str]], wanted: Prompting
    ) -> Iterator[Piece]:
        """The answer to `messages` ({role, content}), which come after the opening, as it comes;
        the last piece is done. States of the opening that are stored are loaded, what is not is
        computed; nothing is stored. InvalidInput at once for what the model can't be asked."""
        ...

    def batch(
        self, opening: Opening, prompts: Sequence[Sequence[Mapping[str, str]]], wanted: Prompting
    ) -> Answers:
        """The answers to several, in their order, each as it would be alone. The opening, and what
        else they have in common, is loaded or computed once and held once."""
        ...


class ActivationStore(Protocol):
    """States of the local model on disk and nearer. What is missing is no error: it is computed."""

    def compile(self, opening: Opening, sources: Collection[ArtifactSource]) -> Kept:
        """Stores the states of an opening, computing what is not stored. What is stored for it
        carries `sources`. Kept tells of less than all tokens if the store had no room, or a source
        was forgotten meanwhile. InvalidInput if it is longer than the model can read."""
        ...

    def warm(self, opening: Opening) -> Kept:
        """Brings what is stored of an opening as near as it gets, and says what that is."""
        ...

    def prefetch(self, blocks: Sequence[str]) -> None:
        """Begins to bring blocks near, with what they follow, in the background, the first first.
        What is gone or damaged is passed over."""
        ...

    def pin(self, block: str, *, pinned: bool) -> bool:
        """Keeps a block, and what it needs, from eviction; or no longer. False if it is gone."""
        ...

    def forget(self, source_ids: Collection[str]) -> int:
        """Deletes, in every tier, all that carries one of these sources and all that follows from
        it. How many blocks that were."""
        ...

    def inventory(self) -> Inventory:
        """What is on disk. Loads no model."""
        ...

    def stats(self) -> Mapping[str, float]:
        """Numbers by name, for metrics: kv_blocks, kv_bytes, kv_hits, …"""
        ...


class AdapterStore(Protocol):
    """Adapters of the local model, by the name of their file. AdapterNotFound for a file that is
    not there, AdapterCorrupt for one that is not what was written, AdapterMismatch for one that was
    trained for another model."""

    def train(
        self,
        name: str,
        wanted: TrainingSet,
        recipe: Recipe,
        gate: Gate,
        sources: Sequence[ArtifactSource],
        *,
        told: Callable[[float, float | None], None] = ...,
    ) -> Trained:
        """Trains and judges; stores it only if it passes. A training of the same name that was
        broken off goes on where its last checkpoint was, to the same result. `told` hears of each
        step the share that is done and the last recall, and may raise to end it. TrainingFailed,
        OutOfMemory; InvalidInput for a recipe that can't be."""
        ...

    def merge(
        self,
        name: str,
        names: Sequence[str],
        wanted: TrainingSet,
        gate: Gate,
        sources: Sequence[ArtifactSource],
        *,
        shares: Sequence[float] = (),
        method: str = "linear",
        rank: int | None = None,
    ) -> Trained:
        """Makes those that are stored as `names` into one and judges that; stores it only if it
        passes. Nothing is trained: its steps are 0. InvalidInput for what can't be merged."""
        ...

    def evaluate(self, name: str, wanted: TrainingSet, gate: Gate) -> AdapterReport:
        """Judges one that is stored, again."""
        ...

    def check(self, name: str) -> str:
        """Its digest, if it is there, whole, and of the model that runs."""
        ...

    def remove(self, name: str) -> bool:
        """Deletes its file and what is left of its training; whether there was one."""
        ...


class Joining(Protocol):
    """Openings one after another, each from the states that it was compiled to by itself. `scope`
    is what a measurement holds for, of one model and adapter."""

    def measure(
        self,
        openings: Sequence[Opening],
        questions: Sequence[str],
        *,
        scope: str,
        ratios: Sequence[float],
        selection: Recomputed,
        at: datetime,
    ) -> JoinReport:
        """Compares answers to the questions with those after a full prefill, and keeps what it
        found, instead of what was measured before. ModelUnsupported, StateConflict for what can't
        be joined."""
        ...

    def report(self, opening: Opening, *, scope: str) -> JoinReport | None:
        """What was measured with this model and the opening's adapter."""
        ...

    def answer(
        self,
        openings: Sequence[Opening],
        messages: Sequence[Mapping[str, str]],
        wanted: Prompting,
        *,
        scope: str,
        top: int | None = None,
    ) -> Joined:
        """The answer, joined where the report allows it, else after a full prefill, with the reason
        why. With `top` of those openings alone that the messages attend to most."""
        ...


class LocalStates(Generator, ActivationStore, Protocol):
    """All of them, on one model. `forget` and `inventory` are of adapters too."""

    @property
    def adapters(self) -> AdapterStore: ...

    @property
    def joining(self) -> Joining: ...

    def end(self) -> None:
        """Ends what the model computes, with ServiceUnavailable; before `close`, so that whoever
        waits for it can come to an end too."""

    def close(self) -> None: ...
