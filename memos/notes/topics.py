"""Which topics of the taxonomy a text belongs to: by nearness in meaning and by words that tell.

Each topic's description is embedded once per model. A cue found in the text is worth as much as
some nearness; neither alone has to be enough. Knows vectors and terms; no memories.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence, Set
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memos.notes.taxonomy import TOPICS, Topic
from memos.protocols import Embedder
from memos.retrieval.reading.analysis import QUESTION, analyze

if TYPE_CHECKING:
    from memos.protocols import Vector

LIMIT = 3
ENOUGH = 0.34
"""A topic with this score is a tag."""
NEARLY = 0.18
"""One with this cosine may become a tag when a related memory has it."""
_CUE = 0.22
_SECOND_CUE = 0.1

Scores = NDArray[np.float64]


class Topics:
    """The taxonomy with its vectors, made by `embedder` at the first need. Thread-safe."""

    def __init__(self, embedder: Embedder, topics: Sequence[Topic] = TOPICS) -> None:
        self.names = tuple(topic.name for topic in topics)
        self._embedder = embedder
        self._descriptions = [f"{topic.name}: {topic.description}" for topic in topics]
        self._cues = _cues(topics)
        self._vectors: Vector | None = None
        self._lock = threading.Lock()

    def cosines(self, vectors: Vector, model: str) -> Scores:
        """Nearness of each vector (n, dimensions) to each topic, shape (n, topics); zeros if the
        vectors are of another model than the embedder's."""
        if not len(vectors) or model != self._embedder.model.digest:
            return np.zeros((len(vectors), len(self.names)))
        with self._lock:
            if self._vectors is None:
                self._vectors = self._embedder.embed(self._descriptions)
        return np.asarray(np.round(vectors @ self._vectors.T, 4), np.float64)

    def tags(self, terms: Set[str], cosines: Scores) -> tuple[str, ...]:
        """The topics with a score of at least ENOUGH, best first, at most LIMIT.

        `cosines` (topics,) are those of the text. The score is the cosine, and more for cues.
        """
        scores = np.maximum(cosines, 0.0)
        for place, hits in self._hits(terms).items():
            scores[place] += _CUE + (_SECOND_CUE if hits > 1 else 0.0)
        order = np.argsort(-scores, kind="stable")[:LIMIT]
        return tuple(self.names[place] for place in order.tolist() if scores[place] >= ENOUGH)

    def nearly(self, name: str, cosines: Scores) -> bool:
        """Whether a text with these cosines would do for the topic, if another memory says so."""
        return bool(cosines[self.names.index(name)] >= NEARLY)

    def _hits(self, terms: Set[str]) -> dict[int, int]:
        hits: dict[int, int] = {}
        for term in terms:
            for cue, place in self._cues.get(term, ()):
                if cue <= terms:
                    hits[place] = hits.get(place, 0) + 1
        return hits


def _cues(topics: Sequence[Topic]) -> dict[str, list[tuple[frozenset[str], int]]]:
    """Cues as sets of terms with the place of their topic, by one term each; each cue once."""
    found: dict[str, list[tuple[frozenset[str], int]]] = {}
    for place, topic in enumerate(topics):
        for cue in {frozenset(analyze(cue)) - {QUESTION} for cue in topic.cues}:
            if cue:
                found.setdefault(min(cue), []).append((cue, place))
    return found
