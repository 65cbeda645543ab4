"""Load or recompute: what each would take, from a few measurements at the start.

The model. Running n tokens after p others takes

    run(p, n) = alone(n) + pair · n · p

`alone` is the time of n tokens with nothing before them, measured at a few n and interpolated: a
few tokens cost nearly as much as one, since the weights are read once, and many cost so much each.
`pair` is the attention of one token to one other in all layers, from the time of some tokens after
a long prefix. Using h stored tokens of a prompt of n, of which d are there already, saves
run(d, n − d) − run(h, n − h), and takes

    load(bytes) = open + bytes / rate

with `rate` that of a first read of a file that is not in the page cache, checksum included, since
nobody knows what is cached. A hit is used if its load takes at most `share` of what it saves: so an
error of the estimate of a quarter does not make a request slower than no cache at all.

It does not know the store. Tiers that are faster than the disk have rates of their own, by name; on
an accelerator they are measured too.
"""

from __future__ import annotations

import bisect
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from memos.kvcache.blocks.flops import QUERY_GROUPS
from memos.kvcache.layout import CacheLayout

if TYPE_CHECKING:
    from memos.kvcache.generator.model import LocalModel
    from memos.kvcache.generator.rows import Prefix

SHARE = 0.8
"""Of the time saved that a load may take."""
GAIN = 0.1
"""Of the whole request's time that a load must gain: less is within what measurements err."""

LOSS = 0.03
"""Of the whole request's time that may be lost where there turns out to be nothing."""

_ENOUGH_S = 0.12
"""A run as long as this tells the slope; more tokens would only take longer."""
_LEAST_TOKENS = 16
_TOO_LONG_S = 0.5
_SLOWEST_PAIR = 8.0
"""Attention runs at no less than an eighth of the speed of the other layers; what a measurement
says beyond that is noise."""
_MOST_TOKENS = {"cpu": 2048, "cuda": 32_768}
_PREFIX = {"cpu": 512, "cuda": 8192}
"""Tokens; an accelerator is so fast that fewer would measure only its launches."""
_PROBE_BYTES = 4 << 20
_BUS_BYTES = 64 << 20
_GRANULES = 256
_LOOK_S = 1e-3
"""What looking up and starting a load takes at least."""


@dataclass(frozen=True)
class RunRate:
    """`points` are (tokens, seconds) with nothing before them, ascending; `pair_s` seconds per pair
    of tokens."""

    points: tuple[tuple[int, float], ...]
    pair_s: float

    def run_s(self, before: int, tokens: int) -> float:
        """Seconds to run `tokens` after `before` others."""
        if tokens <= 0:
            return 0.0
        return self._alone(tokens) + self.pair_s * tokens * before

    def _alone(self, tokens: int) -> float:
        """On a line between measurements; beyond the last one its slope goes on, and each further
        token looks at more others."""
        last, most = self.points[-1]
        if tokens <= last:
            at = bisect.bisect_left([n for n, _ in self.points], tokens)
            n, low = self.points[max(at - 1, 0)]
            m, high = self.points[at]
            return low if tokens <= n else low + (high - low) * (tokens - n) / (m - n)
        slope = 0.0
        if len(self.points) > 1:
            n, low = self.points[-2]
            slope = max(0.0, (most - low) / (last - n) - self.pair_s * (n + last + 1) / 2)
        pairs = (tokens * (tokens + 1) - last * (last + 1)) / 2
        return most + slope * (tokens - last) + self.pair_s * pairs


@dataclass(frozen=True)
class LoadRate:
    """`open_s` for any load; then bytes per second."""

    open_s: float
    bytes_per_s: float

    def load_s(self, size: int) -> float:
        return self.open_s + size / self.bytes_per_s


