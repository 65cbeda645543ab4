"""The same memories give the same ranking, to the last score, from SQLite and from PostgreSQL."""

import itertools
from datetime import timedelta

import pytest

from memos.config import Settings
from memos.graph.deriving.validity import Rules
from memos.protocols import Indexed
from memos.retrieval.reading.analysis import ANALYZER, indexed, text_of
from memos.retrieval.search import Searcher
from memos.storage import open_stores
from memos.testing import HashEmbedder
from memos.types import Cube, Kind, Memory, Provenance, Search, State
from tests.retrieval.world import NOW

WORDS = ["heron", "lake", "cello", "bread", "Lisbon", "marathon", "puppy", "garden", "étude"]
QUERIES = [
    "Where does the heron live?",
    "Anna's marathon in May 2024",
    '"heron cello"',
    "lake puppies",
    "ÉTUDE for Bob",
    "the of and",
]


def memory(i: int, cube_id: str) -> Memory:
    words = [WORDS[i % 9], WORDS[(i * 7 + 2) % 9], WORDS[(i * i) % 9]]
    return Memory(
        id=f"{i:026d}",
        cube_id=cube_id,
        content=" ".join(words) + ("?" if i % 5 == 0 else ""),
        kind=Kind.EPISODIC,
        state=State.ACTIVATED,
        version=1,
        position=0,
        user_id=f"u{i % 2}",
        agent_id=None,
        session_id=f"s{i % 6}" if i % 4 else None,
        speaker=("Anna", "Bob")[i % 2],
        occurred_at=NOW - timedelta(days=i, microseconds=123),
        place=None,
        images=(),
        metadata={"n": i, "ünï": "ç"},
        priority=0.5 if i % 7 else 0.9,
        expires_at=None,
        provenance=Provenance(),
        created_at=NOW,
        updated_at=NOW,
    )


def rankings(url: str) -> list[list[tuple[str, float]]]:
    numbers = itertools.count(1)
    stores = open_stores(
        url,
        new_id=lambda: f"n{next(numbers):025d}",
        clock=lambda: NOW,
        derivation=Rules(),
    )
    try:
        embedder = HashEmbedder()
        cube = Cube(
            id="c" * 26,
            tenant_id="t",
            name="cube",
            description="",
            metadata={},
            embedding=embedder.model,
            created_at=NOW,
        )
        stores.cubes.create(cube)
        stores.cubes.set_embedding(cube.id, embedder.model)
        batch = [memory(i, cube.id) for i in range(60)]
        vectors = embedder.embed([text_of(new) for new in batch])
        forms = [
            Indexed(indexed(new), ANALYZER, vector, embedder.model.digest)
            for new, vector in zip(batch, vectors, strict=True)
        ]
        stores.memories.insert(cube.id, batch, forms)
        searcher = Searcher(
            stores.feed, stores.memories, embedder, None, Settings(), clock=lambda: NOW
        )
        found = [searcher.search(cube, Search(text=text, limit=50)) for text in QUERIES]
        found.append(searcher.search(cube, Search(text="lake", filter={"n": {"lt": 9}})))
        return [[(hit.memory.id, hit.score) for hit in result.hits] for result in found]
    finally:
        stores.health.close()


@pytest.mark.timeout(180)
def test_the_ranking_is_the_same(tmp_path, postgres_url):
    on_sqlite = rankings(f"sqlite:///{tmp_path / 'memos.db'}")
    on_postgres = rankings(postgres_url)
    assert on_sqlite == on_postgres
    assert [len(ranking) > 0 for ranking in on_sqlite] == [True] * 7
