"""From added memories to facts: what is read when, and what becomes of failures."""

import subprocess
import sys
import textwrap
from dataclasses import replace
from datetime import timedelta

import pytest

from memos.assembly import build, make_extractor
from memos.config import load
from memos.errors import FactNotFound, InvalidSetting, JobFailed
from memos.service.enriching import extraction as jobs_of_extraction
from memos.service.enriching.turns import CONTEXT, runs
from memos.testing import HashEmbedder
from memos.types import Claim, Extraction, JobState, Message, Ref
from tests.service.enriching.extractors import Faulty


@pytest.fixture(scope="session")
def rules():
    return make_extractor(load({}))


@pytest.fixture
def faulty(rules):
    return Faulty(rules)


@pytest.fixture(params=["sqlite", "postgresql"])
def service(request, clock, faulty):
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    made = build(
        load(database_url=url, job_attempts=3),
        embedder=HashEmbedder(),
        extractor=faulty,
        clock=clock,
    )
    yield made
    made.close()


@pytest.fixture
def read(service, clock):
    """Lets time pass until no job is due any more."""

    def run(**amount):
        clock.forward(**(amount or {"seconds": 2}))
        service.worker.drain()

    return run


def said(text, by="Ana", **fields):
    return Message(content=text, speaker=by, **fields)


def homes(memos, who="Ana", **view):
    return {
        fact.object.name
        for fact in memos.facts(subject=who, predicate="lives_in", **view).items
        if not fact.negated
    }


def in_batches_of(size, monkeypatch):
    for name in ("_BATCH", "_SMALL_BATCH"):
        monkeypatch.setattr(jobs_of_extraction, name, size)


def of_kind(memos, kind):
    return [job for job in memos.jobs(limit=1000).items if job.kind == kind]


def test_facts_follow_an_add(memos, read):
    added = memos.add(said("I live in Porto."), session_id="s")
    assert len(added.enriching) == 1
    assert (added.jobs, memos.job(added.enriching[0]).kind) == ((), "extract")
    read()
    assert memos.job(added.enriching[0]).state is JobState.SUCCEEDED
    assert homes(memos) == {"Porto"}
    [fact] = memos.facts(subject="Ana", predicate="lives_in").items
    assert {source.memory_id for source in fact.sources} == {added.memories[0].id}


def test_a_burst_of_writes_is_read_by_one_job(memos, read, faulty):
    jobs = {memos.add(said(f"I like tea number {n}.")).enriching for n in range(5)}
    assert len(jobs) == 1
    read()
    assert len(of_kind(memos, "extract")) == 1
    assert sum(len(texts) for texts, _ in faulty.asked) == 5
    faulty.asked.clear()
    read(hours=1)
    assert faulty.asked == []


def test_an_add_that_is_repeated_answers_with_the_same_jobs(memos):
    first = memos.add(said("I live in Porto."), idempotency_key="k", wait=False)
    again = memos.add(said("I live in Porto."), idempotency_key="k", wait=False)
    assert (again.jobs, again.enriching) == (first.jobs, first.enriching)
    assert len(first.jobs) == len(first.enriching) == 1
    waited = memos.add(said("I like tea."), idempotency_key="k2")
    replayed = memos.add(said("I like tea."), idempotency_key="k2")
    assert (replayed.jobs, replayed.enriching) == ((), waited.enriching)


def test_turns_are_read_with_those_before_them(memos, read, faulty):
    memos.add([said(f"Turn {n}.") for n in range(8)], session_id="s")
    read()
    faulty.asked.clear()
    memos.add([said("Elsewhere.")], session_id="t")
    memos.add([said("Last turn.", by="Ben")], session_id="s")
    read()
    before = tuple(f"Turn {n}." for n in range(8 - CONTEXT, 8))
    assert sorted(faulty.asked) == [(("Elsewhere.",), ()), (("Last turn.",), before)]


def test_runs_keep_together_what_belongs_together(memos, service):
    turns = memos.add([said(f"a{n}") for n in range(7)], session_id="s", user_id="u").memories
    alone = memos.add("alone").memories
    other = memos.add([said("b0"), said("b1")], session_id="s", user_id="v").memories
    store = service.stores.memories

    def texts(memories):
        return {
            ("".join(m.content for m in run.before), "".join(m.content for m in run.turns))
            for run in runs(store, sorted(memories, key=lambda m: m.position))
        }

    assert texts((*turns, *alone, *other)) == {
        *(("", "a0a1a2a3a4a5a6"), ("", "alone"), ("", "b0b1")),
    }
    assert texts((turns[1], turns[2], turns[5], *other[1:])) == {
        *(("a0", "a1a2"), ("a0a1a2a3a4", "a5"), ("b0", "b1")),
    }
    memos.forget(turns[3].id)
    assert texts((turns[2], turns[3], turns[4])) == {("a0a1", "a2a4"), ("", "a3")}
    [run] = runs(store, turns[:3])
    first, rest = run.cut(2)
    assert [len(part.turns) for part in (first, rest)] == [2, 1]
    assert (first.before, rest.before) == ((), first.turns)
    assert rest.cut(1) == (rest, None)


