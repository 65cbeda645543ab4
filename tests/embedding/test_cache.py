"""The cache gives what the embedder gives, asks it less, and stays within its bytes."""

import random
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from memos.embedding import CachedEmbedder
from memos.embedding.cache import text_key
from memos.protocols import Embedder
from memos.testing import HashEmbedder


class Counting(HashEmbedder):
    """Keeps the texts that it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += texts
        return super().embed(texts)


def test_cached_equals_computed(onnx: Embedder) -> None:
    cached = CachedEmbedder(onnx)
    texts = ["one text", "another", "one text", ""]
    first = cached.embed(texts)
    assert (cached.embed(texts) == first).all()
    np.testing.assert_allclose(first, onnx.embed(texts), atol=1e-5)
    assert cached.model == onnx.model
    assert cached.count_tokens(texts) == onnx.count_tokens(texts)


def test_equal_texts_are_embedded_once() -> None:
    inner = Counting()
    cached = CachedEmbedder(inner)
    cached.embed(["a b", "c", "a b"])
    cached.embed(["c", "d", "a b"])
    assert inner.asked == ["a b", "c", "d"]
    assert (cached.stats.hits, cached.stats.misses, cached.stats.entries) == (2, 3, 3)


def test_near_texts_are_kept_apart() -> None:
    inner = Counting()
    texts = ["a", "A", "a ", " a", "a\x00", "\ud800", "?"]
    CachedEmbedder(inner).embed(texts)
    assert inner.asked == texts


def test_changing_an_answer_does_not_change_the_cache() -> None:
    cached = CachedEmbedder(Counting())
    answer = cached.embed(["a"])
    expected = answer.copy()
    answer[:] = 7
    cached.embed(["a"])[:] = 8
    assert (cached.embed(["a"]) == expected).all()


@pytest.mark.parametrize("max_bytes", [0, 600, 5_000])
def test_it_stays_within_its_bytes_and_drops_the_oldest(max_bytes: int) -> None:
    inner = Counting()
    cached = CachedEmbedder(inner, max_bytes=max_bytes)
    texts = [f"text {i}" for i in range(50)]
    expected = HashEmbedder().embed(texts)
    assert (cached.embed(texts) == expected).all()
    for i, text in enumerate(texts):
        assert (cached.embed([text, texts[0]]) == expected[[i, 0]]).all()
        assert cached.stats.bytes <= max_bytes
    if max_bytes == 5_000:
        asked = len(inner.asked)
        cached.embed([texts[0]])
        assert len(inner.asked) == asked  # used all along
        cached.embed([texts[1]])
        assert len(inner.asked) == asked + 1  # long unused


def test_stored_vectors_are_found_by_hash() -> None:
    inner = Counting()
    stored = {text_key("kept"): HashEmbedder().embed(["kept"])[0]}
    asked: list[str] = []

    def lookup(keys: Sequence[str]) -> Mapping[str, np.ndarray]:
        asked.extend(keys)
        return {key: stored[key] for key in keys if key in stored}

    cached = CachedEmbedder(inner, lookup=lookup)
    vectors = cached.embed(["new", "kept"])
    assert (vectors == HashEmbedder().embed(["new", "kept"])).all()
    assert inner.asked == ["new"]
    cached.embed(["kept", "new"])
    assert asked == [text_key("new"), text_key("kept")]
    assert (cached.stats.found, cached.stats.misses, cached.stats.hits) == (1, 1, 2)


def test_what_is_forgotten_is_embedded_again() -> None:
    inner = Counting()
    cached = CachedEmbedder(inner)
    cached.embed(["a", "b"])
    cached.forget(["a", "never seen"])
    cached.embed(["a", "b"])
    assert inner.asked == ["a", "b", "a"]
    cached.clear()
    assert cached.stats.entries == 0


def test_threads_share_it() -> None:
    cached = CachedEmbedder(HashEmbedder(), max_bytes=8_000)
    texts = [f"word{i} word{i % 7}" for i in range(60)]
    expected = HashEmbedder().embed(texts)

    def work(seed: int) -> bool:
        order = random.Random(seed).sample(range(60), 30)
        return bool((cached.embed([texts[i] for i in order]) == expected[order]).all())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(64)))
    assert cached.stats.bytes <= 8_000


def test_an_erase_empties_the_services_cache():
    from memos.assembly import build
    from memos.config import load

    service = build(load(), embedder=HashEmbedder())
    memos = service.tenant()
    memory = memos.add("to be erased").memories[0]
    assert service.embedder.stats.entries == 1
    memos.forget(memory.id, erase=True)
    assert service.embedder.stats.entries == 0
    assert service.embedder.stats.bytes == 0
    service.close()
