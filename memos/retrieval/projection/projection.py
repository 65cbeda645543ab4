"""The searched form of a cube in RAM, kept equal to the truth by its change feed.

A projection is derived and disposable: it is loaded at the first search, brought up to date before
each search by comparing change numbers, and dropped when memory runs short. So every process reads
its own and everybody else's writes, on any database. Knows the feed; not how to search.
"""

from __future__ import annotations

import logging
import re
import threading
from array import array
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import numpy as np

from memos.errors import CubeNotFound
from memos.protocols import Change
from memos.retrieval.projection.columns import Columns, Rows
from memos.retrieval.projection.dense import Vectors
from memos.retrieval.projection.lexical import Lexical
from memos.retrieval.projection.rwlock import ReadWriteLock
from memos.retrieval.projection.timeline import Timeline
from memos.retrieval.reading import kinship
from memos.retrieval.reading.analysis import fold
from memos.retrieval.reading.speakers import Speakers
from memos.retrieval.reading.telling import Tellings, unmarked

PAGE = 5000

_WORD = re.compile(r"[^\W_]+")
_log = logging.getLogger(__name__)


class Projection:
    """One cube. Change it under `lock.write()`, read it under `lock.read()`."""

    def __init__(self) -> None:
        self.seq = 0
        """The change number that it is complete up to."""
        self.whole = False
        """Whether it has been loaded."""
        self.broken = False
        """A change failed half-way; it must not be used any more."""
        self.ids: list[str] = []
        """Memory id by row; "" for a hole."""
        self.columns = Columns()
        self.timeline = Timeline()
        self.lexical = Lexical()
        self.kin = array("i")
        """Row in the table of `kinship` by code of a term; -1 for one that it does not have."""
        self.vectors = Vectors()
        self.tellings = Tellings()
        self.lock = ReadWriteLock()
        self.refreshing = threading.Lock()
        self._row: dict[str, int] = {}
        self._free: list[int] = []
        self._speakers: tuple[int, Speakers] | None = None
        self._places: tuple[int, dict[str, str]] | None = None
        self._years: tuple[int, range] | None = None

    def __len__(self) -> int:
        return len(self._row)

    def row(self, memory_id: str) -> int | None:
        return self._row.get(memory_id)

    def apply(self, changes: Sequence[Change], *, link: bool = True) -> None:
        """Takes changes in, in order. With `link` False, `relink` must follow the last of them."""
        latest = {change.memory_id: change for change in changes}
        self.vectors.check([change.vector for change in latest.values() if change.live])
        touched = [self._remove([self._row[i] for i in latest if i in self._row], link)]
        live = [change for change in latest.values() if change.live]
        if live:
            rows = np.array([self._place(change.memory_id) for change in live], np.int64)
            self.columns.put(rows, live)
            self.timeline.reserve(self.columns.size)
            forms = [unmarked(change.terms or "") for change in live]
            self.lexical.add(rows, [terms for terms, _ in forms])
            self.kin.extend(kinship.default().rows(self.lexical.terms(len(self.kin))))
            self.tellings.put(rows, [tells for _, tells in forms])
            self.vectors.put(rows, [change.vector for change in live])
            if link:
                self._link(rows)
                touched += [rows, *(there for _, there in self.timeline.around(rows))]
        if link:
            self._measure(np.concatenate(touched))
        if changes:
            self.seq = max(change.seq for change in changes)

    def relink(self) -> None:
        """Puts every memory beside its neighbours anew."""
        columns = self.columns
        self.timeline.reserve(columns.size)
        self.timeline.rebuild(columns.chain.codes, columns.numbers["position"], columns.live)
        self._measure(np.arange(columns.size))

    def speakers(self) -> Speakers:
        """The speakers of live memories, ready for parsing."""
        known = self._speakers
        if known is None or known[0] != self.seq:
            names = self.columns.distinct("speaker")
            same = known is not None and known[1].names == frozenset(names)
            found = known[1] if known is not None and same else Speakers(names)
            self._speakers = known = (self.seq, found)
        return known[1]

    def places(self) -> dict[str, str]:
        """The places of memories by their folded words, for parsing."""
        known = self._places
        if known is None or known[0] != self.seq:
            names = self.columns.distinct("place")
            found = {" ".join(_WORD.findall(fold(name))): name for name in names}
            found.pop("", None)
            self._places = known = (self.seq, found)
        return known[1]

    def years(self) -> range:
        """The calendar years, UTC, that the memories' times span; empty without times."""
        known = self._years
        if known is None or known[0] != self.seq:
            self._years = known = (self.seq, self._spanned())
        return known[1]

    def _spanned(self) -> range:
        occurred = self.columns.numbers["occurred_at"][: self.columns.size]
        occurred = occurred[self.columns.live[: self.columns.size] & ~np.isnan(occurred)]
        if not len(occurred):
            return range(0)
        bounds = np.array([occurred.min(), occurred.max()]).astype("datetime64[s]")
        first, last = bounds.astype("datetime64[Y]").astype(int) + 1970
        return range(int(first), int(last) + 1)

    @property
    def nbytes(self) -> int:
        """Bytes held, those of Python objects estimated."""
        parts = (self.columns, self.timeline, self.lexical, self.vectors, self.tellings)
        return sum(part.nbytes for part in parts) + 190 * len(self.ids) + 4 * len(self.kin)

    def _place(self, memory_id: str) -> int:
        if self._free:
            row = self._free.pop()
            self.ids[row] = memory_id
        else:
            row = len(self.ids)
            self.ids.append(memory_id)
        self._row[memory_id] = row
        return row

    def _remove(self, gone: list[int], link: bool) -> Rows:
        """Clears rows; gives those whose windows change by it."""
        rows = np.array(gone, np.int64)
        if not gone:
            return rows
        touched = rows
        if link:
            touched = np.concatenate([there for _, there in self.timeline.around(rows)])
            self.timeline.remove(rows, self.columns.chain.codes)
        self.lexical.remove(rows)
        self.vectors.remove(rows)
        self.columns.remove(rows)
        for row in gone:
            del self._row[self.ids[row]]
            self.ids[row] = ""
        self._free.extend(reversed(gone))
        return touched

    def _link(self, rows: Rows) -> None:
        columns = self.columns
        self.timeline.insert(rows, columns.chain.codes, columns.numbers["position"], columns.live)

    def _measure(self, rows: Rows) -> None:
        rows = np.unique(rows[rows >= 0])
        self.lexical.measure(rows[self.columns.live[rows]], self.timeline)


