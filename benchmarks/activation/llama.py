"""llama.cpp's saved state beside ours: time to the first token after a load and without one.

In a process and environment of its own, through the script `peer_systems/llama_state.py`, with the
file that the default model's weights come from. It computes with 4-bit weights and a float16 cache
by other kernels, so its times are compared with its own cold prefill; what can be set side by side
is how many times faster a stored prefix makes each.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from memos.benchmarks import report
from memos.errors import ConfigError, ModelNotFound
from memos.kvcache.generator.known import CARRIERS, DEFAULT_MODEL

SCRIPT = Path(__file__).resolve().parents[1] / "peer_systems" / "llama_state.py"
NOT_MEASURED = (
    "llama.cpp's saved state was not measured: `--llama-python` names the Python of an environment "
    "with `benchmarks/peer_systems/llama-requirements.txt`."
)
VOCABULARY = 49_152


def run(options: argparse.Namespace) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The part's data, and one raw row per measurement. ModelNotFound without the default model's
    carrier; ConfigError with what the script said if it fails."""
    carrier = CARRIERS[DEFAULT_MODEL]
    file = carrier.find()
    if file is None:
        raise ModelNotFound(
            f"llama.cpp is measured with the file of {carrier.package}; {carrier.command}",
            model=DEFAULT_MODEL,
        )
    with tempfile.TemporaryDirectory(prefix="memos-kv-", dir=options.store_dir) as folder:
        found = _measured(file, Path(folder), options)
    rows = [
        {"stored": line["stored"], "name": name, "ms": value}
        for line in found["lengths"]
        for name, values in line["times"].items()
        for value in values
    ]
    return {
        "version": found["version"],
        "model": carrier.file,
        "lengths": [_line(line) for line in found["lengths"]],
    }, rows


def _measured(file: Path, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    task, result = folder / "task.json", folder / "result.json"
    content = {
        "model": str(file),
        "folder": str(folder),
        "threads": options.threads or os.cpu_count() or 1,
        "vocabulary": VOCABULARY,
        **{name: getattr(options, name) for name in ("lengths", "new", "seed", "repeats")},
        "cold_repeats": options.cold_repeats,
    }
    task.write_text(json.dumps(content), encoding="utf-8")
    done = subprocess.run(
        [str(options.llama_python), str(SCRIPT), str(task), str(result)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ConfigError(
            f"llama.cpp failed with exit code {done.returncode}:\n{done.stderr[-2000:]}"
        )
    found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return found


def _line(found: dict[str, Any]) -> dict[str, Any]:
    ms = {name: round(statistics.median(values), 3) for name, values in found["times"].items()}
    return {
        "stored": found["stored"],
        "ms": ms,
        "bytes": found["bytes"],
        "speedup_warm": round(ms["cold"] / ms["hit_warm"], 2),
        "speedup_cold": round(ms["cold"] / ms["hit_cold"], 2),
        "same_first_token": found["first_tokens"] == 1,
    }


def markdown(data: dict[str, Any]) -> str:
    """The part as Markdown."""
    lines = data["lengths"]
    head = ["ms (median)", *(f"{line['stored']:,}" for line in lines)]
    names = list(lines[0]["ms"])
    body = [[name, *(line["ms"][name] for line in lines)] for name in names]
    for name in ("speedup_warm", "speedup_cold", "bytes"):
        body.append([name, *(line[name] for line in lines)])
    return (
        f"## llama.cpp's saved state\n\n{data['version']}, {data['model']}, its own kernels, 4-bit "
        "weights and a float16 cache; a speed-up is over its own cold prefill.\n\n"
        f"{report.table(head, body)}"
    )
