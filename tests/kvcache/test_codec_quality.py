"""What codecs cost on real weights: SmolLM2-135M continues a text over its coded cache."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from memos.kvcache.blocks.block import LayerStates
from memos.kvcache.codecs.registry import codec_named
from memos.kvcache.layout import CacheLayout
from tests.kvcache import local_models

PREFIX, CONTINUED = 512, 128
TEXTS = ("README.md", "LICENSE")
ROOT = Path(__file__).parents[2]

LIMITS = {"int8": (1e-3, 0.99, 0.54), "int4": (1e-2, 0.96, 0.32)}
"""KL, top-1 agreement, bytes as a share of bfloat16."""


@pytest.fixture(scope="module")
def model() -> Any:
    return local_models.real()


@pytest.fixture(scope="module")
def read(model: Any) -> list[tuple[list[int], Any, torch.Tensor]]:
    """(ids that follow, states of the prefix, logits over the states as they are) of some texts."""
    return list(_read(model))


def _read(model: Any) -> Iterator[tuple[list[int], Any, torch.Tensor]]:
    size = PREFIX + CONTINUED
    for name in TEXTS:
        ids = model.tokens((ROOT / name).read_text(encoding="utf-8"))
        for at in (0, size):
            part = ids[at : at + size]
            states = model.from_cache(model.prefill(part[:PREFIX]).cache)
            yield part[PREFIX:], states, continued(model, part[PREFIX:], states)


def continued(model: Any, ids: list[int], states: Any) -> torch.Tensor:
    cache = model.to_cache(states, tokens=PREFIX)
    return model.prefill(ids, cache, all_logits=True).logits


@pytest.mark.slow
@pytest.mark.parametrize("name", LIMITS)
def test_integers_keep_what_the_model_says(name: str, model: Any, read: Any) -> None:
    codec = codec_named(name)
    divergence, agreement = [], []
    most_kl, least_top1, most_bytes = LIMITS[name]
    for ids, states, logits in read:
        encoded = codec.encode(states, model.layout)
        assert encoded.payload.numel() <= most_bytes * model.layout.bytes_of(PREFIX) / 2
        back = codec.decode(encoded.payload, encoded.records, model.layout)
        found = continued(model, ids, back)
        wanted = logits.log_softmax(-1)
        divergence.append((wanted.exp() * (wanted - found.log_softmax(-1))).sum(-1).mean())
        agreement.append((logits.argmax(-1) == found.argmax(-1)).float().mean())
    assert torch.stack(divergence).mean() <= most_kl
    assert torch.stack(agreement).mean() >= least_top1


@pytest.mark.slow
def test_the_lossless_codec_saves_a_quarter_of_real_bfloat16_states(model: Any, read: Any) -> None:
    layout = CacheLayout(model.layout.layers, "bfloat16")
    codec = codec_named("lossless")
    for _, states, _ in read:
        half = [LayerStates(s.keys.bfloat16(), s.values.bfloat16(), s.start) for s in states]
        encoded = codec.encode(half, layout)
        assert encoded.payload.numel() <= 0.75 * layout.bytes_of(PREFIX)
        back = codec.decode(encoded.payload, encoded.records, layout)
        for a, b in zip(half, back, strict=True):
            assert isinstance(b, LayerStates)
            assert torch.equal(a.keys.view(torch.int16), b.keys.contiguous().view(torch.int16))
            assert torch.equal(a.values.view(torch.int16), b.values.contiguous().view(torch.int16))
