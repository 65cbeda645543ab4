"""The graph as callers see it: facts, entities, rulings, the vocabulary, and ways between entities.

Each group of verbs stands in the module named for it.
"""

from __future__ import annotations

from memos.service.graph.reads import GraphReads
from memos.service.graph.ways import GraphWays
from memos.service.graph.writes import GraphWrites


class Graph(GraphReads, GraphWays, GraphWrites):
    """The verbs of the graph, for cubes that the caller may use. Thread-safe."""
