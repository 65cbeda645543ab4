"""Forms of parametric memory beside adapters, on a small random model."""

import copy
from types import SimpleNamespace

import pytest
import torch

from memos.benchmarks import lora_forms
from memos.benchmarks.lora_form_activated import invoked
from memos.benchmarks.lora_form_keys import ProductKeys
from memos.kvcache.lora.adapters import LocalAdapters
from memos.types import Recipe
from tests.kvcache.local_models import tiny


def fresh():
    found = copy.copy(tiny())
    found.module = copy.deepcopy(tiny().module)
    found._applying = None
    return found


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.setattr(lora_forms, "PASSES", 2)
    model = tiny()
    return SimpleNamespace(
        model=model,
        adapters=LocalAdapters(lambda: model, fresh, tmp_path, ram_bytes=1 << 20),
        options=SimpleNamespace(facts=2, seed=1),
        recipe=Recipe(passes=2, tokens=600, depth=0.5, replay=0.1),
    )


@pytest.mark.parametrize("form", ["low rank", "activated", "cartridge", "product keys"])
def test_a_form_learns_and_is_judged(here, form):
    found = lora_forms.formed(here, {"form": form, "like_rank": 2, "rate": 1e-2})
    print(found)
    assert found["steps"] > 0
