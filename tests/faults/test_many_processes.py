"""Two servers and two workers, all real processes, on one PostgreSQL; and a pair on one SQLite.

What one process acknowledges the other must know at once, jobs must outlive the workers that hold
them, and no death of a process may leave anything half-done.
"""

from __future__ import annotations

import hashlib
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from memos import assembly, config
from memos.benchmarks.service.server_process import Server
from memos.client import Client
from memos.errors import (
    CubeNotFound,
    MemoryNotFound,
    MemosError,
    ServiceUnavailable,
    VersionConflict,
)
from memos.service import Service
from memos.testing import HashEmbedder
from memos.types import Finding, JobState, Memory, State
from tests.faults.conftest import WorkerProcess, data_dir_of
from tests.postgres import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

INDEX_MIN = 60
LEASE = 60
"""Seconds; longer than a machine that others use as well may keep a worker from its heartbeat."""
ALL_STATES = tuple(State)


@dataclass
class World:
    a: Client
    b: Client
    server_a: Server
    workers: dict[str, WorkerProcess]
    url: str

    def sql(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True) as connection:
            return connection.execute(query, values).fetchall()

    def doctor(self, folder: Path) -> tuple[Finding, ...]:
        service = assembly.build(
            config.load({}, data_dir=folder, database_url=self.url, vector_index_min=INDEX_MIN),
            embedder=HashEmbedder(),
        )
        try:
            return findings_of(service)
        finally:
            service.close()


def findings_of(service: Service) -> tuple[Finding, ...]:
    """What doctor finds, but that the stand-in for the model is not the model of the processes."""
    findings = service.tenant().doctor()
    return tuple(found for found in findings if found.check != "embedding-model")


