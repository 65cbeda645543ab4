"""The embedder that is loaded at its first use."""

import pytest

from memos.assembly import build
from memos.config import load
from memos.embedding.lazy import LazyEmbedder
from memos.errors import ModelNotFound
from memos.testing import HashEmbedder


def test_it_is_loaded_once_and_only_when_used():
    loads = []
    lazy = LazyEmbedder(lambda: loads.append(1) or HashEmbedder())
    assert not loads
    assert lazy.embed(["a"]).shape == (1, 64)
    assert lazy.model == HashEmbedder().model
    assert lazy.count_tokens(["a b"]) == [2]
    assert loads == [1]


def test_a_failed_load_is_an_error_each_time():
    def missing():
        raise ModelNotFound("no such model")

    lazy = LazyEmbedder(missing)
    for _ in range(2):
        with pytest.raises(ModelNotFound):
            lazy.embed(["a"])


def test_what_needs_no_model_works_without_one():
    service = build(load(embedding_model="/nowhere/at/all", offline=True))
    memos = service.tenant()
    memos.create_cube("notes")
    assert memos.create_key("k").secret
    assert memos.memories(cube="notes").items == ()
    with pytest.raises(ModelNotFound):
        memos.add("x", cube="notes")
    with pytest.raises(ModelNotFound):
        service.warm()
    assert memos.memories(cube="notes").items == ()
    service.close()
