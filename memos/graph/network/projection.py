"""The graph of a cube in RAM: entities joined by facts (networkx), and memories by what they name.

Derived and disposable, kept equal to the truth by the graph's feed. Holds what walks need and no
more; facts themselves are read from the store. Knows only what is believed now.
"""

from __future__ import annotations

import math
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import networkx as nx
import numpy as np

from memos.graph.network.edges import Edges
from memos.graph.network.pagerank import push
from memos.graph.resolving.names import normal
from memos.protocols import GraphChange
from memos.retrieval.projection.rwlock import ReadWriteLock
from memos.retrieval.reading.analysis import STOPWORDS

_NOTHING: dict[str, Any] = {}
_LONGEST_ALIAS = 8
"""Words of a name that is looked for in a text."""
_FACT_BYTES, _ENTITY_BYTES, _MENTION_BYTES, _MEMORY_BYTES = 520, 780, 170, 230
"""Of each with its ids and its places in the arrays, as tests/graph/test_projection.py measures."""


class _Lean(nx.MultiDiGraph):  # type: ignore[misc]
    """Edges carry no attributes here, only their key: an own dict for each would be a third of the
    whole."""

    edge_attr_dict_factory = staticmethod(lambda: _NOTHING)
    node_attr_dict_factory = staticmethod(lambda: _NOTHING)


@dataclass(frozen=True, slots=True)
class Span:
    """What a walk has to know of a fact; times in Unix seconds, infinite where open."""

    subject_id: str
    object_id: str
    confidence: float
    since: float
    until: float
    negated: bool

    def holds(self, moment: float | None) -> bool:
        return not self.negated and (moment is None or self.since <= moment < self.until)


@dataclass(frozen=True, slots=True)
class Node:
    """An entity; `number` is its place in the arrays."""

    aliases: tuple[str, ...]
    number: int


