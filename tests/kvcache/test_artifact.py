"""A compressed cache written and read back: it says all that was done, and no wrong byte passes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from memos.errors import BlockCorrupt, FingerprintMismatch, InvalidInput
from memos.kvcache.attention.continuation import Continuation
from memos.kvcache.compression.artifact import dumps, loads
from memos.kvcache.compression.registry import POLICIES, policy
from tests.kvcache.tiny import llama, tokens

TEXT = tokens(60)
ROOT = bytes(range(32))


@pytest.fixture(scope="module")
def model() -> Any:
    return llama()


@pytest.fixture(scope="module")
def data(model: Any) -> bytes:
    return dumps(policy("zeromerge").compress(model, TEXT, ratio=0.5), root=ROOT, tokens=TEXT)


@pytest.mark.parametrize("name", POLICIES)
def test_what_was_done_comes_back(name: str, model: Any) -> None:
    held = policy(name).compress(model, TEXT, ratio=0.5)
    again, text = loads(dumps(held, root=ROOT, tokens=TEXT), root=ROOT)
    assert list(text) == TEXT
    assert (again.policy, again.ratio, again.length) == (name, 0.5, 60)
    assert again.parameters == held.parameters
    assert again.bytes == held.bytes
    assert [rows.source for rows in again.layers] == [rows.source for rows in held.layers]
    following = tokens(5, seed=9)
    logits = [Continuation(model, one).feed(following) for one in (held, again)]
    assert torch.equal(*logits)


def test_halves_stay_halves(model: Any) -> None:
    held = policy("recent").compress(llama().bfloat16(), TEXT, ratio=0.5)
    again, _ = loads(dumps(held, root=ROOT, tokens=TEXT), root=ROOT)
    assert again.layers[0].keys.dtype == torch.bfloat16
    assert torch.equal(again.layers[0].keys, held.layers[0].keys)


def test_another_root_is_refused(data: bytes) -> None:
    with pytest.raises(FingerprintMismatch, match="another model"):
        loads(data, root=bytes(32))


@given(at=st.integers(0, 10**9), bit=st.integers(0, 7))
def test_a_flipped_bit_is_seen(data: bytes, at: int, bit: int) -> None:
    wrong = bytearray(data)
    wrong[at % len(data)] ^= 1 << bit
    with pytest.raises(BlockCorrupt):
        loads(bytes(wrong), root=ROOT)


@given(st.integers(0, 10**9))
def test_a_truncated_one_is_seen(data: bytes, size: int) -> None:
    with pytest.raises(BlockCorrupt):
        loads(data[: size % len(data)], root=ROOT)


def test_other_tokens_are_refused(model: Any) -> None:
    held = policy("recent").compress(model, TEXT, ratio=0.5)
    with pytest.raises(InvalidInput, match="59 tokens"):
        dumps(held, root=ROOT, tokens=TEXT[:-1])
