"""`memos activation …` and `memos generate`, over HTTP and on a data folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from memos.cli import cli
from memos.types import Activation, ActivationStats, Answers, Generated, JoinReport, Page
from memos.wire import from_json
from tests.local_model import tiny_model
from tests.server import Running, running_server

Run = Callable[..., Result]
TEXT = "Ana likes green tea and long walks by the river, and the smell of rain in the old town."


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running_server() as running:
        yield running


@pytest.fixture
def run(server: Running) -> Run:
    def call(*args: str, **options: Any) -> Result:
        where = {"MEMOS_URL": server.url, "MEMOS_API_KEY": server.secret}
        return CliRunner(env=where).invoke(cli, args, **options)

    return call


def test_the_life_of_an_activation(run: Run) -> None:
    made = run("activation", "compile", "--text", TEXT, "--name", "tea", "--json")
    assert made.exit_code == 0, made.stderr
    id = from_json(made.stdout, Activation).id
    assert run("activation", "list", "--quiet").stdout.split() == [id]
    shown = run("activation", "get", id).stdout
    assert "tea" in shown
    assert "smell of rain" in shown
    for step in ("pin", "unpin", "warm"):
        assert run("activation", step, id, "--quiet").stdout.strip() == id
    asked = run("generate", "Tea?", "-a", id, "--max-new-tokens", "4", "--json")
    answer = from_json(asked.stdout, Generated)
    assert answer.states == "loaded"
    spoken = run("generate", "-", "-a", id, "--max-new-tokens", "4", input="Tea?")
    assert f"{answer.reused_tokens} of {answer.prompt_tokens} prompt tokens loaded" in spoken.stderr
    stats = from_json(run("activation", "stats", "--json").stdout, ActivationStats)
    assert (stats.activations, stats.hits) == (1, 2)
    assert "activated" in run("activation", "stats").stdout
    assert run("activation", "drop", id).exit_code == 0
    gone = run("activation", "get", id)
    assert (gone.exit_code, "no activation memory" in gone.stderr) == (3, True)
    left = from_json(run("activation", "list", "--json").stdout, Page[Activation])
    assert left.items == ()


def test_a_stale_one_ends_with_conflict_and_is_refreshed(run: Run) -> None:
    id = run("add", TEXT, "--quiet").stdout.strip()
    made = run("activation", "compile", id, "--no-wait", "--quiet").stdout.strip()
    assert run("update", id, "--content", "Ana prefers coffee.").exit_code == 0
    stale = run("generate", "Tea?", "-a", made)
    assert stale.exit_code == 4
    assert "stale" in stale.stderr
    fresh = run("generate", "Tea?", "-a", made, "--refresh", "--max-new-tokens", "2", "--json")
    assert from_json(fresh.stdout, Generated).activation == made


def test_several_at_once_and_joined(run: Run) -> None:
    two = [
        run("activation", "compile", "--text", text, "--quiet").stdout.strip()
        for text in (TEXT, TEXT[20:])
    ]
    asked = run("generate-batch", "Tea?", "Rain?", "-a", two[0], "--max-new-tokens", "4", "--json")
    assert len(from_json(asked.stdout, Answers).items) == 2
    piped = run("generate-batch", "--max-new-tokens", "2", input="Tea?\n\nRain?\n")
    assert "prompt tokens were computed for 2 answers" in piped.stderr
    ask = ["generate", "Tea?", "--join", two[0], "--join", two[1], "--max-new-tokens", "2"]
    assert "not joined: joining was never measured" in run(*ask).stderr
    assert run("activation", "joining").exit_code == 3
    share = ["--ratio", "0.999", "--selection", "first"]
    measured = run("activation", "measure", *two, "--ask", "Tea?", *share, "--json")
    assert from_json(measured.stdout, JoinReport).ratio == 0.999
    assert run("activation", "joining", "--quiet").stdout.strip() == "0.999"
    assert "used" in run("activation", "joining").stdout
    answer = from_json(run(*ask, "--top", "2", "--json").stdout, Generated)
    assert (answer.joined, answer.activations) == (True, tuple(two))
    guided = ["activation", "compile", "--text", TEXT, "--policy", "finch:0.5"]
    assert run(*guided).exit_code == 2
    made = from_json(run(*guided, "--guide", "Tea?", "--json").stdout, Activation)
    assert made.guide == "Tea?"


def test_wrong_use_says_so(run: Run) -> None:
    for args in (
        ["activation", "compile"],
        ["activation", "compile", "--text", "x", "--codec", "z"],
    ):
        assert run(*args).exit_code == 2
    assert run("activation", "drop").exit_code == 2
    assert run("generate", "x", "--top", "2").exit_code == 2
    assert run("generate", "x", "-a", "1", "--join", "2").exit_code == 2


def test_it_works_on_a_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMOS_LOCAL_MODEL", tiny_model())
    monkeypatch.setenv("MEMOS_DATA_DIR", str(tmp_path))
    runner = CliRunner()
    made = runner.invoke(cli, ["activation", "compile", "--text", TEXT, "--quiet"])
    asked = ["generate", "Tea?", "-a", made.stdout.strip(), "--max-new-tokens", "2", "--json"]
    answer = from_json(runner.invoke(cli, asked).stdout, Generated)
    # Whether it loads is the cost model's choice; what it says is the same.
    assert answer.activation == made.stdout.strip()
