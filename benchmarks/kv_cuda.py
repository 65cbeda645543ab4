"""Activation memory on a CUDA device: stored states of large models beside computing them again.

Random weights at the shapes of Llama-3-8B and Qwen2.5-7B take the time and the bytes of the real
ones; SmolLM2-135M is itself. For each: the bus and how much of it a load uses, the time to the
first token from every tier beside a full prefill by the same kernels and beside what libraries
offer, requests with the cost model on, and whether a reload changes a bit. The report is written
anew after each measurement, so that a run that is cut short leaves what it has. --device cpu runs
the same code, but for the device's tiers, on any machine.
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from memos.benchmarks import report
from memos.errors import MemosError

SMALL = "smollm2"
"""Names the real model among the shapes."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs it, writes the report and prints it. Exit code 1 for an error of ours."""
    options = _options(argv)
    run = _Run(options)
    try:
        run.environment |= _device(options)
        for name in options.models:
            run.model(name)
            run.release()
    except MemosError as error:
        print(f"error: {error.message}", file=sys.stderr)
        run.write()
        return 1
    run.write()
    print(run.text())
    return 0


class _Run:
    """What was measured so far, and what is left of the time."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.environment = report.environment(seed=options.seed)
        if options.commit:
            self.environment["commit"] = options.commit
        self.data: dict[str, Any] = {"new_tokens": options.new, "models": {}, "not_run": []}
        self.rows: list[dict[str, Any]] = []
        self._began = time.monotonic()

    def model(self, name: str) -> None:
        """All parts of one model."""
        from memos.benchmarks.activation import cuda_cost, cuda_exact, cuda_ttft

        model = self._loaded(name)
        if model is None:
            return
        found = self.data["models"][name] = {
            "id": model.id,
            "parameters": model.parameters,
            "bytes_per_token": model.layout.bytes_per_token(),
            "lengths": [],
        }
        if "exact" in self.options.parts:
            self._step(f"{name} exact", found, "exact", lambda: cuda_exact.run(model, self.options))
        if "cost" in self.options.parts:
            self._step(f"{name} cost", found, "cost", lambda: cuda_cost.run(model, self.options))
        for stored in self.options.lengths if "ttft" in self.options.parts else ():
            self._step(
                f"{name} {stored:,} tokens",
                found,
                None,
                lambda: cuda_ttft.run(model, stored, self.options),  # noqa: B023
            )

    def _step(
        self,
        what: str,
        found: dict[str, Any],
        key: str | None,
        act: Callable[[], tuple[Any, list[dict[str, Any]]]],
    ) -> None:
        """One measurement, unless the time is up. One that fails is told and does not end the run:
        the machine is there for minutes only."""
        spent = time.monotonic() - self._began
        print(f"… {spent:.0f} s: {what}", file=sys.stderr, flush=True)
        if spent > self.options.limit_s:
            self.data["not_run"].append({"what": what, "why": "the time was up"})
            return
        try:
            line, rows = act()
        except Exception as error:
            if self.options.strict:
                raise
            line, rows = None, []
            self.data["not_run"].append({"what": what, "why": f"{error!r}"[:400]})
            print(f"failed: {what}: {error!r}", file=sys.stderr, flush=True)
        if line is not None and key is None:
            found["lengths"].append(line)
        elif line is not None and key:
            found[key] = line
        self.rows += [{"model": found["id"], **row} for row in rows]
        self.release()
        self.write()

    def _loaded(self, name: str) -> Any:
        from memos.benchmarks.activation.models import model_of

        self.options.shape = "" if name == SMALL else name
        print(f"… {name}", file=sys.stderr, flush=True)
        try:
            model = model_of(self.options, dtype=self.options.dtype)
        except MemosError as error:
            self.data["not_run"].append({"what": name, "why": error.message})
            if self.options.strict or name != SMALL:
                raise
            return None
        # Longer than the model was made for: what it says is not asked, only how long it takes.
        model.config.max_position_embeddings = 1 << 17
        return model

    def release(self) -> None:
        """Gives back what nothing holds any more."""
        import torch

        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def text(self) -> str:
        from memos.benchmarks.activation.cuda_rendering import markdown

        return markdown(self.data)

    def write(self) -> None:
        from memos.benchmarks.activation.cuda_rendering import plot, targets

        self.data["targets"] = targets(self.data)
        self.environment["seconds"] = round(time.monotonic() - self._began)
        if self.options.out is not None:
            rows = {"kv_cuda": self.rows}
            report.write_report(
                self.options.out,
                "kv_cuda",
                self.data,
                self.text(),
                environment=self.environment,
                rows=rows,
            )
            plot(self.data, self.options.out / "kv_cuda.png")


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="memos bench kv_cuda", description=__doc__)
    add = parser.add_argument
    models = ["llama-3-8b", "qwen2.5-7b", SMALL]
    add("--models", type=_names, default=models, help=f"shapes, or {SMALL}, the real model")
    add("--parts", type=_names, default=["exact", "cost", "ttft"])
    add("--model", default="HuggingFaceTB/SmolLM2-135M-Instruct", help=f"what {SMALL} is")
    add("--tokenizer", type=Path, help="folder with a tokenizer for the shapes")
    add("--device", default="cuda", help="as torch names it; cpu to try it out")
    add("--dtype", default="bfloat16", help="of weights and cache")
    add("--threads", type=int, default=0, help="of torch; 0 leaves its own choice")
    add("--lengths", type=_numbers, default=[4096, 16_384, 32_768], help="stored tokens")
    costs = [16, 64, 256, 1024, 4096, 16_384, 32_768]
    add("--cost-lengths", type=_numbers, default=costs, help="stored tokens with the cost model")
    add("--new", type=int, default=16, help="new tokens after the stored ones")
    add("--repeats", type=int, default=5, help="of each measurement; medians are shown")
    add("--cold-repeats", type=int, default=3, help="of loads from a cold disk, which are slow")
    add("--prompts", type=int, default=20, help="whose greedy answers are compared")
    add("--limit-s", type=float, default=3600, help="begins nothing new after so many seconds")
    add("--cache-dir", type=Path, default=Path("out/models"), help="keeps the converted model")
    add("--store-dir", type=Path, help="on the disk to measure; default: a temporary folder")
    add("--seed", type=int, default=0, help="of weights and prompts")
    add("--commit", help="of the code, where it runs outside its checkout")
    add("--strict", action="store_true", help="ends at the first failure")
    add("--out", type=Path, help="folder for report.json, report.md, the plot and raw rows")
    parser.set_defaults(costs={})
    return parser.parse_args(argv)


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",") if number]


def _device(options: argparse.Namespace) -> dict[str, Any]:
    """The device, for the environment; DeviceUnavailable if it is a CUDA device and not there."""
    import torch

    from memos.kvcache.tiers.device import cuda_device

    if torch.device(options.device).type == "cpu":
        return {"device": "cpu"}
    place = cuda_device(options.device)
    properties = torch.cuda.get_device_properties(place)
    return {
        "device": options.device,
        "gpu": properties.name,
        "gpu_gib": round(properties.total_memory / 2**30, 1),
        "cuda": torch.version.cuda,
        "driver": _driver(),
    }


def _driver() -> str | None:
    try:
        asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        done = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=20)
        return done.stdout.split("\n")[0].strip()
    except (OSError, subprocess.SubprocessError):
        return None


@contextmanager
def folder_of(options: argparse.Namespace) -> Iterator[Path]:
    """A folder of its own on the disk to measure."""
    import tempfile

    if options.store_dir is not None:
        options.store_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="memos-kv-", dir=options.store_dir) as folder:
        yield Path(folder)


if __name__ == "__main__":
    sys.exit(main())
