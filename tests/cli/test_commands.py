"""Every command of `memos` over HTTP against a real server: what it prints, and how it ends."""

import itertools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from memos import errors, types
from memos.cli import cli
from memos.cli.failures import EXIT_CODES, exit_code
from memos.client import Client
from memos.testing import HashEmbedder
from memos.types import Added, AddProgress, Job, Memory, Page, SearchResult
from tests.server import Running, running_server


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    def json(self, kind: Any) -> Any:
        """stdout as the one JSON document it must be, of this type."""
        return msgspec.json.decode(self.out, type=kind)


Run = Callable[..., Ended]


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running_server(embedder=HashEmbedder(), max_content_chars=5000) as running:
        yield running


@pytest.fixture
def run(server: Running) -> Run:
    """Runs a command line; the service is named by the environment."""

    def call(*args: str, input: str | bytes = "", env: dict[str, str] | None = None) -> Ended:
        where = {"MEMOS_URL": server.url, "MEMOS_API_KEY": server.secret}
        result = CliRunner(env={**where, **(env or {})}).invoke(cli, args, input=input)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ended(result.exit_code, result.stdout, result.stderr)

    return call


_NUMBERS = itertools.count()


@pytest.fixture
def cube(run: Run) -> str:
    """A cube of the test's own."""
    name = f"cube-{next(_NUMBERS)}"
    assert run("cube", "create", name).code == 0
    return name


# Adding


def test_add_a_text_and_find_it(run: Run, cube: str) -> None:
    ended = run(
        "add",
        "The alarm code is 7 3 1.",
        *("--cube", cube, "--json", "--speaker", "Nadia", "--at", "2024-05-01T20:30+02:00"),
        *("--meta", "level=3", "--meta", "topic=house", "--kind", "semantic", "--place", "Hall"),
        *("--user", "u", "--agent", "a", "--session", "s", "--priority", "0.9"),
    )
    assert (ended.code, ended.err) == (0, "")
    [memory] = ended.json(Added).memories
    assert memory.speaker == "Nadia"
    assert memory.occurred_at.isoformat() == "2024-05-01T18:30:00+00:00"
    assert memory.metadata == {"level": 3, "topic": "house"}
    assert (memory.user_id, memory.agent_id, memory.session_id) == ("u", "a", "s")
    assert (memory.kind.value, memory.place, memory.priority) == ("semantic", "Hall", 0.9)

    found = run("search", "alarm code", "-c", cube, "--filter", '{"level": {"gte": 3}}', "--json")
    assert [hit.memory.id for hit in found.json(SearchResult).hits] == [memory.id]
    shown = run("search", "alarm code", "-c", cube, "--explain")
    assert "The alarm code is 7 3 1." in shown.out
    assert memory.id in shown.out
    assert "2024-05-01 18:30Z" in shown.out
    assert "1 of 1 memories" in shown.out
    assert run("search", "alarm", "-c", cube, "-q").out == "The alarm code is 7 3 1.\n"
    none = run("search", "alarm", "-c", cube, "--user", "nobody")
    assert none.code == 0
    assert "0 of 0 memories" in none.out


def test_json_is_exactly_what_goes_over_http(run: Run, cube: str, server: Running) -> None:
    import httpx

    id = run("add", "Ein Gedächtnis – “wörtlich” ☂", "-c", cube, "-q").out.strip()
    raw = httpx.get(f"{server.url}/v1/cubes/{cube}/memories/{id}", headers=server.headers)
    assert run("get", id, "-c", cube, "--json").out == raw.text + "\n"
    assert run("--json", "get", id, "-c", cube).out == raw.text + "\n"


def test_add_from_stdin_and_from_a_file(run: Run, cube: str, tmp_path: Path) -> None:
    id = run("add", "-", "-c", cube, "-q", input="from a pipe\n").out.strip()
    assert run("get", id, "-c", cube, "--json").json(Memory).content == "from a pipe\n"
    assert [line.strip() for line in run("list", "-c", cube).out.splitlines()].count("") == 2
    file = tmp_path / "note.txt"
    file.write_bytes("\N{BYTE ORDER MARK}from a file ä".encode())
    id = run("add", "--file", str(file), "-c", cube, "-q").out.strip()
    assert run("get", id, "-c", cube, "-q").out == "from a file ä\n"
    file.write_bytes(b"caf\xe9")
    refused = run("add", "--file", str(file), "-c", cube)
    assert refused.code == 2
    assert "no UTF-8 text (byte 3)" in refused.err


