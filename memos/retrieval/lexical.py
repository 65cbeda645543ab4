"""An inverted index in RAM with BM25 over turns, windows and sessions, from the same postings.

BM25 as S. Robertson and H. Zaragoza give it, "The Probabilistic Relevance Framework: BM25 and
Beyond" (2009), with Lucene's idf, log(1 + (N - df + 0.5) / (df + 0.5)), which is never negative:

    score(q, d) = sum over t of idf(t) * tf * (k1 + 1) / (tf + k1 * (1 - b + b * len / avglen))

A *window* is a memory with those up to two steps beside it in its session. Its term frequencies
and its length are sums weighted by distance (`KERNEL`), in the manner of BM25F's fields; df counts
windows. A *session* is all memories of one chain taken as one text.

Knows rows and terms; not what a memory is, nor which rows a search may see.
"""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from memos.retrieval.analysis import QUESTION
from memos.retrieval.columns import Rows, grown
from memos.retrieval.timeline import Timeline

K1 = 1.2
B = 0.75
KERNEL = (1.0, 0.5, 0.25)
"""Weight of a term that stands 0, 1, 2 memories away."""

Scores = NDArray[np.float32]

_TF_BITS = 8
_TF_MAX = (1 << _TF_BITS) - 1


class Lexical:
    """Postings are row << 8 | tf in an array per term, unordered, changed in place."""

    def __init__(self) -> None:
        self.rows = 0
        """Memories with terms or without, not counting holes: the N of the idf."""
        self.asks: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._term: defaultdict[str, int] = defaultdict()
        self._term.default_factory = self._term.__len__
        self._postings: list[array[int]] = []
        self._forward: list[array[int] | None] = []
        self._lengths: NDArray[np.float64] = np.zeros(0, np.float64)
        self._windows: NDArray[np.float64] = np.zeros(0, np.float64)
        self._norms: dict[str, Scores] = {}
        self._tokens = 0
        self._entries = 0

    def add(self, rows: Rows, texts: Sequence[str | None]) -> None:
        """Indexes new rows; `texts` are terms joined by one blank. Call `measure` when linked."""
        size = int(rows.max()) + 1
        self.asks = grown(self.asks, size, False)
        self._lengths = grown(self._lengths, size, 0)
        self._windows = grown(self._windows, size, 0)
        self._forward.extend([None] * (size - len(self._forward)))
        lengths: list[int] = []
        flat: list[int] = []
        for row, text in zip(rows.tolist(), texts, strict=True):
            words = text.split() if text else []
            self.asks[row] = words[-1:] == [QUESTION]
            if self.asks[row]:
                words.pop()
            ids = array("i", map(self._term.__getitem__, words))
            self._forward[row] = ids
            lengths.append(len(ids))
            flat.extend(ids)
        self._lengths[rows] = lengths
        self.rows += len(rows)
        self._tokens += len(flat)
        self._post(np.repeat(rows, lengths), np.array(flat, np.int64))

    def remove(self, rows: Rows) -> None:
        gone = np.zeros(len(self._lengths), np.bool_)
        gone[rows] = True
        terms: set[int] = set()
        for row in rows.tolist():
            ids = self._forward[row]
            if ids is not None:
                terms.update(ids)
                self._tokens -= len(ids)
            self._forward[row] = None
        for term in terms:
            posted = _posted(self._postings[term])
            kept = posted[~gone[posted >> _TF_BITS]]
            self._entries -= len(posted) - len(kept)
            self._postings[term] = array("q", kept.tobytes())
        self._lengths[rows] = 0
        self._windows[rows] = 0
        self.asks[rows] = False
        self.rows -= len(rows)
        self._norms.clear()

    def measure(self, rows: Rows, timeline: Timeline) -> None:
        """Takes the window lengths of `rows` anew, after they or their neighbours changed."""
        length = self._lengths[rows]
        for distance, there in timeline.around(rows):
            length = length + KERNEL[distance] * self._lengths[there]
        self._windows[rows] = length
        self._norms.clear()

    def turns(self, terms: Iterable[str], size: int) -> Scores:
        """BM25 of each row by itself, shape (size,); 0 where no term occurs."""
        scores = np.zeros(size, np.float32)
        norm = self._norm("turns", self._lengths, size)
        for term in set(terms):
            rows, tf = self._find(term)
            if len(rows):
                scores[rows] += _gain(tf, norm[rows], self.rows, len(rows))
        return scores

    def windows(self, terms: Iterable[str], timeline: Timeline, size: int) -> Scores:
        """BM25 of the window around each row, shape (size,)."""
        scores = np.zeros(size, np.float32)
        norm = self._norm("windows", self._windows, size)
        spread = np.zeros(len(self._lengths), np.float32)
        for term in sorted(set(terms)):
            rows, tf = self._find(term)
            if not len(rows):
                continue
            spread.fill(0)
            spread[rows] = tf
            # A step maps rows one to one, so no target occurs twice but -1, which nobody reads.
            for distance, there in timeline.around(rows):
                spread[there] += KERNEL[distance] * tf
            hit = np.flatnonzero(spread[:size] > 0)
            scores[hit] += _gain(spread[hit], norm[hit], self.rows, len(hit))
        return scores

    def sessions(self, terms: Iterable[str], chain: NDArray[np.int32], size: int) -> Scores:
        """BM25 of the session each row belongs to, shape (size,); 0 for rows of none."""
        chain = chain[:size]
        inside = chain > 0
        if not inside.any():
            return np.zeros(size, np.float32)
        length = np.bincount(chain, self._lengths[:size]).astype(np.float64)
        length[0] = 0
        count = len(np.unique(chain[inside]))
        norm = _saturation(length, count, float(length.sum()))
        total = np.zeros(len(length), np.float32)
        for term in sorted(set(terms)):
            rows, tf = self._find(term)
            if not len(rows):
                continue
            sums = np.bincount(chain[rows], tf, len(length))
            sums[0] = 0
            hit = np.flatnonzero(sums)
            total[hit] += _gain(sums[hit].astype(np.float32), norm[hit], count, len(hit))
        return total[chain]

    def phrase(self, terms: Sequence[str]) -> Rows:
        """Rows in which the terms follow each other directly (stop words between do not count)."""
        ids = [self._term.get(term, -1) for term in terms]
        if -1 in ids:
            return np.zeros(0, np.int64)
        found = [_posted(self._postings[term]) >> _TF_BITS for term in set(ids)]
        found.sort(key=len)
        rows = found[0]
        for other in found[1:]:
            rows = np.intersect1d(rows, other, assume_unique=True)
        wanted = array("i", ids)
        return np.array([r for r in rows.tolist() if _within(self._forward[r], wanted)], np.int64)

    @property
    def nbytes(self) -> int:
        arrays = (self.asks, self._lengths, self._windows)
        posted = 8 * self._entries + 180 * len(self._postings)
        return sum(a.nbytes for a in arrays) + posted + 4 * self._tokens + 90 * len(self._forward)

    def _post(self, rows: Rows, terms: NDArray[np.int64]) -> None:
        self._norms.clear()
        self._postings.extend(array("q") for _ in range(len(self._term) - len(self._postings)))
        keys, counts = np.unique(terms << 32 | rows, return_counts=True)
        posted = (keys & 0xFFFFFFFF) << _TF_BITS | np.minimum(counts, _TF_MAX)
        ids, starts = np.unique(keys >> 32, return_index=True)
        raw = posted.astype(np.int64).tobytes()
        self._entries += len(posted)
        bounds = [*(starts * 8).tolist(), len(raw)]
        for i, term in enumerate(ids.tolist()):
            self._postings[term].frombytes(raw[bounds[i] : bounds[i + 1]])

    def _find(self, term: str) -> tuple[Rows, Scores]:
        code = self._term.get(term)
        if code is None:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        posted = _posted(self._postings[code])
        return posted >> _TF_BITS, (posted & _TF_MAX).astype(np.float32)

    def _norm(self, name: str, lengths: NDArray[np.float64], size: int) -> Scores:
        norm = self._norms.get(name)
        if norm is None or len(norm) != size:
            # Sums of halves and quarters are exact, so the order of arrival leaves no trace.
            norm = _saturation(lengths[:size], self.rows, float(lengths[:size].sum()))
            self._norms[name] = norm
        return norm


def _saturation(lengths: NDArray[np.float64], count: int, total: float) -> Scores:
    average = total / count if count and total else 1.0
    return (K1 * (1 - B + B * lengths / average)).astype(np.float32)


def _gain(tf: Scores, norm: Scores, count: int, df: int) -> Scores:
    idf = math.log(1 + (count - df + 0.5) / (df + 0.5))
    return np.asarray(np.float32(idf * (K1 + 1)) * tf / (tf + norm), np.float32)


def _posted(postings: array[int]) -> NDArray[np.int64]:
    # A view would forbid the array to grow while it lives; what is made from it are copies.
    return np.frombuffer(postings, np.int64) if postings else np.zeros(0, np.int64)


def _within(text: array[int] | None, wanted: array[int]) -> bool:
    if text is None:
        return False
    raw, part, width = text.tobytes(), wanted.tobytes(), wanted.itemsize
    at = raw.find(part)
    while at >= 0:
        if at % width == 0:
            return True
        at = raw.find(part, at + 1)
    return False
