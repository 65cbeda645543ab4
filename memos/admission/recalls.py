"""What this process has given out lately, and how often: for loops, and for counts of use.

A search must not write: what it gave out is noted in RAM and written later, many at once. Knows no
store and no search.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime, timedelta

from memos.consolidation.wording import wording
from memos.retrieval.reading.analysis import text_of
from memos.types import Memory

_MOST = 1024
"""Recalled memories per cube that are compared with what comes in."""
_FEWEST_WORDS = 4
_OWN_WORDS = 0.4
"""A text is a repetition of what it quotes if it adds at most this share of words of its own."""


class Recalls:
    """Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recent: dict[str, OrderedDict[str, tuple[datetime, Memory, str]]] = {}
        self._uses: dict[str, dict[str, tuple[int, datetime]]] = {}

    def note(self, cube_id: str, memories: Iterable[Memory], at: datetime) -> None:
        """These were given out."""
        with self._lock:
            recent = self._recent.setdefault(cube_id, OrderedDict())
            uses = self._uses.setdefault(cube_id, {})
            for memory in memories:
                # The words are made when something comes in to be compared, not on the way out.
                recent[memory.id] = (at, memory, "")
                recent.move_to_end(memory.id)
                uses[memory.id] = (uses.get(memory.id, (0, at))[0] + 1, at)
            while len(recent) > _MOST:
                recent.popitem(last=False)

    def repeated(
        self, cube_id: str, text: str, speaker: str | None, *, since: datetime
    ) -> Memory | None:
        """The memory given out since then that a text only says again, if somebody else says it:
        who said it first may say it again."""
        words = wording(text).words
        if len(words) < _FEWEST_WORDS:
            return None
        said = _joined(words)
        with self._lock:
            recent = self._recent.get(cube_id)
            if not recent:
                return None
            for id, (at, memory, known) in reversed(recent.items()):
                if at < since:
                    break
                if memory.speaker is not None and memory.speaker == speaker:
                    continue
                if not known:
                    known = _joined(wording(text_of(memory)).words)
                    recent[id] = (at, memory, known)
                if _repeats(said, len(words), known):
                    return memory
        return None

    def drain(self) -> dict[str, dict[str, tuple[int, datetime]]]:
        """Counts since the last call by cube and memory; they are forgotten here."""
        with self._lock:
            uses, self._uses = self._uses, {}
        return {cube_id: counts for cube_id, counts in uses.items() if counts}

    def drop(self, cube_id: str, memory_ids: Iterable[str] | None = None) -> None:
        """Forgets what a cube gave out, all or these, after an erase or a deletion."""
        with self._lock:
            if memory_ids is None:
                self._recent.pop(cube_id, None)
                self._uses.pop(cube_id, None)
                return
            for id in memory_ids:
                self._recent.get(cube_id, OrderedDict()).pop(id, None)
                self._uses.get(cube_id, {}).pop(id, None)


def _joined(words: tuple[str, ...]) -> str:
    return f" {' '.join(words)} "


def _repeats(said: str, count: int, known: str) -> bool:
    length = known.count(" ") - 1
    if length < _FEWEST_WORDS:
        return False
    return known in said and (count - length) <= _OWN_WORDS * count


def window(minutes: float, now: datetime) -> datetime:
    """Since when a recall counts."""
    return now - timedelta(minutes=minutes)
