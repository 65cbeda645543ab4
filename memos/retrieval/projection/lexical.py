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
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memos.retrieval.projection.columns import Rows, grown
from memos.retrieval.projection.timeline import Timeline
from memos.retrieval.reading.analysis import QUESTION

K1 = 1.2
B = 0.75
KERNEL = (1.0, 0.5, 0.25)
"""Weight of a term that stands 0, 1, 2 memories away."""

Scores = NDArray[np.float32]
Posting = tuple[Rows, Scores]
"""The rows that hold a term, each once, and how often."""

_TF_BITS = 8
_MANY = 8
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
        self._sessions = (0, 0)

    def add(self, rows: Rows, texts: Sequence[str]) -> None:
        """Indexes new rows; `texts` are terms joined by one blank. Call `measure` when linked."""
        size = int(rows.max()) + 1
        self.asks = grown(self.asks, size, False)
        self._lengths = grown(self._lengths, size, 0)
        self._windows = grown(self._windows, size, 0)
        self._forward.extend([None] * (size - len(self._forward)))
        self.asks[rows] = [text.endswith(QUESTION) for text in texts]
        plain = [text.removesuffix(QUESTION).rstrip() for text in texts]
        lengths = [text.count(" ") + 1 if text else 0 for text in plain]
        words = " ".join(filter(None, plain))
        ids = array("i", map(self._term.__getitem__, words.split(" ") if words else ()))
        start = 0
        for row, length in zip(rows.tolist(), lengths, strict=True):
            self._forward[row] = ids[start : start + length]
            start += length
        self._lengths[rows] = lengths
        self.rows += len(rows)
        self._tokens += len(ids)
        self._post(np.repeat(rows, lengths), np.array(ids, np.int64))

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

    def find(self, terms: Iterable[str]) -> list[Posting]:
        """The postings of those terms that occur at all; each distinct term once."""
        codes = [self._term.get(term) for term in sorted(set(terms))]
        found = [_posted(self._postings[code]) for code in codes if code is not None]
        return [
            (posted >> _TF_BITS, (posted & _TF_MAX).astype(np.float32))
            for posted in found
            if len(posted)
        ]

    def held(self, terms: Sequence[str]) -> list[int]:
        """How many memories have each term; as dear for a common one as for a rare one."""
        return [len(self._postings[code]) if code >= 0 else 0 for code in self.codes(terms)]

    def texts(self, rows: Rows, *, most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The first `most` terms of each of `rows`, in their order, as codes; and beside each the
        index in `rows` of the text it stands in."""
        parts = [self._forward[row] for row in rows.tolist()]
        cut = [array("i") if part is None else part[:most] for part in parts]
        owners = np.repeat(np.arange(len(rows)), [len(part) for part in cut])
        return np.array([code for part in cut for code in part], np.int64), owners

    def codes(self, terms: Sequence[str]) -> list[int]:
        """The code of each term, -1 for one that never occurred."""
        return [self._term.get(term, -1) for term in terms]

    def terms(self, since: int) -> list[str]:
        """The terms in the order of their codes, from that code on."""
        if since == len(self._term):
            return []
        return list(islice(self._term, since, None))

    def idf(self, codes: Sequence[int] | NDArray[np.int64]) -> Scores:
        """Of each term, over memories; 0 for one that no memory has.

        A term keeps its code when the last memory with it goes: it must weigh as if it had never
        been there, or scores would tell of what was erased.
        """
        there = [code >= 0 and len(self._postings[code]) > 0 for code in codes]
        return np.where(there, self.surprise(codes), 0).astype(np.float32)

    def surprise(self, codes: Sequence[int] | NDArray[np.int64]) -> Scores:
        """The same with -1 as a term that no memory has: the rarest that there can be."""
        held = [len(self._postings[code]) if code >= 0 else 0 for code in codes]
        df = np.array(held, np.float32)
        return np.log1p((self.rows - df + 0.5) / (df + 0.5)).astype(np.float32)

    def holds(self, rows: Rows, codes: Sequence[int]) -> NDArray[np.bool_]:
        """Which of `rows` hold which term, shape (terms, rows); row -1 holds none."""
        table = np.zeros((len(codes), len(rows)), np.bool_)
        mark = np.zeros(len(self._lengths), np.bool_)
        for at, code in enumerate(codes):
            if code < 0:
                continue
            held = _posted(self._postings[code]) >> _TF_BITS
            mark[held] = True
            table[at] = mark[rows]
            mark[held] = False
        return table

    def turns(self, found: Sequence[Posting], size: int) -> Scores:
        """BM25 of each row by itself, shape (size,); 0 where no term occurs."""
        scores = np.zeros(size, np.float32)
        norm = self._norm("turns", self._lengths, size)
        for rows, tf in found:
            scores[rows] += _weight(self.rows, len(rows)) * tf / (tf + norm[rows])
        return scores

    def windows(self, found: Sequence[Posting], timeline: Timeline, size: int) -> Scores:
        """BM25 of the window around each row, shape (size,)."""
        scores = np.zeros(size, np.float32)
        norm = self._norm("windows", self._windows, size)
        spread = np.zeros(len(self._lengths), np.float32)
        part = np.empty(size, np.float32)
        for rows, tf in found:
            spread.fill(0)
            spread[rows] = tf
            # A step maps rows one to one, so no target occurs twice but -1, which nobody reads.
            for distance, there in timeline.around(rows):
                spread[there] += np.float32(KERNEL[distance]) * tf
            frequency = spread[:size]
            hit = frequency > 0
            df = int(np.count_nonzero(hit))
            weight = _weight(self.rows, df)
            if _MANY * df > size:
                # Whole columns in place are faster than picking out the rows that count.
                np.add(frequency, norm, out=part)
                np.divide(frequency, part, out=part)
                part *= weight
                scores += part
            else:
                at = np.flatnonzero(hit)
                tf = frequency[at]
                scores[at] += weight * tf / (tf + norm[at])
        return scores

    def sessions(self, found: Sequence[Posting], chain: NDArray[np.int32], size: int) -> Scores:
        """BM25 of each chain, by code; 0 for code 0, which is no session."""
        chain = chain[:size]
        count, norm = self._session_norm(chain, size)
        total = np.zeros(len(norm), np.float32)
        for rows, tf in found:
            sums = np.bincount(chain[rows], tf, len(norm)).astype(np.float32)
            sums[0] = 0
            hit = np.flatnonzero(sums > 0)
            tf = sums[hit]
            total[hit] += _weight(count, len(hit)) * tf / (tf + norm[hit])
        return total

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

    def _norm(self, name: str, lengths: NDArray[np.float64], size: int) -> Scores:
        norm = self._norms.get(name)
        if norm is None or len(norm) != size:
            # Sums of halves and quarters are exact, so the order of arrival leaves no trace.
            norm = _saturation(lengths[:size], self.rows, float(lengths[:size].sum()))
            self._norms[name] = norm
        return norm

    def _session_norm(self, chain: NDArray[np.int32], size: int) -> tuple[int, Scores]:
        """How many sessions there are, and their norms by chain code."""
        norm = self._norms.get("sessions")
        if norm is None or self._sessions[0] != size:
            length = np.bincount(chain, self._lengths[:size], 1).astype(np.float64)
            length[0] = 0
            count = int(np.count_nonzero(np.bincount(chain, minlength=1)[1:]))
            norm = _saturation(length, count, float(length.sum()))
            self._norms["sessions"], self._sessions = norm, (size, count)
        return self._sessions[1], norm


def _saturation(lengths: NDArray[np.float64], count: int, total: float) -> Scores:
    average = total / count if count and total else 1.0
    return (K1 * (1 - B + B * lengths / average)).astype(np.float32)


def _weight(count: int, df: int) -> Any:
    """idf * (k1 + 1), a float32 so that arrays of them stay so."""
    return np.float32((K1 + 1) * math.log(1 + (count - df + 0.5) / (df + 0.5)))


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
