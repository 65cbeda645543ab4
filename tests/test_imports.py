"""Imports point one way, and what a user imports first stays light."""

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("api", "benchmarks", "kvcache", "storage")
BACKENDS = ("memos.storage", "memos.kvcache")
CONTRACTS = ("memos.types", "memos.errors", "memos.protocols")
PURE = ("memos.config", "memos.dumpfile", "memos.messages", "memos.validation", "memos.wire")

# A layer that may import nothing of memos but itself and these.
ONLY = {
    "memos.storage": CONTRACTS,
    "memos.kvcache": CONTRACTS,
    "memos.client": (*CONTRACTS, *PURE, "memos.__version__"),
    **dict.fromkeys(CONTRACTS, CONTRACTS),
}
# A layer that may import anything of memos but these; the first that fits a module counts.
NEVER = {
    "memos.benchmarks": (),
    "memos.cli": BACKENDS,
    "memos.api": (*BACKENDS, "memos.benchmarks", "memos.cli"),
    "memos.assembly": ("memos.api", "memos.benchmarks", "memos.cli"),
    "memos": (*BACKENDS, "memos.api", "memos.benchmarks", "memos.cli"),
}
# What is heavy or would close a circle may be imported only inside functions.
DEFERRED = {
    "memos.assembly": BACKENDS,
    "memos.cli": ("memos.api", "memos.assembly", "memos.benchmarks"),
    "memos": ("memos.assembly",),
}


@dataclass(frozen=True)
class Import:
    """One name that a module imports; deferred: inside a function, so not at import time."""

    source: str
    target: str
    line: int
    deferred: bool
    typing_only: bool

    def __str__(self) -> str:
        return f"{self.source}:{self.line} imports {self.target}"


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def sources(root: Path) -> dict[str, str]:
    """Module name → source text, each file once, under the name it is imported by."""
    found = {}
    for part in ("memos", *PARTS):
        prefix = "memos" if part == "memos" else f"memos.{part}"
        for file in sorted((root / part).rglob("*.py")):
            inner = file.relative_to(root / part)
            if part == "memos" and inner.parts[0] in PARTS:
                continue  # the same file, seen through the link
            names = [*inner.parent.parts, *([] if inner.stem == "__init__" else [inner.stem])]
            found[".".join([prefix, *names])] = file.read_text(encoding="utf-8")
    return found


def imports(module: str, source: str, known: set[str]) -> Iterator[Import]:
    """Every import of a module; `from a import b` means the module a.b if there is one."""

    def visit(node: ast.AST, deferred: bool, typing_only: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, alias.name, node.lineno, deferred, typing_only)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno} imports relatively"
            assert node.module
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                is_own = full in known or alias.name == "__version__"
                target = full if is_own else node.module
                yield Import(module, target, node.lineno, deferred, typing_only)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            name = node.args[0]
            if isinstance(name, ast.Constant):
                yield Import(module, name.value, node.lineno, deferred, typing_only)
        deferred = deferred or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for child in node.body:
                yield from visit(child, deferred, True)
            for child in node.orelse:
                yield from visit(child, deferred, typing_only)
            return
        for child in ast.iter_child_nodes(node):
            yield from visit(child, deferred, typing_only)

    return visit(ast.parse(source), False, False)


def complaint(found: Import) -> str | None:
    """What is wrong with an import by the rules of the architecture, or None."""
    if within(found.target, *PARTS):
        return "its name is memos." + found.target
    if not within(found.target, "memos"):
        return None
    if layer := layer_of(found.source, ONLY):
        allowed = within(found.target, layer, *ONLY[layer])
        return None if allowed else f"{layer} knows only {', '.join(ONLY[layer])}"
    layer = layer_of(found.source, NEVER)
    assert layer, f"{found.source} is in no layer"
    if within(found.target, *NEVER[layer]):
        return f"{layer} must not know it"
    late = DEFERRED.get(layer, ())
    if within(found.target, *late) and not (found.deferred or found.typing_only):
        return f"{layer} imports it only inside functions"
    return None


def layer_of(module: str, layers: Iterable[str]) -> str | None:
    return next((layer for layer in layers if within(module, layer)), None)


def all_imports(texts: dict[str, str]) -> list[Import]:
    known = set(texts)
    return [found for name, text in texts.items() for found in imports(name, text, known)]


def violations(texts: dict[str, str]) -> list[str]:
    return [f"{found}: {why}" for found in all_imports(texts) if (why := complaint(found))]


