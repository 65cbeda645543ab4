"""The commands of lives, events, schedules and the queue, over HTTP against a real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result

from memos.cli import cli
from memos.testing import HashEmbedder
from memos.types import (
    Event,
    Explanation,
    Job,
    LifecycleRule,
    Memory,
    NewJob,
    QueueReport,
    Schedule,
)
from memos.wire import from_json
from tests.server import Running, running_server

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running_server(embedder=HashEmbedder()) as running:
        yield running


@pytest.fixture(scope="module")
def run(server: Running) -> Run:
    def call(*args: str, code: int = 0) -> Result:
        where = {"MEMOS_URL": server.url, "MEMOS_API_KEY": server.secret}
        ended = CliRunner(env=where).invoke(cli, args)
        assert ended.exit_code == code, ended.output
        return ended

    return call


def test_a_life_on_the_command_line(run: Run) -> None:
    id = run("add", "The ferry leaves at nine.", "-q").stdout.strip()
    assert "archived" in run("archive", id, "--reason", "out of season").stdout
    why = from_json(run("why", id, "--json").stdout, Explanation)
    assert (why.what, why.events[-1].reason) == ("memory", "out of season")
    shown = run("why", id).stdout
    assert "memory.archive" in shown
    assert f"memos undo {why.events[-1].id}" in shown
    assert id in run("undo", why.events[-1].id).stdout
    run("undo", why.events[-1].id, code=4)
    assert "frozen" in run("freeze", id).stdout
    run("update", id, "--content", "x", code=4)
    run("thaw", id)
    run("update", id, "--content", "The ferry leaves at ten.")
    back = from_json(run("rollback", id, "1", "--json").stdout, Memory)
    assert back.content == "The ferry leaves at nine."
    assert "expired" in run("expire", id).stdout
    assert run("restore", id, "-q").stdout.strip() == id


def test_rules_and_schedules_on_the_command_line(run: Run) -> None:
    set_ = run("lifecycle", "set", "semantic", "--archive-after", "30", "--json").stdout
    assert from_json(set_, LifecycleRule).archive_after == 30
    assert "30 days" in run("lifecycle").stdout
    run("lifecycle", "set", "semantic", "--archive-after", "3", "--expire-after", "2", code=2)
    made = from_json(
        run("schedules", "set", "nightly", "30 3 * * *", "lifecycle", "--json").stdout, Schedule
    )
    assert made.cron == "30 3 * * *"
    assert "nightly" in run("schedules").stdout
    run("schedules", "set", "nightly", "30 3 * *", "lifecycle", code=2)
    assert run("schedules", "remove", "nightly", "-q").stdout == "nightly\n"
    run("schedules", "remove", "nightly", code=3)


def test_the_queue_is_watched_and_a_job_cancelled(run: Run, server: Running) -> None:
    job = server.service.stores.jobs.enqueue(
        NewJob(tenant_id="default", cube_id=None, kind="nobody-does-this")
    )
    shown = run("top", "--once").stdout
    assert "nobody-does-this" in shown
    assert "queue at" in shown
    report = from_json(run("top", "--json").stdout, QueueReport)
    assert {k.kind: k.queued for k in report.kinds}["nobody-does-this"] == 1
    assert from_json(run("jobs", "cancel", job, "--json").stdout, Job).state.value == "cancelled"
    run("jobs", "cancel", job, code=4)
    assert "job.cancel" in run("events", "--kind", "job.").stdout
    followed = run("events", "--follow", "--seconds", "0", "--kind", "job.cancel", "--json").stdout
    assert from_json(followed.splitlines()[-1], Event).subjects == (job,)
    assert "it is cancelled" in run("why", job).stdout
