"""The prefix that is trained beside adapters, on a small random model."""

from types import SimpleNamespace

from memos.benchmarks.lora_cartridge import cartridge
from tests.kvcache.local_models import tiny


def test_a_prefix_learns(monkeypatch):
    monkeypatch.setattr("memos.benchmarks.lora_cartridge.RATE", 0.1)
    model = tiny()
    here = SimpleNamespace(
        model=model,
        adapters=SimpleNamespace(_module=lambda: model.module),
        options=SimpleNamespace(facts=2, seed=1),
        recipe=SimpleNamespace(passes=3),
    )
    found = cartridge(here)
    losses = [line["loss"] for line in found["lines"][1:]]
    assert losses[-1] < 0.9 * losses[0]
    assert found["bytes"] == found["tokens"] * 2 * 4 * 2 * 2 * 16
