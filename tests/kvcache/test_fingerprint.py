"""Each thing that changes a cache's bytes or meaning changes the root key."""

import dataclasses

import pytest
import transformers

from memos.errors import InvalidInput
from memos.kvcache.fingerprint import PARTS, Fingerprint
from memos.kvcache.generator.loading import prepared
from memos.kvcache.generator.model import Identity, LocalModel
from tests.kvcache import local_models as local

BASE = Fingerprint(dict.fromkeys(PARTS, "x"))


@pytest.mark.parametrize("part", PARTS)
def test_every_part_changes_the_root(part):
    other = BASE.having(**{part: "y"})
    assert other.root(b"salt") != BASE.root(b"salt")
    assert other.differences(BASE) == [part]


def test_the_salt_changes_the_root():
    assert BASE.root(b"one") != BASE.root(b"two")
    assert len(BASE.root(b"")) == 32


def test_a_salt_can_not_stand_for_a_part():
    text = BASE.to_json()
    assert BASE.root(b"a" + text.encode()[:5]) != BASE.root(b"a")


def test_equal_content_gives_an_equal_root():
    again = Fingerprint(dict(reversed(BASE.parts.items())))
    assert again.root(b"s") == BASE.root(b"s")


def test_parts_must_be_complete():
    with pytest.raises(InvalidInput, match="adapter"):
        Fingerprint({name: "x" for name in PARTS if name != "adapter"})
    with pytest.raises(InvalidInput, match="extra"):
        Fingerprint({**BASE.parts, "extra": "x"})


def _model(module=None, **identity):
    known = dataclasses.replace(Identity("id", "config", "weights", "tokenizer"), **identity)
    base = local.tiny()
    return LocalModel(known, module or base.module, base.tokenizer)


def _changed(kind="llama", dtype="float32", **changes):
    import torch

    config = local.config(kind, **changes)
    return prepared(
        transformers.AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))
    )


def _with_template():
    import copy

    tokenizer = copy.deepcopy(local.byte_tokenizer())
    tokenizer.chat_template += " "
    return tokenizer


CHANGES = {
    "config": lambda: _model(config="other"),
    "weights": lambda: _model(weights="other"),
    "tokenizer": lambda: _model(tokenizer="other"),
    "adapter": lambda: _model(adapter="digest of its content"),
    "template": lambda: LocalModel(
        Identity("id", "config", "weights", "tokenizer"), local.tiny().module, _with_template()
    ),
    "dtype": lambda: _model(_changed(dtype="bfloat16")),
    "layers": lambda: _model(_changed("mistral")),
    "rope": lambda: _model(
        _changed(rope_parameters={"rope_type": "default", "rope_theta": 77_000.0})
    ),
    "attention": lambda: _model(local.tiny(attention="eager").module),
}


@pytest.mark.parametrize("part", CHANGES)
def test_a_model_that_differs_in_a_part_says_so(part):
    base = LocalModel(
        Identity("id", "config", "weights", "tokenizer"),
        local.tiny().module,
        local.byte_tokenizer(),
    )
    other = CHANGES[part]()
    assert part in other.fingerprint.differences(base.fingerprint)
    assert other.fingerprint.root(b"") != base.fingerprint.root(b"")


def test_the_name_of_a_model_is_no_part():
    assert _model(id="a").fingerprint == _model(id="b").fingerprint
