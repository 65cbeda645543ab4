"""What compression and reuse cost on real weights, and the harness that measures it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from memos.errors import InvalidInput
from memos.kvcache.attention.continuation import Continuation
from memos.kvcache.blocks.block import LayerStates, States
from memos.kvcache.compression.base import Policy
from memos.kvcache.compression.registry import policy
from memos.kvcache.quality.cases import Case, diary, key_facts
from memos.kvcache.quality.harness import Harness, Quality, full
from memos.kvcache.reuse.chunks import compiled, joined
from memos.kvcache.reuse.recompute import recomputed
from memos.kvcache.reuse.retrieval import nearest
from tests.kvcache.real import encode, smollm


@pytest.fixture(scope="module")
def harness() -> Harness:
    model, _ = smollm()
    return Harness(model, [key_facts(encode, tokens=256, seed=1, facts=4, continuation=32)])


def measured(harness: Harness, chosen: Policy, ratio: float) -> Quality:
    model, _ = smollm()

    def hold(case: Case, prompt: Any) -> Any:
        return chosen.compress(model, case.context, ratio=ratio, prompt=prompt)

    return harness.measure(hold, guided=chosen.guided)


def test_the_full_cache_loses_nothing(harness: Harness) -> None:
    quality = harness.measure(lambda case, _: full(smollm()[0], case.context))
    assert quality.kl == pytest.approx(0.0, abs=1e-7)
    assert quality.top1 == 1.0
    assert quality.accuracy == quality.full_accuracy == 1.0
    assert quality.share == 1.0


def test_a_codec_is_measured_by_its_states(harness: Harness) -> None:
    def halved(states: States) -> States:
        return [
            replace(state, keys=_rounded(state.keys), values=_rounded(state.values))
            for state in states
            if isinstance(state, LayerStates)
        ]

    quality = harness.measure_states(halved, size_of=lambda states: 7)
    assert 0 < quality.kl < 1e-3
    assert quality.top1 > 0.95
    assert (quality.bytes, quality.overhead) == (7, 0)
    assert harness.measure_states(halved).bytes == quality.full_bytes


def _rounded(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.bfloat16().float()


def test_policies_keep_more_than_chance_does(harness: Harness) -> None:
    chance = measured(harness, policy("random"), 0.5)
    newest = measured(harness, policy("recent"), 0.5)
    repeated = measured(harness, policy("kvzip"), 0.5)
    asked = measured(harness, policy("snapkv"), 0.5)
    assert chance.share == pytest.approx(0.5, abs=0.02)
    assert repeated.kl < newest.kl < chance.kl
    assert repeated.accuracy > max(chance.accuracy, newest.accuracy)
    assert asked.accuracy > max(chance.accuracy, newest.accuracy)


def test_moving_keys_alone_does_not_restore_quality() -> None:
    model, _ = smollm()
    sentences = diary(40, seed=3)
    parts = [encode(" " + " ".join(sentences[at : at + 8])) for at in range(0, 32, 8)]
    following = encode(" " + " ".join(sentences[32:]))[:48]
    whole = full(model, [token for part in parts for token in part])
    expected = Continuation(model, whole).feed(following)
    chunks = [compiled(model, part) for part in parts]

    def agreement(held: Any) -> float:
        got = Continuation(model, held).feed(following)
        return float((got.argmax(-1) == expected.argmax(-1)).float().mean())

    assert agreement(joined(model, chunks)) < 0.95
    assert agreement(recomputed(model, chunks, ratio=1.0)) == 1.0


def test_the_chunk_with_the_answer_is_found() -> None:
    model, _ = smollm()
    case = key_facts(encode, tokens=256, seed=1, facts=4, continuation=1)
    size = -(-len(case.context) // 4)
    parts = [case.context[at : at + size] for at in range(0, len(case.context), size)]
    chunks = [compiled(model, part) for part in parts]
    for index, question in enumerate(case.questions):
        assert index in nearest(model, chunks, question.prompt, 2)


def test_facts_are_told_once_and_answers_differ() -> None:
    _, tokenizer = smollm()
    case = key_facts(encode, tokens=300, seed=7, facts=6)
    text = tokenizer.decode(case.context)
    answers = [tokenizer.decode(question.answer) for question in case.questions]
    assert len(set(answers)) == 6
    assert 250 <= len(case.context) <= 350
    for question, answer in zip(case.questions, answers, strict=True):
        assert text.count(tokenizer.decode(question.prompt).strip() + answer) == 1
    assert case == key_facts(encode, tokens=300, seed=7, facts=6)
    assert case != key_facts(encode, tokens=300, seed=8, facts=6)


def test_what_can_not_be_measured_is_refused() -> None:
    with pytest.raises(InvalidInput, match="nothing to measure"):
        Harness(smollm()[0], [])
    with pytest.raises(InvalidInput, match="99 facts"):
        key_facts(encode, tokens=300, seed=7, facts=99)