class Followed(Protocol):
    """What a projection needs of a change feed."""

    def last(self, cube_id: str) -> int: ...

    def changes(self, cube_id: str, *, after: int, limit: int = 5000) -> list[Change]: ...


class Projections:
    """The projections of a process, within a byte budget over all cubes.

    The least recently used go first. One that is larger than the budget by itself is kept while it
    is the one in use, since there is no other way to search it.
    """

    def __init__(self, feed: Followed, budget: int) -> None:
        self._feed = feed
        self._budget = budget
        self._held: OrderedDict[str, Projection] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._lock = threading.Lock()

    @contextmanager
    def fresh(self, cube_id: str, *, seen: int | None = None) -> Iterator[Projection]:
        """The cube's projection, for reading, complete up to now. CubeNotFound if it is gone.

        With `seen`, complete up to that change number at least, without asking for a newer one.
        """
        while True:
            projection = self._of(cube_id)
            if seen is None or not projection.whole or projection.seq < seen:
                projection = self._refreshed(cube_id)
            with projection.lock.read():
                if not projection.broken:
                    yield projection
                    return

    def drop(self, cube_id: str) -> None:
        """Forgets a cube's projection; the next search loads it again."""
        with self._lock:
            self._held.pop(cube_id, None)
            self._sizes.pop(cube_id, None)

    def usage(self) -> dict[str, int]:
        """How many projections are held, their memories and their bytes."""
        with self._lock:
            return {
                "projections": len(self._held),
                "projection_memories": sum(map(len, self._held.values())),
                "projection_bytes": sum(self._sizes.values()),
            }

    def _refreshed(self, cube_id: str) -> Projection:
        projection = self._of(cube_id)
        try:
            last = self._feed.last(cube_id)
            if projection.seq > last and projection.seq > (last := self._feed.last(cube_id)):
                # Others may have refreshed between, but no number goes back but by a restore.
                _log.warning("cube %s went back to change %d; loading it again", cube_id, last)
                self.drop(cube_id)
                projection = self._of(cube_id)
            while not projection.whole or projection.seq < last:
                with projection.refreshing:
                    self._catch_up(cube_id, projection, last)
                if not projection.whole:  # it broke while this thread waited
                    projection = self._of(cube_id)
                    continue
                self._weigh(cube_id, projection)
        except CubeNotFound:
            self.drop(cube_id)
            raise
        return projection

    def _of(self, cube_id: str) -> Projection:
        with self._lock:
            projection = self._held.get(cube_id)
            if projection is None:
                projection = self._held[cube_id] = Projection()
            self._held.move_to_end(cube_id)
            return projection

    def _catch_up(self, cube_id: str, projection: Projection, last: int) -> None:
        if projection.broken:
            return
        loading = not projection.whole
        if loading:
            projection.vectors.expect(last)
        try:
            while projection.seq < last:
                changes = self._feed.changes(cube_id, after=projection.seq, limit=PAGE)
                with projection.lock.write():
                    if changes:
                        projection.apply(changes, link=not loading)
                    else:
                        projection.seq = last
            if loading:
                with projection.lock.write():
                    projection.relink()
                    projection.whole = True
        except BaseException:
            # It may be half changed. Whoever comes next loads it again.
            projection.whole, projection.broken = False, True
            self.drop(cube_id)
            raise

    def _weigh(self, cube_id: str, projection: Projection) -> None:
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
