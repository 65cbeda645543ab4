"""The same story on every way into the service: in process, and both clients on a real uvicorn.

What each way answers is written down and compared with what the in-process one answers: the same
values, the same errors. Only ids, times and who asked may differ.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import is_dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from memos.assembly import build
from memos.client import AsyncClient, Client
from memos.config import load
from memos.errors import (
    AlreadyExists,
    BatchTooLarge,
    CubeNotFound,
    IdempotencyConflict,
    InvalidCursor,
    InvalidFilter,
    InvalidInput,
    JobNotFound,
    KeyNotFound,
    MemoryNotFound,
    MemosError,
    PayloadTooLarge,
    StateConflict,
    VersionConflict,
)
from memos.service import MemoryOS
from memos.testing import HashEmbedder
from memos.types import (
    Added,
    AddProgress,
    ApiKey,
    Cube,
    CubeDescription,
    Image,
    IssuedKey,
    Job,
    JobState,
    Kind,
    Link,
    Memory,
    MemoryVersion,
    Message,
    NewMemory,
    Page,
    Provenance,
    Role,
    SearchResult,
    State,
)
from memos.wire import to_builtins
from tests.client.activation_story import activation_story
from tests.client.adapter_story import SHORT, adapter_story
from tests.client.blocking import Blocking
from tests.client.dump_story import dump_story
from tests.client.event_story import event_story
from tests.client.graph_story import graph_story
from tests.client.keeping_story import keeping_story
from tests.local_model import tiny_model
from tests.server import running_server

DAY = datetime(2024, 5, 1, 18, 30, tzinfo=timezone.utc)
LIMITS: dict[str, Any] = {
    "max_batch": 50,
    "max_content_chars": 2000,
    "local_model": tiny_model(),
    "kv_cost_model": False,
}

_ID = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{26}\b")
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(T[\d:.]+Z)?")
_TODAY = datetime.now(timezone.utc).date().isoformat()
_DIFFERS = {
    "actor",  # in process nobody in particular, over HTTP the key
    "created_at",
    "last_used_at",
    "expired_at",
    "updated_at",
    "changed_at",
    "revoked_at",
    "run_at",
    "started_at",
    "finished_at",
    "timings_ms",
    "latest",  # of what has no time of its own, when it was added
    "secret",
    "next_cursor",
    "progress",
    "request_id",
}


class Transcript:
    """What was answered, in a form that two ways into the service can be compared by."""

    def __init__(self) -> None:
        self.lines: list[Any] = []
        self._ids: dict[str, str] = {}

    def note(self, what: str, value: Any) -> None:
        plain = to_builtins(value) if value is not None else None
        self.lines.append((what, self._plain(plain)))

    def refused(self, what: str, kind: type[MemosError], call: Callable[[], Any]) -> None:
        with pytest.raises(MemosError) as caught:
            call()
        assert type(caught.value) is kind, f"{what}: {caught.value!r}"
        self.lines.append((what, kind.__name__))

    def _plain(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {
                self._plain(name): bool(inner) if name in _DIFFERS else self._plain(inner)
                for name, inner in value.items()
                if name != "actor"
            }
        if isinstance(value, (list, tuple)):
            return [self._plain(inner) for inner in value]
        if isinstance(value, float):
            return round(value, 9)
        if isinstance(value, str):
            # What is said without a date is stated, and true, since it was added.
            value = _DATE.sub(lambda found: "now" if found[1] >= _TODAY else found[0], value)
            return _ID.sub(lambda found: self._named(found[0]), value)
        return value

    def _named(self, id: str) -> str:
        return self._ids.setdefault(id, f"#{len(self._ids)}")


def story(memory: Any) -> list[Any]:
    """Every verb once at least, the refusals included."""
    said = Transcript()
    note, refused = said.note, said.refused

    # Cubes
    trips = memory.create_cube("trips", description="Where we went", metadata={"team": 1})
    assert type(trips) is Cube
    note("create_cube", trips)
    refused("create_cube again", AlreadyExists, lambda: memory.create_cube("trips"))
    refused("a bad name", InvalidInput, lambda: memory.create_cube("no spaces"))
    note("cube", memory.cube("trips"))

    # Adding
    one = memory.add("I moved to Lisbon in March", cube="trips", speaker="Ana", occurred_at=DAY)
    assert type(one) is Added
    assert type(one.memories[0]) is Memory
    note("add a text", one)
    full = NewMemory(
        content="A photo of the tram",
        kind=Kind.SEMANTIC,
        user_id="u1",
        agent_id="a1",
        session_id="s1",
        speaker="Ben",
        occurred_at=DAY.astimezone(timezone(timedelta(hours=2))),
        place="Alfama",
        images=(Image(caption="a yellow tram", url="https://example.org/tram.jpg"),),
        metadata={"topic": "tram", "nested": {"list": [1, 2.5, None, "ä", True]}},
        priority=0.9,
        expires_at=DAY + timedelta(days=36500),
        provenance=Provenance(source="import", external_id="x1", parents=(one.memories[0].id,)),
    )
    note("add a full one", memory.add(full, cube="trips"))
    mixed = memory.add(
        [
            "A plain text in a list",
            Message(content="What did you eat there?", role="assistant", at=DAY, external_id="m1"),
            NewMemory(content="Codfish with cream", speaker="Ana", metadata={"dish": "bacalhau"}),
        ],
        cube="trips",
        user_id="u2",
        session_id="s2",
        speaker="someone",
        metadata={"topic": "food"},
        priority=0.7,
        kind=Kind.PROCEDURAL,
        place="Belém",
    )
    note("add a mixed list with defaults", mixed)
    note(
        "add messages",
        memory.add(
            [
                Message(
                    content="Is it warm in May?", speaker="Ben", images=(Image(caption="sun"),)
                ),
                Message(content="Warm enough to swim", role="assistant", metadata={"sure": False}),
            ],
            cube="trips",
        ),
    )
    keyed = memory.add("Only once", cube="trips", idempotency_key="k1")
    again = memory.add("Only once", cube="trips", idempotency_key="k1")
    assert again.memories[0].id == keyed.memories[0].id
    refused(
        "another request with the key",
        IdempotencyConflict,
        lambda: memory.add("Something else", cube="trips", idempotency_key="k1"),
    )
    for what, kind, content in [
        ("an empty text", InvalidInput, "  "),
        ("NUL", InvalidInput, "a\x00b"),
        ("a lone surrogate", InvalidInput, "a\ud800b"),
        ("a text too long", PayloadTooLarge, "x" * 2001),
        ("a batch too large", BatchTooLarge, ["x"] * 51),
        ("no items", InvalidInput, []),
        ("a naive time", InvalidInput, NewMemory(content="x", occurred_at=datetime(2024, 5, 1))),
        ("a priority of 2", InvalidInput, NewMemory(content="x", priority=2)),
        ("no item at all", InvalidInput, 7),
        ("a time that is none", InvalidInput, NewMemory(content="x", occurred_at="May")),  # type: ignore[arg-type]
    ]:
        refused(what, kind, lambda content=content: memory.add(content, cube="trips"))
    refused("an unknown cube", CubeNotFound, lambda: memory.add("x", cube="nowhere"))

    # Batches
    numbers = (NewMemory(content=f"Tram number {n} runs", session_id="b") for n in range(70))
    parts = list(memory.add_batch(numbers, cube="trips", batch_size=32, speaker="Timetable"))
    assert all(type(part) is AddProgress for part in parts)
    note("add_batch", parts)
    assert [part.done for part in parts] == [32, 64, 70]
    note("an empty batch", list(memory.add_batch([], cube="trips")))
    broken = memory.add_batch(["fine", "", "never"], cube="trips", batch_size=1)
    note("a broken batch, first part", next(broken))
    refused("a broken batch, second part", InvalidInput, lambda: next(broken))

    # Reading
    tram = memory.search("yellow tram", cube="trips", limit=3).hits[0].memory
    assert tram.provenance.external_id == "x1"
    note("get", memory.get(tram.id, cube="trips"))
    refused("get of nothing", MemoryNotFound, lambda: memory.get("0" * 26, cube="trips"))
    refused("get from another cube", MemoryNotFound, lambda: memory.get(tram.id))
    refused("get of a path", MemoryNotFound, lambda: memory.get("..", cube="trips"))
    page = memory.memories(cube="trips", session_id="b", limit=40)
    assert type(page) is Page
    note("memories", page)
    rest = memory.memories(cube="trips", session_id="b", limit=40, cursor=page.next_cursor)
    note("memories, the second page", rest)
    assert len(rest.items) == 30
    assert rest.next_cursor is None
    wanted = {"and": [{"topic": {"eq": "food"}}, {"dish": {"exists": True}}]}
    note("memories by metadata", memory.memories(cube="trips", filter=wanted))
    note("memories by kind", memory.memories(cube="trips", kinds=[Kind.SEMANTIC, Kind.CORE]))
    note("memories of one user", memory.memories(cube="trips", user_id="u1", agent_id="a1"))
    refused("a made-up cursor", InvalidCursor, lambda: memory.memories(cube="trips", cursor="zzz"))
    bad = {"topic": {"near": 1}}
    refused("an unknown operator", InvalidFilter, lambda: memory.memories(cube="trips", filter=bad))

    # Searching
    found = memory.search("Where did Ana move to?", cube="trips", limit=5)
    assert type(found) is SearchResult
    note("search", found)
    note(
        "search with everything",
        memory.search(
            'the "tram" in Alfama',
            cube="trips",
            limit=7,
            user_id="u1",
            agent_id="a1",
            session_id="s1",
            kinds=[Kind.SEMANTIC],
            filter={"topic": "tram"},
            since=DAY - timedelta(days=1),
            until=DAY + timedelta(days=1),
            mmr=0.7,
            token_budget=500,
            explain=True,
            summaries=2,
        ),
    )
    nothing = memory.search("tram", cube="trips", user_id="nobody")
    assert nothing.hits == ()
    note("search that finds nothing", nothing)
    for what, options in [
        ("no results", {"limit": 0}),
        ("mmr of 2", {"mmr": 2.0}),
        ("a negative budget", {"token_budget": -1}),
        ("a naive since", {"since": datetime(2024, 5, 1)}),
    ]:
        refused(
            f"search with {what}",
            InvalidInput,
            lambda o=options: memory.search("x", cube="trips", **o),
        )  # type: ignore[misc]
    refused("search for a bad filter", InvalidFilter, lambda: memory.search("x", filter=bad))
    refused("search for nothing", InvalidInput, lambda: memory.search(" ", cube="trips"))
    refused("search in no cube", CubeNotFound, lambda: memory.search("x", cube="nowhere"))

    # Changing
    id = one.memories[0].id
    moved = memory.update(id, cube="trips", content="I moved to Porto", if_version=1, reason="typo")
    assert moved.version == 2
    note("update", moved)
    emptied = memory.update(
        id, cube="trips", speaker=None, occurred_at=None, metadata={"a": 1}, kind=Kind.CORE
    )
    assert emptied.speaker is None
    note("update that empties fields", emptied)
    note("update images", memory.update(id, cube="trips", images=(Image(caption="a river"),)))
    refused(
        "update of an old version",
        VersionConflict,
        lambda: memory.update(id, cube="trips", content="x", if_version=1),
    )
    refused(
        "an update to nothing",
        InvalidInput,
        lambda: memory.update(id, cube="trips", content="", images=()),
    )
    refused("update of nothing", MemoryNotFound, lambda: memory.update("0" * 26, content="x"))

    # Links
    target = mixed.memories[0].id
    link = memory.link(id, target, cube="trips", relation="explains", reason="told so")
    assert type(link) is Link
    note("link", link)
    assert memory.link(id, target, cube="trips", relation="explains").id == link.id
    note("links", memory.links(target, cube="trips"))
    refused("a link to nothing", MemoryNotFound, lambda: memory.link(id, "0" * 26, cube="trips"))
    note("unlink", memory.unlink(link.id, cube="trips"))
    assert memory.links(id, cube="trips") == ()

    # Forgetting
    gone = memory.forget(id, cube="trips", reason="asked to")
    assert gone.state is State.ARCHIVED
    note("forget", gone)
    assert id not in [hit.memory.id for hit in memory.search("Porto", cube="trips").hits]
    note("memories in the archive", memory.memories(cube="trips", states=[State.ARCHIVED]))
    note("restore", memory.restore(id, cube="trips", reason="asked again"))
    refused("restore again", StateConflict, lambda: memory.restore(id, cube="trips"))
    assert id in [hit.memory.id for hit in memory.search("Porto", cube="trips").hits]
    refused(
        "forget an old version",
        VersionConflict,
        lambda: memory.forget(id, cube="trips", if_version=1),
    )
    note("erase", memory.forget(id, cube="trips", erase=True))
    refused("get of an erased one", MemoryNotFound, lambda: memory.get(id, cube="trips"))
    versions = memory.history(id, cube="trips")
    assert all(type(version) is MemoryVersion for version in versions)
    assert all(version.memory is None for version in versions)
    note("history of an erased one", versions)
    memory.update(tram.id, cube="trips", place="Graça")
    note("history", memory.history(tram.id, cube="trips"))

    # Jobs
    later = memory.add("This one can wait", cube="trips", wait=False)
    assert later.jobs
    done = memory.wait_for(later.jobs[0], timeout=120)
    assert type(done) is Job
    assert done.state is JobState.SUCCEEDED
    hits = memory.search("can wait", cube="trips").hits
    assert later.memories[0].id in [hit.memory.id for hit in hits]
    rebuilt = memory.reindex("trips")
    note("reindex", memory.wait_for(rebuilt.id, timeout=120).kind)
    note("job", memory.job(rebuilt.id).state)
    listed = memory.jobs(states=[JobState.SUCCEEDED], cube="trips", limit=1)
    assert listed.items[0].state is JobState.SUCCEEDED
    refused("a job that is no more", JobNotFound, lambda: memory.job("0" * 26))
    refused("retry of a success", StateConflict, lambda: memory.retry_job(rebuilt.id))
    refused("waiting for no job", JobNotFound, lambda: memory.wait_for("0" * 26, timeout=1))
    event_story(memory, said, tram.id, rebuilt.id)
    keeping_story(memory, said)

    # Keys
    issued = memory.create_key("reader of trips", role=Role.READER, cubes=["trips"])
    assert type(issued) is IssuedKey
    assert issued.key.cubes == (trips.id,)
    note("create_key", issued)
    issued_keys = memory.keys()
    assert issued.key.id in [key.id for key in issued_keys]
    assert all(type(key) is ApiKey for key in issued_keys)
    note("revoke_key", memory.revoke_key(issued.key.id))
    refused("revoke of nothing", KeyNotFound, lambda: memory.revoke_key("0" * 26))
    refused("a key for no cube", CubeNotFound, lambda: memory.create_key("k", cubes=["nowhere"]))

    # The end of the cube
    described = memory.describe_cube("trips")
    assert type(described) is CubeDescription
    note("describe_cube", described)
    note("cubes", sorted(cube.name for cube in memory.cubes().items))
    note("delete_cube", memory.delete_cube("trips"))
    refused("describe no cube", CubeNotFound, lambda: memory.describe_cube("trips"))
    refused("delete no cube", CubeNotFound, lambda: memory.delete_cube("trips"))

    dump_story(memory, said)
    graph_story(memory, said)
    activation_story(memory, said)
    adapter_story(memory, said)
    return said.lines


@pytest.fixture(autouse=True, scope="module")
def _little_to_leave_alone() -> Iterator[None]:
    """A model of bytes takes long for what is a moment for a real one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("memos.service.parametric.learning.ALONE", SHORT)
        yield


