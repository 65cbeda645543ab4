"""The prefix tree: which runs of tokens are stored, and what depends on what.

Nodes are blocks, joined by links (chain hashes). A block provides the links of its granules; one
whose parent is such a link is its child, though it may branch off inside it. Links of different
roots are never equal, so a tenant walks only what was stored under its own salt. Pure bookkeeping:
no file, no tensor, no lock; callers hold one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import islice
from typing import TypeAlias

from memos.kvcache.blocks.block import GRANULE, BlockId, Header, Ids
from memos.kvcache.blocks.hashing import common, link_after
from memos.kvcache.store.hit import Hit, Segment

Path = tuple[Segment, ...]
Index: TypeAlias = "defaultdict[bytes, dict[BlockId, None]]"
"""Blocks by a link, in the order in which they came."""

NEAR = 64
"""How many siblings that share no whole granule with a prompt are looked at for a part of one."""


@dataclass(eq=False)
class Node:
    """A block in the tree. `needed` counts the children that join it."""

    header: Header
    needed: int = 0


class Tree:
    def __init__(self) -> None:
        self._nodes: dict[BlockId, Node] = {}
        self._children: Index = defaultdict(dict)
        self._beginning: Index = defaultdict(dict)
        self._providers: Index = defaultdict(dict)

    def __contains__(self, block: BlockId) -> bool:
        return block in self._nodes

    def __len__(self) -> int:
        return len(self._nodes)

    def header(self, block: BlockId) -> Header | None:
        node = self._nodes.get(block)
        return node.header if node else None

    def headers(self) -> list[Header]:
        return [node.header for node in self._nodes.values()]

    def leaf(self, block: BlockId) -> bool:
        """Whether no other block needs it."""
        return not self._nodes[block].needed

    def provides(self, link: bytes) -> bool:
        """Whether a block ends a granule with this link, so that another can follow."""
        return link in self._providers

    def providers(self, link: bytes) -> set[BlockId]:
        return set(self._providers.get(link, ()))

    def holder(self, wanted: Header) -> BlockId | None:
        """A block that holds what `wanted` would, and carries all its sources; it may go on."""
        for block in self._children.get(wanted.parent, ()):
            header = self._nodes[block].header
            whole = header.id == wanted.id or (
                header.sliceable and common(header.tokens, wanted.tokens) == len(wanted.tokens)
            )
            same = (header.codec, header.policy) == (wanted.codec, wanted.policy)
            if whole and same and set(wanted.sources) <= set(header.sources):
                return block
        return None

    def add(self, header: Header) -> None:
        """A block of the same id is replaced: equal content, perhaps other sources."""
        if header.id in self._nodes:
            self._nodes[header.id].header = header
            return
        self._nodes[header.id] = Node(header, sum(1 for _ in self._joined(header)))
        for parent in self._providers.get(header.parent, ()):
            self._nodes[parent].needed += 1
        self._children[header.parent][header.id] = None
        self._beginning[_first(header)][header.id] = None
        for link in header.hashes:
            self._providers[link][header.id] = None

    def remove(self, block: BlockId) -> None:
        """Nothing happens if it is not there. Children stay, and are orphans if no other block
        provides their parent."""
        node = self._nodes.pop(block, None)
        if node is None:
            return
        header = node.header
        _discard(self._children, header.parent, block)
        _discard(self._beginning, _first(header), block)
        for link in header.hashes:
            _discard(self._providers, link, block)
        for parent in self._providers.get(header.parent, ()):
            self._nodes[parent].needed -= 1

    def descendants(self, blocks: Iterable[BlockId]) -> set[BlockId]:
        """The blocks themselves, and all that join one of them, at whatever depth."""
        found: set[BlockId] = set()
        todo = [block for block in blocks if block in self._nodes]
        while todo:
            block = todo.pop()
            if block not in found:
                found.add(block)
                todo.extend(self._joined(self._nodes[block].header))
        return found

    def lineage(self, block: BlockId) -> list[BlockId]:
        """From a root to the block, through any that provide its parents; empty if none do."""
        found: list[BlockId] = []
        at: BlockId | None = block
        while at is not None:
            node = self._nodes.get(at)
            if node is None:
                return []
            found.append(at)
            if not node.header.start:
                return found[::-1]
            at = min(self._providers.get(node.header.parent, ()), default=None)
        return []

    def orphans(self) -> set[BlockId]:
        """Blocks that no walk from a root can reach."""
        first = [block for block, node in self._nodes.items() if node.header.start == 0]
        return set(self._nodes) - self.descendants(first)

    def longest(
        self, root: bytes, ids: Ids, codecs: Sequence[str], policy: str | None = None
    ) -> Hit | None:
        """The longest stored prefix of `ids` of at most len(ids) - 1 tokens, through blocks of
        these codecs and this policy; among equals the one of fewer blocks, then of the codec that
        stands first."""
        reached: dict[int, tuple[bytes, Path]] = {0: (root, ())}
        todo = [0]
        best: Path = ()
        while todo:
            at = heappop(todo)
            link, way = reached[at]
            for header in self._following(link, _onward(link, ids, at), at, codecs, policy):
                matched = common(header.tokens, ids[header.start :])
                best = max(best, _used(header, matched, len(ids) - 1, way), key=_length)
                for step in _joints(header, matched):
                    # What was stored for equal tokens is their link: nothing is hashed again.
                    if (joint := header.hashes[step - 1]) in self._children:
                        further = (*way, Segment(header.id, header.start, step * GRANULE))
                        if at + step not in reached:
                            heappush(todo, at + step)
                        _, known = reached.get(at + step, (joint, further))
                        reached[at + step] = (joint, min(known, further, key=len))
        return Hit(root, best[-1].end, best) if best else None

    def _following(
        self, link: bytes, onward: bytes | None, at: int, codecs: Sequence[str], policy: str | None
    ) -> list[Header]:
        """Children that share the next granule, else a few that may share the start of it: a
        root can have thousands, and comparing with each of them would take the time of a hit."""
        blocks = self._beginning.get(onward) if onward else None
        near = blocks or islice(self._children.get(link, ()), NEAR)
        headers = (self._nodes[block].header for block in near)
        found = [
            header
            for header in headers
            if header.start == at * GRANULE and header.policy == policy and header.codec in codecs
        ]
        return sorted(found, key=lambda header: (codecs.index(header.codec), header.id))

    def _joined(self, header: Header) -> Iterable[BlockId]:
        for link in header.hashes:
            yield from self._children.get(link, ())


def condemned(tree: Tree, source_ids: Collection[str]) -> set[BlockId]:
    """Blocks that carry one of the sources, and what was computed after them."""
    carriers = [
        header.id
        for header in tree.headers()
        if any(source.id in source_ids for source in header.sources)
    ]
    return tree.descendants(carriers)


def _used(header: Header, matched: int, most: int, before: Path) -> Path:
    """The path with as much of the block as may be used at the end of a hit; empty if none."""
    rows = min(matched, most - header.start)
    if rows <= 0 or (rows < len(header.tokens) and not header.sliceable):
        return ()
    return (*before, Segment(header.id, header.start, rows))


def _joints(header: Header, matched: int) -> range:
    """After how many of its granules another block can follow: none inside a compressed one."""
    whole = len(header.tokens) // GRANULE
    if header.policy is not None:
        return (
            range(whole, whole + 1)
            if matched == len(header.tokens) and not header.tail
            else range(0)
        )
    return range(1, matched // GRANULE + 1)


def _length(path: Path) -> tuple[int, int]:
    return (path[-1].end, -len(path)) if path else (0, 0)


def _onward(link: bytes, ids: Ids, at: int) -> bytes | None:
    """The link of the granule `at`, which follows `link`; None if the prompt has no whole one."""
    granule = ids[at * GRANULE : (at + 1) * GRANULE]
    return link_after(link, granule) if len(granule) == GRANULE else None


def _first(header: Header) -> bytes:
    """The link of the first granule; of a block that has none whole its parent's."""
    return header.hashes[0] if header.hashes else header.parent


def _discard(index: Index, link: bytes, block: BlockId) -> None:
    index[link].pop(block, None)
    if not index[link]:
        del index[link]
