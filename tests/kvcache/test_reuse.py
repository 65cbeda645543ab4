"""Keys moved, tokens read again and the gate before it, on small models with random weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memos.errors import InvalidInput, ModelUnsupported
from memos.kvcache.attention.continuation import Continuation
from memos.kvcache.attention.patching import patched
from memos.kvcache.attention.rows import Held
from memos.kvcache.compression.reference import Random
from memos.kvcache.quality.harness import full
from memos.kvcache.reuse.chunks import Chunk, compiled, joined, part
from memos.kvcache.reuse.placing import aligned, repaired
from memos.kvcache.reuse.recompute import deviating, first, recomputed
from memos.kvcache.reuse.retrieval import nearest, relevance
from memos.kvcache.reuse.rotation import frequencies, moved, rotated, verify
from tests.kvcache.tiny import filled, gemma, llama, tokens

ROPES = {
    "default": {"rope_type": "default", "rope_theta": 10000.0},
    "linear": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0},
    "llama3": {
        "rope_type": "llama3",
        "rope_theta": 10000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 256,
    },
    "yarn": {
        "rope_type": "yarn",
        "rope_theta": 10000.0,
        "factor": 4.0,
        "original_max_position_embeddings": 512,
    },
}


@pytest.fixture(scope="module")
def model() -> Any:
    return llama()


@pytest.fixture(scope="module")
def chunks(model: Any) -> list[Chunk]:
    return [compiled(model, tokens(size, seed=size)) for size in (40, 25, 33)]


def everything(chunks: list[Chunk]) -> list[int]:
    return [token for chunk in chunks for token in chunk.tokens]


@pytest.mark.parametrize("kind", ROPES)
def test_moved_keys_are_those_computed_there(kind: str) -> None:
    model = llama(rope_parameters=ROPES[kind])
    assert verify(model, delta=777) < 1e-4


def test_each_kind_of_layer_has_its_own_base() -> None:
    model = gemma()
    local, distant = frequencies(model)[:2]
    assert not torch.equal(local, distant)
    assert verify(model) < 1e-4


def test_only_the_turned_dimensions_move() -> None:
    from transformers import StableLmConfig, StableLmForCausalLM

    config = StableLmConfig(
        vocab_size=128,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        partial_rotary_factor=0.25,
    )
    model = filled(StableLmForCausalLM(config))
    inverse = frequencies(model)[0]
    assert inverse.shape == (2,)
    keys = torch.randn(2, 5, 16)
    turned = rotated(keys, inverse, 9)
    assert torch.equal(turned[..., 4:], keys[..., 4:])
    assert not torch.equal(turned[..., :4], keys[..., :4])
    assert verify(model) < 1e-4


def refused_models() -> dict[str, Any]:
    import transformers as tf

    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 64}
    llama_like = {**small, "intermediate_size": 48, "num_key_value_heads": 2}
    dynamic = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}
    factors = [1.0] * 8
    longrope = {
        "rope_type": "longrope",
        "rope_theta": 10000.0,
        "short_factor": factors,
        "long_factor": factors,
        "original_max_position_embeddings": 128,
    }
    return {
        "dynamic NTK": lambda: llama(rope_parameters=dynamic),
        "longrope": lambda: llama(rope_parameters=longrope),
        "learned": lambda: tf.GPT2LMHeadModel(tf.GPT2Config(n_embd=32, n_layer=2, n_head=2)),
        "ALiBi": lambda: tf.BloomForCausalLM(tf.BloomConfig(hidden_size=32, n_layer=2, n_head=2)),
        "interleaved": lambda: filled(
            tf.CohereForCausalLM(tf.CohereConfig(**llama_like, pad_token_id=0))
        ),
        "latent": lambda: tf.DeepseekV3ForCausalLM(
            tf.DeepseekV3Config(
                **llama_like,
                moe_intermediate_size=16,
                n_routed_experts=4,
                n_group=1,
                topk_group=1,
                num_experts_per_tok=2,
                kv_lora_rank=8,
                q_lora_rank=8,
            )
        ),
        "several dimensions": lambda: tf.Qwen2VLForConditionalGeneration(
            tf.Qwen2VLConfig(
                text_config={
                    **llama_like,
                    "rope_parameters": {
                        "rope_type": "default",
                        "rope_theta": 10000.0,
                        "mrope_section": [2, 3, 3],
                    },
                },
                vision_config={"depth": 1, "embed_dim": 32, "num_heads": 2, "hidden_size": 32},
            )
        ),
    }


@pytest.mark.parametrize("kind", refused_models())
def test_positions_that_do_not_compose_are_refused(kind: str) -> None:
    model = refused_models()[kind]().eval()
    with pytest.raises(ModelUnsupported, match=type(model).__name__):
        verify(model)


@given(st.integers(-5000, 5000), st.integers(-5000, 5000))
def test_rotations_compose(one: int, two: int) -> None:
    keys = torch.randn(1, 3, 16, generator=torch.Generator().manual_seed(0))
    inverse = 10000.0 ** (-torch.arange(0, 16, 2, dtype=torch.float64) / 16)
    at_once = rotated(keys, inverse, one + two)
    torch.testing.assert_close(
        rotated(rotated(keys, inverse, one), inverse, two), at_once, atol=2e-5, rtol=1e-4
    )


def test_a_rotation_keeps_the_dtype() -> None:
    inverse = torch.ones(8, dtype=torch.float64)
    assert rotated(torch.randn(1, 2, 16).bfloat16(), inverse, 3).dtype == torch.bfloat16


def test_what_is_held_moves_as_a_whole(model: Any) -> None:
    held = Random().compress(model, tokens(64), ratio=0.5)
    there = moved(held, frequencies(model), 10)
    assert there.length == 74
    assert torch.equal(there.layers[1].positions, held.layers[1].positions + 10)
    assert torch.equal(there.layers[1].values, held.layers[1].values)


def test_joined_chunks_are_each_right_alone(model: Any, chunks: list[Chunk]) -> None:
    held = joined(model, chunks)
    assert held.length == 98
    assert held.layers[0].positions[0].tolist() == list(range(98))
    expected = full(model, everything(chunks))
    # The first layer's keys know nothing but token and position; deeper ones have read too little.
    torch.testing.assert_close(held.layers[0].keys, expected.layers[0].keys, atol=1e-5, rtol=1e-4)
    assert torch.equal(held.layers[3].values[:, :40], chunks[0].held.layers[3].values)
    assert not torch.allclose(held.layers[3].values[:, 40:], expected.layers[3].values[:, 40:])


def test_without_rotation_keys_stay_where_they_were(model: Any, chunks: list[Chunk]) -> None:
    held = joined(model, chunks, rotate=False)
    assert torch.equal(held.layers[2].keys[:, 40:65], chunks[1].held.layers[2].keys)


@pytest.mark.parametrize("selection", ["first", "deviation"])
@pytest.mark.parametrize("make", [llama, gemma])
def test_reading_all_again_is_a_full_prefill(make: Any, selection: Any) -> None:
    model = make()
    chunks = [compiled(model, tokens(size, seed=size)) for size in (40, 25, 33)]
    held = recomputed(model, chunks, ratio=1.0, selection=selection)
    expected = full(model, everything(chunks))
    for rows, other in zip(held.layers, expected.layers, strict=True):
        torch.testing.assert_close(rows.keys, other.keys, atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(rows.values, other.values, atol=1e-4, rtol=1e-3)


def test_tokens_read_again_see_the_new_rows_before_them(model: Any, chunks: list[Chunk]) -> None:
    """A prefix that is read again whole is exact, whatever follows it."""
    text = everything(chunks)
    held = patched(model, joined(model, chunks), text[40:65], range(40, 65))
    expected = full(model, text[:65])
    torch.testing.assert_close(
        held.layers[3].values[:, :65], expected.layers[3].values, atol=1e-4, rtol=1e-3
    )


def test_others_stay_and_the_stored_ones_are_untouched(model: Any, chunks: list[Chunk]) -> None:
    before = joined(model, chunks)
    kept = [rows.keys.clone() for rows in before.layers]
    text = everything(chunks)
    after = patched(model, before, [text[50]], [50])
    rest = [index for index in range(98) if index != 50]
    for rows, new, old in zip(before.layers, after.layers, kept, strict=True):
        assert torch.equal(rows.keys, old)
        assert torch.equal(new.keys[:, rest], old[:, rest])
    assert not torch.equal(after.layers[3].keys[:, 50], kept[3][:, 50])


def test_only_what_has_all_rows_is_patched(model: Any) -> None:
    held = Random().compress(model, tokens(64), ratio=0.5)
    with pytest.raises(InvalidInput, match="rows are missing"):
        patched(model, held, [1], [3])
    with pytest.raises(InvalidInput, match="positions below"):
        patched(model, full(model, tokens(8)), [1], [8])


def test_the_first_of_each_chunk_but_the_first(chunks: list[Chunk]) -> None:
    assert first(chunks, 0.1) == [40, 41, 42, 65, 66, 67, 68]
    assert first(chunks, 0.0) == []
    assert first(chunks, 1.0) == list(range(40, 98))


def test_those_that_deviate_most(model: Any, chunks: list[Chunk]) -> None:
    text = everything(chunks)
    exact = full(model, text)
    planted = {47, 70, 91}
    keys = exact.layers[1].keys.clone()
    for position in planted:
        keys[:, position] += 1.0
    from dataclasses import replace

    layers = list(exact.layers)
    layers[1] = replace(layers[1], keys=keys)
    held = Held(tuple(layers), exact.length)
    found = deviating(model, held, text, begin=40, ratio=3 / 58)
    assert set(found) == planted


def test_more_read_again_is_nearer_to_the_truth(model: Any, chunks: list[Chunk]) -> None:
    following = tokens(20, seed=77)
    expected = Continuation(model, full(model, everything(chunks))).feed(following)
    for selection in ("first", "deviation"):
        off = [
            float(
                Continuation(model, recomputed(model, chunks, ratio=ratio, selection=selection))  # type: ignore[arg-type]
                .feed(following)
                .sub(expected)
                .norm()
            )
            for ratio in (0.0, 0.5, 1.0)
        ]
        assert off[2] < off[1] < off[0]
        assert off[2] < 1e-2


def test_wrong_ratios_and_selections_are_refused(model: Any, chunks: list[Chunk]) -> None:
    with pytest.raises(InvalidInput, match=r"ratio 1\.5"):
        recomputed(model, chunks, ratio=1.5)
    with pytest.raises(InvalidInput, match="selection 'best'"):
        recomputed(model, chunks, ratio=0.5, selection="best")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="no chunks"):
        joined(model, [])


@given(
    sizes=st.lists(st.integers(9, 40), min_size=2, max_size=3),
    gaps=st.lists(st.integers(1, 4), min_size=3, max_size=3),
    cut=st.integers(0, 2),
    ratio=st.sampled_from([0.0, 0.3, 1.0]),
    selection=st.sampled_from(["first", "deviation"]),
)
@settings(max_examples=15, deadline=None)
def test_chunks_are_found_and_what_is_between_them_is_computed(
    model: Any, sizes: list[int], gaps: list[int], cut: int, ratio: float, selection: Any
) -> None:
    """Also where a tokenizer has changed up to two tokens at the edges of a chunk."""
    found = [compiled(model, tokens(size, seed=size + n)) for n, size in enumerate(sizes)]
    prompt: list[int] = []
    for chunk, gap in zip(found, gaps, strict=False):
        at = cut if prompt else 0
        prompt += [*chunk.tokens[at : len(chunk.tokens) - cut], *tokens(gap, seed=99)]
    placed = aligned(prompt, found)
    assert len(placed) == len(found)
    for place in placed:
        assert tuple(prompt[place.at : place.end]) == place.chunk.tokens
    held, computed = repaired(model, prompt, placed, ratio=ratio, selection=selection)
    assert held.length == placed[-1].end < len(prompt)
    between = held.length - sum(len(place.chunk.tokens) for place in placed)
    moved = held.length - placed[0].end
    assert between <= computed <= moved
    if ratio == 0:
        assert computed == between
    expected = full(model, prompt[: held.length])
    # Keys of the first layer depend on nothing but the token and its position.
    torch.testing.assert_close(held.layers[0].keys, expected.layers[0].keys, atol=1e-4, rtol=1e-3)
    if ratio == 1:
        for rows, other in zip(held.layers, expected.layers, strict=True):
            torch.testing.assert_close(rows.values, other.values, atol=1e-4, rtol=1e-3)


def test_a_chunk_that_is_not_there_or_too_short_is_not_placed(chunks: list[Chunk]) -> None:
    text = everything(chunks)
    assert [place.at for place in aligned([*text, 1], chunks)] == [0, 40, 65]
    assert [place.at for place in aligned([*text, 1], [chunks[0], chunks[2], chunks[1]])] == [0, 65]
    assert [place.at for place in aligned([5, *text, 1], chunks[1:])] == [41, 66]
    assert aligned([*text[:45], 1], [chunks[0], part(chunks[1], 0, 5)])[1:] == []


def test_relevance_is_a_share_and_keeps_order(model: Any, chunks: list[Chunk]) -> None:
    question = chunks[1].tokens[5:15]
    scores = relevance(model, chunks, question)
    assert sum(scores) == pytest.approx(1.0)
    found = nearest(model, chunks, question, 2)
    assert found == sorted(found)
    assert len(found) == 2
    with pytest.raises(InvalidInput, match="chunks and a question"):
        relevance(model, [], question)