def cycle(texts: dict[str, str]) -> list[str]:
    """Modules that need each other at import time, or []."""
    graph: dict[str, set[str]] = {name: set() for name in texts}
    for found in all_imports(texts):
        if found.target in texts and not (found.deferred or found.typing_only):
            graph[found.source].add(found.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_every_import_points_the_allowed_way() -> None:
    texts = sources(ROOT)
    assert {"memos", "memos.api", "memos.benchmarks", "memos.kvcache", "memos.storage"} <= set(
        texts
    )
    assert violations(texts) == []


def test_no_modules_need_each_other() -> None:
    assert cycle(sources(ROOT)) == []


def test_modules_are_named_for_what_they_are() -> None:
    vague = {"common", "helpers", "manager", "misc", "utils"}
    assert [name for name in sources(ROOT) if vague & set(name.split("."))] == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("memos.storage.sql", "import memos.kvcache"),
        ("memos.storage.sql", "from memos.service import MemoryOS"),
        ("memos.storage.sql", "from memos import service"),
        ("memos.kvcache.disk", "from memos.config import Settings"),
        ("memos.service", "import memos.storage.sql"),
        ("memos.service", "def f():\n    from memos.storage import sql"),
        ("memos.service", "import importlib\nimportlib.import_module('memos.storage.sql')"),
        ("memos.service", "from memos.api import app"),
        ("memos.service", "from memos.cli import main"),
        ("memos.service", "from memos.assembly import assemble"),
        ("memos.assembly", "import memos.storage.sql"),
        ("memos.assembly", "from memos.api import app"),
        ("memos.api.routes", "from memos.storage import sql"),
        ("memos.api.routes", "from memos.benchmarks import locomo"),
        ("memos.types", "from memos.config import Settings"),
        ("memos.client", "from memos.service import MemoryOS"),
        ("memos.cli.serve", "from memos.storage import sql"),
        ("memos.cli.serve", "from memos.api import app"),
        ("memos.api.routes", "from storage import sql"),
        ("memos.cli.bench", "import benchmarks.locomo"),
    ],
)
def test_a_wrong_import_is_found(module: str, source: str) -> None:
    others = dict.fromkeys(("memos.service", "memos.storage.sql", "memos.config"), "")
    assert len(violations({**others, module: source})) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("memos.storage.sql", "from memos import errors\nfrom memos.types import Memory"),
        ("memos.assembly", "def f():\n    from memos.storage import sql"),
        ("memos.api.routes", "from memos.service import MemoryOS"),
        ("memos.cli.serve", "def f():\n    from memos.api import app"),
        ("memos.cli.bench", "def f():\n    from memos.benchmarks import locomo"),
        ("memos.client", "from memos import __version__, wire\nfrom memos.types import Memory"),
    ],
)
def test_a_right_import_is_let_through(module: str, source: str) -> None:
    others = dict.fromkeys(("memos.errors", "memos.wire", "memos.storage.sql"), "")
    assert violations({**others, module: source}) == []


def test_a_cycle_is_found_unless_it_is_deferred() -> None:
    there = "from memos import b"
    assert cycle({"memos": "", "memos.a": there, "memos.b": "import memos.a"})
    assert not cycle({"memos": "", "memos.a": there, "memos.b": "def f():\n    import memos.a"})
    guarded = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import memos.a"
    assert not cycle({"memos": "", "memos.a": there, "memos.b": guarded})


def loaded(code: str) -> set[str]:
    """The top-level packages that a new process has after this code."""
    told = f"{code}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    child = subprocess.run(
        [sys.executable, "-c", f"import sys; {told}"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    return set(child.stdout.split())


@pytest.mark.parametrize("module", ["memos", "memos.client"])
def test_what_a_user_imports_first_loads_nothing_heavy(module: str) -> None:
    found = loaded(f"import {module}")
    heavy = {
        "alembic",
        "chromadb",
        "fastapi",
        "numpy",
        "onnxruntime",
        "pydantic",
        "sentence_transformers",
        "sqlalchemy",
        "tokenizers",
        "torch",
        "transformers",
        "uvicorn",
    }
    assert "memos" in found
    assert found & heavy == set()


def test_a_service_that_is_opened_waits_for_no_graph_and_no_model() -> None:
    """Each command of the command line opens one."""
    found = loaded("import memos.assembly, memos.service.engine, memos.storage.engine")
    assert {"numpy", "sqlalchemy"} <= found
    assert found.isdisjoint(
        {"alembic", "chromadb", "fastapi", "litellm", "networkx", "onnxruntime", "spacy", "torch"}
    )