def test_one_memory_that_fails_harms_no_other(memos, read, faulty, clock):
    faulty.fails = lambda m: "it is a riddle" if "Lyon" in m.content else None
    ids = [
        m.id
        for m in memos.add(
            [
                said("I live in Porto."),
                said("I live in Lyon.", by="Ben"),
                said("I live in Bern.", by="Cy"),
            ],
            session_id="s",
        ).memories
    ]
    read()
    assert (homes(memos), homes(memos, "Cy")) == ({"Porto"}, {"Bern"})
    assert [job.state for job in of_kind(memos, "extract")] == [JobState.SUCCEEDED]
    [one] = of_kind(memos, "extract_one")
    assert (one.state, one.payload["memory_id"]) == (JobState.QUEUED, ids[1])
    read()
    assert memos.job(one.id).state is JobState.FAILED
    assert "it is a riddle" in memos.job(one.id).error
    # The memory itself is kept and found.
    assert memos.search("Lyon").hits[0].memory.id == ids[1]
    for _ in range(3):
        read(minutes=10)
    assert memos.job(one.id).state is JobState.DEAD
    with pytest.raises(JobFailed, match="riddle"):
        memos.wait_for(one.id, timeout=1)
    assert not [f for f in memos.doctor() if f.check == "unread"]
    faulty.fails = lambda m: None
    memos.update(ids[1], metadata={"a": 1})  # another version, but the same words
    memos.retry_job(one.id)
    read()
    assert memos.job(one.id).state is JobState.SUCCEEDED
    assert homes(memos, "Ben") == {"Lyon"}


def test_an_extractor_that_breaks_on_one_reads_the_others(memos, read, faulty):
    faulty.breaks = lambda m: ValueError("too deep") if "Lyon" in m.content else None
    memos.add([said("I live in Porto."), said("I live in Lyon.", by="Ben")], session_id="s")
    read()
    assert homes(memos) == {"Porto"}
    read()
    [one] = of_kind(memos, "extract_one")
    assert one.state is JobState.FAILED
    assert "the extractor broke: ValueError: too deep" in one.error


def test_what_no_graph_can_hold_is_a_failure_of_that_memory_only(memos, read, service, monkeypatch):
    real = service.stores.graph.record

    def record(cube_id, entities, readings):
        if any("lyon" in entity.normal for entity in entities):
            raise ValueError("no room for Lyon")
        return real(cube_id, entities, readings)

    monkeypatch.setattr(service.stores.graph, "record", record)
    memos.add([said("I live in Porto."), said("I live in Lyon.", by="Ben")], session_id="s")
    read()
    assert homes(memos) == {"Porto"}
    read()
    [one] = of_kind(memos, "extract_one")
    assert one.state is JobState.FAILED
    assert "no room for Lyon" in one.error


def test_what_says_nothing_that_can_be_is_a_failure_too(memos, read, faulty):
    ana = Ref(name="Ana", type="person")
    knot = Extraction(claims=(Claim(subject=ana, predicate="knows", object=ana),))
    faulty.instead = lambda m: knot if "myself" in m.content else None
    memos.add([said("I know myself."), said("I live in Porto.")], session_id="s")
    read()
    assert homes(memos) == {"Porto"}
    read()
    [one] = of_kind(memos, "extract_one")
    assert (one.state, "itself" in one.error) == (JobState.FAILED, True)


def test_while_the_model_is_down_nothing_counts_as_read(memos, read, faulty, service):
    faulty.down = True
    added = memos.add(said("I live in Porto."))
    read()
    job = memos.job(added.enriching[0])
    assert job.state is JobState.FAILED
    assert "ExtractorUnavailable: the model does not answer" in job.error
    cube = memos.cube("default")
    assert len(service.stores.graph.unread(cube.id, faulty.name, limit=9)) == 1
    assert of_kind(memos, "extract_one") == []
    assert memos.search("Porto").hits
    for _ in range(4):
        read(minutes=10)
    assert memos.job(job.id).state is JobState.DEAD
    # Now nobody will read it any more, which doctor finds and mends.
    assert [(f.count, f.repaired) for f in memos.doctor() if f.check == "unread"] == [(1, False)]
    faulty.down = False
    assert [f.repaired for f in memos.doctor(repair=True) if f.check == "unread"] == [True]
    read()
    assert homes(memos) == {"Porto"}
    assert memos.doctor() == ()


