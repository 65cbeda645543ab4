"""Where a memory stands among those before it: the nearest in meaning, the turn before, its topics.

Reads the projection of the cube, whose vectors come from SQL; nothing is embedded here. An old
memory is one that arrived earlier and belongs to the same user, so that what is asked about one
memory does not depend on what was drafted together with it, and no user's note tells of another.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from memos.notes.association import binned, thresholds
from memos.notes.topics import Scores, Topics
from memos.retrieval.projection.columns import Rows
from memos.retrieval.projection.projection import Projection, Projections
from memos.retrieval.reading.analysis import fold
from memos.types import Cube

FLOOR = 0.4
"""Less near than this is not associated, however far the rest is away."""
POOL = 12
_BLOCK_CELLS = 1 << 20
"""Cosines computed at once: about 10 ms, so that no search waits long for the projection's lock."""
_BLOCK_ROWS = 64


@dataclass(frozen=True, slots=True)
class Near:
    """An associated old memory."""

    memory_id: str
    cosine: float
    position: int
    same_session: bool


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`near`: the associated ones, nearest first, at most POOL. `previous`: the turn before in the
    session. `topics`: the memory's own cosines to each topic."""

    memory_id: str
    near: tuple[Near, ...]
    previous: str | None
    topics: Scores


class Neighbourhood:
    """Looks into the projections of a process."""

    def __init__(self, projections: Projections, topics: Topics) -> None:
        self._projections = projections
        self._topics = topics

    def around(self, cube: Cube, memory_ids: Sequence[str]) -> dict[str, Surroundings]:
        """Those of live memories that have a vector; others are left out."""
        found: dict[str, Surroundings] = {}
        todo = list(memory_ids)
        while todo:
            with self._projections.fresh(cube.id) as projection:
                size = max(projection.columns.size, 1)
                count = max(1, min(_BLOCK_ROWS, _BLOCK_CELLS // size))
                block, todo = todo[:count], todo[count:]
                rows = _rows(projection, block)
                if len(rows):
                    found.update((s.memory_id, s) for s in self._block(cube, projection, rows))
        return found

    def topics_of(self, cube: Cube, memory_ids: Sequence[str]) -> dict[str, Scores]:
        """Cosines to each topic of those live memories that have a vector."""
        with self._projections.fresh(cube.id) as projection:
            rows = _rows(projection, memory_ids)
            cosines = self._topics.cosines(projection.vectors.take(rows), _model(cube))
            ids = [projection.ids[row] for row in rows.tolist()]
        return dict(zip(ids, cosines, strict=True))

    def idf(self, cube_id: str, terms: Iterable[str]) -> Mapping[str, float]:
        """Lucene's idf of each term over the cube's live memories."""
        with self._projections.fresh(cube_id) as projection:
            count = len(projection)
            found = {term: projection.lexical.find([term]) for term in set(terms)}
            holding = {term: len(posts[0][0]) if posts else 0 for term, posts in found.items()}
        return {t: math.log(1 + (count - df + 0.5) / (df + 0.5)) for t, df in holding.items()}

    def addressed(self, cube_id: str) -> frozenset[str]:
        """The words of the names of all speakers, folded."""
        with self._projections.fresh(cube_id) as projection:
            names = projection.speakers().names
        return frozenset(word for name in names for word in fold(name).split())

    def _block(self, cube: Cube, projection: Projection, rows: Rows) -> Iterator[Surroundings]:
        columns, vectors = projection.columns, projection.vectors
        size = min(columns.size, len(vectors.matrix))
        mine = vectors.take(rows)
        cosines = np.round(mine @ vectors.matrix[:size].T, 4)
        position = columns.numbers["position"]
        user = columns.texts["user_id"].codes
        old = vectors.has[:size] & columns.live[:size]
        among = old & (position[:size] < position[rows, None]) & (user[:size] == user[rows, None])
        least = thresholds(binned(cosines, among))
        # Without enough to fit, the floor alone decides.
        least = np.where(np.isinf(least), FLOOR, np.maximum(least, FLOOR))
        topics = self._topics.cosines(mine, _model(cube))
        for i, row in enumerate(rows.tolist()):
            ok = np.flatnonzero(among[i] & (cosines[i] >= least[i]))
            best = ok[np.lexsort((-position[ok], -cosines[i, ok]))][:POOL]
            chain = int(columns.chain.codes[row])
            near = tuple(
                Near(
                    memory_id=projection.ids[other],
                    cosine=float(cosines[i, other]),
                    position=int(position[other]),
                    same_session=chain > 0 and int(columns.chain.codes[other]) == chain,
                )
                for other in best.tolist()
            )
            before = int(projection.timeline.before[row])
            previous = projection.ids[before] if before >= 0 else None
            yield Surroundings(projection.ids[row], near, previous, topics[i])


def _rows(projection: Projection, memory_ids: Sequence[str]) -> Rows:
    rows = [projection.row(memory_id) for memory_id in memory_ids]
    has = projection.vectors.has
    return np.array([row for row in rows if row is not None and has[row]], np.int64)


def _model(cube: Cube) -> str:
    return "" if cube.embedding is None else cube.embedding.digest
