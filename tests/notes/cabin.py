"""A cube on a real database: memories, vectors, terms, notes. Words in common are nearness."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from memos.config import Settings
from memos.graph.deriving.validity import Rules
from memos.identity import UlidMaker
from memos.notes.drafting import Drafts
from memos.protocols import Stores
from memos.retrieval.projection.projection import Projections
from memos.service.enriching.notes import Notes
from memos.service.retrieval.indexing import Indexer
from memos.storage import open_stores
from memos.testing import HashEmbedder
from memos.types import Cube, Image, Kind, Memory, Note, Provenance, State

START = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)


class CountingEmbedder(HashEmbedder):
    """Counts the texts that it embeds."""

    def __init__(self) -> None:
        super().__init__(dimensions=512)
        self.texts: list[str] = []

    def embed(self, texts):
        self.texts += texts
        return super().embed(texts)


class Cabin:
    def __init__(self, folder: Path, *, name: str = "memos", url: str | None = None) -> None:
        self.now = START
        self.new_id = UlidMaker()
        self.embedder = CountingEmbedder()
        url = url or f"sqlite:///{folder / f'{name}.db'}"
        self.stores: Stores = open_stores(
            url, new_id=self.new_id, clock=lambda: self.now, derivation=Rules()
        )
        self.cube: Cube = self.stores.cubes.create(
            Cube(
                id=self.new_id(),
                tenant_id="t",
                name=name,
                description="",
                metadata={},
                embedding=None,
                created_at=self.now,
            )
        )
        self.indexer = Indexer(self.stores.cubes, self.stores.feed, self.embedder)
        self.indexer.check_model(self.cube)
        self.cube = self.stores.cubes.get("t", name)
        self.projections = Projections(self.stores.feed, 1 << 30)
        self.notes = Notes(
            self.stores,
            self.projections,
            self.embedder,
            Settings(),
            clock=lambda: self.now,
            new_id=self.new_id,
        )

    def close(self) -> None:
        self.stores.health.close()

    def later(self, **amount: float) -> None:
        self.now += timedelta(**(amount or {"minutes": 1}))

    def add(self, content: str, *, vector: bool = True, **fields) -> Memory:
        self.later()
        captions = fields.pop("captions", ())
        memory = Memory(
            id=self.new_id(),
            cube_id=self.cube.id,
            content=content,
            version=1,
            position=0,
            images=tuple(Image(caption=caption) for caption in captions),
            created_at=self.now,
            updated_at=self.now,
            **{
                "kind": Kind.EPISODIC,
                "state": State.ACTIVATED,
                "user_id": None,
                "agent_id": None,
                "session_id": None,
                "speaker": "Anna",
                "occurred_at": None,
                "place": None,
                "metadata": {},
                "priority": 0.5,
                "expires_at": None,
                "provenance": Provenance(),
                **fields,
            },
        )
        make = (
            self.indexer.full if vector else lambda _, memories: self.indexer.terms_only(memories)
        )
        ((stored,), _) = self.stores.memories.insert(
            self.cube.id, [memory], make(self.cube.id, [memory])
        )
        return stored

    def tell(self, *texts: str, **fields) -> list[Memory]:
        return [self.add(text, **fields) for text in texts]

    def change(self, memory: Memory, **fields) -> Memory:
        self.later()
        present = self.stores.memories.get(self.cube.id, [memory.id])[memory.id]
        new = replace(present, updated_at=self.now, **fields)
        indexed = self.indexer.full(self.cube.id, [new])[0] if "content" in fields else None
        return self.stores.memories.replace(
            new,
            expected_version=present.version,
            operation="update",
            actor=None,
            reason=None,
            indexed=indexed,
        )

    def forget(self, memory: Memory) -> None:
        self.change(memory, state=State.ARCHIVED)
        self.notes.forgotten(self.cube, memory.id)

    def erase(self, memory: Memory) -> None:
        self.stores.memories.erase(self.cube.id, memory.id, actor=None, reason=None)

    def draft(self, *memories: Memory) -> Drafts:
        """Of these as they are now; of all without any."""
        self.later()
        ids = [memory.id for memory in memories]
        found = (
            self.stores.memories.get(self.cube.id, ids).values()
            if ids
            else self.stores.memories.page(self.cube.id, limit=1000)
        )
        return self.notes.draft(self.cube, list(found))

    def note(self, memory: Memory) -> Note:
        return self.notes.note(self.cube, memory.id)

    def history(self, memory: Memory) -> list[tuple[str | None, str]]:
        """(cause, context) of each revision."""
        found = self.notes.note_history(self.cube, memory.id)
        return [(note.cause, note.context) for note in found]

    def links(self, memory: Memory) -> dict[str, str]:
        """Relation by the id of the old memory."""
        found = self.stores.links.of(self.cube.id, memory.id)
        return {link.target_id: link.relation for link in found if link.source_id == memory.id}
