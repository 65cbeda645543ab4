"""Trainings that are ended on their way, and models that have none."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from memos.errors import ModelUnsupported
from memos.kvcache.lora.adapters import LocalAdapters
from memos.types import TrainingSet
from tests.kvcache.local_models import tiny
from tests.kvcache.test_lora import ALONE, EXAMPLES, OPEN, PROBES, RECIPE, fresh

WANTED = TrainingSet(examples=EXAMPLES, probes=PROBES, alone=ALONE)
SHORT = dataclasses.replace(RECIPE, passes=2)


class Ended(Exception):
    """What a worker that stops lets through."""


def adapters(folder: Path) -> LocalAdapters:
    return LocalAdapters(tiny, fresh, folder, ram_bytes=1 << 20, checkpoint_seconds=0.0)


def ending(share: float, time: int) -> Callable[[float, float | None], None]:
    """Ends it when so much, or more, is told for the first time, or the second, …"""
    left = [time]

    def told(done: float, recall: float | None) -> None:
        left[0] -= done >= share
        if not left[0]:
            raise Ended

    return told


def is_ended(mine: LocalAdapters, told: Callable[[float, float | None], None]) -> bool:
    try:
        mine.train("one", WANTED, SHORT, OPEN, (), told=told)
    except Ended:
        return True
    return False


def test_wherever_a_training_is_ended_it_goes_on_to_the_same_result(tmp_path: Path):
    shares: list[float] = []
    whole = adapters(tmp_path / "whole")
    whole.train("one", WANTED, SHORT, OPEN, (), told=lambda share, _: shares.append(share))
    assert shares == sorted(shares)
    broken = adapters(tmp_path / "broken")
    for share in sorted({*shares} - {1.0}):
        assert is_ended(broken, ending(share, 1))
    # Not only between steps: the judging too is ended, at each of its places.
    time = 1
    while is_ended(broken, ending(1.0, time)):
        time += 1
    assert time > 4
    assert broken.check("one") == whole.check("one")


def test_what_was_answered_before_the_end_is_not_asked_again(tmp_path: Path, monkeypatch):
    many = tuple(f"What is {n}?" for n in range(40))
    wanted = dataclasses.replace(WANTED, alone=dataclasses.replace(ALONE, held=many))
    asked: list[int] = []
    mine = adapters(tmp_path)

    def told(share: float, recall: float | None) -> None:
        asked.append(len(mine_answers()))
        if len(asked) == 3:
            raise Ended

    def mine_answers() -> str:
        return "".join(path.read_text() for path in tmp_path.glob("answers-*.json"))

    with pytest.raises(Ended):
        mine.train("one", wanted, SHORT, OPEN, (), told=told)
    kept = mine_answers()
    assert 0 == asked[0] < asked[1] < asked[2] == len(kept)
    mine.train("one", wanted, SHORT, OPEN, ())
    assert mine_answers().startswith(kept.removesuffix("}"))


@pytest.mark.parametrize("kind", ["mamba2", "falcon_h1"])
def test_models_with_recurrent_layers_are_refused(tmp_path: Path, kind: str):
    """Their states would run from one example of a row into the next."""
    mine = LocalAdapters(lambda: tiny(kind), fresh, tmp_path, ram_bytes=1 << 20)
    with pytest.raises(ModelUnsupported, match="recurrent layers"):
        mine.train("one", WANTED, SHORT, OPEN, ())
    assert not list(tmp_path.glob("*.training"))