def test_the_model_going_down_halfway_keeps_what_was_read(memos, read, faulty, monkeypatch):
    for name in ("_PIECE", "_SMALL_PIECE"):
        monkeypatch.setattr(jobs_of_extraction, name, 1)
    texts = ["I live in Porto.", "I live in Lyon.", "I live in Bern."]

    def down_after_the_first():
        faulty.down = True

    faulty.before_answer = down_after_the_first
    memos.add([said(t, by=who) for t, who in zip(texts, ("Ana", "Ben", "Cy"), strict=True)])
    read()
    assert [homes(memos, who) for who in ("Ana", "Ben", "Cy")] == [{"Porto"}, set(), set()]
    faulty.down, faulty.before_answer = False, lambda: None
    read(minutes=10)
    assert [homes(memos, who) for who in ("Ana", "Ben", "Cy")] == [{"Porto"}, {"Lyon"}, {"Bern"}]


def test_facts_follow_every_change_of_a_memory(memos, read, clock):
    memory = memos.add(said("I live in Porto.")).memories[0]
    read()
    told = clock.now
    clock.forward(hours=1)
    memos.update(memory.id, content="I live in Lyon.")
    read()
    assert homes(memos) == {"Lyon"}
    assert homes(memos, known_as_of=told) == {"Porto"}
    memos.forget(memory.id)
    assert homes(memos) == set()
    clock.forward(hours=1)
    memos.restore(memory.id)
    assert homes(memos) == {"Lyon"}
    read()
    assert homes(memos) == {"Lyon"}
    assert homes(memos, known_as_of=told) == {"Porto"}


def test_an_erase_reaches_the_facts(memos, read, clock):
    secret = memos.add([said("I live in Porto."), said("I live in Bern.", by="Cy")]).memories[0]
    read()
    told = clock.now
    [fact] = memos.facts(subject="Ana", predicate="lives_in").items
    clock.forward(hours=1)
    memos.forget(secret.id, erase=True)
    names = {entity.name for entity in memos.entities(limit=100).items}
    assert not {"Ana", "Porto"} & names
    assert homes(memos, "Cy") == {"Bern"}
    for view in ({}, {"known_as_of": told}):
        assert not [f for f in memos.facts(limit=100, **view).items if "Porto" in str(f)]
        with pytest.raises(FactNotFound):
            memos.fact(fact.id, **view)
    read(hours=1)
    assert not memos.doctor()
    assert not [f for f in memos.facts(limit=100).items if "Porto" in str(f)]


def test_an_erase_reaches_the_reason_of_a_failure(memos, read, faulty):
    faulty.fails = lambda m: f"can't read {m.content}"
    secret, other = memos.add([said("I live in Porto."), said("I live in Bern.")]).memories
    read()
    read()
    jobs = {job.payload["memory_id"]: job.id for job in of_kind(memos, "extract_one")}
    assert "Porto" in memos.job(jobs[secret.id]).error
    memos.forget(secret.id, erase=True)
    assert "Porto" not in memos.job(jobs[secret.id]).error
    assert "Bern" in memos.job(jobs[other.id]).error
    read(minutes=10)
    assert memos.job(jobs[secret.id]).state is JobState.SUCCEEDED


def test_a_memory_changed_while_it_was_read_is_read_again(memos, read, faulty):
    memory = memos.add(said("I live in Porto.")).memories[0]

    def change():
        faulty.before_answer = lambda: None
        memos.update(memory.id, content="I live in Lyon.")

    faulty.before_answer = change
    read()
    read()
    assert homes(memos) == {"Lyon"}
    assert not memos.doctor()


