"""`memos` as a process: what it loads, its signals, and its work on a data folder, with the real
embedding model."""

import errno
import json
import os
import re
import select
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from memos.cli import cli
from memos.client import Client
from memos.types import Added, IssuedKey, Job, JobState, Role, SearchResult
from memos.wire import from_json
from tests.client.failing import failing, hang_up

COMMANDS = (
    *("serve", "worker", "add", "search", "get", "forget", "history", "restore", "link", "cube"),
    *("key", "jobs", "reindex", "doctor", "config", "bench", "demo", "completion"),
    *("facts", "why", "entities", "entity", "timeline", "neighbours", "paths", "diff", "keep-open"),
    *("merge", "split", "rulings", "revoke", "vocabulary", "note", "summaries", "extract"),
    "summarise",
)
COMMAND = [sys.executable, "-m", "memos.cli"]
_SECONDS = 120


def memos(*args: str, folder: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    where = {} if folder is None else {"MEMOS_DATA_DIR": str(folder)}
    return subprocess.run(
        [*COMMAND, *args],
        capture_output=True,
        text=True,
        env={**os.environ, **where, **env},
        stdin=subprocess.DEVNULL,
        timeout=_SECONDS,
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the exported model, so that only the first process of this file exports it."""
    first = tmp_path_factory.mktemp("first")
    ended = memos("add", "so that the model is exported", folder=first)
    assert ended.returncode == 0
    assert "exporting the embedding model" in ended.stderr  # or why it takes so long
    return first / "models"


@pytest.fixture
def folder(models: Path, tmp_path: Path) -> Path:
    """A data folder that is new but for the exported model."""
    made = tmp_path / "data"
    made.mkdir()
    (made / "models").symlink_to(models, target_is_directory=True)
    return made


@contextmanager
def started(*args: str, folder: Path, **env: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [*COMMAND, *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "MEMOS_DATA_DIR": str(folder), **env},
        stdin=subprocess.DEVNULL,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: "subprocess.Popen[str]", stream: str = "stdout") -> str:
    pipe = getattr(process, stream)
    ready, _, _ = select.select([pipe], [], [], _SECONDS)
    assert ready, "it printed nothing"
    return str(pipe.readline())


# What is printed


@pytest.mark.parametrize("args", [[], ["--json"]], ids=["text", "json"])
@pytest.mark.parametrize("where", ["/dev/full", "closed"])
def test_output_that_can_not_be_written_is_told(folder: Path, args: list[str], where: str) -> None:
    assert memos("add", "hello", folder=folder).returncode == 0
    line = " ".join([*COMMAND, "list", *args, ">&-" if where == "closed" else f"> {where}"])
    ended = subprocess.run(
        ["sh", "-c", line],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "MEMOS_DATA_DIR": str(folder)},
        timeout=_SECONDS,
    )
    assert "Traceback" not in ended.stderr
    if where == "closed":  # before the start: nobody wants to see it
        assert (ended.returncode, ended.stderr) == (0, "")
    else:
        assert ended.returncode == 1
        assert os.strerror(errno.ENOSPC) in ended.stderr


def test_what_the_terminal_can_not_show_is_no_error(folder: Path) -> None:
    assert memos("add", "hello \N{GRINNING FACE}", folder=folder).returncode == 0
    ended = memos("list", folder=folder, PYTHONIOENCODING="latin-1")
    assert ended.returncode == 0
    assert "hello ?" in ended.stdout


# Starting quickly


@pytest.mark.parametrize("args", [["--help"], ["search", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(args: list[str]) -> None:
    code = (
        "import sys\nfrom memos.cli import cli\n"
        f"try: cli.main({args!r}, 'memos')\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print(sorted(sys.modules), file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in re.findall(r"'([\w.]+)'", ended.stderr)}
    assert "memos" in loaded
    heavy = {"torch", "numpy", "fastapi", "sqlalchemy", "httpx", "pydantic", "rich", "onnxruntime"}
    assert loaded & heavy == set()


def test_help_names_every_command_and_the_exit_codes() -> None:
    shown = memos("--help").stdout
    for name in COMMANDS:
        assert re.search(rf"^  {name} ", shown, re.MULTILINE), name
        assert CliRunner().invoke(cli, [name, "--help"]).exit_code == 0, name
    assert "6  unavailable" in shown


# Completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str, tmp_path: Path) -> None:
    script = memos("completion", shell)
    assert script.returncode == 0
    assert f"_MEMOS_COMPLETE={shell}_complete" in script.stdout
    if shell == "bash":
        file = tmp_path / "memos.bash"
        file.write_text(script.stdout)
        subprocess.run(["bash", "-n", str(file)], check=True)


def test_completion_completes_commands_and_choices() -> None:
    def complete(words: str) -> str:
        env = {"_MEMOS_COMPLETE": "bash_complete", "COMP_WORDS": words}
        code = "from memos.cli import main; main()"
        return subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env={**os.environ, **env, "COMP_CWORD": str(words.count(" "))},
        ).stdout

    assert complete("memos se").split() == ["plain,search", "plain,segments", "plain,serve"]
    assert complete("memos cube de").split() == ["plain,delete"]
    assert "plain,semantic" in complete("memos add --kind se")


# On a data folder


@pytest.mark.slow
def test_a_folder_is_worked_on_in_this_process(folder: Path) -> None:
    added = memos("add", "Nadia's boat is called Kittiwake", "--json", folder=folder)
    [memory] = from_json(added.stdout, Added).memories
    found = memos("search", "What is the name of the boat?", "--json", folder=folder)
    assert [hit.memory.id for hit in from_json(found.stdout, SearchResult).hits] == [memory.id]
    # No key is needed to make one.
    issued = memos("key", "create", "me", "--role", "admin", "--json", folder=folder)
    assert from_json(issued.stdout, IssuedKey).key.role is Role.ADMIN
    healthy = memos("doctor", folder=folder)
    assert (healthy.returncode, healthy.stdout) == (0, "")
    assert "all is well" in healthy.stderr
    assert memos("get", "0" * 26, folder=folder).returncode == 3


@pytest.mark.slow
def test_serve_keeps_the_first_key_and_stops_in_order(folder: Path) -> None:
    with started("serve", "--json", "--port", "0", folder=folder) as process:
        ready = json.loads(line_of(process))
        kept = folder / "first-key"
        assert ready["first_key_file"] == str(kept)
        assert kept.read_text() == ready["first_key"]["secret"] + "\n"
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        with Client(ready["url"], api_key=ready["first_key"]["secret"]) as client:
            client.add("Nadia's boat is called Kittiwake")
            assert client.search("boat").hits
        process.send_signal(signal.SIGTERM)
        assert process.wait(_SECONDS) == 0

    # At the second start there is no first key, and the port may be taken.
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = memos("serve", "--port", port, folder=folder)
    assert refused.returncode == 1
    assert f"port {port}" in refused.stderr
    with started("serve", "-q", "--port", "0", folder=folder) as process:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+\n", line_of(process))
        process.send_signal(signal.SIGINT)
        assert process.wait(_SECONDS) == 0


@pytest.mark.slow
def test_jobs_of_a_server_without_worker_are_done_by_a_worker(folder: Path) -> None:
    with started("serve", "--json", "--port", "0", "--no-worker", folder=folder) as server:
        ready = json.loads(line_of(server))
        with Client(ready["url"], api_key=ready["first_key"]["secret"]) as client:
            added = client.add("later", wait=False)
            time.sleep(1)
            assert client.job(added.jobs[0]).state is JobState.QUEUED
            with started("worker", folder=folder) as worker:
                assert "waits for jobs" in line_of(worker, "stderr")
                job = client.wait_for(added.jobs[0], timeout=_SECONDS)
                assert type(job) is Job
                worker.send_signal(signal.SIGTERM)
                assert worker.wait(_SECONDS) == 0
        server.send_signal(signal.SIGTERM)
        assert server.wait(_SECONDS) == 0


@pytest.mark.slow
def test_the_demo_finds_what_it_looks_for(folder: Path) -> None:
    ended = memos("demo", folder=folder, NO_COLOR="1")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("answers it") >= 4
    assert "All 4 questions found a turn" in ended.stdout
    for date, home in (("2023-01-01", "Porto"), ("2024-06-01", "Lisbon")):
        told = ended.stdout.split(f"Where did Ines live on {date}?")[1].splitlines()[1:6]
        assert re.search(rf"Ines\s+lives_in\s+{home}", "\n".join(told)), told
    # Its own folder is gone, and the user's has no database from it.
    assert not Path(re.search(r"(/\S*memos-demo-\S+) is deleted", ended.stdout)[1]).exists()  # type: ignore[index]
    assert not (folder / "memos.db").exists()


# Signals and broken folders


def test_an_interrupt_ends_cleanly() -> None:
    asked, ended = threading.Event(), threading.Event()

    def stall(handler: object) -> None:
        asked.set()
        ended.wait(_SECONDS)
        hang_up(handler)  # type: ignore[arg-type]

    with failing(stall) as server:
        process = subprocess.Popen(
            [*COMMAND, "--url", server.url, "list"], stderr=subprocess.PIPE, text=True
        )
        assert asked.wait(_SECONDS)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=_SECONDS)
        ended.set()
    assert process.returncode == 130
    assert err.strip() == "interrupted"


def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    ended = memos("list", "--data-dir", str(tmp_path / "file" / "data"))
    assert ended.returncode == 7
    assert "can't make the data folder" in ended.stderr


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "memos.db").write_bytes(b"this is not a database" * 100)
    ended = memos("list", "--data-dir", str(tmp_path))
    assert ended.returncode == 7
    assert "Traceback" not in ended.stderr
    assert (tmp_path / "memos.db").read_bytes() == b"this is not a database" * 100


# Benchmarks


def test_bench_hands_arguments_on() -> None:
    shown = memos("bench", "locomo", "--help")
    assert shown.returncode == 0
    assert "--data" in shown.stdout
    unknown = memos("bench", "nothing")
    assert unknown.returncode == 2
    assert "locomo" in unknown.stderr