def test_add_json_lines(run: Run, cube: str, tmp_path: Path) -> None:
    lines = [
        {"content": "a memory", "kind": "core", "occurred_at": "2024-05-01T00:00:00Z"},
        {"role": "assistant", "content": "a message", "at": "2024-05-02T00:00:00+01:00"},
        "a string",
        {"content": "with a picture", "images": [{"caption": "a tram"}]},
    ]
    file = tmp_path / "some.jsonl"
    file.write_text("\n\n".join(json.dumps(line) for line in lines))
    ended = run(
        "add", "--jsonl", str(file), "-c", cube, "--batch-size", "3", "--speaker", "X", "--json"
    )
    assert ended.code == 0
    parts = [msgspec.json.decode(line, type=AddProgress) for line in ended.out.splitlines()]
    assert [part.done for part in parts] == [3, 4]
    page = run("list", "-c", cube, "--json").json(Page[Memory])
    assert [m.content for m in page.items] == [
        "a memory",
        "a message",
        "a string",
        "with a picture",
    ]
    assert [m.speaker for m in page.items] == ["X", "assistant", "X", "X"]
    assert page.items[0].kind.value == "core"
    said = run("add", "--jsonl", "-", "-c", cube, input='{"content": "piped"}\n')
    assert "added 1 memories" in said.err


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('{"content": "x", "contnet": 1}', "unknown field contnet"),
        ("{", "line 3"),
        ("[1]", "no JSON object or string"),
        ('{"content": 7}', "Expected `str`, got `int`"),
        ('{"content": "x", "occurred_at": "2024-05-01T00:00:00"}', "time zone"),
        ('{"content": ""}', "empty"),
    ],
)
def test_a_bad_line_stops_and_what_was_before_it_stays(
    run: Run, cube: str, line: str, complaint: str
) -> None:
    text = f'"one"\n"two"\n{line}\n"four"\n'
    ended = run("add", "--jsonl", "-", "-c", cube, "--batch-size", "2", input=text)
    assert ended.code == 2
    assert complaint in ended.err
    assert "the first 2 memories were added" in ended.err
    assert run("list", "-c", cube, "--json").out.count('"content"') == 2


def test_what_to_add_must_be_said_once(run: Run) -> None:
    for args in (["add"], ["add", "x", "--jsonl", "-"], ["add", "--jsonl", "-", "--no-wait"]):
        assert run(*args).code == 2


def test_add_without_waiting_gives_a_job_to_wait_for(run: Run, cube: str) -> None:
    job = run("add", "later", "-c", cube, "--no-wait", "--json").json(Added).jobs[0]
    done = run("jobs", "wait", job, "--json").json(Job)
    assert done.state.value == "succeeded"
    assert run("jobs", "show", job, "-q").out == "succeeded\n"
    assert job in run("jobs", "list", "--state", "succeeded", "-c", cube).out
    assert run("jobs", "retry", job).code == 4


# Changing


def test_update_history_forget_restore(run: Run, cube: str) -> None:
    id = run("add", "blue door", "-c", cube, "-q", "--place", "Porto", "--meta", "a=1").out.strip()
    changed = run(
        *("update", id, "-c", cube, "--content", "red door", "--clear", "place", "--clear", "meta"),
        *("--if-version", "1", "--reason", "repainted", "--json"),
    ).json(Memory)
    assert (changed.content, changed.place, changed.metadata) == ("red door", None, {})
    conflict = run("update", id, "-c", cube, "--content", "x", "--if-version", "1")
    assert conflict.code == 4
    shown = run("history", id, "-c", cube).out
    assert "blue door" in shown
    assert "repainted" in shown
    assert run("forget", id, "-c", cube).code == 0
    assert run("search", "door", "-c", cube, "-q").out == ""
    assert id in run("list", "-c", cube, "--state", "archived", "-q").out
    assert run("restore", id, "-c", cube, "-q").out.strip() == id
    assert run("search", "door", "-c", cube, "-q").out == "red door\n"


def test_update_needs_something_to_change(run: Run) -> None:
    assert run("update", "x").code == 2
    both = run("update", "x", "--place", "P", "--clear", "place")
    assert both.code == 2
    assert "contradict" in both.err


def test_erasing_asks_and_needs_yes_where_nobody_can_answer(run: Run, cube: str) -> None:
    id = run("add", "secret", "-c", cube, "-q").out.strip()
    asked = run("forget", id, "-c", cube, "--erase", input="y\n")
    assert asked.code == 2
    assert "--yes" in asked.err
    assert run("get", id, "-c", cube).code == 0
    assert run("forget", id, "-c", cube, "--erase", "--yes").code == 0
    assert run("get", id, "-c", cube).code == 3


def test_links(run: Run, cube: str) -> None:
    first, second = (run("add", text, "-c", cube, "-q").out.strip() for text in ("a", "b"))
    link = run("link", first, second, "-c", cube, "--relation", "explains", "-q").out.strip()
    shown = run("links", second, "-c", cube).out
    assert link in shown
    assert "explains" in shown
    assert run("unlink", link, "-c", cube).code == 0
    assert run("links", first, "-c", cube, "--json").out == "[]\n"


