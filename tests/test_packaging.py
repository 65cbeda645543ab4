"""What a user installs: one top-level name, complete, and working far from the checkout."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PARTS = ("api", "benchmarks", "kvcache", "storage")
BUILD_INPUTS = (
    "MANIFEST.in",
    "LICENSE",
    "README.md",
    "constraints.txt",
    "pyproject.toml",
    "setup.py",
)

SMOKE = """
import importlib, pathlib, pkgutil, sys
import memos
home = pathlib.Path(memos.__file__).parent
assert home.is_relative_to(sys.prefix), home
for name in ("memos.api", "memos.benchmarks", "memos.kvcache", "memos.storage"):
    part = importlib.import_module(name)
    assert pathlib.Path(part.__file__).is_relative_to(home), part
for found in pkgutil.walk_packages(memos.__path__, "memos."):
    print(found.name)
for bare in ("api", "benchmarks", "kvcache", "storage"):
    try:
        importlib.import_module(bare)
    except ModuleNotFoundError:
        continue
    raise SystemExit(f"{bare} is importable")
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Output of a command that must succeed, in an environment without the tests' own paths."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def shipped(root: Path) -> set[str]:
    """Paths that an installation of the checkout should have, below site-packages."""
    files = set()
    for part in ("memos", *PARTS):
        for file in (root / part).rglob("*"):
            inner = file.relative_to(root / part)
            if file.is_dir() or "__pycache__" in inner.parts or inner.parts[0] in PARTS:
                continue
            files.add(str(Path("memos" if part == "memos" else f"memos/{part}") / inner))
    return files


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A copy of the checkout, and the wheel made from the sdist made from it."""
    tree = tmp_path_factory.mktemp("checkout")
    for name in BUILD_INPUTS:
        shutil.copy(ROOT / name, tree)
    for name in ("memos", *PARTS):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=ignored)
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, tree, cwd=tree)
    (wheel,) = out.glob("*.whl")
    return tree, wheel


@pytest.fixture(scope="module")
def installed(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of a clean environment with the wheel; dependencies are borrowed.

    A .pth file lends it this environment's packages. Python does not follow the .pth files of
    a folder that is lent, so an editable installation there stays unseen and `memos` can come
    only from the wheel.
    """
    env = tmp_path_factory.mktemp("env")
    run(sys.executable, "-m", "venv", "--without-pip", env, cwd=env)
    (site,) = env.glob("lib/python*/site-packages")
    pip = (
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--python",
        env / "bin/python",
    )
    run(*pip, "install", "--no-deps", "--no-index", built[1], cwd=env)
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return env / "bin"


def test_the_wheel_has_every_file_of_the_checkout_and_one_top_level_name(
    built: tuple[Path, Path],
) -> None:
    tree, wheel = built
    names = {name for name in zipfile.ZipFile(wheel).namelist() if not name.endswith("/")}
    info = {name for name in names if re.match(r"[^/]+\.dist-info/", name)}
    assert names - info == shipped(tree)
    assert {name.split("/")[0] for name in names - info} == {"memos"}
    assert any(name.endswith("licenses/LICENSE") for name in info)


def test_the_installed_wheel_works_from_another_folder(installed: Path, tmp_path: Path) -> None:
    listed = run(installed / "python", "-c", SMOKE, cwd=tmp_path).split()
    assert {f"memos.{part}" for part in PARTS} <= set(listed)


def test_the_installed_command_starts_from_another_folder(installed: Path, tmp_path: Path) -> None:
    assert "Usage: memos" in run(installed / "memos", "--help", cwd=tmp_path)


def test_every_requirement_is_pinned_to_a_version_it_admits() -> None:
    """A dependency added without `make lock` would make installations differ by the day."""
    pins = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            pin = Requirement(line)
            pins[canonicalize_name(pin.name)] = next(iter(pin.specifier)).version
    for requirement in declared():
        name = canonicalize_name(requirement.name)
        assert name in pins, f"{name} is in pyproject.toml but not locked: run `make lock`"
        assert requirement.specifier.contains(pins[name]), f"{requirement} against {pins[name]}"


def declared() -> list[Requirement]:
    """What pyproject.toml asks for, its extras included, other than the project itself."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    lists = re.findall(r"^(?:dependencies|postgres|llm|bench|dev) = \[(.*?)\]$", text, re.M | re.S)
    assert len(lists) == 5
    quoted = [item for block in lists for item in re.findall(r'"([^"]+)"', block)]
    found = [Requirement(item) for item in quoted]
    return [requirement for requirement in found if requirement.name != "memos-engine"]