@dataclass(frozen=True)
class CostModel:
    """Decides for one model on one machine. `calibration_s` is what the measurements took.

    `load` is the rate of the disk, `nearer` has those of tiers before it: ram, device.
    """

    layout: CacheLayout
    run: RunRate
    load: LoadRate
    share: float = SHARE
    calibration_s: float = 0.0
    nearer: Mapping[str, LoadRate] = field(default_factory=dict)

    def saved_s(self, done: int, hit: int, length: int) -> float:
        """Seconds saved by using `hit` stored tokens of a prompt of `length`, `done` of which are
        there already."""
        return self.run.run_s(done, length - done) - self.run.run_s(hit, length - hit)

    def loads(
        self, done: int, hit: int, length: int, held: Mapping[str, int] | None = None
    ) -> bool:
        """Whether to load rather than to run the tokens [done, hit). `held` are the bytes to load
        by the tier they are in; without it all are on disk, and not packed."""
        sizes = {"disk": self.layout.bytes_of(hit)} if held is None else held
        return self._pays(done, hit, length, self.load_s(sizes))

    def fetches(self, done: int, hit: int, length: int, seconds: float | None) -> bool:
        """Whether to wait until the tokens [done, hit) are brought to disk, which takes `seconds`
        or nobody knows how long, and to load them then."""
        if seconds is None:
            return False
        return self._pays(
            done, hit, length, seconds + self.load_s({"disk": self.layout.bytes_of(hit)})
        )

    def patience_s(self, done: int, length: int) -> float:
        """Seconds that may be lost to hear whether there is something to fetch."""
        return LOSS * self.run.run_s(done, length - done)

    def looks(self, done: int, most: int, length: int) -> bool:
        """Whether a hit of `most` tokens would be loaded if it lay where a load is fastest, and
        weighed nothing. If not, to look for one is lost time."""
        saved = self.saved_s(done, most, length)
        taken = min(rate.open_s for rate in (self.load, *self.nearer.values()))
        return saved - taken >= GAIN * self.run.run_s(done, length - done)

    def _pays(self, done: int, hit: int, length: int, taken: float) -> bool:
        saved = self.saved_s(done, hit, length)
        gained = saved - taken
        return taken <= self.share * saved and gained >= GAIN * self.run.run_s(done, length - done)

    def load_s(self, sizes: Mapping[str, int]) -> float:
        """Seconds to load so many bytes from each tier."""
        return sum(
            self.nearer.get(place, self.load).load_s(size) for place, size in sizes.items() if size
        )

    def describe(self) -> dict[str, object]:
        """The measured values, for reports and logs."""
        return {
            "run_s": {n: round(s, 5) for n, s in self.run.points},
            "pair_ns": round(self.run.pair_s * 1e9, 3),
            "open_ms": round(self.load.open_s * 1e3, 3),
            "load_mb_per_s": round(self.load.bytes_per_s / 1e6, 1),
            **{
                f"{place}_mb_per_s": round(rate.bytes_per_s / 1e6, 1)
                for place, rate in self.nearer.items()
            },
            "share": self.share,
            "calibration_s": round(self.calibration_s, 3),
        }


def calibrate(
    model: LocalModel, folder: Path, *, clock: Callable[[], float] = time.perf_counter
) -> CostModel:
    """Measures the model and the disk of `folder`; half a second or less on most machines.

    OSError if nothing can be written to `folder`.
    """
    began = clock()
    run = _run_rate(model, clock)
    load = _load_rate(folder, clock)
    nearer: dict[str, LoadRate] = {}
    if model.device.type == "cuda":
        nearer, more_s = _device_rates(model, run, clock)
        load = LoadRate(load.open_s + more_s, load.bytes_per_s)
    return CostModel(model.layout, run, load, calibration_s=clock() - began, nearer=nearer)


def _run_rate(model: LocalModel, clock: Callable[[], float]) -> RunRate:
    _timed(model, 1, 0, clock)  # the first call of a process allocates and chooses kernels
    points: list[tuple[int, float]] = []
    tokens, most = 1, _MOST_TOKENS[model.device.type]
    most = min(most, model.context or most)
    while tokens <= most:
        points.append((tokens, _timed(model, tokens, 0, clock)))
        taken = points[-1][1]
        if (taken > _ENOUGH_S and tokens >= _LEAST_TOKENS) or (taken > _TOO_LONG_S and tokens > 1):
            break
        tokens *= 4
    if model.device.type == "cuda":
        points = [(n, _again(model, n, seconds, clock)) for n, seconds in points]
    pair_s = _pair_s(model, points, most, clock)
    risen = _rising(points)
    return RunRate(_convex(risen) if model.device.type == "cuda" else risen, pair_s)


def _again(model: LocalModel, tokens: int, seconds: float, clock: Callable[[], float]) -> float:
    """The better of a first time and one of a second round over all sizes. What runs shortly takes
    as long as the host needs to start its kernels, which changes from one moment to the next: a
    size that met a slow moment would promise a gain."""
    if seconds > _ENOUGH_S / 2:
        return seconds
    return min(seconds, _timed(model, tokens, 0, clock))


def _pair_s(
    model: LocalModel,
    points: Sequence[tuple[int, float]],
    most: int,
    clock: Callable[[], float],
) -> float:
    """From one more run of a measured size, after a prefix of zeros; bounded by the FLOPs."""
    prefix = _PREFIX[model.device.type]
    if not model.has_rows or most <= prefix:
        return 0.0
    tokens, alone = points[-2] if len(points) > 1 else points[-1]
    before = min(prefix, most - tokens)
    after = _timed(model, tokens, before, clock)
    (n, low), (m, high) = points[0], points[-1]
    per_token = (high - low) / (m - n) if m > n else 0.0
    widths = sum(layer.kv_heads * layer.head_dim for layer in model.layout.layers)
    heads = 4.0 * widths * QUERY_GROUPS / (2.0 * model.parameters)
    most_s = _SLOWEST_PAIR * per_token * heads
    return min(most_s, max(0.0, (after - alone) / (tokens * before)))


