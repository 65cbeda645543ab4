"""The part of `memos bench lora` that serves: attach, swap, mixed batches, a thousand adapters."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from memos.benchmarks import report
from memos.benchmarks.parametric.people import facts
from memos.benchmarks.parametric.world import World
from memos.kvcache.generator.generator import LocalGenerator
from memos.kvcache.generator.request import Options
from memos.kvcache.lora.adapters import base_parts
from memos.kvcache.lora.judging import prompt
from memos.kvcache.lora.mixed import generate_mixed
from memos.kvcache.lora.weights import About, Weights, dumps, of_pairs
from memos.kvcache.reuse.prefix import PrefixReuse
from memos.kvcache.tiers.budget import Budget

REPEATS = 20
LOOKUPS = 2000
ZIPF = 1.1
SHARES = (0.02, 0.1, 0.3, 1.0)
"""Of all adapters that RAM has room for."""
ON_DEVICE = 0.25
"""Of those, that the device has room for."""


def serve(here: World) -> dict[str, Any]:
    """Times in ms."""
    made = [invented(here, seed) for seed in range(8)]
    return {
        **_attaching(here, made),
        **_batch(here, made),
        "registered": _many(here, made[0]),
        "codecs": _codecs(here, made[0]),
        "merge_ms": _merging(here, made[:2]),
    }


def invented(here: World, seed: int, *, rank: int = 8, size: float = 0.02) -> Weights:
    """Weights by chance in all layers: an adapter that changes answers, and says nothing."""
    from memos.kvcache.lora.learning import TARGETS

    chance = torch.Generator().manual_seed(seed)
    layers = {}
    for name, part in here.model.module.named_modules():
        if name.rpartition(".")[2] in TARGETS["all"]:
            a = torch.randn(rank, part.in_features, generator=chance) / part.in_features**0.5
            layers[name] = (a, size * torch.randn(part.out_features, rank, generator=chance))
    about = About(rank=rank, scale=2.0, base=base_parts(here.model), sources=())
    return of_pairs(about, layers)


def _attaching(here: World, made: list[Weights]) -> dict[str, Any]:
    """From RAM: until the model is ready to answer with it. From disk: with reading and checking.
    The first token that follows is not part of either."""
    here.adapters.shelf.put("one", made[0])
    here.adapters.shelf.put("two", made[1])
    here.adapters.adapted("one")

    def attach(name: str) -> None:
        view = here.adapters.adapted(name)
        with view.applying.at_work(view._rows):
            pass
        here.model.synchronize()

    def cold() -> None:
        here.adapters.shelf._drop("two")
        attach("two")

    turn = [0]

    def swap() -> None:
        turn[0] += 1
        attach(("one", "two")[turn[0] % 2])

    attach("one")
    attach("two")

    def fresh() -> None:
        here.model.applying.release(made[0].digest)
        attach("one")

    return {
        "attach_ram_ms": _timed(fresh),
        "swap_ms": _timed(swap),
        "attach_disk_ms": _timed(cold),
        "detach_ms": _timed(lambda: here.model.synchronize()),
    }


def _batch(here: World, made: list[Weights]) -> dict[str, Any]:
    """Eight requests of eight adapters together, and each alone."""
    questions = [fact.questions[0] for fact in facts(8, here.options.seed)]
    prompts = [prompt(here.model, question) for question in questions]
    options = Options(max_new_tokens=16)
    alone, seconds = [], 0.0
    for one, weights in zip(prompts, made, strict=True):
        began = time.perf_counter()
        generator = LocalGenerator(PrefixReuse(here.model.adapted(weights), None, salt=b""))
        alone.append(generator.generate(one, options).tokens)
        seconds += time.perf_counter() - began
    began = time.perf_counter()
    together = generate_mixed(here.model, prompts, made, options)
    spent = time.perf_counter() - began
    base = LocalGenerator(PrefixReuse(here.model, None, salt=b"")).generate_many(prompts, options)
    return {
        "batch_equal": sum(a == b.tokens for a, b in zip(alone, together, strict=True)),
        "batch_differs_from_base": sum(a != b.tokens for a, b in zip(alone, base, strict=True)),
        "batch_s": spent,
        "alone_s": seconds,
    }


def _many(here: World, model: Weights) -> dict[str, Any]:
    """A thousand small adapters on disk, asked for as popular things are (Zipf)."""
    shelf, count = here.adapters.shelf, here.options.adapters
    small = _small(model)
    began = time.perf_counter()
    folder = shelf._folder
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        # Each is another one by its scale. Written without a sync each: this measures reads.
        own = replace(small.about, scale=1 + number / count)
        (folder / f"many-{number}.lora").write_bytes(dumps(of_pairs(own, small.layers)))
    spent = time.perf_counter() - began
    budget = shelf._budget
    lines = [_looked_up(here, small.bytes, share) for share in SHARES]
    shelf._budget = budget
    size = (folder / "many-0.lora").stat().st_size
    for number in range(count):
        shelf.remove(f"many-{number}")
    return {
        "adapters": count,
        "bytes_each": size,
        "write_s": spent,
        "lookups": LOOKUPS,
        "lines": lines,
    }


def _looked_up(here: World, size: int, share: float) -> dict[str, Any]:
    """With RAM for a share of them all, and room on the device for a quarter of that."""
    shelf, work, count = here.adapters.shelf, here.model.applying, here.options.adapters
    chance = random.Random(here.options.seed)
    popular = [1 / (rank + 1) ** ZIPF for rank in range(count)]
    shelf._budget = round(share * count * size)
    work.share(Budget(2 * round(ON_DEVICE * share * count * size)))
    for number in range(count):
        shelf._drop(f"many-{number}")
    for digest in list(work._placed):
        work.release(digest)
    times: dict[str, list[float]] = {"device": [], "ram": [], "disk": []}
    most, most_device = 0, 0
    for number in chance.choices(range(count), popular, k=LOOKUPS):
        hits = shelf._hits
        began = time.perf_counter()
        weights = shelf.get(f"many-{number}")
        there = weights.digest in work._placed
        with work.at_work((weights,)):
            here.model.synchronize()
        spent = (time.perf_counter() - began) * 1000
        found = "disk" if shelf._hits == hits else "device" if there else "ram"
        times[found].append(spent)
        most, most_device = max(most, shelf._bytes), max(most_device, work.bytes)
    return {
        "ram_share": share,
        "budget_bytes": shelf._budget,
        "most_bytes": most,
        "most_device_bytes": most_device,
        "hit_rate": 1 - len(times["disk"]) / LOOKUPS,
        "device_rate": len(times["device"]) / LOOKUPS,
        **{f"{tier}_ms": _half(found) for tier, found in times.items()},
    }


def _half(times: list[float]) -> float | None:
    return report.percentiles(times)["p50"] if times else None


def _small(weights: Weights) -> Weights:
    """Its first seven layers only, so that a thousand fit any disk."""
    names = sorted(weights.layers)[:7]
    return of_pairs(weights.about, {name: weights.layers[name] for name in names})


def _codecs(here: World, weights: Weights) -> list[dict[str, Any]]:
    """Bytes of a file, and how far the change of the weights is from that in float32."""
    found = []
    noise = torch.Generator().manual_seed(0)
    exact = of_pairs(
        replace(weights.about, codec="float32"),
        {
            name: (a + 1e-4 * torch.randn(a.shape, generator=noise), b * 1.01)
            for name, (a, b) in weights.layers.items()
        },
    )
    for codec in ("float32", "bfloat16", "int8"):
        kept = of_pairs(replace(weights.about, codec=codec), exact.layers)
        off, whole = 0.0, 0.0
        for name, (a, b) in list(exact.layers.items())[:14]:
            change = b @ a
            x, y = kept.layers[name]
            off += float(((y @ x) - change).square().sum())
            whole += float(change.square().sum())
        found.append(
            {"codec": codec, "bytes": len(dumps(kept)), "error": (off / max(whole, 1e-30)) ** 0.5}
        )
    return found


def _merging(here: World, made: list[Weights]) -> dict[str, float]:
    from memos.kvcache.lora.merging import METHODS, merged

    found = {}
    small = [_small(one) for one in made]
    for method in METHODS:
        began = time.perf_counter()
        merged(small, method=method, rank=8)
        found[method] = (time.perf_counter() - began) * 1000
    return found


def _timed(act: Callable[[], None]) -> dict[str, float]:
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        act()
        times.append((time.perf_counter() - began) * 1000)
    return report.percentiles(times)