# Cubes, keys, upkeep


def test_cubes(run: Run) -> None:
    made = run("cube", "create", "garden", "--description", "what grows", "--meta", "n=1", "--json")
    assert made.json(types.Cube).metadata == {"n": 1}
    assert run("cube", "create", "garden").code == 4
    assert "what grows" in run("cube", "list").out
    run("add", "beans", "-c", "garden")
    assert run("cube", "show", "garden", "--json").json(types.CubeDescription).memories == 1
    assert "episodic 1" in run("cube", "show", "garden").out
    assert run("cube", "delete", "garden").code == 2
    assert run("cube", "delete", "garden", "-y").code == 0
    assert run("cube", "show", "garden").code == 3


def test_pages_go_on_with_a_cursor(run: Run, cube: str) -> None:
    for number in range(3):
        run("add", f"number {number}", "-c", cube)
    first = run("list", "-c", cube, "-n", "2")
    cursor = first.err.split("--cursor ")[1].strip()
    second = run("list", "-c", cube, "-n", "2", "--cursor", cursor)
    assert "number 2" in second.out
    assert "number 1" not in second.out
    assert second.err == ""


def test_keys(run: Run, cube: str, server: Running) -> None:
    issued = run("key", "create", "agent", "--role", "reader", "-c", cube, "--json")
    key = issued.json(types.IssuedKey)
    secret = {"MEMOS_API_KEY": key.secret}
    assert run("list", "-c", cube, env=secret).code == 0
    assert run("add", "x", "-c", cube, env=secret).code == 5
    assert run("list", "-c", "default", env=secret).code == 5
    assert run("list", "-c", cube, "--api-key", "wrong").code == 5
    listed = run("key", "list")
    assert key.key.id in listed.out
    assert key.secret not in listed.out
    assert run("key", "revoke", key.key.id).code == 0
    assert run("list", "-c", cube, env=secret).code == 5


@pytest.mark.parametrize("option", ["--token-budget", "--budget"])
def test_a_budget_limits_what_is_found(run: Run, cube: str, option: str) -> None:
    run("add", "one two three four five six seven", "-c", cube)
    assert run("search", "three", "-c", cube, option, "1", "--json").json(SearchResult).hits == ()
    assert run("search", "three", "-c", cube, option, "99", "--json").json(SearchResult).hits


def test_reindex_waits_for_its_job(run: Run, cube: str) -> None:
    run("add", "x", "-c", cube)
    assert run("reindex", cube, "--json").json(Job).state.value == "succeeded"
    every = run("reindex", "--all", "-q")
    assert every.code == 0
    assert set(every.out.split()) == {"succeeded"}


@pytest.mark.parametrize("command", ["doctor", "serve", "worker"])
def test_what_works_on_the_data_folder_refuses_a_url(run: Run, command: str) -> None:
    ended = run(command, "--url", "http://127.0.0.1:1")
    assert ended.code == 2
    assert "data folder" in ended.err


def test_doctor_says_when_there_was_nothing_to_look_at(run: Run, tmp_path: Path) -> None:
    first = run("doctor", "--data-dir", str(tmp_path))
    assert (first.code, "no memory was ever stored there" in first.err) == (0, True)
    again = run("doctor", "--data-dir", str(tmp_path))
    assert (again.code, "no memory was ever stored there" in again.err) == (0, False)


def test_url_and_data_dir_exclude_each_other(run: Run, tmp_path: Path) -> None:
    assert run("list", "--url", "http://h", "--data-dir", str(tmp_path)).code == 2


def test_config_shows_values_and_origins_and_no_secrets(run: Run, tmp_path: Path) -> None:
    ended = run(
        "config",
        "--json",
        *("--data-dir", str(tmp_path)),
        env={"MEMOS_PORT": "9000", "MEMOS_DATABASE_URL": "postgresql://me:pw@h/d"},
    )
    found = json.loads(ended.out)
    assert found["port"] == {
        "value": 9000,
        "origin": "environment",
        "help": found["port"]["help"],
    }
    assert (found["data_dir"]["value"], found["data_dir"]["origin"]) == (str(tmp_path), "argument")
    assert found["lease_seconds"]["origin"] == "default"
    assert found["database_url"]["value"] == found["api_key"]["value"] == "********"
    assert "pw" not in ended.out
    assert "********" in run("config").out
    wrong = run("config", env={"MEMOS_PROT": "1"})
    assert wrong.code == 2
    assert "MEMOS_PROT" in wrong.err