class GraphProjection:
    """One cube. Change it under `lock.write()`, read it under `lock.read()`."""

    def __init__(self) -> None:
        self.seq = 0
        """The graph change number that it is complete up to."""
        self.whole = False
        self.broken = False
        self.graph = _Lean()
        """Entities by id; a fact is an edge from subject to object, its key the fact's id."""
        self.facts: dict[str, Span] = {}
        self.edges = Edges()
        """Facts, and mentions of entities by memories, with numbers for nodes."""
        self.lock = ReadWriteLock()
        self.refreshing = threading.Lock()
        self._nodes: dict[str, Node] = {}
        self._by_alias: dict[str, list[str]] = defaultdict(list)
        self._merged: dict[str, str] = {}
        self._number: dict[str, int] = {}
        """Of entities and memories."""
        self._ids: list[str] = []
        self._is_memory = bytearray()
        self._memories = 0
        self._mentions: dict[int, int] = defaultdict(int)
        """How many memories name an entity, by its number."""
        self._building = threading.Lock()

    def __len__(self) -> int:
        """Facts that join two entities."""
        return len(self.facts)

    @property
    def mentions(self) -> int:
        return len(self.edges) - len(self.facts)

    @property
    def nbytes(self) -> int:
        """Bytes held, by what was measured of each kind of thing."""
        return (
            _FACT_BYTES * len(self.facts)
            + _ENTITY_BYTES * len(self._nodes)
            + _MENTION_BYTES * self.mentions
            + _MEMORY_BYTES * self._memories
            + self.edges.built_bytes
        )

    @property
    def bytes_per_edge(self) -> float:
        """Of facts and mentions, with the nodes' share."""
        return self.nbytes / max(1, len(self.edges))

    # Changing

    def apply(self, changes: Sequence[GraphChange]) -> None:
        """Takes changes in, in order."""
        for change in changes:
            if change.kind == "entity":
                self._entity(change)
            elif change.kind == "fact":
                self._fact(change)
            else:
                self._mention(change)
        if changes:
            self.seq = max(change.seq for change in changes)

    def _entity(self, change: GraphChange) -> None:
        old = self._nodes.pop(change.id, None)
        for alias in old.aliases if old else ():
            self._by_alias[alias].remove(change.id)
            if not self._by_alias[alias]:
                del self._by_alias[alias]
        self._merged.pop(change.id, None)
        if change.gone:
            if change.id in self.graph:
                self.graph.remove_node(change.id)
            return
        number = self._numbered(change.id, memory=False)
        aliases = tuple(sys.intern(alias) for alias in change.aliases)
        self._nodes[self._ids[number]] = Node(aliases, number)
        if change.target_id is not None:
            self._merged[change.id] = change.target_id
        for alias in aliases:
            self._by_alias[alias].append(self._ids[number])
        self.graph.add_node(self._ids[number])

    def _fact(self, change: GraphChange) -> None:
        old = self.facts.pop(change.id, None)
        if old is not None:
            self.edges.drop(change.id)
            if self.graph.has_edge(old.subject_id, old.object_id, change.id):
                self.graph.remove_edge(old.subject_id, old.object_id, change.id)
        if change.gone or change.target_id is None or change.target_id == change.subject_id:
            return
        one = self._numbered(change.subject_id, memory=False)
        other = self._numbered(change.target_id, memory=False)
        since = -math.inf if change.valid_at is None else change.valid_at
        until = math.inf if change.invalid_at is None else change.invalid_at
        span = Span(
            self._ids[one], self._ids[other], change.confidence, since, until, change.negated
        )
        self.facts[change.id] = span
        self.graph.add_edge(span.subject_id, span.object_id, change.id)
        weight = 0.0 if change.negated else max(change.confidence, 1e-6)
        self.edges.put(change.id, one, other, (weight, since, until))

    def _mention(self, change: GraphChange) -> None:
        memory_id, _, entity_id = change.id.partition(" ")
        memory = self._numbered(memory_id, memory=True)
        entity = self._numbered(entity_id, memory=False)
        key = memory << 32 | entity
        if self.edges.drop(key):
            self._mentions[entity] -= 1
        if not change.gone:
            self.edges.put(key, memory, entity, (1.0, -math.inf, math.inf))
            self._mentions[entity] += 1

    def _numbered(self, id: str, *, memory: bool) -> int:
        number = self._number.get(id)
        if number is None:
            number = self._number[id] = len(self._ids)
            self._ids.append(id)
            self._is_memory.append(memory)
            self._memories += memory
        return number

    # Walking

    def around(
        self, entity_ids: Sequence[str], as_of: datetime | None
    ) -> Iterator[tuple[str, Span]]:
        """Facts that hold at a time and touch one of the entities; each may come twice."""
        moment = None if as_of is None else as_of.timestamp()
        for id in entity_ids:
            if id not in self.graph:
                continue
            for _, _, key in (
                *self.graph.out_edges(id, keys=True),
                *self.graph.in_edges(id, keys=True),
            ):
                span = self.facts[key]
                if span.holds(moment):
                    yield key, span

    def entities_in(self, text: str) -> dict[str, float]:
        """Entities named in a text, the longest name at each place, with how much that says: ids to
        weights that fall with the share of memories that name the entity (inverse document
        frequency), so that hubs such as the speakers count little."""
        words = normal(text).split()
        found: dict[str, float] = {}
        i = 0
        while i < len(words):
            taken, named = self._named_at(words, i)
            for id in named:
                found[id] = max(found.get(id, 0.0), self._weight(id) / len(named))
            i += taken or 1
        return found

    def _named_at(self, words: Sequence[str], i: int) -> tuple[int, list[str]]:
        for length in range(min(_LONGEST_ALIAS, len(words) - i), 0, -1):
            alias = " ".join(words[i : i + length])
            if length == 1 and alias in STOPWORDS:
                continue
            named = self._by_alias.get(alias) or self._by_alias.get(_singular(alias))
            if named:
                return length, sorted({self._merged.get(id, id) for id in named})
        return 0, []

    def _weight(self, id: str) -> float:
        node = self._nodes.get(id)
        named = self._mentions[node.number] if node is not None else 0
        return math.log1p(max(1, self._memories) / (1.0 + named))

    def ranked_memories(
        self, seeds: Mapping[str, float], *, as_of: float | None = None
    ) -> dict[str, float]:
        """Memories by personalised PageRank from `seeds` (entity id → weight), over facts that hold
        at `as_of` (Unix seconds; None: whenever) and over mentions. Those not reached are left out.
        """
        start = {self._number[id]: w for id, w in seeds.items() if id in self._number and w > 0}
        if not start:
            return {}
        with self._building:  # Readers share the lock, and the first of them builds.
            adjacency = self.edges.adjacency(len(self._ids))
        rank = push(adjacency, start, as_of=as_of)
        kinds = np.frombuffer(bytes(self._is_memory), np.uint8)
        return {self._ids[i]: float(rank[i]) for i in np.flatnonzero((rank > 0) & (kinds == 1))}


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") else word
