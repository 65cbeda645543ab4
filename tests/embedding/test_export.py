"""The one-time export: kept by digest, checked, made once by many, and light on later starts."""

import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from memos.embedding import export, files, load_embedder
from memos.embedding.layout import NotExportable, read_layout
from memos.embedding.weights import DEFAULT_MODEL
from memos.errors import InvalidSetting, MemosError, ModelCorrupt
from memos.protocols import Embedder

LOAD = """
import sys, time
from pathlib import Path
start = time.perf_counter()
from memos.embedding import load_embedder
embedder = load_embedder(
    model="sentence-transformers/all-MiniLM-L6-v2", cache_dir=Path(sys.argv[1]), threads=1,
    offline=True,
)
vector = embedder.embed(["hello world"])[0]
heavy = {"torch", "transformers", "sentence_transformers", "huggingface_hub", "onnx"}
print(sorted(heavy & set(sys.modules)), vector.shape, float(vector[0]))
"""


def load(cache: Path, **settings: str) -> Embedder:
    return load_embedder(model=DEFAULT_MODEL, cache_dir=cache, threads=1, offline=True, **settings)


def graph_in(cache: Path) -> Path:
    (path,) = cache.glob("*/model.onnx")
    return path


@pytest.fixture
def cache(onnx: Embedder, warm_cache: Path, tmp_path: Path) -> Path:
    """A cache of the test's own, with the fp32 export in it."""
    target = tmp_path / "cache"
    name = f"{onnx.model.digest[:32]}-{export.FORMAT}"
    shutil.copytree(warm_cache / name, target / name)
    return target


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch, onnx: Embedder, warm_cache: Path) -> None:
    """The child process answers with the export that it made before: what is tested is when it is
    asked, and how its answer is kept."""
    made = warm_cache / f"{onnx.model.digest[:32]}-{export.FORMAT}"

    def copy(layout: object, precision: str, folder: Path) -> None:
        shutil.copytree(made, folder, dirs_exist_ok=True)

    monkeypatch.setattr(export, "_run_child", copy)


