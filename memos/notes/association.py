"""Which old memories a new one belongs with: a Gaussian mixture over its similarities to all.

MemGAS (Xu et al., arXiv 2505.19549) fits a mixture of two Gaussians to the similarities of a new
memory with the old ones; those that come more probably from the upper one are associated. Here all
similarities of a memory are counted into bins first, so that expectation maximisation costs the
same for a hundred memories as for a hundred thousand, and is done for many new memories at once.
Knows numbers only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BINS = 160
_LOW, _HIGH = -0.6, 1.0
CENTRES: NDArray[np.float64] = _LOW + (np.arange(BINS) + 0.5) * (_HIGH - _LOW) / BINS

FEWEST = 12
"""With fewer similarities than these nothing is fitted."""
_ROUNDS = 100
_SETTLED = 1e-6
_LEAST_SPREAD = (_HIGH - _LOW) / BINS

Counts = NDArray[np.float64]


def binned(cosines: NDArray[np.float32], among: NDArray[np.bool_]) -> Counts:
    """How many of each row's cosines fall into each bin, shape (n, BINS); those not `among` (same
    shape as `cosines`, (n, memories)) are left out."""
    n = len(cosines)
    places = ((cosines - _LOW) * (BINS / (_HIGH - _LOW))).astype(np.int32)
    np.clip(places, 0, BINS - 1, out=places)
    places += (np.arange(n, dtype=np.int32) * BINS)[:, None]
    return np.bincount(places[among], minlength=n * BINS).reshape(n, BINS).astype(np.float64)


def thresholds(counts: Counts) -> NDArray[np.float64]:
    """For each row of `counts` (n, BINS) the cosine from which on the upper Gaussian is the more
    probable one; infinity where there are too few to tell, or they are all alike."""
    found = np.full(len(counts), np.inf)
    spread = (counts > 0).sum(axis=1) > 1
    enough = np.flatnonzero((counts.sum(axis=1) >= FEWEST) & spread)
    if len(enough):
        found[enough] = _fitted(counts[enough])
    return found


def _fitted(counts: Counts) -> NDArray[np.float64]:
    """Each row stops when it has settled, so that no row's outcome depends on the others."""
    total = counts.sum(axis=1)
    share = np.tile([[0.9], [0.1]], (len(counts), 1, 1))
    mean, spread = _start(counts, total)
    before = np.full(len(counts), -np.inf)
    left = np.arange(len(counts))
    for _ in range(_ROUNDS):
        own, size = counts[left], total[left]
        density = _density(share[left], mean[left], spread[left])
        mixed = density.sum(axis=1)
        likelihood = (own * np.log(mixed)).sum(axis=1) / size
        going = likelihood - before[left] >= _SETTLED
        before[left] = likelihood
        if not going.any():
            break
        left, own, size = left[going], own[going], size[going]
        mine = own[:, None, :] * density[going] / mixed[going, None, :]
        weight = np.maximum(mine.sum(axis=2, keepdims=True), 1e-9)
        centre = (mine * CENTRES).sum(axis=2, keepdims=True) / weight
        variance = (mine * (CENTRES - centre) ** 2).sum(axis=2, keepdims=True) / weight
        mean[left], share[left] = centre, weight / size[:, None, None]
        spread[left] = np.sqrt(np.maximum(variance, _LEAST_SPREAD**2))
    return _crossing(_density(share, mean, spread), mean[:, :, 0])


def _start(counts: Counts, total: NDArray[np.float64]) -> tuple[Counts, Counts]:
    """Means (n, 2, 1) at the median and the 97th percentile; the standard deviation (n, 2, 1) of
    all and half of it."""
    reached = np.cumsum(counts, axis=1) / total[:, None]
    ends = [CENTRES[(reached >= part).argmax(axis=1)] for part in (0.5, 0.97)]
    centre = counts @ CENTRES / total
    variance = (counts * (CENTRES - centre[:, None]) ** 2).sum(axis=1) / total
    spread = np.sqrt(np.maximum(variance, _LEAST_SPREAD**2))
    means = np.stack(ends, axis=1)[:, :, None]
    return means, np.stack([spread, spread / 2], axis=1)[:, :, None]


def _density(share: Counts, mean: Counts, spread: Counts) -> Counts:
    """Weighted densities at the centres, shape (n, 2, BINS)."""
    scaled = (CENTRES - mean) / spread
    return np.asarray(share * np.exp(-0.5 * scaled * scaled) / spread + 1e-300)


def _crossing(density: Counts, mean: Counts) -> NDArray[np.float64]:
    """The first centre above the lower mean from which the upper Gaussian stays ahead until its own
    mean; beyond that a memory is associated whichever tail is the longer."""
    n = len(density)
    upper = mean.argmax(axis=1)
    rows = np.arange(n)
    ahead = density[rows, upper] > density[rows, 1 - upper]
    ahead |= mean.max(axis=1)[:, None] <= CENTRES
    ahead &= mean.min(axis=1)[:, None] <= CENTRES
    behind = ~ahead
    last_behind = BINS - 1 - behind[:, ::-1].argmax(axis=1)
    first = CENTRES[np.minimum(last_behind + 1, BINS - 1)]
    return np.asarray(np.where(behind.any(axis=1), first, CENTRES[0]))
