"""What a process holds of a cube, taken out when a memory is erased or the cube deleted."""

from __future__ import annotations

import logging
from collections.abc import Callable

from memos.admission.recalls import Recalls
from memos.config import Settings
from memos.errors import CubeNotFound, IndexUnavailable, StorageFull, StorageUnavailable
from memos.protocols import Stores
from memos.retrieval.search import Searcher
from memos.service.graph.graph import Graph
from memos.service.retrieval.jobs import sync_vectors
from memos.service.retrieval.vectors import LateVectorIndex
from memos.types import Cube

log = logging.getLogger(__name__)


class Purger:
    """Caches, projections and the vector index, `vectors`; None: there is no index.

    `forget_texts` drops what the embedder remembers of texts.
    """

    def __init__(
        self,
        stores: Stores,
        settings: Settings,
        graph: Graph,
        searcher: Searcher,
        recalls: Recalls,
        vectors: LateVectorIndex | None,
        *,
        forget_texts: Callable[[], None],
    ) -> None:
        self._stores = stores
        self._settings = settings
        self._graph = graph
        self._searcher = searcher
        self._recalls = recalls
        self._vectors = vectors
        self._forget_texts = forget_texts

    def purge(self, cube: Cube) -> bool:
        """After an erase: takes the vector out of the embedder's cache and of the index now, not
        when a job comes round; the job, queued with the erase, does it where another process holds
        the index, or it can't be written. Small cubes have no index; then there is nothing to
        open. False: the job has still to do it.
        """
        self._forget_texts()
        self._graph.forget_names(cube.id)
        self._searcher.drop_past(cube.id)
        self._recalls.drop(cube.id)
        if self._vectors is None:
            return True
        if self._stores.feed.last(cube.id) < self._settings.vector_index_min:
            return True
        try:
            sync_vectors(self._stores, self._vectors.wait(), cube.id)
        except (StorageUnavailable, StorageFull, IndexUnavailable) as error:
            # The erase is committed: whoever asked for it has to get the receipt.
            log.warning("an erased vector waits for the job that takes it away: %s", error)
            return False
        except CubeNotFound:
            pass  # deleted meanwhile, and its index with it
        return True

    def drop(self, cube_id: str) -> None:
        """Forgets what is held in RAM of a cube that was deleted."""
        self._searcher.drop(cube_id)
        self._recalls.drop(cube_id)
        self._graph.projections.drop(cube_id)
        self._graph.forget_names(cube_id)
