"""What every benchmark writes, and where it ran: report.json, Markdown, plots, raw JSONL rows.

Knows the shape that reports share (benchmarks/README.md names its fields) and nothing of what is
measured. Percentiles and tables are here so that all reports mean the same by the same word.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

LIBRARIES = (
    "chromadb",
    "fastapi",
    "numpy",
    "onnxruntime",
    "pgvector",
    "psycopg",
    "sentence-transformers",
    "sqlalchemy",
    "tokenizers",
    "torch",
    "transformers",
)


def environment(*, seed: int | None = None, **extra: Any) -> dict[str, Any]:
    """Machine, versions, commit, seed and time of this run; `extra` is added as it is.

    A library that is not installed has version null; the commit is null outside a git checkout and
    ends in `+changes` where the checkout differs from it.
    """
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "ram_gib": _ram_gib(),
        "load_1m": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in ("memos-engine", *LIBRARIES)},
        "commit": _commit(),
        "seed": seed,
        "started_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        **extra,
    }


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass  # not Linux: the portable answer below is all there is
    return platform.processor() or platform.machine()


def _ram_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError):
        return None


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    here = Path(__file__).resolve().parent

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=here, capture_output=True, text=True, check=True, timeout=10
        )
        return done.stdout.strip()

    try:
        commit = git("rev-parse", "--short=12", "HEAD")
        return commit + ("+changes" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """`n`, `mean`, `p50`, `p95`, `p99`, `max`, in the unit of the values (linear interpolation)."""
    import numpy as np

    if not values:
        raise ValueError("no values to take percentiles of")
    found = np.percentile(values, [50, 95, 99])
    summary = {"mean": float(np.mean(values)), "max": float(max(values))}
    summary |= {name: float(v) for name, v in zip(("p50", "p95", "p99"), found, strict=True)}
    return {"n": len(values), **{name: round(summary[name], 4) for name in sorted(summary)}}


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; numbers are right-aligned, floats shown with three digits that matter."""
    body = [[_cell(value) for value in row] for row in rows]
    numeric = [
        bool(body) and all(_is_number(row[column]) for row in body)
        for column in range(len(headers))
    ]
    rule = ["---:" if right else "---" for right in numeric]
    lines = [list(headers), rule, *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value).replace("|", "\\|")


def _is_number(text: str) -> bool:
    return text == "–" or text.lstrip("-≤≥ ").replace(",", "").replace(".", "").isdigit()


def describe(environment: Mapping[str, Any]) -> str:
    """The environment as Markdown, for the head of a report."""
    versions = ", ".join(f"{k} {v}" for k, v in environment["versions"].items() if v)
    shown = {k: v for k, v in environment.items() if k != "versions"}
    lines = [f"- {name.replace('_', ' ')}: {value}" for name, value in shown.items()]
    return "\n".join([*lines, f"- versions: {versions}"])


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Raw rows as JSON lines; answers how many."""
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def write_report(
    out: Path,
    name: str,
    data: Mapping[str, Any],
    markdown: str,
    *,
    environment: Mapping[str, Any],
    rows: Mapping[str, Iterable[Mapping[str, Any]]] | None = None,
) -> Path:
    """Writes `out`/report.json, `out`/report.md and one `out`/<key>.jsonl for each of `rows`.

    report.json is `{"benchmark": name, "environment": …, **data, "raw": {key: {file, rows}}}`. The
    Markdown gets a title and the environment. Plots are the caller's: files in `out` that the
    Markdown refers to (`figure` saves them). Answers the path of report.json.
    """
    out.mkdir(parents=True, exist_ok=True)
    raw = {}
    for key, items in (rows or {}).items():
        file = out / f"{key}.jsonl"
        raw[key] = {"file": file.name, "rows": write_rows(file, items)}
    report = {"benchmark": name, "environment": dict(environment), **data, "raw": raw}
    path = out / "report.json"
    path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    files = "".join(f"- raw rows: {entry['file']} ({entry['rows']:,})\n" for entry in raw.values())
    text = f"# {name}\n\n{markdown.strip()}\n\n## Environment\n\n{describe(environment)}\n{files}"
    (out / "report.md").write_text(text, encoding="utf-8")
    return path


def figure(width: float = 8.0, height: float = 4.5) -> Any:
    """An empty matplotlib Figure that needs no display; save it with `savefig(path, dpi=150)`."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")
