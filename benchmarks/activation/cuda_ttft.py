"""Time to the first token on a device: from every tier, and how much of the bus a load uses."""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from memos.benchmarks.activation.cuda_libraries import libraries
from memos.benchmarks.activation.cuda_rendering import BOTH
from memos.benchmarks.activation.models import random_tokens
from memos.benchmarks.activation.timing import Timings, drop_page_cache
from memos.benchmarks.kv_cuda import folder_of
from memos.kvcache.cost import CostModel, calibrate
from memos.kvcache.generator.model import LocalModel
from memos.kvcache.reuse.begun import Begun
from memos.kvcache.reuse.prefix import PrefixReuse
from memos.kvcache.store.opened import OpenedFile
from memos.kvcache.store.store import BlockStore
from memos.kvcache.tiers.device import DeviceCopies, DeviceTier
from memos.kvcache.tiers.ram import RamTier
from memos.kvcache.tiers.reading import Reader
from memos.kvcache.tiers.tiers import Tiers

BUDGET = 1 << 40
_SALTS = {"raw": b"", "int4": b"int4"}
"""A root each, so that one codec's block is not found instead of the other's."""


def run(
    model: LocalModel, stored: int, options: argparse.Namespace
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """One length: medians and what follows from them; and one raw row per measurement."""
    tokens = random_tokens(model, stored + options.new, seed=options.seed + stored)
    timings = Timings(model)
    line: dict[str, Any] = {"stored": stored}
    with folder_of(options) as folder:
        plain = PrefixReuse(model)
        first(plain, tokens)
        timings.time("full prefill", lambda: first(plain, tokens), repeats=options.repeats)
        for codec in _SALTS:
            _stored(model, tokens, stored, folder / codec, codec, timings, options, line)
        line["bus"] = _bus(model, folder / "raw", options)
        drop_page_cache(folder)
        missing = libraries(model, tokens, stored, folder, timings, options)
    ms = timings.medians()
    cold = ms["full prefill"]
    names = [name for name in ms if name not in ("full prefill", "build raw", "build int4")]
    line |= {"ms": ms, "speedup": {name: round(cold / ms[name], 2) for name in names}}
    line["not_run"] = missing
    rows = [
        {"stored": stored, "name": name, "ms": round(value, 3)}
        for name, values in timings.values.items()
        for value in values
    ]
    return line, rows


def first(reuse: PrefixReuse, tokens: Sequence[int]) -> int:
    """The first new token, chosen: what a user waits for."""
    return int(reuse.begin([tokens]).logits.argmax())


def _stored(
    model: LocalModel,
    tokens: Sequence[int],
    stored: int,
    folder: Path,
    codec: str,
    timings: Timings,
    options: argparse.Namespace,
    line: dict[str, Any],
) -> None:
    """Stores the prefix and measures a hit in every tier. Where each run has a store of its own the
    device runs a full prefill before it, so that it has rested no longer than before the others."""
    plain = PrefixReuse(model)
    with BlockStore(folder, budget_bytes=BUDGET) as store:
        writer = PrefixReuse(model, store, salt=_SALTS[codec], codec=codec)
        timings.time(f"build {codec}", lambda: writer.compile(tokens[:stored]))
    for _ in range(options.cold_repeats):
        gc.collect()
        drop_page_cache(folder)
        with opened(model, folder, "disk", codec) as (reuse, _):
            first(plain, tokens)
            timings.time(f"cold disk, {codec}", lambda: _hit(reuse, tokens))
    for _ in range(options.cold_repeats):
        with opened(model, folder, "disk", codec) as (reuse, _):
            first(plain, tokens)
            timings.time(f"warm disk, first use, {codec}", lambda: _hit(reuse, tokens))
    line["loaded"] = line.get("loaded", {}) | _both_ends(
        model, tokens, folder, codec, timings, options
    )
    for kind, name in (("disk", "warm disk"), ("ram", "pinned RAM"), ("device", "device")):
        with opened(model, folder, kind, codec) as (reuse, settle):
            for _ in range(2):
                _hit(reuse, tokens)
                settle()
            timings.time(
                f"{name}, {codec}",
                lambda: _hit(reuse, tokens),
                repeats=options.repeats,
            )


def _both_ends(
    model: LocalModel,
    tokens: Sequence[int],
    folder: Path,
    codec: str,
    timings: Timings,
    options: argparse.Namespace,
) -> dict[str, list[int]]:
    """The same two with the cost model, which may compute the beginning while the end is loaded, or
    all of it; the tokens that came from the disk, each time."""
    cost, plain = cost_of(model, folder, options), PrefixReuse(model)
    loaded: dict[str, list[int]] = {}
    for _ in range(options.cold_repeats):
        for kind in ("cold disk", "warm disk, first use"):
            name = f"{kind}, {codec}, {BOTH}"
            gc.collect()
            if kind == "cold disk":
                drop_page_cache(folder)
            with opened(model, folder, "disk", codec) as (reuse, _):
                reuse.cost = cost
                first(plain, tokens)
                begun = timings.time(name, lambda: _read(reuse, tokens))
            loaded.setdefault(name, []).append(begun.cached[0])
    return loaded


def cost_of(model: LocalModel, folder: Path, options: argparse.Namespace) -> CostModel:
    """Calibrated at the first call for a model; twice, since kernels are chosen at first use."""
    if model.id not in options.costs:
        calibrate(model, folder)
        options.costs[model.id] = calibrate(model, folder)
    found: CostModel = options.costs[model.id]
    return found


def _read(reuse: PrefixReuse, tokens: Sequence[int]) -> Begun:
    begun = reuse.begin([tokens])
    begun.logits.argmax().item()
    return begun


def _hit(reuse: PrefixReuse, tokens: Sequence[int]) -> int:
    begun = reuse.begin([tokens])
    assert begun.cached[0] > 0, "what was stored is not found"
    return int(begun.logits.argmax())


@contextmanager
def opened(
    model: LocalModel, folder: Path, kind: str, codec: str = "raw"
) -> Iterator[tuple[PrefixReuse, Callable[[], object]]]:
    """Reuse by a fresh store that reads from disk, from (pinned) RAM, or from what lies on the
    device; and a function that waits for what was left to the background."""
    cuda = model.device.type == "cuda"
    with BlockStore(folder, budget_bytes=BUDGET) as store:
        room = BUDGET if kind == "device" else 0
        device = DeviceTier(model.device, budget_bytes=room) if cuda else None
        ram = RamTier(budget_bytes=BUDGET, pinned=cuda) if kind == "ram" else None
        tiers = Tiers(store, ram=ram, device=device)
        try:
            reuse = PrefixReuse(model, tiers, salt=_SALTS[codec], codec=codec)
            yield reuse, lambda: tiers.prefetch([]).result()
        finally:
            tiers.close()


def _disk(folder: Path, file: OpenedFile, reader: Reader, host: torch.Tensor) -> float:
    """GB/s of reading the block with nothing in the page cache, and doing nothing else."""
    drop_page_cache(folder)
    begun = time.perf_counter()
    reader.read(file.descriptor, file.head.offset, host)
    return round(host.numel() / (time.perf_counter() - begun) / 1e9, 2)


def _bus(model: LocalModel, folder: Path, options: argparse.Namespace) -> dict[str, Any] | None:
    """GB/s from the disk, and to the device: one copy of as many bytes, our layer-wise one, and
    from the file."""
    if model.device.type != "cuda":
        return None
    with BlockStore(folder, budget_bytes=BUDGET) as store:
        file = store.file(store.headers()[0].id)
        header = file.head.header
        reader = Reader()
        copies = DeviceCopies(model.device, reader)
        host = torch.empty(header.payload_bytes, dtype=torch.uint8, pin_memory=True)
        reader.read(file.descriptor, file.head.offset, host)
        target = torch.empty(host.numel(), dtype=torch.uint8, device=model.device)
        ways: dict[str, Callable[[], Any]] = {
            "peak": lambda: target.copy_(host, non_blocking=True),
            "pinned": lambda: copies.from_pinned([(header, host)])[0].finish(),
            "file": lambda: copies.from_files([file])[0].finish(),
        }
        found: dict[str, Any] = {"disk_gb_per_s": _disk(folder, file, reader, host)}
        timings = Timings(model)
        for name, act in ways.items():
            timings.time(name, act, repeats=options.repeats + 1)
            best = statistics.median(timings.values[name][1:])
            found[f"{name}_gb_per_s"] = round(host.numel() / best / 1e6, 2)
        copies.close()
        reader.close()
    found["share_pinned"] = round(found["pinned_gb_per_s"] / found["peak_gb_per_s"], 3)
    found["share_file"] = round(found["file_gb_per_s"] / found["peak_gb_per_s"], 3)
    return found
