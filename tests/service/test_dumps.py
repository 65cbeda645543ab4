"""A cube in a file: out of one database, into another, and what a false file can't do."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from memos.assembly import build
from memos.config import load
from memos.errors import (
    AlreadyExists,
    CubeNotFound,
    EmbeddingModelChanged,
    InvalidInput,
    PayloadTooLarge,
)
from memos.service import MemoryOS, Service
from memos.storage.cubes import _CONTENTS
from memos.storage.dumps.contents import LEFT_OUT, TABLES
from memos.testing import HashEmbedder
from memos.types import Kind, Message, Policy, State
from memos.wire import to_builtins
from tests.service.parametric.test_adapters import QUICK, files, serving, told

SECRET = "the code of the safe is 4711-zebra"
Opener = Callable[..., Service]


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now


@pytest.fixture
def opener(tmp_path: Path, postgres_url: str) -> Iterator[Opener]:
    """Opens services that are closed before the database is: each with a folder of its own."""
    clock = Clock()
    with ExitStack() as stack:

        def opened(folder: str, url: str = "", **settings: Any) -> Service:
            embedder = settings.pop("embedder", HashEmbedder())
            chosen = {"data_dir": tmp_path / folder, "database_url": url, **settings}
            service = build(load({}, **chosen), embedder=embedder, clock=clock)
            return stack.enter_context(closing(service))

        yield opened


def drain(service: Service) -> None:
    """Also what waits for a lull."""
    for _ in range(4):
        service.clock.now += timedelta(seconds=30)  # type: ignore[attr-defined]
        service.worker.drain()


def lived(memory: MemoryOS) -> dict[str, Any]:
    """A cube in which everything happened that can be in a dump."""
    memory.create_cube("ana", description="of Ana", metadata={"team": [1]})
    home = {"cube": "ana", "session_id": "s1"}
    said = [
        ("I live in Porto.", datetime(2022, 5, 1, tzinfo=timezone.utc)),
        ("I moved to Lisbon last month.", datetime(2024, 4, 10, tzinfo=timezone.utc)),
        ("My brother Rui plays the cello.", datetime(2024, 4, 11, tzinfo=timezone.utc)),
    ]
    talk = [Message(speaker="Ana", content=text, at=at) for text, at in said]
    ids = [m.id for m in memory.add(talk, **home).memories]
    other = memory.add(["Tea is in the left drawer.", SECRET, "A grey cat."], **home).memories
    memory.add("The alarm is set.", kind=Kind.VAULT, cube="ana")
    memory.update(other[0].id, content="Tea is in the right drawer.", cube="ana")
    link = memory.link(ids[0], ids[1], relation="before", cube="ana")
    gone = memory.link(ids[2], ids[1], cube="ana")
    memory.unlink(gone.id, cube="ana")
    memory.forget(other[2].id, cube="ana")
    memory.set_policy(Policy(generalise=False), cube="ana")
    memory.define_predicate("waters", functional=True, cube="ana")
    memory.pin_memory(ids[0], cube="ana")
    drain(memory._service)
    alias = memory.add_facts(
        [{"subject": "Annie", "predicate": "likes", "object": "tea"}], cube="ana"
    )
    fact = memory.facts(subject="Ana", predicate="lives_in", cube="ana").items[0]
    then = memory._service.clock()
    memory.merge_entities(alias.facts[0].subject.id, fact.subject.id, cube="ana")
    drain(memory._service)
    memory.search("Where does Ana live?", cube="ana")
    memory.forget(other[1].id, erase=True, cube="ana")
    drain(memory._service)
    return {
        "moved": ids[1],
        "tea": other[0].id,
        "erased": other[1].id,
        "link": link.id,
        "then": then,
    }


def answers(memory: MemoryOS, cube: str, ids: dict[str, Any]) -> Any:
    """All that can be asked, without the id of the cube."""
    at = {"as_of": datetime(2023, 1, 1, tzinfo=timezone.utc)}
    then = {"known_as_of": ids["then"]}
    states = tuple(State)
    found = [
        memory.memories(cube=cube, states=states, limit=100).items,
        [memory.history(m.id, cube=cube) for m in memory.memories(cube=cube, limit=100).items],
        memory.history(ids["erased"], cube=cube),
        [memory.links(m.id, cube=cube) for m in memory.memories(cube=cube, limit=100).items],
        [memory.facts(cube=cube, limit=100, **more).items for more in ({}, at, then)],
        memory.facts(subject="Ana", predicate="lives_in", cube=cube, **at).items,
        memory.timeline("Ana", cube=cube),
        memory.entities(cube=cube, limit=100).items,
        memory.vocabulary(cube=cube),
        memory.rulings(cube=cube),
        memory.policy(cube=cube),
        memory.lineage(ids["moved"], cube=cube),
        [getattr(memory.strength(ids["moved"], cube=cube), name) for name in ("uses", "pinned")],
        [memory.note(m.id, cube=cube) for m in memory.memories(cube=cube, limit=9).items[:2]],
        memory.summaries(cube=cube),
    ]
    for query in ("Where does Ana live?", "tea drawer", "cello"):
        hits = memory.search(query, cube=cube, explain=True).hits
        found.append([(hit.memory.id, round(hit.score, 4), hit.breakdown) for hit in hits])
    text = json.dumps([to_builtins(part) for part in found], sort_keys=True, default=str)
    return json.loads(text.replace(memory.cube(cube).id, "CUBE"))


@pytest.mark.parametrize("way", ["sqlite to postgresql", "postgresql to sqlite"])
def test_a_cube_answers_the_same_in_another_database(
    way: str, opener: Opener, postgres_url: str, tmp_path: Path
) -> None:
    urls = ["", postgres_url] if way.startswith("sqlite") else [postgres_url, ""]
    ours, theirs = opener("a", urls[0]), opener("b", urls[1])
    source, target = ours.tenant(), theirs.tenant("other", actor="them")
    ids = lived(source)
    file = tmp_path / "ana.cube"
    made = source.dump(file, cube="ana")
    assert (made.name, made.bytes) == ("ana", file.stat().st_size)
    assert made.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert made.rows["memory"] == 8
    assert file.stat().st_mode & 0o777 == 0o600
    before = answers(source, "ana", ids)
    assert len({str(part) for part in before[4]}) == 3
    assert before[5][0]["object"]["name"] == "Porto"
    loaded = target.load(file)
    assert loaded.rows == made.rows
    cube = target.cube("ana")
    assert loaded.cube == cube
    assert (cube.tenant_id, cube.description, cube.metadata) == ("other", "of Ana", {"team": [1]})
    assert answers(target, "ana", ids) == before
    drain(theirs)
    assert answers(target, "ana", ids) == before
    assert target.doctor() == source.doctor() == ()
    # It goes on living there.
    added = target.add("The cat sleeps on the piano.", cube="ana").memories[0]
    assert target.search("piano", cube="ana").hits[0].memory.id == added.id
    assert target.link(ids["moved"], added.id, cube="ana").id != ids["link"]
    # And beside itself under another name, with links of its own.
    with pytest.raises(AlreadyExists):
        target.load(file)
    again = target.load(file, name="twin").cube
    twin = answers(target, "twin", ids)
    assert twin[3] != before[3]
    del twin[3], before[3]
    assert twin == before
    target.delete_cube("ana")
    assert answers(target, "twin", ids)[0] == before[0]
    assert target.cube("twin") == again
    raw = gzip.decompress(file.read_bytes())
    assert b"4711-" not in raw  # four digits alone are in some time or key by chance
    assert b"zebra" not in raw


def test_every_table_is_dumped_or_left_out_for_a_reason() -> None:
    named = {table.name for table in _CONTENTS} | {"job"}
    assert {table.name for table in TABLES} | set(LEFT_OUT) == named
    assert not {table.name for table in TABLES} & set(LEFT_OUT)


# False files


class File:
    """The lines of a dump, to be changed; `write` makes counts and digest right again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
        self.head = self.lines[0]
        self.tables: dict[str, list[list[Any]]] = {}
        for line in self.lines[1:-1]:
            if isinstance(line, dict):
                rows = self.tables.setdefault(line["table"], [])
            else:
                rows.append(line)

    def place(self, table: str, column: str) -> int:
        return int(self.head["tables"][table].index(column))

    def put(self, table: str, column: str, value: Any, row: int = 0) -> None:
        self.tables[table][row][self.place(table, column)] = value

    def write(self, **end: Any) -> Path:
        body = [self.head]
        for name, rows in self.tables.items():
            body += [{"table": name}, *rows]
        data = b"".join(json.dumps(line).encode() + b"\n" for line in body)
        counts = {name: len(rows) for name, rows in self.tables.items()}
        last = {"rows": counts, "sha256": hashlib.sha256(data).hexdigest(), **end}
        path = self.path.with_suffix(".false")
        path.write_bytes(gzip.compress(data + json.dumps(last).encode()))
        return path