def start(cache: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", LOAD, str(cache)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_warm_start_loads_no_torch(cache: Path, onnx: Embedder) -> None:
    child = start(cache)
    out, error = child.communicate(timeout=120)
    assert child.returncode == 0, error
    heavy, _, rest = out.partition(" (")
    assert heavy == "[]"
    assert float(rest.split()[-1]) == pytest.approx(float(onnx.embed(["hello world"])[0, 0]))


def test_importing_the_package_is_light() -> None:
    code = (
        "import sys, memos.embedding; print('numpy' in sys.modules, 'onnxruntime' in sys.modules)"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert out.split() == ["False", "False"]


@pytest.mark.slow
def test_processes_at_once_export_once(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    children = [start(cache) for _ in range(2)]
    answers = [child.communicate(timeout=170) for child in children]
    assert [child.returncode for child in children] == [0, 0], answers
    assert answers[0][0] == answers[1][0]
    graph = graph_in(cache)
    assert [path for path in cache.iterdir() if path.is_dir()] == [graph.parent]
    assert json.loads((graph.parent / "export.json").read_text())["size"] == graph.stat().st_size


@pytest.mark.usefixtures("copied")
@pytest.mark.parametrize("damage", ["flipped", "truncated", "unlisted"])
def test_a_damaged_export_is_made_again(
    damage: str, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    graph = graph_in(cache)
    content = bytearray(graph.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 0xFF
        graph.write_bytes(bytes(content))
    elif damage == "truncated":
        graph.write_bytes(bytes(content[:1000]))
    else:
        (graph.parent / "export.json").unlink()
    with caplog.at_level(logging.WARNING):
        embedder = load(cache)
    assert "exported again" in caplog.text
    assert graph.stat().st_size == len(content)
    assert np.linalg.norm(embedder.embed(["hello"])) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.usefixtures("copied")
def test_what_onnxruntime_refuses_is_made_again(
    cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Damage that size and time do not show, with the right digest remembered."""
    load(cache)
    graph = graph_in(cache)
    before = graph.stat()
    with graph.open("r+b") as file:
        file.write(b"\xff" * 4096)
    os.utime(graph, ns=(before.st_atime_ns, before.st_mtime_ns))
    with caplog.at_level(logging.WARNING):
        embedder = load(cache)
    assert "exporting it again" in caplog.text
    assert embedder.embed(["hello"]).shape == (1, 384)


@pytest.mark.usefixtures("copied")
def test_leftovers_of_a_killed_export_are_removed(
    cache: Path, onnx: Embedder, caplog: pytest.LogCaptureFixture
) -> None:
    graph = graph_in(cache)
    stale = cache / f".{graph.parent.name}.killed"
    graph.parent.rename(stale)
    load(cache)
    assert not stale.exists()
    assert graph.is_file()


def test_a_start_after_the_first_is_quick(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It neither exports nor hashes what is large."""
    load(cache)  # remembers digests
    hashed: list[int] = []
    real = files.sha256
    monkeypatch.setattr(files, "sha256", lambda p: hashed.append(p.stat().st_size) or real(p))
    monkeypatch.setattr(export, "_run_child", lambda *args: pytest.fail("exported again"))
    load(cache)
    assert hashed
    assert max(hashed) < files.REMEMBER_FROM_BYTES


def variant(model_folder: Path, target: Path, name: str, content: str) -> Path:
    shutil.copytree(model_folder, target, copy_function=os.link)
    (target / name).unlink()
    (target / name).write_text(content)
    return target


MODULES = [
    {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
    for i, (path, kind) in enumerate(
        [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Dense", "Dense")]
    )
]


def test_what_has_other_parts_is_not_exported(model_folder: Path, tmp_path: Path) -> None:
    folder = variant(model_folder, tmp_path / "m", "modules.json", json.dumps(MODULES))
    with pytest.raises(NotExportable, match="Transformer, Pooling, Dense"):
        read_layout(folder)
    with pytest.raises(InvalidSetting, match="set embedding_backend to auto"):
        load_embedder(model=str(folder), backend="onnx", cache_dir=tmp_path / "c", offline=True)


def test_auto_runs_torch_where_there_is_no_export_and_says_so(
    model_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sentence = {"max_seq_length": 256, "do_lower_case": True}
    folder = variant(
        model_folder, tmp_path / "m", "sentence_bert_config.json", json.dumps(sentence)
    )
    with caplog.at_level(logging.WARNING):
        embedder = load_embedder(model=str(folder), cache_dir=tmp_path / "c", offline=True)
    assert type(embedder).__name__ == "TorchEmbedder"
    assert "run by torch" in caplog.text
    assert embedder.model.id == str(folder)
    with pytest.raises(InvalidSetting):
        load_embedder(model=str(folder), precision="int8", cache_dir=tmp_path / "c", offline=True)


@pytest.mark.parametrize(
    ("flag", "pooling"),
    [
        ("pooling_mode_mean_tokens", "mean"),
        ("pooling_mode_cls_token", "cls"),
        ("pooling_mode_max_tokens", "max"),
    ],
)
def test_poolings_equal_sentence_transformers(
    flag: str, pooling: str, model_folder: Path, tmp_path: Path
) -> None:
    """The module that is exported; the export itself is compared with it by the exporter."""
    import torch
    from sentence_transformers import SentenceTransformer

    from memos.embedding.exporter import _load

    config = {"word_embedding_dimension": 384, "pooling_mode_mean_tokens": False, flag: True}
    folder = variant(model_folder, tmp_path / "m", "1_Pooling/config.json", json.dumps(config))
    layout = read_layout(folder)
    assert layout.pooling == pooling
    theirs = SentenceTransformer(str(folder), device="cpu")
    texts = ["one", "a longer text with several words", "two words"]
    tokens = theirs.tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        ours = _load(str(layout.transformer), pooling)(
            tokens["input_ids"], tokens["attention_mask"]
        )
    expected = theirs.encode(texts, normalize_embeddings=True, show_progress_bar=False)
    np.testing.assert_allclose(ours.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_damaged_weights_are_a_typed_error(
    backend: str, model_folder: Path, tmp_path: Path
) -> None:
    folder = variant(model_folder, tmp_path / "m", "model.safetensors", "not tensors")
    with pytest.raises(MemosError, match=str(folder)):
        load_embedder(model=str(folder), backend=backend, cache_dir=tmp_path / "c", offline=True)


def test_a_damaged_tokenizer_is_a_typed_error(
    cache: Path, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = variant(model_folder, tmp_path / "m", "tokenizer.json", "{}")
    graph = graph_in(cache)
    monkeypatch.setattr(export, "exported", lambda *args, **kwargs: graph)
    with pytest.raises(ModelCorrupt, match=r"tokenizer\.json"):
        load_embedder(model=str(folder), backend="onnx", cache_dir=cache, offline=True)
