"""`memos serve` where it can't: the exit code and the message tell what to do, and no file is
changed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from memos.assembly import build
from memos.config import load
from memos.testing import HashEmbedder

SECONDS = 120


def memos(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "memos.cli", *args],
        capture_output=True,
        text=True,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        timeout=SECONDS,
    )


def refused(ended: subprocess.CompletedProcess[str], code: int, *parts: str) -> None:
    assert ended.returncode == code, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    for part in parts:
        assert part in ended.stderr


@pytest.fixture
def filled(data_dir: Path) -> Path:
    """The folder of a service that held memories and was stopped."""
    service = build(load(), embedder=HashEmbedder())
    service.tenant().add([f"Note {n} about the harbour." for n in range(200)])
    service.close()
    return data_dir


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("damage", ["overwritten", "cut short", "no database"])
def test_a_damaged_database(filled: Path, damage: str) -> None:
    file = filled / "memos.db"
    whole = file.read_bytes()
    file.write_bytes(
        {
            "overwritten": whole[:4096] + b"\xa5" * (len(whole) - 4096),
            "cut short": whole[:9000],
            "no database": b"this is not a database " * 1000,
        }[damage]
    )
    before = file.read_bytes()
    ended = memos("serve", "--port", "0")
    refused(ended, 7, str(file), "memos doctor", "restore a backup")
    assert ended.stdout == ""
    assert file.read_bytes() == before
    document = json.loads(memos("--json", "serve", "--port", "0").stderr)
    assert document["code"] == "storage-corrupt"


def test_a_model_folder_that_is_damaged(filled: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{ this is not JSON")
    before = (filled / "memos.db").read_bytes()
    ended = memos("serve", "--port", "0", MEMOS_EMBEDDING_MODEL=str(model))
    refused(ended, 7, str(model))
    assert (filled / "memos.db").read_bytes() == before


def test_a_port_in_use(filled: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        before = contents(filled)
        refused(memos("serve", "--port", port), 1, f"port {port}", "is in use", "--port")
        assert contents(filled) == before
        assert json.loads(memos("serve", "-p", port, "--json").stderr)["code"] == "port-in-use"


@pytest.mark.parametrize("writable", ["nothing", "the folder"])
def test_no_write_permission(filled: Path, writable: str) -> None:
    """Root may write everything, so it gives that power up first."""
    file = filled / "memos.db"
    command = [sys.executable, "-m", "memos.cli"]
    if os.geteuid() == 0:
        command = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", *command]
        for path in (filled, file):
            os.chown(path, 65534, 65534)
    file.chmod(0o444)
    filled.chmod(0o777 if writable == "the folder" else 0o555)
    before = contents(filled)
    ended = subprocess.run(
        [*command, "serve", "--port", "0"], capture_output=True, text=True, timeout=SECONDS
    )
    filled.chmod(0o777)
    refused(ended, 7, str(filled), "permission")
    assert contents(filled) == before
