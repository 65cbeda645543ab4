"""A cube in a file: out of one database, into another, and what a false file can't do."""

from __future__ import annotations

import gzip
import hashlib
import json
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
)
from memos.service import MemoryOS, Service
from memos.storage.cubes import _CONTENTS
from memos.storage.dumps.contents import LEFT_OUT, TABLES
from memos.testing import HashEmbedder
from memos.types import Kind, Message, Policy, State
from memos.wire import to_builtins

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
    assert b"4711" not in raw
    assert b"zebra" not in raw


def test_every_table_is_dumped_or_left_out_for_a_reason() -> None:
    named = {table.name for table in _CONTENTS} | {"job"}
    assert {table.name for table in TABLES} | set(LEFT_OUT) == named
    assert not {table.name for table in TABLES} & set(LEFT_OUT)
