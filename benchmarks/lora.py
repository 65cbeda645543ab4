"""Parametric memory: what an adapter of invented facts recalls, keeps, forgets and costs.

Facts are about people who do not exist, so the model alone can't know them; the test asks in words
that no training had. --parts chooses: learn, second, erase, serve, substrates, curve, forms (other
forms than low-rank weights, at equal bytes), unrelated and recipes (grids, to develop with). Each
writes the report whenever it has found something, so that a run that is cut short leaves what it
has. Those that train many share them out among --jobs processes.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from memos.benchmarks import report
from memos.errors import MemosError

PARTS = (
    "recipes",
    "learn",
    "second",
    "erase",
    "serve",
    "substrates",
    "forms",
    "unrelated",
    "curve",
)
KEPT = (
    "more=0,300 hold=2,10 apart=0.9,0.98",
    "more=300 hold=10 replay=0.3 apart=0.9,0.98 depth=0.7,0.3",
    "more=300 hold=10 replay=0.3 apart=0.98 targets=attention,mlp",
    "more=300 hold=30 replay=0.3 apart=0.98 rate=1e-3",
)
"""Ways to leave other answers alone that are worth a try."""
DEFAULT = ("learn", "second", "erase", "serve", "substrates")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs it, writes the report and prints it. Exit code 1 for an error of ours."""
    options = _options(argv)
    run = _Run(options)
    try:
        run.all()
    except MemosError as error:
        print(f"error: {error.message}", file=sys.stderr)
        run.write()
        return 1
    run.write()
    print(run.text())
    return 0


class _Run:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.environment = report.environment(seed=options.seed, device=_device(options.device))
        if options.commit:
            self.environment["commit"] = options.commit
        self.data: dict[str, Any] = {"facts": options.facts, "parts": {}, "not_run": []}
        self.rows: list[dict[str, Any]] = []
        self._began = time.monotonic()

    def all(self) -> None:
        from memos.benchmarks.parametric import grids, learning, serving, substrates
        from memos.benchmarks.parametric.forms import comparison
        from memos.benchmarks.parametric.world import world

        here = world(self.options)
        self.data["model"] = here.model.id
        acts: dict[str, Callable[[Any], dict[str, Any]]] = {
            "recipes": grids.recipes,
            "learn": learning.learn,
            "second": learning.second,
            "erase": learning.erase,
            "curve": grids.curve,
            "unrelated": grids.unrelated,
            "forms": comparison.forms,
            "serve": serving.serve,
            "substrates": substrates.substrates,
        }
        for name in PARTS:
            if name in self.options.parts:
                here.tell = lambda found, name=name: self._part(name, found)  # type: ignore[misc]
                self._step(name, lambda name=name: acts[name](here))  # type: ignore[misc]

    def _part(self, name: str, found: dict[str, Any]) -> None:
        """As far as a part has come."""
        self.data["parts"][name] = {**found, "whole": False}
        self.write(drawn=False)

    def _step(self, name: str, act: Callable[[], dict[str, Any]]) -> None:
        spent = time.monotonic() - self._began
        print(f"… {spent:.0f} s: {name}", file=sys.stderr, flush=True)
        if spent > self.options.limit_s:
            self.data["not_run"].append({"what": name, "why": "the time was up"})
            return
        try:
            found = act()
        except Exception as error:
            if self.options.strict:
                raise
            self.data["not_run"].append({"what": name, "why": f"{error!r}"[:400]})
            print(f"failed: {name}: {error!r}", file=sys.stderr, flush=True)
            self.write()
            return
        self.rows += [{"part": name, **row} for row in found.pop("rows", [])]
        found["wall_s"] = round(time.monotonic() - self._began - spent, 1)
        self.data["parts"][name] = found
        self.write()

    def text(self) -> str:
        from memos.benchmarks.parametric.rendering import markdown

        return markdown(self.data)

    def write(self, *, drawn: bool = True) -> None:
        from memos.benchmarks.parametric.rendering import targets

        self.data["targets"] = targets(self.data)
        self.environment["seconds"] = round(time.monotonic() - self._began)
        if self.options.out is None:
            return
        self.options.out.mkdir(parents=True, exist_ok=True)
        self.data["plots"] = self._plots() if drawn else []
        report.write_report(
            self.options.out,
            "lora",
            self.data,
            self.text(),
            environment=self.environment,
            rows={"answers": self.rows},
        )

    def _plots(self) -> list[str]:
        """None where there is nothing to draw with: `plots` draws them of a report too."""
        from memos.benchmarks.parametric.plots import plots

        if importlib.util.find_spec("matplotlib") is None:
            missing = {"what": "plots", "why": "matplotlib is not installed"}
            if missing not in self.data["not_run"]:
                self.data["not_run"].append(missing)
            return []
        return plots(self.data, self.options.out)


def _device(name: str) -> str:
    if not name.startswith("cuda"):
        return name
    import torch

    return str(torch.cuda.get_device_name(0)) if torch.cuda.is_available() else name


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    from memos.benchmarks.parametric.world import RECIPE
    from memos.kvcache.generator.known import DEFAULT_MODEL

    parser = argparse.ArgumentParser(
        prog="memos bench lora",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(DEFAULT))
    parser.add_argument("--facts", type=int, default=50)
    parser.add_argument("--erased", type=int, default=5)
    parser.add_argument("--counts", type=int, nargs="+", default=[10, 50, 250, 1000])
    parser.add_argument("--ranks", type=int, nargs="+", default=[4, 8, 16])
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[8, 32], help="ranks whose bytes the forms have"
    )
    parser.add_argument("--forms", nargs="+", help="some of them, by name; all by default")
    parser.add_argument("--rates", type=float, nargs="+", help="of the forms, instead of theirs")
    parser.add_argument("--most-tokens", type=int, default=2048, help="a step, with many facts")
    parser.add_argument("--kept", nargs="+", default=list(KEPT), help="for unrelated")
    parser.add_argument("--erasures", type=int, default=1, help="each of --erased facts")
    parser.add_argument("--jobs", type=int, default=1, help="processes that train at a time")
    parser.add_argument("--grid", default="rate=3e-4,6e-4,1e-3", help="for the part recipes")
    parser.add_argument("--adapters", type=int, default=1000, help="registered, for serve")
    parser.add_argument("--ram-mib", type=int, default=256, help="for adapters")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--models", default="~/.memos/models", help="folder of converted models")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--limit-s", type=float, default=1e9)
    parser.add_argument("--work", type=Path, help="keep adapters and answers here")
    parser.add_argument("--out", type=Path, help="folder of the report")
    parser.add_argument("--commit", help="if this is no git checkout")
    parser.add_argument("--naive", action="store_true", help="also a second round of new ones only")
    parser.add_argument("--strict", action="store_true", help="end at the first failure")
    for name, kind in RECIPE.items():
        if name == "seed":
            parser.add_argument("--seed", type=int, default=7)
        else:
            parser.add_argument(f"--{name}", type=kind, default=None)
    return parser.parse_args(argv)