# Errors


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["get", "0" * 26], 3),
        (["search", "x", "-c", "nowhere"], 3),
        (["search", " "], 2),
        (["search", "x", "--filter", "{"], 2),
        (["search", "x", "--filter", '{"a": {"near": 1}}'], 2),
        (["search", "x", "--since", "yesterday"], 2),
        (["search", "x", "--limit", "0"], 2),
        (["add", "x" * 5001], 2),
        (["add", "x", "--meta", "novalue"], 2),
        (["nothing-like-it"], 2),
        (["key", "revoke", "0" * 26], 3),
        (["list", "--url", "http://127.0.0.1:9"], 6),
        (["list", "--url", "nonsense"], 2),
        (["jobs", "wait", "0" * 26], 3),
    ],
)
def test_errors_are_told_on_stderr_and_by_the_exit_code(
    run: Run, args: list[str], code: int
) -> None:
    ended = run(*args)
    assert (ended.code, ended.out) == (code, "")
    assert "rror: " in ended.err
    assert "Traceback" not in ended.err
    document = json.loads(run("--json", *args).err)
    assert document["type"] == f"https://memos.invalid/problems/{document['code']}"
    assert document["detail"]


def test_a_problem_has_its_details_and_request_id(run: Run, cube: str) -> None:
    id = run("add", "x", "-c", cube, "-q").out.strip()
    ended = run("update", id, "-c", cube, "--content", "y", "--if-version", "7", "--json")
    document = json.loads(ended.err)
    assert document["code"] == "version-conflict"
    assert (document["expected"], document["actual"]) == (7, 1)
    assert document["request_id"]


@pytest.mark.parametrize("kind", sorted(errors.by_code().values(), key=lambda kind: kind.code))
def test_every_error_has_an_exit_code(kind: type[errors.MemosError]) -> None:
    expected = {
        "InvalidInput": 2,
        "LimitExceeded": 2,
        "InvalidSetting": 2,
        "NotFound": 3,
        "Conflict": 4,
        "EmbeddingModelChanged": 4,
        "AccessDenied": 5,
        "ServiceUnavailable": 6,
        "StorageUnavailable": 6,
        "StorageError": 7,
        "ModelCorrupt": 7,
        "ModelDigestMismatch": 7,
        "MemosError": 1,
    }
    nearest = next(base.__name__ for base in kind.__mro__ if base.__name__ in expected)
    assert exit_code(kind("x")) == expected[nearest]


def test_the_exit_codes_are_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", page, re.MULTILINE)
    assert rows == re.findall(r"^  (\d+)  (.+)$", EXIT_CODES, re.MULTILINE)
    assert len(rows) == 9


def test_a_stored_text_can_not_steer_the_terminal(run: Run, cube: str) -> None:
    text = "red\x1b[31m \x1b]0;title\x07 \x9b2J bell[bold]"
    id = run("add", text, "-c", cube, "--speaker", "\x1b[2J", "-q").out.strip()
    for args in (["search", "red"], ["list"], ["get", id], ["get", id, "-q"], ["history", id]):
        out = run(*args, "-c", cube).out
        assert "red" in out
        assert "[bold]" in out
        assert not {"\x1b", "\x07", "\x9b"} & set(out)
    assert msgspec.json.decode(run("get", id, "-c", cube, "--json").out)["content"] == text


def test_an_error_that_quotes_its_input_can_not_steer_the_terminal(
    run: Run, cube: str, tmp_path: Path
) -> None:
    line = {"content": "x", "metadata": {"\x1b]0;title\x07\x9b2J": "a\x00b"}}
    file = tmp_path / "foreign.jsonl"
    file.write_bytes(msgspec.json.encode(line) + b"\n")
    ended = run("add", "--jsonl", str(file), "-c", cube)
    assert ended.code == 2
    assert "title" in ended.err
    assert not {"\x1b", "\x07", "\x9b"} & set(ended.err)


def test_both_ways_are_the_same_client_and_service(server: Running, run: Run, cube: str) -> None:
    """What the command adds, the SDK finds."""
    run("add", "shared", "-c", cube)
    with Client(server.url, api_key=server.secret) as client:
        assert client.search("shared", cube=cube).hits[0].memory.content == "shared"


def test_a_cube_is_dumped_and_loaded(run: Run, cube: str, tmp_path: Path) -> None:
    id = run("add", "The lamp is on the shelf.", "-c", cube, "-q").out.strip()
    file = tmp_path / "one.cube"
    dumped = run("cube", "dump", cube, str(file), "--json").json(types.Dump)
    assert (dumped.bytes, dumped.rows["memory"]) == (file.stat().st_size, 1)
    assert "dumped" in run("cube", "dump", cube, str(file)).out
    loaded = run("cube", "load", str(file), "--name", f"{cube}-copy", "--json").json(types.Loaded)
    assert run("list", "-c", loaded.cube.name, "-q").out.strip() == id
    assert run("cube", "load", str(file)).code == 4
    file.write_text("no dump")
    assert run("cube", "load", str(file), "--name", "x").code == 2
