"""Every example of README.md and docs/ is run as it stands, by a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kvcache.local_models import MODELS
from tests.server import Running, running_server

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(*languages: str) -> list[tuple[str, str, str]]:
    found = []
    for page in PAGES:
        for number, match in enumerate(FENCE.finditer(page.read_text())):
            language, code = match.groups()
            if language in languages:
                found.append((f"{page.relative_to(ROOT)}:{number}", language, code))
    return found


def cases(*languages: str) -> list[object]:
    return [pytest.param(language, code, id=name) for name, language, code in blocks(*languages)]


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running_server() as running:
        yield running


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for all examples, with the models that tests have exported and converted before."""
    folder = tmp_path_factory.mktemp("examples")
    MODELS.mkdir(exist_ok=True)
    for name in ("my-memories", "home"):
        (folder / name).mkdir()
        (folder / name / "models").symlink_to(MODELS)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("language", "code"), cases("python", "bash"))
def test_an_example_runs(language: str, code: str, server: Running, workplace: Path) -> None:
    environment = {name: v for name, v in os.environ.items() if not name.startswith("MEMOS_")}
    environment["MEMOS_DATA_DIR"] = str(workplace / "home")
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    if "MEMOS_URL" in code:
        environment |= {"MEMOS_URL": server.url, "MEMOS_API_KEY": server.secret}
    command = [sys.executable, "-c", code]
    if language == "bash":
        command = ["bash", "-euo", "pipefail", "-c", code]
    done = subprocess.run(
        command, cwd=workplace, env=environment, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stdout.strip() or "print" not in code
    # curl gives 0 for a problem document too.
    assert '"status":4' not in done.stdout
    assert '"status":5' not in done.stdout


def test_set_up_is_two_commands_that_make_knows() -> None:
    lines = [line for name, _, code in blocks("sh") for line in code.splitlines() if line]
    assert [line.split("#")[0].strip() for line in lines] == ["make demo", "make test"]
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"demo", "test"} <= set(targets)


def test_no_example_is_left_out() -> None:
    languages = {
        language for _, language, _ in blocks("", "python", "bash", "sh", "json", "console")
    }
    assert languages <= {"", "python", "bash", "sh"}  # "" holds pictures


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} → {target}"
