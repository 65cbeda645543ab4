"""Passes that are under way when the process ends."""

from __future__ import annotations

import copy
import logging
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from memos.errors import ServiceUnavailable
from memos.kvcache.activations import LocalActivations
from memos.kvcache.generator.ending import Ending
from memos.kvcache.generator.model import LocalModel
from memos.kvcache.generator.request import Options
from memos.kvcache.generator.rows import RowsLayer
from memos.kvcache.grouping.grouping import Grouping
from memos.kvcache.reuse.prefix import PrefixReuse
from memos.types import Opening
from tests.kvcache import local_models as local
from tests.local_model import tiny_model

_PATIENCE = 60


def mortal(kind: str = "llama") -> LocalModel:
    """A model whose end is no other test's."""
    model = copy.copy(local.tiny(kind))
    model.ending = Ending()
    return model


def counted(monkeypatch: pytest.MonkeyPatch, layer: int, then) -> list[int]:
    """Calls of layers' caches; before that number `then` is called."""
    calls: list[int] = []
    real = RowsLayer.update

    def update(self, *args, **more):
        calls.append(len(calls) + 1)
        if len(calls) == layer:
            then()
        return real(self, *args, **more)

    monkeypatch.setattr(RowsLayer, "update", update)
    return calls


def test_a_pass_ends_at_its_next_layer(monkeypatch):
    model = mortal()
    calls = counted(monkeypatch, 2, model.ending.want)
    with pytest.raises(ServiceUnavailable, match="stopping"):
        PrefixReuse(model).begin([[1, 2, 3]])
    assert calls == [1, 2]  # of four
    assert model.idle(wait_s=0)


@pytest.mark.parametrize("kind", ["llama", "gemma3", "lfm2", "mamba2"])
def test_no_pass_begins_after_the_end_not_of_another_view_either(kind):
    model = mortal(kind)
    view = model.mixed((None,))
    assert PrefixReuse(view).begin([[1, 2, 3]]).logits.shape[0] == 1
    model.ending.want()
    for one in (model, view):
        with pytest.raises(ServiceUnavailable):
            PrefixReuse(one).begin([[1, 2, 3]])


def test_who_waits_for_an_answer_is_told_that_the_service_stops(monkeypatch, caplog):
    model, grouping = mortal(), Grouping(4)
    counted(monkeypatch, 6, model.ending.want)
    with caplog.at_level(logging.ERROR), pytest.raises(ServiceUnavailable, match="stopping"):
        list(grouping.stream(PrefixReuse(model), "Ships", Options(max_new_tokens=20)))
    grouping.close()
    assert caplog.records == []


def test_the_end_waits_until_the_pass_has_left_the_model(monkeypatch, tmp_path):
    model = mortal()
    states = LocalActivations(lambda: model, tmp_path, disk_bytes=1 << 20)
    inside, leave, left = threading.Event(), threading.Event(), []

    def held() -> None:
        inside.set()
        assert leave.wait(_PATIENCE)

    calls = counted(monkeypatch, 2, held)

    def compile() -> None:
        try:
            states.compile(Opening(text="Ships sail", salt=b"salt" * 8, codec="raw"), [])
        except ServiceUnavailable as error:
            left.append(error)

    compiling = threading.Thread(target=compile)
    compiling.start()
    assert inside.wait(_PATIENCE)
    ending = threading.Thread(target=states.end)
    ending.start()
    ending.join(0.2)
    assert ending.is_alive()
    leave.set()
    ending.join(_PATIENCE)
    compiling.join(_PATIENCE)
    assert (len(left), calls) == (1, [1, 2])
    states.close()


ENDED = """
import sys, threading, time, torch
from memos import Kind
from memos.assembly import build
from memos.config import load
from memos.kvcache.generator.rows import RowsLayer
from memos.testing import HashEmbedder
inside = threading.Event()
real, square = RowsLayer.update, torch.randn(50, 50)
def update(self, *args, **more):
    done = real(self, *args, **more)
    inside.set()
    leave = time.monotonic() + 4
    while time.monotonic() < leave:  # in and out of torch, where the thread can't be ended
        square @ square
    return done
RowsLayer.update = update
settings = dict(local_model=sys.argv[2], shutdown_seconds=0, extraction="none")
service = build(load({}, data_dir=sys.argv[1], **settings), embedder=HashEmbedder())
service.worker.start()
memory = service.tenant()
made = memory.add(["Ana likes green tea."], kind=Kind.CORE).memories
memory.compile(memories=[one.id for one in made], wait=False)
assert inside.wait(60)
service.close()
"""


def test_a_process_that_ends_while_a_job_computes_ends_well(tmp_path: Path):
    command = [sys.executable, "-c", ENDED, str(tmp_path), tiny_model()]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
