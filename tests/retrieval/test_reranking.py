"""The reranker: what it adds, when it is asked, and a real cross-encoder with random weights."""

from pathlib import Path

import numpy as np
import pytest

from memos.assembly import make_reranker
from memos.config import Settings
from memos.embedding.cross_encoder import CrossEncoderReranker
from memos.errors import ModelCorrupt, ModelNotFound
from memos.retrieval.ranking.reranking import READ, WEIGHT, shares
from memos.retrieval.search import Searcher
from memos.types import Search
from tests.retrieval.world import World, _Fetch

WORDS = [
    "the",
    "kettle",
    "sings",
    "number",
    "narwhal",
    "harbour",
    "who",
    "plays",
    "cello",
    "porto",
    "and",
    "a",
    "dog",
]


class Favourite:
    """Likes texts with one word; notes what it was given."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.read: list[tuple[str, int]] = []

    def scores(self, query, texts):
        self.read.append((query, len(texts)))
        return np.array([float(self.word in text) for text in texts], np.float32)


def searcher(world: World, reranker) -> Searcher:
    return Searcher(
        world,
        _Fetch(world),
        world.embedder,
        None,
        Settings(),
        clock=lambda: world.now,
        reranker=reranker,
    )


@pytest.fixture
def world() -> World:
    world = World()
    for i in range(200):
        world.add(f"the kettle sings number {i}")
    return world


def test_what_it_likes_comes_first_and_is_explained(world):
    favourite = Favourite("number 37")
    plain = searcher(world, None).search(world.cube, Search(text="kettle sings", limit=50))
    assert "number 37" in " ".join(hit.memory.content for hit in plain.hits)
    assert "number 37" not in plain.hits[0].memory.content
    asked = Search(text="kettle sings", limit=3, explain=True)
    found = searcher(world, favourite).search(world.cube, asked)
    assert favourite.read == [("kettle sings", READ)]
    first = found.hits[0]
    assert first.memory.content.endswith("number 37")
    assert first.score == pytest.approx(sum(share.weighted for share in first.breakdown), abs=1e-4)
    assert any("reranker: rank 1" in why for why in first.why)
    scores = [hit.score for hit in found.hits]
    assert scores == sorted(scores, reverse=True)
    assert len(found.hits) == 3


def test_it_is_not_asked_for_easy_queries_and_orders_by_diversity(world):
    world.add("a narwhal in the harbour of Porto")
    favourite = Favourite("kettle")
    searcher(world, favourite).search(world.cube, Search(text="narwhal harbour Porto"))
    searcher(world, favourite).search(world.cube, Search(text="kettle sings", mmr=0.5))
    assert favourite.read == []


def test_more_than_it_reads_can_be_asked_for(world):
    found = searcher(world, Favourite("9")).search(
        world.cube, Search(text="kettle sings", limit=120)
    )
    assert len({hit.memory.id for hit in found.hits}) == 120
    scores = [hit.score for hit in found.hits]
    assert scores == sorted(scores, reverse=True)


def test_scores_that_say_nothing_add_nothing():
    assert [share.weighted for share in shares(np.ones(4, np.float32))] == [0, 0, 0, 0]
    assert shares(np.zeros(0, np.float32)) == []
    high, low = shares(np.array([2, 0], np.float32))
    assert (high.weighted, low.weighted) == (WEIGHT, -WEIGHT)
    assert (high.rank, low.rank) == (1, 2)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two tiny layers with random weights, saved as a cross-encoder is."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder = tmp_path_factory.mktemp("cross-encoder")
    (folder / "vocab.txt").write_text(
        "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])
    )
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        num_labels=1,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_real_cross_encoder_scores_pairs(model: Path, tmp_path: Path):
    reranker = CrossEncoderReranker(str(model), cache_dir=tmp_path, offline=True)
    texts = ["the kettle sings", "a dog", "the narwhal and the harbour"]
    scores = reranker.scores("who plays the cello", texts)
    assert scores.shape == (3,)
    assert scores.dtype == np.float32
    assert len(set(scores.tolist())) == 3
    assert reranker.scores("who plays the cello", texts[:1])[0] == pytest.approx(
        scores[0], abs=1e-5
    )
    assert reranker.scores("dog", texts)[0] != pytest.approx(float(scores[0]), abs=1e-6)
    assert reranker.scores("dog", []).shape == (0,)


def test_the_setting_chooses_it(model: Path, tmp_path: Path, world: World):
    assert make_reranker(Settings(data_dir=tmp_path)) is None
    made = make_reranker(Settings(data_dir=tmp_path, reranker_model=str(model), offline=True))
    assert made is not None
    found = searcher(world, made).search(world.cube, Search(text="kettle sings", limit=5))
    assert all(any(share.channel == "reranker" for share in hit.breakdown) for hit in found.hits)


def test_what_is_no_model_is_refused(tmp_path: Path):
    missing = CrossEncoderReranker(str(tmp_path / "none"), cache_dir=tmp_path, offline=True)
    with pytest.raises(ModelNotFound):
        missing.scores("a", ["b"])
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("{}")
    (broken / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelCorrupt):
        CrossEncoderReranker(str(broken), cache_dir=tmp_path, offline=True).scores("a", ["b"])
