"""`memos bench`: runs a benchmark.

Knows where benchmarks are and hands their arguments on; each one's options are its own.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from memos.cli.options import command
from memos.errors import MissingDependency

ALL = ("locomo", "scale", "crash")


@command(
    "bench",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("name")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench(name: str, arguments: tuple[str, ...]) -> None:
    """Run the benchmark NAME, which takes the further ARGUMENTS.

    \b
    locomo  how much of the evidence retrieval finds, beside baselines
    fusion_fit  fit the weights of search, judged by conversations they have not seen
    kinship  make the table of how near words are in meaning
    scale   latency, memory and disk against the number of memories
    peers   ingest and search beside another memory layer
    dumps   a cube out into a file and in again, beside backups
    crash   kill -9 during bulk adds; nothing acknowledged may be lost
    graph   recording facts by the million, and views of them at a time
    consolidation  what a simulated year leaves, LoCoMo after it, cost, searches meanwhile
    extraction  turns per second, and whether what supersedes what is right
    kv      activation memory: time to first token and exactness of stored states
    kv_cuda  the same on a CUDA device, at the shapes of large models
    kv_quality  what codecs and compression leave of a model's answers
    lora    adapters: what they recall and leave alone, beside reading and stored states
    kv_fuzz  the store of states under damage, kills, crowds and full disks
    scheduler  the queue: waiting, throughput, fairness, and kill -9 of workers
    all     locomo, scale and crash in one go: bench all --out DIR [--data FILE]
    """
    code = _all(arguments) if name == "all" else _run(name, arguments)
    click.get_current_context().exit(code)


def _run(name: str, arguments: Sequence[str]) -> int:
    return int(_entry(name)(list(arguments)) or 0)


def _entry(name: str) -> Callable[[list[str]], Any]:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise click.UsageError(f"{name!r} is no name of a benchmark")
    known = _names()
    if not known:
        raise MissingDependency(
            "this installation has no memos.benchmarks; install the package anew, or work in a"
            " checkout of the repository"
        )
    if name not in known:
        raise click.UsageError(f"no benchmark {name!r}; there are {', '.join(known)} and all")
    try:
        module = importlib.import_module(f"memos.benchmarks.{name}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("memos"):
            raise
        raise MissingDependency(
            f"the benchmark {name} needs {error.name}; pip install 'memos-engine[bench]'"
        ) from error
    entry: Callable[[list[str]], Any] = module.main
    return entry


def _names() -> list[str]:
    """Modules with a `main(argv)`, told by their text so that none is loaded to ask."""
    try:
        folder = importlib.import_module("memos.benchmarks").__file__
    except ModuleNotFoundError:
        return []
    if folder is None:
        return []
    return sorted(
        path.stem
        for path in Path(folder).parent.glob("*.py")
        if re.search(r"^def main\(", path.read_text("utf-8"), re.MULTILINE)
    )


@click.command("all", add_help_option=False)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True)
@click.option("--data", help="For locomo.")
@click.pass_context
def _every(context: click.Context, out: Path, data: str | None) -> int:
    codes = []
    for name in ALL:
        click.echo(f"== {name}", err=True)
        given = ["--data", data] if name == "locomo" and data else []
        codes.append(_run(name, [*given, "--out", str(out / name)]))
    return max(codes)


def _all(arguments: Sequence[str]) -> int:
    """Every benchmark that needs nothing but the checkout, each with a folder of its own."""
    return int(_every.main(list(arguments), "memos bench all", standalone_mode=False))