@contextmanager
def in_process(folder: Path) -> Iterator[Any]:
    service = build(load({}, data_dir=folder, **LIMITS), embedder=HashEmbedder())
    service.worker.start()
    try:
        yield service.tenant()
    finally:
        service.close()


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    with in_process(tmp_path_factory.mktemp("in-process")) as memory:
        return story(memory)


@pytest.mark.parametrize("way", ["in process again", "Client", "AsyncClient"])
def test_every_way_in_tells_the_same_story(way: str, expected: list[Any], tmp_path: Path) -> None:
    """In process twice: what differs from run to run must not be blamed on a client."""
    if way == "in process again":
        with in_process(tmp_path) as memory:
            told = story(memory)
    else:
        make = {"Client": Client, "AsyncClient": Blocking}[way]
        with running_server(**LIMITS) as server, make(server.url, api_key=server.secret) as memory:
            told = story(memory)
    for mine, theirs in zip(told, expected, strict=True):
        assert mine == theirs


# What the story can't show


def verbs(kind: type[Any]) -> dict[str, Any]:
    own = {"close"}
    return {
        name: value
        for name, value in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_") and name not in own
    }


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_clients_have_the_same_verbs_and_parameters(kind: type[Any]) -> None:
    ours, theirs = verbs(kind), verbs(MemoryOS)
    # doctor looks at the stores' files, which are the server's.
    assert set(theirs) - set(ours) == {"doctor"}
    assert set(ours) <= set(theirs)
    for name, verb in ours.items():
        mine = inspect.signature(verb).parameters
        original = inspect.signature(theirs[name]).parameters
        variadic = {p.name for p in original.values() if p.kind is p.VAR_KEYWORD}
        if variadic:  # `add_batch(**defaults)`: spelt out in the clients
            add = inspect.signature(theirs["add"]).parameters
            assert set(original) - variadic <= set(mine) <= set(original) | set(add), name
            continue
        assert set(mine) == set(original), name
        for parameter in mine.values():
            twin = original[parameter.name]
            assert (parameter.kind, parameter.default) == (twin.kind, twin.default), (
                f"{name}({parameter.name})"
            )


def test_values_are_of_the_same_types(tmp_path: Path) -> None:
    """Times are aware UTC, sequences are tuples, kinds are kinds: also after a trip over HTTP."""
    with in_process(tmp_path) as memory:
        here = memory.add(NewMemory(content="x", occurred_at=DAY, images=(Image(caption="y"),)))
        here_found = memory.search("x", explain=True)
    with running_server() as server, Client(server.url, api_key=server.secret) as memory:
        there = memory.add(NewMemory(content="x", occurred_at=DAY, images=(Image(caption="y"),)))
        there_found = memory.search("x", explain=True)
    assert shape(there) == shape(here)
    assert shape(there_found) == shape(here_found)


def shape(value: Any) -> Any:
    if is_dataclass(value):
        slots = {name: shape(getattr(value, name)) for name in value.__dataclass_fields__}
        return {"": type(value), **slots, "actor": None}
    if isinstance(value, (tuple, list)):
        return (type(value), [shape(inner) for inner in value])
    if isinstance(value, datetime):
        assert value.utcoffset() == timedelta(0)
        return datetime
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    return type(value)
