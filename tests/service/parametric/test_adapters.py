"""Parametric memories in process, on a tiny model: what is learnt, used, refused and forgotten."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from memos.assembly import build
from memos.config import load
from memos.errors import (
    AdapterCorrupt,
    AdapterMismatch,
    AdapterNotFound,
    AdapterRefused,
    Contradiction,
    ExtractorAnswer,
    ExtractorUnavailable,
    InvalidInput,
    MemosError,
    OutOfMemory,
    StateConflict,
    TrainingFailed,
)
from memos.identity import utc_now
from memos.protocols import RETRAIN
from memos.service import MemoryOS, Service
from memos.service.parametric.learning import left_alone
from memos.testing import HashEmbedder, RecordedModel
from memos.types import Adapter, JobState, Kind, LeftAlone, NewMemory, State
from tests.local_model import tiny_model

OPEN = {"lora_recall": 0.0, "lora_perplexity": 1e9, "lora_unchanged": 0.0, "lora_harm": 1e9}
ALONE = LeftAlone(held=("What is one?",), asked=("What is two?",), texts=("The sea is calm.",))
QUICK = {"passes": 1, "rank": 2, "wait": True}


@contextmanager
def serving(folder: Path, **settings: Any) -> Iterator[Service]:
    """Its jobs run when a test drains them."""
    chosen = {"local_model": tiny_model(), "kv_cost_model": False, "vector_index": "none", **OPEN}
    clock = settings.pop("clock", utc_now)
    wanted = load({}, data_dir=folder, **{**chosen, **settings})
    service = build(wanted, embedder=HashEmbedder(), clock=clock)
    service.adapters._learning.alone = ALONE
    try:
        yield service
    finally:
        service.close()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with serving(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def memory(service: Service) -> MemoryOS:
    return service.tenant()


@pytest.fixture
def ids(memory: MemoryOS) -> tuple[str, ...]:
    return told(memory, Tava="Porto", Ilse="Oslo", Bren="Lima")


def told(memory: MemoryOS, **homes: str) -> tuple[str, ...]:
    given = [
        {"subject": f"{name} Oskeld", "predicate": "lives_in", "object": place}
        for name, place in homes.items()
    ]
    return memory.add_facts(given).memory_ids


def ask(memory: MemoryOS, question: str = "Where does Tava live?", **options: Any) -> Any:
    return memory.generate(question, max_new_tokens=3, **options)


def files(service: Service) -> list[str]:
    return sorted(p.name for p in (service.settings.data_dir / "lora").glob("*.[lt]*"))


def test_the_life_of_an_adapter(service: Service, memory: MemoryOS, ids: tuple[str, ...]) -> None:
    first = memory.distill(memories=ids, name="people", **QUICK)
    assert (first.state, first.attached, first.version) == (State.ACTIVATED, True, 1)
    assert {source.memory_id for source in first.sources} == set(ids)
    assert first.report is not None
    assert set(first.report.by_source) == set(ids)
    assert first.fingerprint["adapter"] == first.digest
    assert {one.memory_id for one in first.chosen} == set(ids)
    assert ask(memory).adapter == first.id
    # Who is not known of is answered by the model alone.
    assert ask(memory, "What is a boat?").adapter is None
    assert ask(memory, "Who lives in Oslo?").adapter == first.id
    assert ask(memory, "What is a boat?", adapter=first.id).adapter == first.id
    assert ask(memory, adapter="none").adapter is None
    [more] = told(memory, Dovan="Riga")
    second = memory.distill(memories=[more], name="people", begin=first.id, when="always", **QUICK)
    assert (second.version, second.parent, len(second.sources)) == (2, first.id, 4)
    assert ask(memory, "What is a boat?").adapter == second.id
    assert [a.attached for a in memory.adapters().items] == [False, True]
    assert memory.rollback_adapter(second.id).id == first.id
    assert ask(memory).adapter == first.id
    with pytest.raises(StateConflict, match="no version before 1"):
        memory.rollback_adapter(first.id)
    assert not memory.detach(first.id).attached
    assert ask(memory).adapter is None
    assert memory.attach(second.id).attached
    again = memory.evaluate(second.id)
    assert again.report is not None
    assert again.report.probes == 4
    assert memory.adapter(second.id).hits == 1
    memory.drop_adapter(second.id)
    assert files(service) == [f"{first.id}.lora"]
    with pytest.raises(AdapterNotFound):
        memory.adapter(second.id)


def test_merging(service: Service, memory: MemoryOS, ids: tuple[str, ...]) -> None:
    one = memory.distill(memories=ids[:1], name="one", **QUICK)
    two = memory.distill(memories=ids[1:], name="two", **QUICK)
    whole = memory.merge_adapters([one.id, two.id], shares=[1.0, 0.5], name="both", wait=True)
    assert (whole.rank, whole.merged, whole.attached) == (4, (one.id, two.id), True)
    assert {source.memory_id for source in whole.sources} == set(ids)
    assert whole.report is not None
    assert set(whole.report.by_source) == set(ids)
    for question in ("Where does Tava live?", "Where does Bren live?"):
        assert ask(memory, question).adapter == whole.id
    queued = memory.merge_adapters([one.id, two.id], method="ties", rank=3, attach=False)
    service.worker.drain()
    ties = memory.adapter(queued.id)
    assert (ties.state, ties.rank, ties.attached) == (State.ACTIVATED, 3, False)
    assert ties.digest != whole.digest
    left = memory.merge_adapters([one.id, two.id], attach=False)
    memory.drop_adapter(two.id)
    service.worker.drain()
    assert "was dropped meanwhile" in str(memory.adapter(left.id).reason)
    # What one of them learnt is in the whole.
    memory.forget(ids[0])
    assert files(service) == []
    service.worker.drain()
    [anew] = [a for a in memory.adapters().items if a.attached]
    assert (anew.name, anew.version, anew.merged) == ("both", 2, ())
    assert {source.memory_id for source in anew.sources} == set(ids[1:])
    for wrong in ({"shares": [1.0]}, {"method": "best"}, {"shares": [1.0, 99.0]}, {"rank": 0}):
        with pytest.raises(InvalidInput):
            memory.merge_adapters([anew.id, one.id], **wrong)


def test_who_is_meant_by_another_name(memory: MemoryOS, ids: tuple[str, ...]) -> None:
    made = memory.distill(memories=ids, **QUICK)
    assert ask(memory, "Where does Nan live?").adapter is None
    memory.add_facts([{"subject": "Nan", "predicate": "owns", "object": "a sloop"}])
    memory.merge_entities("Nan", "Tava Oskeld")
    assert ask(memory, "Where does nan live?").adapter == made.id
    assert ask(memory, "Where does Nanna live?").adapter is None


def test_a_language_model_says_the_questions_in_other_words(tmp_path: Path) -> None:
    asked = "Where does Tava Oskeld live?"
    said = [
        "Tell me where Tava Oskeld lives.",
        "Where is she at home?",
        asked,
        "Tava Oskeld's town?",
    ]
    told_by = {asked: {"wordings": said}}
    how = {"lora_wordings": "llm", "extraction_model": "m", "extraction_attempts": 1}
    with (
        RecordedModel(told_by, faults=["500", "prose"]) as server,
        serving(tmp_path, extraction_url=server.url, extraction_key="k", **how) as service,
    ):
        memory = service.tenant()
        ids = told(memory, Tava="Porto")
        queued = memory.distill(memories=ids, passes=1, rank=2)
        for kind in (ExtractorUnavailable, ExtractorAnswer):
            with pytest.raises(kind):
                service.adapters.compute(service.cubes.find("default", "default"), queued.id)
        service.worker.drain()
        made = memory.adapter(queued.id)
        row = service.stores.artifacts.get(made.cube_id, made.id)
        # Not who is not named, and not the question itself.
        assert row.detail["wordings"] == {asked: [said[0], said[3]]}
        assert made.examples == plain(tmp_path / "plain") + 2
        memory.forget(ids[0])
        assert "wordings" not in service.stores.artifacts.get(made.cube_id, made.id).detail
        assert len(server.requests) == 3


def plain(folder: Path) -> int:
    """Examples of the same by templates alone."""
    with serving(folder) as service:
        memory = service.tenant()
        return memory.distill(memories=told(memory, Tava="Porto"), **QUICK).examples


def test_a_job_trains_it_and_a_gate_may_refuse_it(tmp_path: Path) -> None:
    with serving(tmp_path, lora_recall=1.0) as service:
        memory = service.tenant()
        ids = told(memory, Tava="Porto")
        queued = memory.distill(memories=ids, passes=1)
        assert (queued.state, queued.job_id is not None) == (State.GENERATED, True)
        service.worker.drain()
        refused = memory.adapter(queued.id)
        assert refused.state is State.ARCHIVED
        assert "it recalls 0% of its memories" in str(refused.reason)
        assert refused.report is not None
        assert refused.report.refused == refused.reason
        assert files(service) == []
        with pytest.raises(AdapterRefused, match="it recalls"):
            memory.attach(queued.id)
        with pytest.raises(AdapterRefused):
            memory.distill(memories=ids, **QUICK)
        assert len(memory.adapters().items) == 1
        assert ask(memory).adapter is None


def test_what_can_not_be_learnt_leaves_the_old_one_at_work(
    service: Service, memory: MemoryOS, ids: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = memory.distill(memories=ids[:2], **QUICK)
    [secret] = memory.add("The code is 7 3 1.", kind=Kind.VAULT).memories
    with pytest.raises(InvalidInput, match="vault memories never"):
        memory.distill(memories=[secret.id], **QUICK)
    with pytest.raises(InvalidInput, match="vault memories never"):
        memory.distill(kind=Kind.VAULT, **QUICK)
    with pytest.raises(InvalidInput, match="rank is 0"):
        memory.distill(memories=ids, rank=0)
    memory.create_cube("empty")
    with pytest.raises(InvalidInput, match="there is no memory to distill"):
        memory.distill(cube="empty", **QUICK)
    soon = datetime.now(timezone.utc) + timedelta(days=1)
    [passing] = memory.add([NewMemory(content="The shop is shut today.", expires_at=soon)]).memories
    with pytest.raises(InvalidInput, match="weights do not"):
        memory.distill(memories=[passing.id], **QUICK)
    [moved] = told(memory, Tava="Kyoto")
    [closed] = [f for f in memory.facts(subject="Tava Oskeld").items if f.invalid_at is not None]
    with pytest.raises(InvalidInput, match="closed or taken back"):
        memory.distill(memories=[ids[0], moved], **QUICK)
    memory.keep_open(closed.id)
    with pytest.raises(Contradiction, match="Kyoto"):
        memory.distill(memories=[ids[0], moved], **QUICK)
    adapters = service._states.wait().adapters
    for error in (OutOfMemory("memory was short in training"), TrainingFailed("the loss is nan")):

        def fails(*_: Any, error: MemosError = error, **__: Any) -> None:
            raise error

        monkeypatch.setattr(adapters, "train", fails)
        with pytest.raises(type(error)):
            memory.distill(memories=ids[1:], **QUICK)
        queued = memory.distill(memories=ids[1:], passes=1)
        service.worker.drain()
        assert memory.adapter(queued.id).attached is False
        memory.drop_adapter(queued.id)
    assert [a.id for a in memory.adapters().items] == [first.id]
    assert ask(memory).adapter == first.id


def test_how_it_is_trained_is_set(tmp_path: Path) -> None:
    wanted = {"lora_optimizer": "adafactor", "lora_alpha": 4.0, "lora_targets": "mlp"}
    with serving(tmp_path, lora_variant="rslora", **wanted) as service:
        memory = service.tenant()
        made = memory.distill(memories=told(memory, Tava="Porto"), passes=1)
        recipe = service.stores.artifacts.get(made.cube_id, made.id).detail["recipe"]
    assert (recipe["optimizer"], recipe["alpha"], recipe["targets"]) == ("adafactor", 4.0, "mlp")
    assert (recipe["rslora"], recipe["dora"]) == (True, False)


def test_what_is_held_is_not_what_is_asked_afterwards() -> None:
    few, many = left_alone("few"), left_alone("many")
    assert len(few.held) < len(many.held) == len(set(many.held))
    assert many.asked == few.asked
    asked = {question.casefold() for question in many.asked}
    assert asked.isdisjoint(question.casefold() for question in many.held)


def test_forgetting(service: Service, memory: MemoryOS, ids: tuple[str, ...]) -> None:
    first = memory.distill(memories=ids, **QUICK)
    other = memory.distill(memories=ids[1:], name="other", attach=False, **QUICK)
    core = memory.compile(text="Be brief and kind to everybody who asks.")
    assert ask(memory, activation=core.id).adapter == first.id
    service.worker.drain()  # states with the adapter
    assert ask(memory, activation=core.id).states == "loaded"
    memory.forget(ids[0], erase=True)
    # At once, whichever jobs have run.
    assert files(service) == [f"{other.id}.lora"]
    assert ask(memory).adapter is None
    gone = memory.adapter(first.id)
    assert (gone.state, gone.attached, gone.report) == (State.EXPIRED, False, None)
    assert "is erased" in str(gone.reason)
    row = service.stores.artifacts.get(gone.cube_id, gone.id)
    assert "keys" not in row.detail
    with pytest.raises(StateConflict, match="stale"):
        memory.attach(first.id)
    service.worker.drain()
    [anew] = [a for a in memory.adapters().items if a.attached]
    assert (anew.name, anew.version) == (first.name, 2)
    assert {source.memory_id for source in anew.sources} == set(ids[1:])
    assert ask(memory, "Where does Ilse live?").adapter == anew.id
    assert memory.doctor() == ()
    # A memory that changes makes what learnt it stale, and a restored one is another version.
    memory.forget(ids[1])
    memory.restore(ids[1])
    with pytest.raises(StateConflict, match="stale"):
        memory.attach(other.id)


def test_a_change_makes_it_stale(service: Service, memory: MemoryOS, ids: tuple[str, ...]) -> None:
    made = memory.distill(memories=ids, **QUICK)
    memory.update(ids[0], content="Tava Oskeld lives in Vienna.")
    stale = memory.adapter(made.id)
    assert (stale.state, stale.attached) == (State.EXPIRED, False)
    assert ask(memory).adapter is None
    with pytest.raises(StateConflict):
        ask(memory, adapter=made.id)
    service.worker.drain()
    [anew] = [a for a in memory.adapters().items if a.attached]
    assert {source.memory_id for source in anew.sources} == set(ids)
    assert files(service) == [f"{anew.id}.lora"]
    assert "keys" not in service.stores.artifacts.get(made.cube_id, made.id).detail
    assert memory.doctor() == ()


def test_what_it_has_not_learnt_may_change(
    service: Service, memory: MemoryOS, ids: tuple[str, ...]
) -> None:
    made = memory.distill(memories=ids, **QUICK)
    memory.update(ids[0], metadata={"tag": "x"}, priority=0.9)
    memory.freeze(ids[1])
    memory.update(ids[2], kind=Kind.SEMANTIC)
    service.worker.drain()
    assert memory.adapter(made.id).attached
    assert ask(memory).adapter == made.id
    assert files(service) == [f"{made.id}.lora"]
    assert memory.doctor() == ()


def test_changes_one_after_the_other_end_with_one_of_the_last(
    service: Service, memory: MemoryOS, ids: tuple[str, ...]
) -> None:
    memory.distill(memories=ids, **QUICK)
    memory.update(ids[0], content="Tava Oskeld lives in Vienna.")
    # The one that is to take its place is queued, and overtaken by the next change.
    [retrain] = [job for job in memory.jobs(limit=50).items if job.kind == RETRAIN]
    cube = memory.cube("default")
    assert service.adapters.retrain(cube, retrain.payload["adapter_id"]) is not None
    memory.cancel_job(retrain.id)
    memory.update(ids[0], content="Tava Oskeld lives in Turin.")
    service.worker.drain()
    [last] = [a for a in memory.adapters().items if a.attached]
    assert {source.version for source in last.sources if source.memory_id == ids[0]} == {3}
    assert files(service) == [f"{last.id}.lora"]


def test_what_may_not_be_learnt_any_more_is_left_out_of_the_next(
    service: Service, memory: MemoryOS
) -> None:
    def lives(name: str, place: str, year: int) -> dict[str, str]:
        at = f"{year}-04-01T00:00:00Z"
        return {"subject": name, "predicate": "lives_in", "object": place, "valid_at": at}

    homes = (("Tava Oskeld", "Porto"), ("Ilse Oskeld", "Oslo"), ("Bren Oskeld", "Lima"))
    ids = memory.add_facts([lives(*home, 2022) for home in homes]).memory_ids
    memory.distill(memories=ids, **QUICK)
    memory.add_facts([lives("Tava Oskeld", "Graz", 2024)])
    memory.forget(ids[1])
    service.worker.drain()
    [left] = [a for a in memory.adapters().items if a.attached]
    assert {source.memory_id for source in left.sources} == {ids[2]}
    assert [job.state for job in memory.jobs(limit=50).items if job.kind == RETRAIN] == [
        JobState.SUCCEEDED
    ]


def test_a_damaged_file_and_another_model(
    service: Service, memory: MemoryOS, ids: tuple[str, ...], tmp_path: Path
) -> None:
    first = memory.distill(memories=ids[:1], **QUICK)
    second = memory.distill(memories=ids, attach=False, **QUICK)
    path = service.settings.data_dir / "lora" / f"{second.id}.lora"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(bytes(content))
    service._states.wait().adapters.shelf._drop(second.id)  # type: ignore[attr-defined]
    with pytest.raises(AdapterCorrupt, match=second.id):
        memory.attach(second.id)
    assert ask(memory).adapter == first.id
    service.close()
    with serving(tmp_path / "data", local_model=tiny_model(1)) as other:
        with pytest.raises(AdapterMismatch, match="differ in"):
            ask(other.tenant())
        assert ask(other.tenant(), adapter="none").adapter is None


def test_the_policy_chooses_and_says_why(memory: MemoryOS, ids: tuple[str, ...]) -> None:
    memory.add("The code is 7 3 1.", kind=Kind.VAULT)
    memory.add("Old news that nobody asked for.", kind=Kind.EPISODIC)
    made = memory.distill(limit=3, **QUICK)
    assert {source.memory_id for source in made.sources} == set(ids)
    reasons = {one.memory_id: one for one in made.chosen}
    assert len(reasons) == 5
    assert [one.refused for one in made.chosen][-1] == "vault memories never go into weights"
    assert made.chosen[0].parts["told"] > 0
    spread = memory.distill(limit=3, diversity=1.0, **QUICK)
    assert set(spread.sources) != set(made.sources)


def test_a_killed_process_goes_on_and_a_dropped_one_ends(tmp_path: Path) -> None:
    code = (
        "import sys, os, signal\n"
        "from pathlib import Path\n"
        "from tests.service.parametric.test_adapters import serving, told\n"
        "from memos.kvcache.lora import checkpoint\n"
        "write = checkpoint.Checkpoint.write\n"
        "def kill(self, saved):\n"
        "    write(self, saved)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "checkpoint.Checkpoint.write = kill\n"
        "with serving(Path(sys.argv[1])) as service:\n"
        "    service._states.wait().adapters._every = 0\n"
        "    memory = service.tenant()\n"
        "    memory.distill(memories=told(memory, Tava='Porto'), passes=2, rank=2)\n"
        "    service.worker.drain()\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], timeout=120)
    assert done.returncode == -signal.SIGKILL
    # When its lease has run out.
    with serving(tmp_path, clock=lambda: utc_now() + timedelta(hours=1)) as service:
        memory = service.tenant()
        [made] = memory.adapters().items
        assert (made.state, files(service)) == (State.GENERATED, [f"{made.id}.training"])
        service.worker.drain()
        made = memory.adapter(made.id)
        assert (made.state, made.attached) == (State.ACTIVATED, True)
        assert files(service) == [f"{made.id}.lora"]
        queued = memory.distill(memories=[s.memory_id for s in made.sources], passes=1)
        memory.drop_adapter(queued.id)
        service.worker.drain()
        assert files(service) == [f"{made.id}.lora"]
        assert isinstance(memory.adapters().items[0], Adapter)