def _device_rates(
    model: LocalModel, run: RunRate, clock: Callable[[], float]
) -> tuple[dict[str, LoadRate], float]:
    """Of blocks on the device and in pinned memory; and the seconds that any stored prefix adds to
    a run, since attention then has two places to look at."""
    import torch

    _timed(model, _LEAST_TOKENS, _GRANULES, clock)
    with_prefix = min(_timed(model, _LEAST_TOKENS, _GRANULES, clock) for _ in range(3))
    more_s = max(0.0, with_prefix - run.run_s(_GRANULES, _LEAST_TOKENS)) + _LOOK_S
    host = torch.empty(_BUS_BYTES, dtype=torch.uint8, pin_memory=True)
    device = torch.empty(_BUS_BYTES, dtype=torch.uint8, device=model.device)
    taken = []
    for _ in range(3):
        model.synchronize()
        start = clock()
        device.copy_(host, non_blocking=True)
        model.synchronize()
        taken.append(clock() - start)
    bus = LoadRate(more_s, _BUS_BYTES / max(min(taken), 1e-6))
    return {"ram": bus, "device": LoadRate(more_s, float("inf"))}, more_s


def _timed(model: LocalModel, tokens: int, before: int, clock: Callable[[], float]) -> float:
    """Seconds for `tokens` after `before`; the better of two where they are few."""
    from memos.kvcache.generator.running import running

    prefixes = [blank_prefix(model, before)] if before else []
    best, tries = float("inf"), 0
    # A device loads its kernels at the first run of each size, which says nothing of the second.
    least, most = (2, 5) if model.device.type == "cuda" else (1, 2)
    while tries < least or (tries < most and best <= _ENOUGH_S / 4):
        rows = running(model, 1, prefixes)
        start = clock()
        rows.advance([[0] * tokens])
        model.synchronize()
        best = min(best, clock() - start)
        tries += 1
    return best


def blank_prefix(model: LocalModel, tokens: int) -> Prefix:
    """States of zeros for `tokens` tokens: they take the time of real ones. For one row."""
    import torch

    from memos.kvcache.blocks.block import LayerStates
    from memos.kvcache.generator.rows import Prefix

    states = []
    for layer in model.layout.layers:
        rows = layer.kept(tokens)
        keys, values = (
            torch.zeros(layer.kv_heads, rows, dim, dtype=model.dtype, device=model.device)
            for dim in (layer.head_dim, layer.value_dim)
        )
        states.append(LayerStates(keys, values, tokens - rows))
    return Prefix(states, 0, tokens, 0, 1)


def _rising(points: Sequence[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
    """More tokens never take less: what says otherwise is noise."""
    found: list[tuple[int, float]] = []
    for tokens, seconds in points:
        found.append((tokens, max(seconds, found[-1][1]) if found else seconds))
    return tuple(found)


def _convex(points: Sequence[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
    """The lower hull: a few tokens cost what starting the kernels takes, and each further one no
    less than those before. A point above it was slow by chance, and would promise a gain."""
    hull: list[tuple[int, float]] = []
    for n, s in points:
        while len(hull) > 1 and _slope(hull[-2], hull[-1]) >= _slope(hull[-1], (n, s)):
            hull.pop()
        hull.append((n, s))
    return tuple(hull)


def _slope(low: tuple[int, float], high: tuple[int, float]) -> float:
    return (high[1] - low[1]) / (high[0] - low[0])


def _load_rate(folder: Path, clock: Callable[[], float]) -> LoadRate:
    """Of a file that is not in the page cache, read twice: an open that waits for what the disk
    does besides would speak against every load from then on, so the shorter one counts."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".probe-") as file:
        file.write(os.urandom(_PROBE_BYTES))
        file.flush()
        os.fsync(file.fileno())
        opened, read = zip(*(_first_read(file.name, clock) for _ in range(2)), strict=True)
    return LoadRate(max(min(opened), 1e-3), 2 * _PROBE_BYTES / max(sum(read), 1e-6))


def _first_read(path: str, clock: Callable[[], float]) -> tuple[float, float]:
    """Seconds until the head is there, and for the rest with its checksum."""
    import xxhash

    with open(path, "rb", buffering=0) as file:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    start = clock()
    with open(path, "rb", buffering=0) as probe:
        head = probe.read(4096)
        opened = clock() - start
        xxhash.xxh3_128(head + probe.read()).digest()
        return opened, clock() - start - opened