def _head(name: str, value: Any) -> Callable[[File], None]:
    return lambda file: file.head["cube"].__setitem__(name, value)


def _put(table: str, column: str, value: Any) -> Callable[[File], None]:
    return lambda file: file.put(table, column, value)


def _repeat(table: str) -> Callable[[File], None]:
    return lambda file: file.tables[table].append(list(file.tables[table][0]))


def _drop(table: str) -> Callable[[File], None]:
    return lambda file: file.tables[table].clear()


FALSE: dict[str, tuple[Callable[[File], Any], str]] = {
    "of a newer format": (lambda f: f.head.__setitem__("memos_dump", 2), "format 2"),
    "an unknown table": (lambda f: f.head["tables"].__setitem__("spy", ["id"]), "spy"),
    "an unknown column": (lambda f: f.head["tables"]["memory"].append("spy"), "spy"),
    "a column twice": (lambda f: f.head["tables"]["memory"].append("id"), "twice"),
    "a column missing": (lambda f: f.head["tables"]["memory"].remove("content"), "no column"),
    "a bad name": (_head("name", "../../etc"), "can't name a cube"),
    "a counter too large": (_head("change_seq", 1 << 62), "change_seq"),
    "vectors too large": (
        _head("embedding", {"id": "x", "digest": "x", "dimensions": 1 << 40, "max_tokens": 1}),
        "dimensions",
    ),
    "no state": (_put("memory", "state", "alive"), "alive"),
    "no time": (_put("memory", "created_at", 1 << 60), "created_at|Expected"),
    "no open time": (_put("fact", "valid_at", 1 << 62), "no time"),
    "a text for a number": (_put("memory", "version", "1"), "int"),
    "a number below 1": (_put("memory", "seq", 0), ">= 1"),
    "a NUL": (_put("memory", "content", "a\0b"), "NUL"),
    "an id too long": (_put("memory", "id", "x" * 3000), "512"),
    "metadata that is a list": (_put("memory", "metadata", "[1]"), "metadata"),
    "deep metadata": (_put("memory", "metadata", '{"a":' * 9000 + "1" + "}" * 9000), "metadata"),
    "a snapshot of another": (_put("memory_version", "memory_id", "other"), "holds version"),
    "a broken snapshot": (_put("memory_version", "snapshot", "{}"), "snapshot"),
    "a short vector": (_put("indexed", "vector", "AAAA"), "vector"),
    "a vector that is no number": (
        _put("indexed", "vector", base64.b64encode(b"\0\0\xc0\x7f" * 64).decode()),
        "finite",
    ),
    "a memory twice": (_repeat("memory"), "fit together"),
    "links of nothing": (_drop("memory"), "fit together|not in the dump"),
    "no history": (_drop("memory_version"), "history"),
    "a row more": (lambda f: f.tables["memory"][0].append(1), "length"),
    "a rule without a kind": (lambda f: f.tables["policy"][0].__setitem__(0, "{1}"), "policy"),
    "an artifact's source": (
        lambda f: f.tables["artifact_source"].append(["x", 0, "y", 1]),
        "artifact",
    ),
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    service = build(load({}, data_dir=folder), embedder=HashEmbedder(), clock=Clock())
    with closing(service):
        memory = service.tenant()
        lived(memory)
        memory.dump(folder / "ana.cube", cube="ana")
    return folder / "ana.cube"


def _refusal(service: Service, file: Path) -> str:
    """What is said against it, and that nothing of it is there."""
    memory = service.tenant()
    with pytest.raises((InvalidInput, PayloadTooLarge)) as refused:
        memory.load(file, name="ana")
    with pytest.raises(CubeNotFound):
        memory.cube("ana")
    assert memory.cubes().items == ()
    assert memory.jobs().items == ()
    with service.stores.health._db.read() as connection:  # type: ignore[attr-defined]
        for table in TABLES:
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() == 0
    return str(refused.value)


def test_a_false_file_is_refused_and_nothing_of_it_is_there(
    opener: Opener, template: Path, postgres_url: str
) -> None:
    for service in (opener("a"), opener("b", postgres_url)):
        for what, (change, wanted) in FALSE.items():
            file = File(template)
            change(file)
            if what == "a bad name":
                with pytest.raises(InvalidInput, match=wanted):
                    service.tenant().load(file.write())
                continue
            said = _refusal(service, file.write())
            assert re.search(wanted, said), (what, said)
    assert "damaged" in _refusal(service, File(template).write(sha256="0" * 64))
    assert "damaged" in _refusal(service, File(template).write(rows={"memory": 1}))
    assert service.tenant().load(File(template).write()).rows["memory"] == 8


def test_a_bomb_and_damage_are_refused(opener: Opener, template: Path, tmp_path: Path) -> None:
    service = opener("a", dump_ratio=2)
    bomb = tmp_path / "bomb"
    bomb.write_bytes(
        gzip.compress(gzip.decompress(template.read_bytes())[:-500] + b" " * (20 << 20))
    )
    assert "MEMOS_DUMP_RATIO" in _refusal(service, bomb)
    whole = template.read_bytes()
    for cut in (0, 5, len(whole) // 2, len(whole) - 1):
        bomb.write_bytes(whole[:cut])
        assert _refusal(service, bomb)
    for at in range(30, len(whole), len(whole) // 8):
        bomb.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert _refusal(service, bomb)
    bomb.write_bytes(whole + gzip.compress(b"more"))
    assert "follows the end" in _refusal(service, bomb)
    small = opener("small", dump_bytes=1024)
    assert "MEMOS_DUMP_BYTES" in _refusal(small, template)
    with pytest.raises(InvalidInput, match="No such file"):
        service.tenant().load(tmp_path / "nothing")


def test_another_model_is_told_and_missing_forms_are_made(opener: Opener, template: Path) -> None:
    """As with a cube that was there when the model was changed."""
    other = opener("other", embedder=HashEmbedder(dimensions=32))
    memory = other.tenant()
    memory.load(template)
    with pytest.raises(EmbeddingModelChanged):
        memory.search("tea", cube="ana")
    drain(other)
    memory.reindex("ana", embed=True)
    drain(other)
    assert memory.search("tea drawer", cube="ana").hits[0].memory.content.startswith("Tea")
    file = File(template)
    file.put("indexed", "vector", None)
    same = opener("same")
    loaded = same.tenant().load(file.write())
    assert "reindex" in {same.tenant().job(id).kind for id in loaded.jobs}
    drain(same)
    assert same.tenant().doctor() == ()


def test_files_of_models_stay_behind_and_are_made_anew(tmp_path: Path) -> None:
    with serving(tmp_path / "data", vector_index="none") as service:
        memory = service.tenant()
        ids = told(memory, Tava="Porto")
        compiled = memory.compile(memories=ids, name="people", wait=True, pinned=True)
        taught = memory.distill(memories=ids, name="people", **QUICK)
        kept = files(service)
        memory.dump(tmp_path / "it.cube")
        loaded = memory.load(tmp_path / "it.cube", name="twin")
        [activation] = memory.activations(cube="twin").items
        [adapter] = memory.adapters(cube="twin").items
        assert activation.id != compiled.id
        assert (activation.state, activation.pinned) == (State.GENERATED, True)
        assert (adapter.state, adapter.attached) == (State.EXPIRED, False)
        assert "do not travel" in str(adapter.reason)
        memory.drop_adapter(adapter.id, cube="twin")
        assert files(service) == kept
        assert memory.adapter(taught.id).attached
        again = memory.load(tmp_path / "it.cube", name="third")
        kinds = {memory.job(id).kind for id in again.jobs}
        assert {"kv_compile", "lora_retrain"} <= kinds
        service.worker.drain()
        assert memory.activations(cube="twin").items[0].state is State.ACTIVATED
        [_, anew] = memory.adapters(cube="third").items
        assert (anew.state, anew.attached, anew.version) == (State.ACTIVATED, True, 2)
        assert memory.doctor() == ()
        assert loaded.cube.id != again.cube.id
        # A copy has memories of the same ids, and no say in the files of the first.
        memory.forget(ids[0], cube="twin", erase=True)
        memory.forget(ids[0], cube="third", erase=True)
        service.worker.drain()
        assert memory.adapter(taught.id).attached
        assert set(kept) <= set(files(service))


def test_nothing_is_left_of_a_load_that_was_killed(
    opener: Opener, template: Path, tmp_path: Path
) -> None:
    code = (
        "import os, signal, sys\n"
        "from memos.assembly import build\n"
        "from memos.config import load\n"
        "from memos.storage.dumps.loading import Loading\n"
        "from memos.testing import HashEmbedder\n"
        "Loading.finish = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)\n"
        "service = build(load({}, data_dir=sys.argv[1]), embedder=HashEmbedder())\n"
        "service.tenant().load(sys.argv[2])\n"
    )
    folder = tmp_path / "killed"
    done = subprocess.run([sys.executable, "-c", code, str(folder), str(template)], timeout=120)
    assert done.returncode == -signal.SIGKILL
    service = opener("killed")
    assert "damaged" in _refusal(service, File(template).write(sha256=""))
    assert service.tenant().doctor() == ()
    assert service.tenant().load(template).rows["memory"] == 8
