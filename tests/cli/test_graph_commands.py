"""The commands of the graph over HTTP against a real server: what they print, and how they end."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from memos.cli import cli
from memos.testing import HashEmbedder
from memos.types import (
    AddedFacts,
    Entity,
    Explanation,
    Fact,
    GraphDiff,
    Job,
    Memory,
    Neighbour,
    Note,
    Page,
    PredicateType,
    Ruling,
    SearchResult,
    Summary,
    Vocabulary,
)
from memos.types import Path as GraphPath
from tests.server import Running, running_server


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    def json(self, kind: Any) -> Any:
        assert self.code == 0, self.err
        return msgspec.json.decode(self.out, type=kind)


Run = Callable[..., Ended]


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running_server(embedder=HashEmbedder()) as running:
        yield running


@pytest.fixture
def run(server: Running) -> Run:
    def call(*args: str, input: str | bytes = "") -> Ended:
        where = {"MEMOS_URL": server.url, "MEMOS_API_KEY": server.secret}
        result = CliRunner(env=where).invoke(cli, args, input=input)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ended(result.exit_code, result.stdout, result.stderr)

    return call


_NUMBERS = itertools.count()


@pytest.fixture
def cube(run: Run) -> str:
    name = f"graph-{next(_NUMBERS)}"
    assert run("cube", "create", name).code == 0
    return name


@pytest.fixture
def moves(run: Run, cube: str) -> str:
    """A cube in which Ana moves from Porto to Lisbon, and works where Ben does."""
    file = "\n".join(
        json.dumps(row)
        for row in [
            ["Ana", "lives_in", "Porto", "2020"],
            ["Ana", "lives_in", "Lisbon", "2023-05"],
            ["Ana", "works_at", "Metro", "2021-03-01"],
            ["Ben", "works_at", "Metro", "2022"],
        ]
    )
    ended = run("facts", "import", "-", "--format", "jsonl", "-c", cube, input=file)
    assert ended.code == 0, ended.err
    assert "added 4 facts" in ended.err
    return cube


def ids(run: Run, cube: str, *args: str) -> list[str]:
    return run("facts", "-c", cube, *args, "-q").out.split()


# Facts


def test_facts_as_of_a_date(run: Run, moves: str) -> None:
    asked = ("facts", "--subject", "Ana", "-p", "lives_in", "-c", moves)
    assert [f.object.name for f in run(*asked, "--json").json(Page[Fact]).items] == [
        *("Porto", "Lisbon")
    ]
    shown = run(*asked).out
    assert [word in shown for word in ("Porto", "2020", "2023-05", "lives_in")] == [True] * 4
    for date, home in (("2022-12-31", "Porto"), ("2023-05-01", "Lisbon"), ("2023-04-30", "Porto")):
        [fact] = run(*asked, "--as-of", date, "--json").json(Page[Fact]).items
        assert fact.object.name == home, date
    assert run(*asked, "--known-as-of", "2020-01-01", "-q").out == ""
    assert run(*asked, "--known-as-of", "2220-01-01").code == 2
    late = run("facts", "-c", moves, "--since", "2024-01-01", "--object", "Porto", "-q")
    assert late.out == ""


def test_pages_of_facts(run: Run, moves: str) -> None:
    first = run("facts", "-c", moves, "-n", "3")
    cursor = first.err.split("--cursor ")[1].strip()
    assert len(ids(run, moves, "-n", "3", "--cursor", cursor)) == 1


def test_add_a_fact(run: Run, cube: str) -> None:
    added = run(
        *("facts", "add", "Ana", "weight", "61.5", "--unit", "kg", "--valid-at", "2024-05-06"),
        *("--subject-type", "person", "--confidence", "0.9", "--place", "Faro", "-c", cube),
        "--json",
    ).json(AddedFacts)
    [fact] = added.facts
    assert (fact.quantity, fact.unit, fact.place, fact.confidence) == (61.5, "kg", "Faro", 0.9)
    assert (fact.granularity.value, fact.subject.type) == ("day", "person")
    assert run("facts", "add", "Ana", "eats", "--not", "-c", cube).code == 0
    assert "not eats" in run("facts", "-c", cube).out
    assert "anything" in run("facts", "-c", cube).out
    missing = run("facts", "add", "Ana", "eats", "-c", cube)
    assert missing.code == 2
    assert "object" in missing.err
    assert run("facts", "add", "Ana", "eats", "fish", "--valid-at", "May").code == 2


def test_options_before_a_subcommand_are_refused(run: Run, cube: str) -> None:
    ended = run("facts", "--cube", cube, "add", "a", "b", "c")
    assert ended.code == 2
    assert "after add" in ended.err


@pytest.mark.parametrize("form", ["json", "jsonl", "csv"])
def test_import_a_file(run: Run, cube: str, form: str, tmp_path: Path) -> None:
    rows = [{"subject": "Ana", "predicate": "likes", "object": f"tea {n}"} for n in range(5)]
    text = {
        "json": json.dumps(rows),
        "jsonl": "\n".join(json.dumps(row) for row in rows),
        "csv": "subject,predicate,object\n" + "".join(f"Ana,likes,tea {n}\n" for n in range(5)),
    }[form]
    file = tmp_path / f"facts.{form}"
    file.write_text(text)
    ended = run("facts", "import", str(file), "-c", cube, "--batch-size", "2", "--json")
    parts = [msgspec.json.decode(line, type=AddedFacts) for line in ended.out.splitlines()]
    assert [len(part.facts) for part in parts] == [2, 2, 1]
    assert len(ids(run, cube, "-s", "Ana")) == 5


def test_import_records(run: Run, cube: str, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("name,lives_in,age,since\nBen,Faro,34,2021-06\nEva,Braga,,\n")
    how = ("--name-field", "name", "--time-field", "since", "--type", "person")
    ended = run("facts", "import", str(file), *how, "-c", cube)
    assert ended.code == 0, ended.err
    assert "added 3 facts" in ended.err
    [faro] = run("facts", "--object", "Faro", "-c", cube, "--json").json(Page[Fact]).items
    assert (faro.granularity.value, faro.subject.type) == ("month", "person")
    assert run("facts", "import", str(file), "--time-field", "since").code == 2


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ('["Ana"]', "line 3: "),
        ('["Ana", "likes"]', "line 3: "),
        ('["Ana", "likes", "tea", "soon"]', "valid_at"),
        ('{"subject": "Ana", "predicate": "likes", "object": "tea", "confidence": 7}', "line 3: "),
        (f'["{"x" * 1000}", "likes", "tea"]', "line 3: "),
        ("{", "no JSON"),
    ],
)
def test_a_bad_row_stops_and_what_was_before_it_stays(
    run: Run, cube: str, row: str, complaint: str
) -> None:
    good = '["Ana", "likes", "tea"]\n["Ben", "likes", "tea"]\n'
    ended = run(
        *("facts", "import", "-", "--format", "jsonl", "-c", cube, "--batch-size", "2"),
        input=f"{good}{row}\n{good}",
    )
    assert ended.code == 2, ended.err
    assert complaint in ended.err
    assert "line 3" in ended.err
    assert "2 facts were added" in ended.err
    assert len(ids(run, cube)) == 2


def test_why_a_fact_is_closed(run: Run, moves: str) -> None:
    [porto] = ids(run, moves, "-o", "Porto")
    why = run("why", porto, "-c", moves, "--json").json(Explanation).fact
    assert why.closed_by.object.name == "Lisbon"
    shown = run("why", porto, "-c", moves).out
    assert "Ana lives_in Porto" in shown
    assert why.assertions[0].memory_id in shown
    assert run("why", porto, "-c", moves, "-q").out == "".join(f"{line}\n" for line in why.text)
    assert run("why", "0" * 26, "-c", moves).code == 3


# Entities


def test_entities(run: Run, moves: str) -> None:
    page = run("entities", "-c", moves, "--json").json(Page[Entity])
    assert {entity.name for entity in page.items} >= {"Ana", "Ben", "Metro", "Lisbon"}
    assert "Ana" in run("entities", "--text", "an", "-c", moves).out
    assert "Ben" not in run("entities", "--text", "an", "-c", moves).out
    ana = run("entity", "ana", "-c", moves, "--json").json(Entity)
    assert ana.facts == 3
    assert ana.id in run("entity", "Ana", "-c", moves).out
    assert run("entity", "nobody", "-c", moves).code == 3


def test_a_timeline(run: Run, moves: str) -> None:
    found = run("timeline", "Ana", "-c", moves, "--json").json(tuple[Fact, ...])
    assert [fact.object.name for fact in found] == ["Porto", "Metro", "Lisbon"]
    shown = run("timeline", "Ana", "-p", "lives_in", "-c", moves).out
    assert shown.index("Porto") < shown.index("Lisbon")
    assert "Metro" not in shown


def test_neighbours_and_paths(run: Run, moves: str) -> None:
    near = run("neighbours", "Ana", "-c", moves, "--as-of", "2024-01-01", "--json")
    assert {n.entity.name for n in near.json(tuple[Neighbour, ...])} == {"Metro", "Lisbon"}
    far = run("neighbours", "Ana", "-c", moves, "--hops", "2")
    assert "Ben works_at Metro" in far.out
    [path] = run("paths", "Ana", "Ben", "-c", moves, "--json").json(tuple[GraphPath, ...])
    assert [step.target.name for step in path.steps] == ["Metro", "Ben"]
    shown = run("paths", "Ana", "Ben", "-c", moves).out
    assert "works_at →" in shown
    assert "← works_at" in shown
    assert path.steps[0].fact.sources[0].memory_id in shown
    none = run("paths", "Ana", "Ben", "-c", moves, "--as-of", "2021-06-01")
    assert (none.code, "nothing connects" in none.err) == (0, True)


def test_a_diff(run: Run, moves: str) -> None:
    asked = ("diff", "2021-01-01", "2023-06-01", "-c", moves)
    true = run(*asked, "--axis", "valid", "--json").json(GraphDiff)
    assert {fact.object.name for fact in true.appeared} == {"Lisbon", "Metro"}
    assert [fact.object.name for fact in true.disappeared] == ["Porto"]
    shown = run(*asked, "--axis", "valid").out
    assert "+  Ana lives_in Lisbon" in " ".join(shown.split("\n")) or "Ana lives_in Lisbon" in shown
    assert run(*asked, "-q").out == ""  # in those years nothing was known yet


# Rulings


def test_keep_open_and_revoke(run: Run, moves: str) -> None:
    [porto] = ids(run, moves, "-o", "Porto")
    ruling = run("keep-open", porto, "-c", moves, "--reason", "both", "--json").json(Ruling)
    assert "both" in run("rulings", "-c", moves).out
    assert porto in ids(run, moves, "--as-of", "2024-01-01")
    assert run("revoke", ruling.id, "-c", moves).code == 0
    assert porto not in ids(run, moves, "--as-of", "2024-01-01")
    assert run("revoke", ruling.id, "-c", moves).code == 4


def test_merge_and_split(run: Run, moves: str) -> None:
    run("facts", "add", "Annie", "likes", "tea", "-c", moves)
    ruling = run("merge", "Annie", "Ana", "-c", moves, "-q").out.strip()
    assert run("entity", "Annie", "-c", moves, "--json").json(Entity).name == "Ana"
    assert run("revoke", ruling, "-c", moves).code == 0
    assert run("entity", "Annie", "-c", moves, "--json").json(Entity).name == "Annie"
    [lisbon] = ids(run, moves, "-o", "Lisbon")
    assert run("split", "Ana", "--name", "Ana P", "--fact", lisbon, "-c", moves).code == 0
    [moved] = run("facts", "-s", "Ana P", "-c", moves, "--json").json(Page[Fact]).items
    assert moved.object.name == "Lisbon"
    assert run("split", "Ana", "--name", "Ana Q", "-c", moves).code == 2


# Vocabulary, notes, jobs


def test_vocabulary(run: Run, cube: str) -> None:
    made = run(
        *("vocabulary", "predicate", "moored_at", "--functional", "--object-type", "place"),
        *("--description", "the berth", "-c", cube, "--json"),
    ).json(PredicateType)
    assert (made.functional, made.object_types) == (True, ("place",))
    assert run("vocabulary", "type", "boat", "--parent", "thing", "-c", cube).code == 0
    shown = run("vocabulary", "-c", cube).out
    assert "the berth" in shown
    assert "one at a time" in shown
    known = run("vocabulary", "-c", cube, "--json").json(Vocabulary)
    assert "boat" in {known.name for known in known.types}


def test_extract_reads_what_was_told(run: Run, cube: str) -> None:
    run("add", "I live in Porto.", "--speaker", "Ana", "--at", "2022-05-01", "-c", cube)
    assert run("extract", "-c", cube, "--json").json(Job).state.value == "succeeded"
    [fact] = run("facts", "-p", "lives_in", "-c", cube, "--json").json(Page[Fact]).items
    assert (fact.subject.name, fact.object.name) == ("Ana", "Porto")
    again = run("extract", "--again", "-c", cube, "-q")
    assert (again.code, again.out) == (0, "succeeded\n")
    assert len(ids(run, cube)) == 1


def test_notes_and_summaries(run: Run, cube: str) -> None:
    talk = [
        {"role": "user", "speaker": "Ana", "content": text, "at": "2024-05-01T00:00:00Z"}
        for text in (
            "I adopted a grey cat in Porto.",
            "The cat is called Fado and loves fish.",
            "Fado sleeps on the piano.",
        )
    ]
    lines = "\n".join(json.dumps(turn) for turn in talk)
    run("add", "--jsonl", "-", "-c", cube, "--session", "s1", input=lines)
    run("extract", "-c", cube)
    first = run("list", "-c", cube, "--json").json(Page[Memory]).items[0].id
    for job in run("jobs", "list", "-c", cube, "-q", "--json").json(Page[Job]).items:
        if job.kind == "notes":
            assert run("jobs", "wait", job.id).code == 0
    note = run("note", first, "-c", cube, "--json").json(Note)
    assert note.keywords
    assert note.context in run("note", first, "-c", cube).out.replace("\n", " ")
    history = run("note", first, "-c", cube, "--history", "--json").json(tuple[Note, ...])
    assert history[-1] == note
    assert run("note", first, "-c", cube, "--history", "--undo").code == 2
    assert run("note", "0" * 26, "-c", cube).code == 3
    assert run("summarise", "-c", cube, "-q").out == "succeeded\n"
    page = run("summaries", "--kind", "session", "-c", cube, "--json").json(Page[Summary])
    assert [summary.key for summary in page.items] == ["s1"]
    assert "cat" in run("summaries", "-c", cube).out


# The two times of other reads


def test_memories_can_be_read_as_they_were(run: Run, cube: str) -> None:
    run("add", "red door", "--at", "2022-01-01", "-c", cube, "--place", "Porto")
    id = run("add", "blue door", "--at", "2024-01-01", "-c", cube, "-q").out.strip()
    assert run("list", "-c", cube, "--as-of", "2023-01-01", "-q").out.split() != [id]
    assert id not in run("list", "-c", cube, "--as-of", "2023-01-01", "-q").out
    found = run("search", "door", "-c", cube, "--as-of", "2023-01-01", "-q")
    assert found.out == "red door\n"
    here = run("search", "door", "-c", cube, "--place", "porto", "--json").json(SearchResult)
    assert [hit.memory.content for hit in here.hits] == ["red door"]
    for command in (["list"], ["search", "door"]):
        before = run(*command, "-c", cube, "--known-as-of", "2022-06-01", "-q")
        assert (before.code, before.out) == (0, "")
    for command in ("get", "history", "links"):
        assert run(command, id, "-c", cube, "--known-as-of", "2022-06-01").code == 3, command
    assert run("get", id, "-c", cube, "--as-of", "2023-01-01").code == 3
    assert run("get", id, "-c", cube, "--as-of", "2024-01-01", "-q").out == "blue door\n"
