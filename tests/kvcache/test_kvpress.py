"""Our policies keep what NVIDIA kvpress keeps, on the same small model and tokens.

`tests/kvcache/kvpress_reference.py` wrote the reference.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from memos.kvcache.compression.base import Scored
from memos.kvcache.compression.expected_attention import ExpectedAttention
from memos.kvcache.compression.finch import Finch
from memos.kvcache.compression.h2o import H2O
from memos.kvcache.compression.key_norm import KeyNorm
from memos.kvcache.compression.keydiff import KeyDiff
from memos.kvcache.compression.kvzip import KVzip
from memos.kvcache.compression.lagkv import LagKV
from memos.kvcache.compression.pyramidkv import PyramidKV
from memos.kvcache.compression.reference import Recent
from memos.kvcache.compression.snapkv import SnapKV
from memos.kvcache.compression.think import ThinK
from memos.kvcache.compression.tova import TOVA
from tests.kvcache.kvpress_reference import INSTRUCTION, OUT, RATIO
from tests.kvcache.tiny import llama, tokens

POLICIES = [
    KeyNorm(),
    KeyDiff(),
    ExpectedAttention(future=64),
    LagKV(lag=32),
    Recent(),
    H2O(),
    SnapKV(window=16),
    PyramidKV(window=16, beta=4),
    TOVA(),
    Finch(window=16),
]


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    assert isinstance(OUT, Path)
    with np.load(OUT) as data:
        return dict(data)


@pytest.fixture(scope="module")
def model() -> Any:
    return llama()


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_the_same_rows_are_kept(policy: Scored, reference: dict[str, Any], model: Any) -> None:
    held = policy.compress(model, tokens(), ratio=RATIO)
    kept = reference[f"{policy.name}.kept"]
    assert len(held.layers) == len(kept)
    for rows, expected in zip(held.layers, kept, strict=True):
        assert rows.positions.tolist() == [[int(i) for i in head if i >= 0] for head in expected]


def test_the_same_channels_are_pruned(reference: dict[str, Any], model: Any) -> None:
    held = ThinK(window=16).compress(model, tokens(), ratio=RATIO)
    zeroed = np.stack([(rows.full_keys() == 0).all(dim=1).numpy() for rows in held.layers])
    assert (zeroed == reference["think.zeroed"]).all()


def test_repeating_the_text_gives_the_same_scores(reference: dict[str, Any], model: Any) -> None:
    noted: list[torch.Tensor] = []

    class Noting(KVzip):
        def score(self, view: Any) -> torch.Tensor:
            noted.append(super().score(view))
            return noted[-1]

    Noting(instruction=INSTRUCTION, lead=0).compress(model, tokens(), ratio=RATIO)
    torch.testing.assert_close(
        torch.stack(noted), torch.from_numpy(reference["kvzip.scores"]), atol=1e-4, rtol=1e-3
    )
