"""The local model and its states, opened at the first need and compared with SQL then."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

from memos.errors import MemosError
from memos.protocols import LocalStates, Stores

log = logging.getLogger(__name__)


class LateStates:
    """The local model and its states, opened when first needed.

    What was forgotten while this machine was away is deleted then: the job of that may have run on
    another machine, with files of its own.
    """

    def __init__(self, open_states: Callable[[], LocalStates], stores: Stores) -> None:
        self._open = open_states
        self._stores = stores
        self._lock = threading.Lock()
        self._opened: LocalStates | None = None

    def wait(self) -> LocalStates:
        with self._lock:
            if self._opened is None:
                opened = self._open()
                self._sweep(opened)
                self._opened = opened
            return self._opened

    def orphans(self, opened: LocalStates) -> Mapping[str, int]:
        """Sources that are no longer there, and how many blocks carry each."""
        # In this order: a row is there before its files.
        carried = opened.inventory().sources
        wanted = self._stores.artifacts.wanted(sorted(carried))
        return {source: count for source, count in carried.items() if source not in wanted}

    def _sweep(self, opened: LocalStates) -> None:
        try:
            if gone := self.orphans(opened):
                opened.forget(sorted(gone))
        except MemosError as error:
            log.warning("stored states were not compared with what is there: %s", error)

    @property
    def at_hand(self) -> LocalStates | None:
        return self._opened

    def end(self) -> bool:
        """See `memos.protocols.LocalStates.end`; False if they were never opened."""
        opened = self._opened
        if opened is not None:
            opened.end()
        return opened is not None

    def close(self) -> None:
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()