@pytest.fixture(scope="module")
def world(
    postgres_server: PostgresServer, exported: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """All four are started at once on an empty database."""
    root = tmp_path_factory.mktemp("processes")
    url = postgres_server.create_database()
    settings = {
        "database_url": url,
        "worker_in_process": "false",
        "vector_index_min": str(INDEX_MIN),
        "lease_seconds": str(LEASE),
        "embedding_threads": "1",
    }
    with ExitStack() as stack:
        folders = {name: data_dir_of(root / name, exported) for name in ("a", "b", "w1", "w2")}
        started = [WorkerProcess(folders[name], settings) for name in ("w1", "w2")]
        for worker in started:
            stack.callback(worker.kill)
        with ThreadPoolExecutor(2) as pool:
            servers = list(
                pool.map(
                    lambda name: Server(
                        folders[name],
                        settings | {"database_url": f"{url}&application_name=memos-{name}"},
                    ),
                    "ab",
                )
            )
        for server in servers:
            stack.callback(server.__exit__)
        keys = [f / "first-key" for f in folders.values() if (f / "first-key").exists()]
        key = keys[0].read_text().strip()
        a, b = (stack.enter_context(Client(s.url, api_key=key, retries=0)) for s in servers)
        workers = {worker.wait_until_ready(): worker for worker in started}
        yield World(a, b, servers[0], workers, url)
    postgres_server.drop_database(url)


def until(holds: Callable[[], Any], *, seconds: float = 60) -> Any:
    """What `holds` gives as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)
    return found


def searched(client: Client, text: str, cube: str) -> list[str]:
    return [hit.memory.id for hit in client.search(text, cube=cube, limit=5).hits]


def everything(client: Client, cube: str) -> list[Memory]:
    found: list[Memory] = []
    cursor = None
    while True:
        page = client.memories(cube=cube, states=ALL_STATES, limit=200, cursor=cursor)
        found += page.items
        if (cursor := page.next_cursor) is None:
            return found


def test_what_one_acknowledges_the_other_finds_at_once(world: World) -> None:
    """220 random writes on either server, each looked at on the other before the next."""
    chance = random.Random(1)
    world.a.create_cube("mixed")
    present: dict[str, Memory] = {}
    archived: dict[str, Memory] = {}
    for number in range(220):
        here, there = (world.a, world.b) if chance.random() < 0.5 else (world.b, world.a)
        verb = chance.choice(["add", "add", "add", "update", "forget", "restore", "erase"])
        word = f"token{number}x"
        if verb == "restore" and archived:
            old = archived.pop(chance.choice(sorted(archived)))
            now = present[old.id] = here.restore(old.id, cube="mixed")
            assert there.get(old.id, cube="mixed") == now
            assert old.id in searched(there, f'"{old.metadata["word"]}"', "mixed")
        elif verb in ("add", "restore") or not present:
            text = f"The {word} was seen near the harbour."
            now = here.add(text, cube="mixed", metadata={"word": word}).memories[0]
            present[now.id] = now
            assert there.get(now.id, cube="mixed") == now
            assert searched(there, f'"{word}"', "mixed") == [now.id]
        elif verb == "update":
            old = present[chance.choice(sorted(present))]
            now = here.update(
                old.id,
                cube="mixed",
                content=f"Now it is the {word}.",
                metadata={"word": word},
                if_version=old.version,
            )
            present[old.id] = now
            assert there.get(old.id, cube="mixed") == now
            assert searched(there, f'"{word}"', "mixed") == [old.id]
            assert searched(there, f'"{old.metadata["word"]}"', "mixed") == []
        else:
            old = present.pop(chance.choice(sorted(present)))
            gone = here.forget(old.id, cube="mixed", erase=verb == "erase")
            if verb == "erase":
                with pytest.raises(MemoryNotFound):
                    there.update(old.id, cube="mixed", content="again")
                assert all(e.memory is None for e in there.history(old.id, cube="mixed"))
            else:
                archived[old.id] = gone
                assert there.get(old.id, cube="mixed") == gone
            assert searched(there, f'"{old.metadata["word"]}"', "mixed") == []
    assert everything(world.a, "mixed") == everything(world.b, "mixed")
    for text in ("what was seen near the harbour?", "token17x", "now"):
        one, two = (c.search(text, cube="mixed", limit=20).hits for c in (world.a, world.b))
        assert [hit.memory for hit in one] == [hit.memory for hit in two]
        scores = [hit.score for hit in two]
        assert [hit.score for hit in one] == pytest.approx(scores, abs=1e-5)


def test_workers_build_the_index_that_both_servers_search(world: World, tmp_path: Path) -> None:
    cube = world.a.create_cube("large").id
    texts = [f"Note {n}: the ferry number{n} to island {n % 7} is late." for n in range(200)]
    for start in range(0, 200, 100):
        world.a.add(texts[start : start + 100], cube="large")
    last = "SELECT change_seq FROM cube WHERE id = %s"
    reached = "SELECT reached FROM memos_vector_cube WHERE cube_id = %s"
    world.b.add("One more, which queues a sync.", cube="large")
    # The first process that opens the index makes its tables.
    until(lambda: world.sql("SELECT 1 FROM pg_tables WHERE tablename = 'memos_vector_cube'"))
    until(lambda: world.sql(reached, cube) == world.sql(last, cube))
    table = "memos_vector_" + hashlib.sha256(cube.encode()).hexdigest()[:32]
    assert world.sql(f"SELECT count(*) FROM {table}") == [(201,)]

    asked = """SELECT 1 FROM pg_stat_activity WHERE application_name = %s
        AND query LIKE %s AND query LIKE %s"""
    for name, client in (("memos-a", world.a), ("memos-b", world.b)):
        # Until the index is open, which no search waits for, search is exact.
        until(
            lambda name=name, client=client: (
                client.search("the ferry number123", cube="large").hits[0].memory.content
                == texts[123]
                and world.sql(asked, name, f"%{table}%", "%<=>%")
            )
        )

    erased = [world.a.search(f'"number{n}"', cube="large").hits[0].memory.id for n in range(5)]
    for memory_id in erased:
        world.a.forget(memory_id, cube="large", erase=True)
        held = world.sql(f"SELECT count(*) FROM {table} WHERE memory_id = %s", memory_id)
        assert held == [(0,)], "an erase takes the vector with it, not a later job"
        assert memory_id not in [
            hit.memory.id for hit in world.b.search("ferry", cube="large", limit=500).hits
        ]
    assert world.doctor(tmp_path) == ()


def test_erases_and_syncs_at_once_leave_no_vector(world: World, tmp_path: Path) -> None:
    """Servers erase while workers bring the same index up to date, some with older news."""
    cube = world.a.create_cube("churn").id
    texts = [f"Gull {n} sat on post {n % 9}." for n in range(120)]
    ids = [m.id for m in world.a.add(texts, cube="churn").memories]

    def churn(client: Client, mine: list[str]) -> None:
        for number, memory_id in enumerate(mine):
            client.update(memory_id, cube="churn", content=f"Changed {number} {memory_id}.")
            client.forget(memory_id, cube="churn", erase=True)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(churn, (world.a, world.b), (ids[:40], ids[40:80])))
    table = "memos_vector_" + hashlib.sha256(cube.encode()).hexdigest()[:32]
    held = {row[0] for row in world.sql(f"SELECT memory_id FROM {table}")}
    assert held.isdisjoint(ids[:80])
    assert world.doctor(tmp_path) == ()


def test_workers_do_what_servers_leave_each_once(world: World) -> None:
    world.a.create_cube("later")
    added = []
    for number in range(20):
        client = (world.a, world.b)[number % 2]
        added.append(client.add(f"Deferred {number} about otters.", cube="later", wait=False))
    jobs = [world.b.wait_for(one.jobs[0], timeout=60) for one in added]
    assert [(job.state, job.attempts) for job in jobs] == [(JobState.SUCCEEDED, 1)] * 20
    ids = [one.memories[0].id for one in added]
    forms = world.sql("SELECT count(*), count(vector) FROM indexed WHERE memory_id = ANY(%s)", ids)
    assert forms == [(20, 20)]
    for client in (world.a, world.b):
        found = client.search("a swimming mammal", cube="later", limit=30).hits
        assert {hit.memory.id for hit in found} == set(ids)
        assert [m.version for m in everything(client, "later")] == [1] * 20


def test_of_concurrent_updates_one_wins(world: World) -> None:
    world.a.create_cube("race")
    for turn in range(5):
        one = world.a.add(f"Contested {turn}.", cube="race").memories[0]

        def attempt(number: int, one: Memory = one) -> Memory | None:
            client = (world.a, world.b)[number % 2]
            try:
                return client.update(one.id, cube="race", content=f"Won by {number}.", if_version=1)
            except VersionConflict:
                return None

        with ThreadPoolExecutor(8) as pool:
            won = [made for made in pool.map(attempt, range(8)) if made is not None]
        assert len(won) == 1
        assert world.a.get(one.id, cube="race") == world.b.get(one.id, cube="race") == won[0]
        assert [e.version for e in world.b.history(one.id, cube="race")] == [1, 2]


def test_one_idempotency_key_on_both_has_one_effect(world: World) -> None:
    world.a.create_cube("twice")
    for turn in range(5):

        def add(number: int, turn: int = turn) -> str:
            client = (world.a, world.b)[number % 2]
            text = f"Once only, {turn}."
            added = client.add(text, cube="twice", idempotency_key=f"many-{turn}")
            return added.memories[0].id

        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(add, range(8)))) == 1
        assert len(everything(world.b, "twice")) == turn + 1


def test_a_cube_deleted_on_one_while_the_other_adds(world: World, tmp_path: Path) -> None:
    for turn in range(3):
        cube = world.a.create_cube(f"doomed{turn}").id
        world.a.add([f"Doomed {n}." for n in range(INDEX_MIN + 5)], cube=cube)
        ends: list[MemosError] = []
        going = threading.Barrier(3)

        def write(wait: bool, cube: str = cube, ends: Any = ends, going: Any = going) -> None:
            for number in itertools.count():
                try:
                    world.b.add([f"Late {number}.", "And another."], cube=cube, wait=wait)
                except MemosError as error:
                    ends.append(error)
                    return
                finally:
                    if number == 3:
                        going.wait(60)

        threads = [threading.Thread(target=write, args=(wait,)) for wait in (True, False)]
        for thread in threads:
            thread.start()
        going.wait(60)
        world.a.delete_cube(cube)
        for thread in threads:
            thread.join()
        assert [type(end) for end in ends] == [CubeNotFound, CubeNotFound]
        for client in (world.a, world.b):
            with pytest.raises(CubeNotFound):
                client.search("doomed", cube=cube)
        for table in ("memory", "memory_version", "indexed"):
            assert world.sql(f"SELECT count(*) FROM {table} WHERE cube_id = %s", cube) == [(0,)]
    open_jobs = "SELECT kind, state, error FROM job WHERE state NOT IN ('succeeded', 'cancelled')"
    until(lambda: not world.sql(open_jobs))
    left = "SELECT cube_id FROM memos_vector_cube WHERE cube_id NOT IN (SELECT id FROM cube)"
    assert world.sql(left) == []
    assert world.doctor(tmp_path) == ()


GATE = 4711
"""Of PostgreSQL's advisory locks; while somebody holds it, no vector of a cube named heavy gets
into the table."""
HOLD = f"""
CREATE FUNCTION held() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    WHILE NOT pg_try_advisory_xact_lock_shared({GATE}) LOOP
        PERFORM pg_sleep(0.02);
    END LOOP;
    RETURN NEW;
END $$;
CREATE TRIGGER held BEFORE INSERT OR UPDATE ON indexed FOR EACH ROW
    WHEN (NEW.vector IS NOT NULL AND NEW.cube_id = '{{}}') EXECUTE FUNCTION held();
"""


def test_a_killed_workers_job_is_taken_over(world: World) -> None:
    """Last but one: it costs a worker."""
    cube = world.a.create_cube("heavy").id
    items = [f"Long {n}: and so on about boats, tides and nets." for n in range(120)]
    running = "SELECT worker FROM job WHERE id = %s AND state = 'running'"
    lease = "SELECT lease_until / 1e6 - extract(epoch FROM now()) FROM job WHERE id = %s"
    with psycopg.connect(world.url.replace("+psycopg", ""), autocommit=True) as gate:
        gate.execute(HOLD.format(cube).encode())
        gate.execute(f"SELECT pg_advisory_lock({GATE})".encode())
        job_id = world.a.add(items, cube="heavy", wait=False).jobs[0]
        holder = until(lambda: world.sql(running, job_id))[0][0]
        # Its vectors are on their way into the table.
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        until(lambda: world.sql(waiting))
        world.workers.pop(holder).kill()
        assert world.sql(running, job_id) == [(holder,)], "it was killed in the middle of the job"
    [(left,)] = world.sql(lease, job_id)
    assert 0 < left <= LEASE
    with psycopg.connect(world.url.replace("+psycopg", ""), autocommit=True) as later:
        later.execute("UPDATE job SET lease_until = 1 WHERE id = %s", [job_id])
    job = world.b.wait_for(job_id, timeout=60)
    assert (job.state, job.attempts) == (JobState.SUCCEEDED, 2)
    forms = "SELECT count(*), count(DISTINCT memory_id), count(vector) FROM indexed i"
    forms += " JOIN cube c ON c.id = i.cube_id WHERE c.name = 'heavy'"
    assert world.sql(forms) == [(120, 120, 120)]


def test_a_killed_server_leaves_nothing_half_written(world: World, tmp_path: Path) -> None:
    """Last: it costs a server."""
    world.b.create_cube("crash")
    acknowledged: dict[str, str] = {}
    sent: list[list[str]] = []

    def load(thread: int) -> None:
        for turn in itertools.count():
            batch = [f"Crash {thread}-{turn}-{n}." for n in range(16)]
            sent.append(batch)
            try:
                added = world.a.add(batch, cube="crash")
            except ServiceUnavailable:
                return
            acknowledged.update({m.id: m.content for m in added.memories})

    threads = [threading.Thread(target=load, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: len(acknowledged) >= 100)
    world.server_a.kill()
    for thread in threads:
        thread.join()
    stored = {memory.id: memory.content for memory in everything(world.b, "crash")}
    assert acknowledged.items() <= stored.items()
    contents = set(stored.values())
    assert all(len(contents & set(batch)) in (0, 16) for batch in sent)
    some = random.Random(2).sample(sorted(acknowledged), 20)
    for memory_id in some:
        assert memory_id in searched(world.b, f'"{acknowledged[memory_id]}"', "crash")
    world.b.add("The other goes on.", cube="crash")
    assert world.doctor(tmp_path) == ()
    dead = "SELECT kind, error FROM job WHERE state = 'dead'"
    assert world.sql(dead) == []


def test_on_sqlite_the_server_keeps_the_index_and_the_worker_does_the_rest(
    exported: Path, tmp_path: Path
) -> None:
    folder = data_dir_of(tmp_path / "one", exported)
    settings = {
        "worker_in_process": "false",
        "vector_index_min": "20",
        "job_attempts": "2",
        "embedding_threads": "1",
    }
    with ExitStack() as stack:
        worker = WorkerProcess(folder, settings)
        stack.callback(worker.kill)
        server = stack.enter_context(Server(folder, settings))
        worker.wait_until_ready()
        client = stack.enter_context(server.client())
        client.create_cube("big")
        later = client.add([f"Crane {n} lifts box{n}." for n in range(30)], cube="big", wait=False)
        assert client.wait_for(later.jobs[0], timeout=60).state is JobState.SUCCEEDED
        client.add("One more box.", cube="big")
        rebuilt = client.reindex("big")
        assert client.wait_for(rebuilt.id, timeout=60).state is JobState.SUCCEEDED
        kinds = {"vector_sync", "vector_build"}

        def index_jobs_done() -> bool:
            jobs = [job for job in client.jobs(limit=50).items if job.kind in kinds]
            assert all(job.attempts <= 1 for job in jobs)
            done = {job.kind for job in jobs if job.state is JobState.SUCCEEDED}
            return done == kinds and len(jobs) == sum(
                job.state is JobState.SUCCEEDED for job in jobs
            )

        until(index_jobs_done)
        assert (folder / "chroma" / "memos.lock").read_text().strip() == str(server.pid)
        first = client.search("box7", cube="big", explain=True).hits[0]
        assert first.memory.content == "Crane 7 lifts box7."
        assert not any("could not answer" in line for line in first.why)
        assert client.forget(first.memory.id, cube="big", erase=True).state is State.ERASED

        # A second server can't have the index. It says so and answers the same, slower.
        with Server(folder, settings | {"worker_in_process": "true"}) as second:
            other = stack.enter_context(Client(second.url, api_key=server.key, retries=0))
            other.search("box9", cube="big")

            def degraded() -> bool:
                hit = other.search("box9", cube="big", explain=True).hits[0]
                assert hit.memory.content == "Crane 9 lifts box9."
                return any(f"in use by process {server.pid}" in line for line in hit.why)

            until(degraded)
            erased = client.search("box11", cube="big").hits[0].memory.id
            assert other.forget(erased, cube="big", erase=True).state is State.ERASED
            assert erased not in searched(client, "box11", "big")
            for number in range(5):
                other.add(f"Written by the second, {number}.", cube="big")
            until(index_jobs_done)
            assert second.stop() == 0
        assert worker.stop() == 0
        assert server.stop() == 0
    service = assembly.build(
        config.load({}, data_dir=folder, vector_index_min=20), embedder=HashEmbedder()
    )
    try:
        assert findings_of(service) == ()
        cube = service.tenant().cube("big").id
        assert erased not in service.vector_index().ids(cube)
        assert service.vector_index().reached(cube) == service.stores.feed.last(cube)
    finally:
        service.close()
