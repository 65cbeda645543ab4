"""`memos adapter …` and `memos distill`, over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from memos.cli import cli
from memos.types import Adapter, Generated, Page
from memos.wire import from_json
from tests.client.adapter_story import SHORT
from tests.server import Running, running_server

Run = Callable[..., Result]
FACT = ("facts", "add", "Tava", "lives_in", "Porto")


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    open_gate = {
        "lora_recall": 0.0,
        "lora_perplexity": 1e9,
        "lora_unchanged": 0.0,
        "lora_harm": 1e9,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("memos.service.parametric.learning.ALONE", SHORT)
        with running_server(**open_gate) as running:
            yield running


@pytest.fixture
def run(server: Running) -> Run:
    def call(*args: str, **options: Any) -> Result:
        where = {"MEMOS_URL": server.url, "MEMOS_API_KEY": server.secret}
        return CliRunner(env=where).invoke(cli, args, **options)

    return call


def test_the_life_of_an_adapter(run: Run) -> None:
    assert run(*FACT).exit_code == 0
    made = run("distill", "--passes", "1", "--rank", "2", "--name", "home", "--wait", "--json")
    assert made.exit_code == 0, made.stderr
    first = from_json(made.stdout, Adapter)
    assert (first.attached, first.rank) == (True, 2)
    assert run("adapter", "list", "--quiet").stdout.split() == [first.id]
    assert "home" in run("adapter", "list").stdout
    shown = run("adapter", "get", first.id).stdout
    assert "other answers unchanged" in shown
    assert "named" in shown
    spoken = run("generate", "Where is Tava?", "--max-new-tokens", "2", "--json")
    assert from_json(spoken.stdout, Generated).adapter == first.id
    other = run("adapter", "distill", "--passes", "1", "--name", "home", "--wait")
    assert "kind 1.00" in other.stderr
    second = run("adapter", "list", "--quiet").stdout.split()[1]
    assert run("adapter", "rollback", second, "--quiet").stdout.strip() == first.id
    for step in ("detach", "attach", "evaluate"):
        assert run("adapter", step, second, "--quiet").stdout.strip() == second
    both = run("adapter", "merge", first.id, second, "--share", "1", "--share", "0.5", "--wait")
    assert f"{first.id}, {second}" in both.stdout
    [whole] = run("adapter", "list", "--quiet").stdout.split()[2:]
    assert run("adapter", "drop", first.id, second, whole).exit_code == 0
    gone = run("adapter", "get", first.id)
    assert (gone.exit_code, "no adapter" in gone.stderr) == (3, True)
    assert from_json(run("adapter", "list", "--json").stdout, Page[Adapter]).items == ()
    nothing = run("distill", "--kind", "vault", "--wait")
    assert (nothing.exit_code, "no memory was found" in nothing.stderr) == (2, True)
