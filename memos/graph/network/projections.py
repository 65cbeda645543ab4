"""The graphs of a process in RAM: loaded when first walked, kept equal to the truth, dropped when
memory runs short or when they grow too large to be kept.

Knows the graph's feed; not how graphs are walked.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from memos.errors import CubeNotFound
from memos.protocols import GraphStore

if TYPE_CHECKING:
    from memos.graph.network.projection import GraphProjection

PAGE = 5000
_AGAIN = 20_000
"""Changes after which a graph that was too large is measured again."""

_log = logging.getLogger(__name__)


class GraphProjections:
    """Graphs of at most `most_facts` facts each, within `budget` bytes in all; the least recently
    used go first."""

    def __init__(self, store: GraphStore, *, most_facts: int, budget: int) -> None:
        self._store = store
        self._most_facts = most_facts
        self._budget = budget
        self._held: OrderedDict[str, GraphProjection] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._large: dict[str, int] = {}
        """Cubes that are too large, and the change number at which they were."""
        self._lock = threading.Lock()

    @contextmanager
    def fresh(self, cube_id: str) -> Iterator[GraphProjection | None]:
        """The cube's graph, for reading, complete up to now; None if it is too large to be held.
        CubeNotFound if the cube is gone."""
        while True:
            projection = self._refreshed(cube_id)
            if projection is None:
                yield None
                return
            with projection.lock.read():
                if not projection.broken:
                    yield projection
                    return

    def drop(self, cube_id: str) -> None:
        """Forgets a cube's graph; the next walk loads it again."""
        with self._lock:
            self._held.pop(cube_id, None)
            self._sizes.pop(cube_id, None)
            self._large.pop(cube_id, None)

    def usage(self) -> dict[str, int]:
        """How many graphs are held, their edges (facts and mentions) and their bytes."""
        with self._lock:
            return {
                "graphs": len(self._held),
                "graph_edges": sum(len(held.edges) for held in self._held.values()),
                "graph_bytes": sum(self._sizes.values()),
            }

    def _refreshed(self, cube_id: str) -> GraphProjection | None:
        try:
            last = self._store.last(cube_id)
            if self._too_large(cube_id, last):
                return None
            projection = self._of(cube_id)
            if projection.seq > last and projection.seq > (last := self._store.last(cube_id)):
                _log.warning("graph of %s went back to change %d; loading it", cube_id, last)
                self.drop(cube_id)
                projection = self._of(cube_id)
            if projection.whole and projection.seq >= last:
                return projection
            if not projection.whole and not self._measured(cube_id, last):
                return None
            with projection.refreshing:
                self._catch_up(cube_id, projection, last)
        except CubeNotFound:
            self.drop(cube_id)
            raise
        if len(projection) > self._most_facts:
            self._give_up(cube_id, last)
            return None
        self._weigh(cube_id, projection)
        return projection

    def _too_large(self, cube_id: str, last: int) -> bool:
        with self._lock:
            at = self._large.get(cube_id)
            if at is not None and not at <= last < at + _AGAIN:
                del self._large[cube_id]
                at = None
        return at is not None

    def _measured(self, cube_id: str, last: int) -> bool:
        """Whether a graph that is not held yet is small enough."""
        _, facts = self._store.size(cube_id)
        if facts > self._most_facts:
            self._give_up(cube_id, last)
            return False
        return True

    def _give_up(self, cube_id: str, last: int) -> None:
        self.drop(cube_id)
        with self._lock:
            self._large[cube_id] = last

    def _of(self, cube_id: str) -> GraphProjection:
        # Here, since a tenth of the start of a command is the import of networkx.
        from memos.graph.network.projection import GraphProjection

        with self._lock:
            projection = self._held.get(cube_id)
            if projection is None:
                projection = self._held[cube_id] = GraphProjection()
            self._held.move_to_end(cube_id)
            return projection

    def _catch_up(self, cube_id: str, projection: GraphProjection, last: int) -> None:
        try:
            while projection.seq < last and not projection.broken:
                changes = self._store.changes(cube_id, after=projection.seq, limit=PAGE)
                with projection.lock.write():
                    projection.apply(changes)
                    if not changes:
                        projection.seq = last
            projection.whole = not projection.broken
        except BaseException:
            # It may be half changed. Whoever comes next loads it again.
            projection.whole, projection.broken = False, True
            self.drop(cube_id)
            raise

    def _weigh(self, cube_id: str, projection: GraphProjection) -> None:
        size = projection.nbytes
        with self._lock:
            if self._held.get(cube_id) is not projection:
                return
            self._sizes[cube_id] = size
            while len(self._held) > 1 and sum(self._sizes.values()) > self._budget:
                oldest = next(iter(self._held))
                if oldest == cube_id:
                    self._held.move_to_end(cube_id)
                    continue
                del self._held[oldest]
                self._sizes.pop(oldest, None)
