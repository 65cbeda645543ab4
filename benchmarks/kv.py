"""Activation memory: stored states of a local model beside computing them again.

Parts, each a module: ttft (time to the first token beside a cold prefill and beside what libraries
offer), exact (the same tokens after a reload in a new process), cost (never slower with the cost
model on), crowd (several requests at once, put together and each alone), newcomer (a long prompt
that comes while an answer is made), tenants (what times tell another tenant), remote (states on an
S3 server; needs SeaweedFS, so only where it is named). It runs on a CPU or a CUDA device; with
--shape on random weights of a large model's shape, whose speed is that of the real one. With
--llama-python llama.cpp's saved state is beside it.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from memos.benchmarks import report
from memos.benchmarks.activation import llama
from memos.errors import MemosError

PARTS = {
    "ttft": "memos.benchmarks.activation.ttft",
    "exact": "memos.benchmarks.activation.exact",
    "cost": "memos.benchmarks.activation.cost",
    "crowd": "memos.benchmarks.activation.crowd",
    "newcomer": "memos.benchmarks.activation.newcomer",
    "tenants": "memos.benchmarks.activation.tenants",
    "remote": "memos.benchmarks.activation.remote",
}
"""Modules with `run(options) -> (data, rows)` and `markdown(data)`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the parts, writes the report and prints it. Exit code 1 for an error of ours."""
    options = _options(argv)
    environment = report.environment(seed=options.seed)
    data: dict[str, Any] = {}
    rows: dict[str, list[dict[str, Any]]] = {}
    texts = []
    try:
        environment |= _device(options)
        if options.llama_python is not None:
            print("… llama.cpp", file=sys.stderr, flush=True)
            data["llama"], rows["llama"] = llama.run(options)
            texts.append(llama.markdown(data["llama"]))
        for part in options.parts:
            print(f"… {part}", file=sys.stderr, flush=True)
            module = importlib.import_module(PARTS[part])
            data[part], rows[part] = module.run(options)
            texts.append(module.markdown(data[part]))
        if "ttft" in options.parts and options.llama_python is None:
            texts.append(llama.NOT_MEASURED)
    except MemosError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 1
    environment["load_1m_end"] = report.environment()["load_1m"]
    text = "\n\n".join(texts)
    print(f"{report.describe(environment)}\n\n{text}")
    if options.out is not None:
        path = report.write_report(
            options.out, "kv", data, text, environment=environment, rows=rows
        )
        print(f"\nreport: {path}; raw rows beside it")
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="memos bench kv", description=__doc__)
    add = parser.add_argument
    usual = [part for part in PARTS if part != "remote"]
    add("--parts", type=_parts, default=usual, help=f"of {','.join(PARTS)}; default: not remote")
    add("--model", default="HuggingFaceTB/SmolLM2-135M-Instruct", help="Hub id, folder or package")
    add("--shape", help="random weights of this shape instead: llama-3-8b or qwen2.5-7b")
    add("--device", default="cpu", help="as torch names it: cpu, cuda, cuda:1")
    add("--dtype", default="bfloat16", help="of weights and cache in ttft, cost and crowd")
    add("--threads", type=int, default=0, help="of torch; 0 leaves its own choice")
    add("--lengths", type=_numbers, default=[512, 1024, 2048], help="stored tokens in ttft")
    add("--cost-lengths", type=_numbers, default=[16, 32, 64, 128, 256, 512, 1024, 2048])
    add("--new", type=int, default=20, help="new tokens after the stored ones")
    add("--repeats", type=int, default=7, help="of each fast measurement; medians are shown")
    add("--cold-repeats", type=int, default=3, help="of each cold prefill, which is slow")
    add("--prompts", type=int, default=200, help="in exact")
    add("--tokens", type=int, default=64, help="generated for each prompt in exact and crowd")
    add("--crowd", type=_numbers, default=[1, 2, 4, 8], help="requests at once in crowd")
    add("--opening", type=int, default=512, help="tokens that they have in common")
    add("--pairs", type=int, default=40, help="texts of each sort in tenants")
    add("--llama-python", type=Path, help="of an environment with llama-requirements.txt")
    add("--cache-dir", type=Path, default=Path("out/models"), help="keeps the converted model")
    add("--store-dir", type=Path, help="on the disk to measure; default: a temporary folder")
    add("--seed", type=int, default=0, help="of weights and prompts")
    add("--out", type=Path, help="folder for report.json, report.md and raw rows")
    return parser.parse_args(argv)


def _parts(text: str) -> list[str]:
    names = [name for name in text.split(",") if name]
    if unknown := [name for name in names if name not in PARTS]:
        raise argparse.ArgumentTypeError(f"no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    return names


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _device(options: argparse.Namespace) -> dict[str, Any]:
    """The device and torch's threads, for the environment."""
    import torch

    if options.threads:
        torch.set_num_threads(options.threads)
    found: dict[str, Any] = {"device": options.device, "torch_threads": torch.get_num_threads()}
    if options.device.startswith("cuda") and torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name(options.device)
        found["cuda"] = torch.version.cuda
    return found
