"""Time to the first token: a cold prefill, a hit in each tier, and what libraries offer.

All by the same kernels in one run. Beside it: torch.save and torch.load of transformers'
DynamicCache, and its own way of reusing one in RAM, a deep copy.
"""

from __future__ import annotations

import argparse
import copy
import gc
import math
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from memos.benchmarks import report
from memos.benchmarks.activation.models import model_of, random_tokens
from memos.benchmarks.activation.timing import Timings, drop_page_cache
from memos.kvcache.blocks.block import LayerStates, States
from memos.kvcache.cost import blank_prefix
from memos.kvcache.generator.model import LocalModel
from memos.kvcache.generator.rows import Prefix
from memos.kvcache.generator.running import running
from memos.kvcache.reuse.prefix import PrefixReuse
from memos.kvcache.store.store import BlockStore
from memos.kvcache.tiers.device import DeviceTier
from memos.kvcache.tiers.ram import RamTier
from memos.kvcache.tiers.tiers import Tiers

TARGETS = {512: 3.5, 1024: 6.0, 2048: 10.0}
"""Least ratio of cold prefill to hit, by stored tokens."""
LOAD_MS = 5.0
LOOKUP_MS = 2.0
OVER_RESIDENT = 1.2
_BUDGET = 1 << 40


def run(options: argparse.Namespace) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The part's data, and one raw row per measurement."""
    model = model_of(options, dtype=options.dtype)
    found, rows = [], []
    for stored in options.lengths:
        print(f"… {stored} stored tokens", file=sys.stderr, flush=True)
        timings, line = _measured(model, stored, options)
        found.append(line)
        rows += [
            {"stored": stored, "name": name, "ms": value}
            for name, values in timings.values.items()
            for value in values
        ]
    lookup = _lookup_ms(model, options)
    data = {
        "model": model.id,
        "dtype": options.dtype,
        "new_tokens": options.new,
        "bytes_per_token": model.layout.bytes_per_token(),
        "lengths": found,
        "lookup_ms_per_4096": lookup,
    }
    return {**data, "targets": _targets(data)}, rows


def _measured(
    model: LocalModel, stored: int, options: argparse.Namespace
) -> tuple[Timings, dict[str, Any]]:
    tokens = random_tokens(model, stored + options.new, seed=options.seed + stored)
    timings = Timings(model)
    with _folder(options) as folder:
        _cold(model, tokens, timings, options)
        states = _hits(model, tokens, stored, folder, timings, options)
        _libraries(model, tokens, stored, states, folder, timings, options)
    ms = timings.medians()
    hit = ms["hit_warm"]
    saved = ms["cold"] - hit
    pairs = zip(timings.values["hit_warm"], timings.values["resident"], strict=True)
    return timings, {
        "stored": stored,
        "ms": ms,
        "speedup_warm": round(ms["cold"] / hit, 2),
        "speedup_cold": round(ms["cold"] / ms["hit_cold"], 2),
        "hit_over_resident": round(statistics.median(a / b for a, b in pairs), 3),
        "break_even_uses": math.ceil(ms["build"] / saved) if saved > 0 else None,
    }


@contextmanager
def _folder(options: argparse.Namespace) -> Iterator[Path]:
    if options.store_dir is not None:
        options.store_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="memos-kv-", dir=options.store_dir) as folder:
        yield Path(folder)


def _cold(
    model: LocalModel, tokens: Sequence[int], timings: Timings, options: argparse.Namespace
) -> None:
    plain = PrefixReuse(model)
    plain.begin([tokens[: options.new]])  # kernels are chosen at the first call
    timings.time("cold", lambda: _first(plain, tokens), repeats=options.cold_repeats)


def _first(reuse: PrefixReuse, tokens: Sequence[int]) -> int:
    """The first new token, chosen: what a user waits for."""
    return int(reuse.begin([tokens]).logits.argmax())


def _hits(
    model: LocalModel,
    tokens: Sequence[int],
    stored: int,
    folder: Path,
    timings: Timings,
    options: argparse.Namespace,
) -> States:
    """The stored states, loaded once more: on the device if there is one."""
    repeats = options.repeats
    with BlockStore(folder / "kv", budget_bytes=_BUDGET) as store:
        writer = PrefixReuse(model, store)
        timings.time("build", lambda: writer.compile(tokens[:stored]))
    for _ in range(repeats):
        gc.collect()
        drop_page_cache(folder / "kv")
        with _opened(model, folder / "kv", "disk") as (reuse, _):
            timings.time("hit_cold", lambda: _first(reuse, tokens))
    for _ in range(repeats):
        with _opened(model, folder / "kv", "disk") as (reuse, _):
            timings.time("hit_first", lambda: _first(reuse, tokens))
    with _opened(model, folder / "kv", "disk") as (reuse, tier):
        hit = timings.time("lookup", lambda: tier.longest(reuse.root, tokens), repeats=repeats)
        assert hit is not None, "what was stored is not found"
        states: States = timings.time("load", lambda: tier.load(hit), repeats=repeats)
        after_resident = _resident(model, states, tokens, stored)
        _first(reuse, tokens)
        after_resident()
        # In turns: a machine that is slow for a second is so for both, and each leaves the
        # other's allocations behind.
        for turn in range(repeats):
            both = [("hit_warm", lambda: _first(reuse, tokens)), ("resident", after_resident)]
            for name, act in both if turn % 2 == 0 else reversed(both):
                timings.time(name, act)
    for kind in ("ram", "device") if model.device.type == "cuda" else ():
        with _opened(model, folder / "kv", kind) as (reuse, _):
            _first(reuse, tokens)
            timings.time(f"hit_{kind}", lambda: _first(reuse, tokens), repeats=repeats)
    return states


