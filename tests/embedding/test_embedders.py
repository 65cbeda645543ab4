"""The ONNX and torch embedders: equal to sentence-transformers, to each other, and thread-safe."""

import random
import string
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from memos.embedding import CachedEmbedder, load_embedder
from memos.embedding.weights import DEFAULT_MODEL
from memos.errors import InvalidInput
from memos.protocols import Embedder
from memos.testing import HashEmbedder

HARD = [
    "",
    " ",
    "\n\t",
    "a",
    ".",
    "?!…",
    "0",
    "NUL \x00 inside",
    "ﬁ ligature, ½, Ⅳ",
    "Café crème brûlée à Zürich",
    "e\u0301 combining against é",
    "日本語のテキストです。",
    "你好，世界",
    "한국어 문장",
    "Привет, как дела?",
    "مرحبا بالعالم",
    "שלום עולם",
    "नमस्ते दुनिया",
    "🎉🎂👩‍👩‍👧‍👦 party 🏳️‍🌈",
    "\u200bzero\u200bwidth\ufeff",
    "[CLS] [SEP] [MASK] [PAD] [UNK]",
    "<b>html</b> & \"quotes\" 'x' \\n",
    "SELECT * FROM t; DROP TABLE t; --",
    "x" * 5000,
    "word " * 5000,
    "日" * 3000,
    "ALL CAPS AND all lower And Mixed",
    "http://example.org/a/b?c=d#e mail@example.org",
    "1,234.56 € on 2024-02-29 at 23:59:59+00:00",
]


def varied(count: int) -> list[str]:
    """Hard cases, then random sentences of 1 to 400 words; the same each time."""
    rng = random.Random(7)
    letters = string.ascii_lowercase + "éüñ"

    def word() -> str:
        return "".join(rng.choices(letters, k=rng.randint(1, 9)))

    vocabulary = [word() for _ in range(500)]
    lengths = [rng.choice((1, 3, 8, 15, 30, 60, 120, 400)) for _ in range(count - len(HARD))]
    return HARD + [" ".join(rng.choices(vocabulary, k=length)) for length in lengths]


