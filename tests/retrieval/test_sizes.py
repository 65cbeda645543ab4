"""Token counts are taken once per version, and never of another version."""

from dataclasses import replace

import pytest

from memos.retrieval.projection import sizes
from memos.retrieval.projection.sizes import TokenCounts
from memos.service import MemoryOS
from memos.testing import HashEmbedder


class Counting(HashEmbedder):
    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def count_tokens(self, texts):
        self.asked += texts
        return super().count_tokens(texts)


@pytest.fixture
def memories():
    from memos.assembly import build
    from memos.config import load

    service = build(load(), embedder=HashEmbedder())
    yield list(MemoryOS(service, "t").add(["one", "one two", "one two three"]).memories)
    service.close()


def test_counted_once_per_version(memories):
    embedder = Counting()
    counts = TokenCounts(embedder)
    assert counts.of(memories) == [1, 2, 3]
    assert counts.of(memories[::-1]) == [3, 2, 1]
    assert len(embedder.asked) == 3
    changed = replace(memories[0], version=2, content="now four words here")
    assert counts.of([changed, memories[0]]) == [4, 1]


def test_the_oldest_go_first(memories, monkeypatch):
    monkeypatch.setattr(sizes, "REMEMBERED", 2)
    embedder = Counting()
    counts = TokenCounts(embedder)
    counts.of(memories)
    counts.of(memories[1:])
    assert embedder.asked == ["one", "one two", "one two three"]
    counts.of(memories[:1])
    assert embedder.asked[3:] == ["one"]