def test_extract_reads_the_unread_and_again_everything(memos, read, faulty, service, clock, rules):
    memos.add([said("I live in Porto."), said("I live in Bern.", by="Cy")])
    read()
    facts = memos.facts(limit=100).items
    faulty.asked.clear()
    job = memos.extract()
    assert memos.extract().id == job.id
    read()
    assert (memos.job(job.id).state, faulty.asked) == (JobState.SUCCEEDED, [])
    memos.extract(again=True)
    read()
    assert sum(len(texts) for texts, _ in faulty.asked) == 2
    # The same facts, on new assertions: nothing is believed otherwise.
    assert [replace(fact, sources=()) for fact in memos.facts(limit=100).items] == [
        replace(fact, sources=()) for fact in facts
    ]
    # Another extractor has read nothing yet.
    newer = build(
        service.settings,
        embedder=HashEmbedder(),
        extractor=Faulty(rules, name="rules-next"),
        clock=clock,
    )
    view = newer.tenant()
    assert [f.count for f in view.doctor() if f.check == "unread"] == [2]
    view.extract()
    newer.worker.drain()
    assert view.doctor() == ()
    newer.close()


def test_reindex_leaves_facts_alone(memos, read):
    memos.add(said("I live in Porto."))
    read()
    facts = memos.facts(limit=100).items
    job = memos.reindex("default", embed=True)
    read()
    assert memos.job(job.id).state is JobState.SUCCEEDED
    assert memos.facts(limit=100).items == facts


def test_a_long_reading_lets_others_have_their_turn(memos, read, monkeypatch, faulty):
    in_batches_of(2, monkeypatch)
    monkeypatch.setattr(jobs_of_extraction, "_TURN_SECONDS", -1.0)
    added = memos.add([said(f"I live in Porto, part {n}.") for n in range(5)])
    read()
    job = memos.job(added.enriching[0])
    assert (job.state, job.attempts) == (JobState.SUCCEEDED, 1)
    assert sum(len(texts) for texts, _ in faulty.asked) == 5


def test_a_stopping_worker_gives_the_job_back_with_what_it_has_read(
    memos, service, faulty, clock, monkeypatch
):
    in_batches_of(1, monkeypatch)
    added = memos.add([said("I live in Porto."), said("I live in Bern.", by="Cy")])
    clock.forward(seconds=2)
    faulty.before_answer = lambda: service.worker._stopping.set()
    service.worker.start()
    reader = service.worker._threads[-1]
    reader.join(60)
    assert not reader.is_alive()
    service.worker.stop()
    job = memos.job(added.enriching[0])
    assert (job.state, job.attempts) == (JobState.QUEUED, 0)
    assert (homes(memos), homes(memos, "Cy")) == ({"Porto"}, set())


def test_without_extraction_there_are_no_jobs(tmp_path):
    service = build(load(data_dir=tmp_path, extraction="none"), embedder=HashEmbedder())
    memos = service.tenant()
    added = memos.add(said("I live in Porto."))
    memos.forget(added.memories[0].id)
    assert (added.enriching, memos.jobs().items) == ((), ())
    service.close()


def test_a_language_model_needs_a_name(tmp_path):
    with pytest.raises(InvalidSetting, match="MEMOS_EXTRACTION_MODEL"):
        build(load(data_dir=tmp_path / "x", extraction="llm"), embedder=HashEmbedder())
    with pytest.raises(InvalidSetting, match="time_zone is 'Mars/Olympus'"):
        build(load(data_dir=tmp_path / "x", time_zone="Mars/Olympus"), embedder=HashEmbedder())
    assert not (tmp_path / "x").exists()


ADD_AND_DIE = textwrap.dedent(
    """
    import os, signal, sys
    import memos
    from memos.assembly import build
    from memos.config import load
    from memos.testing import HashEmbedder

    service = build(load(), embedder=HashEmbedder())
    if sys.argv[1] == "while reading":
        real = service.stores.graph.record
        def die(*given):
            os.kill(os.getpid(), signal.SIGKILL)
        service.stores.graph.record = die
        service.worker.start()
    service.tenant().add(memos.Message(content="I live in Porto.", speaker="Ana"))
    if sys.argv[1] == "while reading":
        import time; time.sleep(60)
    os.kill(os.getpid(), signal.SIGKILL)
    """
)


@pytest.mark.parametrize("when", ["after the add", "while reading"])
def test_a_killed_process_loses_no_reading(when, data_dir):
    done = subprocess.run([sys.executable, "-c", ADD_AND_DIE, when], timeout=120, check=False)
    assert done.returncode == -9
    service = build(load(lease_seconds=1), embedder=HashEmbedder(), clock=_in_an_hour)
    memos = service.tenant()
    assert homes(memos) == set()
    service.worker.drain()
    assert homes(memos) == {"Porto"}
    service.close()


def _in_an_hour():
    from memos.identity import utc_now

    return utc_now() + timedelta(hours=1)