@pytest.fixture(params=["onnx", "torch", "hash", "cached"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    make: dict[str, Callable[[], Embedder]] = {
        "onnx": lambda: request.getfixturevalue("onnx"),
        "torch": lambda: request.getfixturevalue("torch_embedder"),
        "hash": HashEmbedder,
        "cached": lambda: CachedEmbedder(request.getfixturevalue("onnx")),
    }
    return make[request.param]()


def test_onnx_equals_sentence_transformers(onnx: Embedder, model_folder: Path) -> None:
    from sentence_transformers import SentenceTransformer

    texts = varied(200)
    reference = SentenceTransformer(str(model_folder), device="cpu").encode(
        texts, batch_size=16, normalize_embeddings=True, show_progress_bar=False
    )
    ours = onnx.embed(texts)
    cosine = (ours * reference).sum(axis=1)
    assert cosine.min() >= 0.9999, texts[int(cosine.argmin())][:80]
    assert np.abs(ours - reference).max() < 1e-4


def test_both_backends_are_one_model(onnx: Embedder, torch_embedder: Embedder) -> None:
    assert onnx.model == torch_embedder.model
    assert onnx.model.id == DEFAULT_MODEL
    assert (onnx.model.dimensions, onnx.model.max_tokens) == (384, 256)
    texts = varied(60)
    assert (onnx.embed(texts) * torch_embedder.embed(texts)).sum(axis=1).min() >= 0.9999
    assert onnx.count_tokens(texts) == torch_embedder.count_tokens(texts)


def test_shape_type_and_length(embedder: Embedder) -> None:
    vectors = embedder.embed(HARD)
    assert vectors.shape == (len(HARD), embedder.model.dimensions)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_no_texts_give_no_rows(embedder: Embedder) -> None:
    assert embedder.embed([]).shape == (0, embedder.model.dimensions)
    assert embedder.embed([]).dtype == np.float32
    assert embedder.count_tokens([]) == []


def test_each_row_belongs_to_its_text(embedder: Embedder) -> None:
    """Batches are sorted by length inside; the answer is in the caller's order."""
    texts = varied(80)
    random.Random(3).shuffle(texts)
    together = embedder.embed(texts)
    for index in range(0, len(texts), 9):
        alone = embedder.embed([texts[index]])[0]
        assert float(together[index] @ alone) >= 0.9999, texts[index][:80]


def test_similar_texts_are_near(embedder: Embedder) -> None:
    near, far = embedder.embed(
        ["She adopted two cats.", "Two cats were adopted.", "Interest rates fell in March."]
    )[1:]
    first = embedder.embed(["She adopted two cats."])[0]
    assert first @ near > first @ far + 0.2


def test_slices_join_without_a_seam(onnx: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    import memos.embedding.onnx as module

    texts = varied(50)
    whole = onnx.embed(texts)
    monkeypatch.setattr(module, "SLICE", 7)
    monkeypatch.setattr(module, "BATCH_TOKENS", 40)
    np.testing.assert_allclose(onnx.embed(texts), whole, atol=1e-5)


def test_many_threads_get_their_own_answers(embedder: Embedder) -> None:
    texts = varied(48)
    alone = embedder.embed(texts)
    parts = [slice(i, i + 6) for i in range(0, 48, 6)] * 4

    def both(part: slice) -> tuple[np.ndarray, list[int]]:
        return embedder.embed(texts[part]), embedder.count_tokens(texts[part])

    counts = embedder.count_tokens(texts)
    with ThreadPoolExecutor(8) as pool:
        for part, (vectors, tokens) in zip(parts, pool.map(both, parts), strict=True):
            assert (vectors * alone[part]).sum(axis=1).min() >= 0.9999
            assert tokens == counts[part]


def test_tokens_are_counted_without_a_cut(onnx: Embedder) -> None:
    assert onnx.count_tokens(["hello world", "", "word " * 1000]) == [2, 0, 1000]
    # What is beyond the longest text has no effect on the vector.
    longest = "word " * 400
    assert float(np.prod(onnx.embed([longest, longest + "cat"]).sum(axis=1))) != 0.0
    np.testing.assert_allclose(*onnx.embed([longest, longest + "cat"]), atol=1e-6)


@pytest.mark.parametrize("bad", [None, 3, b"bytes", "\ud800 lone"])
@pytest.mark.parametrize("backend", ["onnx", "torch_embedder"])
def test_what_is_not_text_is_named(
    backend: str, bad: object, request: pytest.FixtureRequest
) -> None:
    embedder = request.getfixturevalue(backend)
    for call in (embedder.embed, embedder.count_tokens, CachedEmbedder(embedder).embed):
        with pytest.raises(InvalidInput, match="text 1 can't be embedded"):
            call(["fine", bad])
        with pytest.raises(InvalidInput, match="list of texts"):
            call("one text")


def test_int8_is_near_but_another_model(onnx: Embedder, warm_cache: Path) -> None:
    int8 = load_embedder(
        model=DEFAULT_MODEL, precision="int8", cache_dir=warm_cache, threads=1, offline=True
    )
    assert int8.model.id == onnx.model.id
    assert int8.model.digest != onnx.model.digest
    texts = varied(60)[29:]
    cosine = (int8.embed(texts) * onnx.embed(texts)).sum(axis=1)
    assert cosine.mean() > 0.93
    assert cosine.min() < 0.9999


def test_the_fake_is_the_same_everywhere() -> None:
    fake = HashEmbedder()
    vector = fake.embed(["Cats chase cats"])[0]
    places = {int(i): float(vector[i]) for i in np.flatnonzero(vector)}
    assert sorted(places.values()) == pytest.approx([5**-0.5, 2 * 5**-0.5])
    assert (fake.embed(["cat chasing cat"])[0] == vector).all()
    assert HashEmbedder(name="other").model.digest != fake.model.digest