@contextmanager
def _opened(
    model: LocalModel, folder: Path, kind: str
) -> Iterator[tuple[PrefixReuse, BlockStore | Tiers]]:
    """Reuse that reads from disk, from (pinned) RAM, or from what lies on the device."""
    with BlockStore(folder, budget_bytes=_BUDGET) as store:
        if model.device.type != "cuda":
            yield PrefixReuse(model, store), store
            return
        device = DeviceTier(model.device, budget_bytes=_BUDGET if kind == "device" else 0)
        ram = RamTier(budget_bytes=_BUDGET, pinned=True) if kind == "ram" else None
        tiers = Tiers(store, ram=ram, device=device)
        try:
            yield PrefixReuse(model, tiers), tiers
        finally:
            tiers.close()


def _resident(
    model: LocalModel,
    states: States,
    tokens: Sequence[int],
    stored: int,
) -> Callable[[], int]:
    """What runs the new tokens alone, over states that lie on the device already."""
    there = [
        replace(
            state,
            keys=state.keys.to(model.device, copy=True),
            values=state.values.to(model.device, copy=True),
        )
        for state in states
        if isinstance(state, LayerStates)
    ]
    prefix = Prefix(there, 0, stored, 0, 1)

    def act() -> int:
        return int(running(model, 1, [prefix]).advance([tokens[stored:]]).argmax())

    return act


def _libraries(
    model: LocalModel,
    tokens: Sequence[int],
    stored: int,
    states: States,
    folder: Path,
    timings: Timings,
    options: argparse.Namespace,
) -> None:
    """transformers' own cache, saved by torch or kept in RAM and copied, with its own attention."""
    from transformers import DynamicCache

    file = folder / "cache.pt"
    ids = torch.tensor([list(tokens)], device=model.device)
    model.module.set_attn_implementation("sdpa")
    try:
        # A copy, as a prefill would have left it.
        pairs = [(keys[None].clone(), values[None].clone()) for keys, values in _pairs(states)]
        cache: Any = DynamicCache(ddp_cache_data=pairs, config=model.config)
        timings.time("torch_save", lambda: torch.save(pairs, file))

        def after(past: Any) -> int:
            with torch.inference_mode():
                out = model.module(ids[:, stored:], past_key_values=past, logits_to_keep=1)
            return int(out.logits[0, -1].argmax())

        def loaded() -> int:
            read = torch.load(file, map_location=model.device, weights_only=True)
            return after(DynamicCache(ddp_cache_data=read, config=model.config))

        timings.time("torch_load", loaded, repeats=options.repeats)
        copied = lambda: after(copy.deepcopy(cache))  # noqa: E731
        timings.time("transformers_copy", copied, repeats=options.repeats)
    finally:
        model.module.set_attn_implementation(model.attention)


def _pairs(states: States) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Keys and values of each layer; models with recurrent layers are not measured here."""
    return [(state.keys, state.values) for state in states if isinstance(state, LayerStates)]


def _lookup_ms(model: LocalModel, options: argparse.Namespace) -> float:
    """Hashing and look-up of a prompt of 4,097 tokens, all but one of which are stored."""
    tokens = random_tokens(model, 4097, seed=options.seed)
    with _folder(options) as folder, BlockStore(folder, budget_bytes=_BUDGET) as store:
        states = blank_prefix(model, 4096).states
        root = model.fingerprint.root(b"")
        store.put(root, tokens[:4096], 0, states, layout=model.layout)
        del states
        timings = Timings(model)
        timings.time("lookup", lambda: store.longest(root, tokens), repeats=5 * options.repeats)
        return timings.median("lookup")


def _targets(data: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for line in data["lengths"]:
        stored, ms = line["stored"], line["ms"]
        if stored in TARGETS:
            least = TARGETS[stored]
            for cache in ("warm", "cold"):
                got = line[f"speedup_{cache}"]
                what = f"cold prefill ÷ hit, {cache} page cache, {stored:,} stored"
                found.append({"target": f"{what} ≥ {least}", "got": got, "met": got >= least})
        limits = (
            (f"load from warm disk, {stored:,} tokens, ms ≤ {LOAD_MS}", ms["load"], LOAD_MS),
            (
                f"hit ÷ forward pass over a resident cache, {stored:,} ≤ {OVER_RESIDENT}",
                line["hit_over_resident"],
                OVER_RESIDENT,
            ),
        )
        found += [{"target": what, "got": got, "met": got <= most} for what, got, most in limits]
    got = data["lookup_ms_per_4096"]
    what = f"hash and look-up of 4,096 tokens, ms ≤ {LOOKUP_MS}"
    return [*found, {"target": what, "got": got, "met": got <= LOOKUP_MS}]


def markdown(data: dict[str, Any]) -> str:
    """The part as Markdown."""
    names = list(dict.fromkeys(name for line in data["lengths"] for name in line["ms"]))
    lines = data["lengths"]
    head = ["ms (median)", *(f"{line['stored']:,}" for line in lines)]
    body = [[name, *(line["ms"].get(name) for line in lines)] for name in names]
    for name in ("speedup_warm", "speedup_cold", "hit_over_resident", "break_even_uses"):
        body.append([name, *(line[name] for line in lines)])
    targets = [[t["target"], t["got"], "yes" if t["met"] else "no"] for t in data["targets"]]
    return (
        f"## Time to first token\n\n{data['model']}, {data['dtype']}, {data['new_tokens']} new "
        f"tokens after the stored ones, {data['bytes_per_token']:,} bytes per token.\n\n"
        f"{report.table(head, body)}\n\n{report.table(['target', 'got', 'met'], targets)}"
    )
