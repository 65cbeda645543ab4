"""What the core needs from models: an embedder, an extractor, a local language model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from memos.errors import ExtractionFailed
from memos.types import (
    AdapterReport,
    ArtifactSource,
    EmbeddingModel,
    Extraction,
    Gate,
    Inventory,
    Kept,
    LanguageModel,
    Memory,
    Opening,
    Piece,
    Prompting,
    Recipe,
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

    def evaluate(self, name: str, wanted: TrainingSet, gate: Gate) -> AdapterReport:
        """Judges one that is stored, again."""
        ...

    def check(self, name: str) -> str:
        """Its digest, if it is there, whole, and of the model that runs."""
        ...

    def remove(self, name: str) -> bool:
        """Deletes its file and what is left of its training; whether there was one."""
        ...


class LocalStates(Generator, ActivationStore, Protocol):
    """All of them, on one model. `forget` and `inventory` are of adapters too."""

    @property
    def adapters(self) -> AdapterStore: ...

    def close(self) -> None: ...
