"""A small truth in memory for retrieval tests: memories, their change feed, a searcher over both.

It keeps the contracts of MemoryStore.get and ChangeFeed (each changed memory once, as it is now,
by number), and counts what was asked of it.
"""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from memos.config import Settings
from memos.errors import CubeNotFound
from memos.protocols import Change
from memos.retrieval.reading.analysis import indexed, text_of
from memos.retrieval.search import Searcher
from memos.testing import HashEmbedder
from memos.types import Cube, Hit, Image, Kind, Memory, Provenance, Search, SearchResult, State

NOW = datetime(2024, 6, 15, 12, tzinfo=timezone.utc)
CUBE = "cube"


class World:
    def __init__(self, *, index=None, embedder=None, **settings) -> None:
        self.lock = threading.RLock()
        self.embedder = embedder or HashEmbedder()
        self.now = NOW
        self.memories: dict[str, Memory] = {}
        self.vectors: dict[str, object] = {}
        self.seqs: dict[str, int] = {}
        self.seq = 0
        self.gone = False
        self.asked: list[int] = []
        self.before_get = lambda: None
        self.searcher = self.new_searcher(index=index, **settings)

    def new_searcher(self, *, index=None, **settings) -> Searcher:
        return Searcher(
            self,
            _Fetch(self),
            self.embedder,
            None if index is None else lambda: index,
            Settings(**settings),
            clock=lambda: self.now,
        )

    @property
    def cube(self) -> Cube:
        return Cube(
            id=CUBE,
            tenant_id="t",
            name="cube",
            description="",
            metadata={},
            embedding=self.embedder.model if self.memories else None,
            created_at=NOW,
        )

    def add(self, content: str, *, id: str | None = None, vector: bool = True, **fields) -> str:
        with self.lock:
            return self._add(content, id, vector, fields)

    def _add(self, content: str, id: str | None, vector: bool, fields: dict) -> str:
        self.seq += 1
        id = id or f"m{self.seq:05d}"
        at = NOW - timedelta(days=400) + timedelta(minutes=self.seq)
        captions = fields.pop("captions", ())
        base = {
            "kind": Kind.EPISODIC,
            "state": State.ACTIVATED,
            "version": 1,
            "position": self.seq,
            "user_id": None,
            "agent_id": None,
            "session_id": None,
            "speaker": None,
            "occurred_at": None,
            "place": None,
            "images": tuple(Image(caption=caption) for caption in captions),
            "metadata": {},
            "priority": 0.5,
            "expires_at": None,
            "provenance": Provenance(),
            "created_at": at,
            "updated_at": at,
        }
        self._store(Memory(id=id, cube_id=CUBE, content=content, **(base | fields)), vector)
        return id

    def change(self, id: str, **fields) -> None:
        with self.lock:
            old = self.memories[id]
            self.seq += 1
            self._store(replace(old, version=old.version + 1, **fields), True)

    def forget(self, id: str) -> None:
        self.change(id, state=State.ARCHIVED)

    def search(self, text: str, **fields) -> SearchResult:
        return self.searcher.search(self.cube, Search(text=text, **fields))

    def ids(self, text: str, **fields) -> list[str]:
        return [hit.memory.id for hit in self.search(text, **fields).hits]

    def hit(self, text: str, id: str, **fields) -> Hit:
        return next(hit for hit in self.search(text, **fields).hits if hit.memory.id == id)

    # ChangeFeed

    def last(self, cube_id: str) -> int:
        if self.gone:
            raise CubeNotFound("no such cube")
        with self.lock:
            return self.seq

    def changes(self, cube_id: str, *, after: int, limit: int = 5000) -> list[Change]:
        self.asked.append(after)
        with self.lock:
            ids = sorted((id for id, seq in self.seqs.items() if seq > after), key=self.seqs.get)
            return [self._change(id) for id in ids[:limit]]

    def _store(self, memory: Memory, vector: bool) -> None:
        self.memories[memory.id] = memory
        self.seqs[memory.id] = self.seq
        text = text_of(memory)
        self.vectors[memory.id] = self.embedder.embed([text])[0] if vector else None

    def _change(self, id: str) -> Change:
        memory = self.memories[id]
        return Change(
            seq=self.seqs[id],
            memory_id=id,
            version=memory.version,
            live=memory.state is State.ACTIVATED,
            kind=memory.kind.value,
            position=memory.position,
            user_id=memory.user_id,
            agent_id=memory.agent_id,
            session_id=memory.session_id,
            speaker=memory.speaker,
            place=memory.place,
            occurred_at=memory.occurred_at and memory.occurred_at.timestamp(),
            created_at=memory.created_at.timestamp(),
            expires_at=memory.expires_at and memory.expires_at.timestamp(),
            priority=memory.priority,
            metadata=json.dumps(dict(memory.metadata)),
            terms=indexed(memory),
            vector=self.vectors[id],
        )


class _Fetch:
    """MemoryStore.get over the world's memories."""

    def __init__(self, world: World) -> None:
        self._world = world

    def get(self, cube_id: str, ids):
        self._world.before_get()
        return {id: self._world.memories[id] for id in ids if id in self._world.memories}
