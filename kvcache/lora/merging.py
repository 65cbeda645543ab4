"""Several adapters made into one: linear, TIES, DARE.

Linear merging loses nothing at the sum of the ranks and is cut to `rank` by the singular values of
the low-rank product, without ever making the dense change. TIES and DARE choose single numbers of
the dense change, so they make it, layer by layer, and factor the outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from memos.errors import AdapterMismatch, InvalidInput
from memos.kvcache.lora.weights import About, Pair, Weights, of_pairs

METHODS = ("linear", "ties", "dare")
_SPARE = 8
"""More columns than wanted make a randomised factorisation exact enough (Halko et al. 2011)."""


def merged(
    adapters: Sequence[Weights],
    shares: Sequence[float] = (),
    *,
    method: str = "linear",
    rank: int | None = None,
    density: float = 0.5,
    seed: int = 0,
) -> Weights:
    """One adapter of rank `rank`, by default the sum of the ranks for linear, else the largest.

    `shares` are the weights, 1 each by default. `density` is the share of numbers that TIES and
    DARE keep. TIES (Yadav et al. 2023, arXiv:2306.01708) trims small numbers, elects a sign and
    averages those that have it; DARE (Yu et al. 2023, arXiv:2311.03099) drops numbers by chance and
    scales up the others. InvalidInput; AdapterMismatch for adapters of different models.
    """
    _check(adapters, shares, method, density)
    weights = list(shares) or [1.0] * len(adapters)
    ranks = [one.about.rank for one in adapters]
    wanted = rank or (sum(ranks) if method == "linear" else max(ranks))
    chance = torch.Generator().manual_seed(seed)
    layers: dict[str, Pair] = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name in sorted({name for one in adapters for name in one.layers}):
            parts = [
                (one.layers[name], share * one.about.scale)
                for one, share in zip(adapters, weights, strict=True)
                if name in one.layers
            ]
            if method == "linear":
                layers[name] = _linear(parts, wanted)
                continue
            changes = [scale * (b @ a) for (a, b), scale in parts]
            join = _ties if method == "ties" else _dare(chance)
            layers[name] = _factored(join(changes, density), wanted)
    about = adapters[0].about
    return of_pairs(
        About(
            rank=wanted,
            scale=1.0,
            base=about.base,
            sources=tuple(dict.fromkeys(s for one in adapters for s in one.about.sources)),
            codec=about.codec,
        ),
        layers,
    )


def _check(
    adapters: Sequence[Weights], shares: Sequence[float], method: str, density: float
) -> None:
    if method not in METHODS:
        raise InvalidInput(f"method is {method!r}; use one of {', '.join(METHODS)}", field="method")
    if len(adapters) < 2:
        raise InvalidInput("there is nothing to merge; give two adapters or more", field="adapters")
    if shares and len(shares) != len(adapters):
        raise InvalidInput(
            f"{len(shares)} shares for {len(adapters)} adapters; give one for each", field="shares"
        )
    if not 0 < density <= 1:
        raise InvalidInput(f"density is {density}; use more than 0, up to 1", field="density")
    if any(one.more for one in adapters):
        raise InvalidInput(
            "an adapter of DoRA also scales what layers give, and can't be merged; merge such as "
            "were trained without it",
            field="adapters",
        )
    if any(one.about.base != adapters[0].about.base for one in adapters):
        raise AdapterMismatch("the adapters are of different models and can't be merged")


def _linear(parts: Sequence[tuple[Pair, float]], rank: int) -> Pair:
    a = torch.cat([pair[0] for pair, _ in parts])
    b = torch.cat([scale * pair[1] for pair, scale in parts], dim=1)
    if a.shape[0] <= rank:
        more = rank - a.shape[0]
        return (
            torch.cat([a, a.new_zeros(more, a.shape[1])]),
            torch.cat([b, b.new_zeros(b.shape[0], more)], dim=1),
        )
    left, upper = torch.linalg.qr(b)
    right, lower = torch.linalg.qr(a.T)
    u, s, v = torch.linalg.svd(upper @ lower.T)
    root = s[:rank].sqrt()
    return (root[:, None] * (right @ v[:rank].T).T, (left @ u[:, :rank]) * root)


def _factored(change: Tensor, rank: int) -> Pair:
    u, s, v = torch.svd_lowrank(change, q=min(rank + _SPARE, *change.shape), niter=4)
    root = s[:rank].sqrt()
    return ((v[:, :rank] * root).T.contiguous(), (u[:, :rank] * root).contiguous())


def _ties(changes: Sequence[Tensor], density: float) -> Tensor:
    kept = torch.stack([_largest(change, density) for change in changes])
    sign = kept.sum(0).sign()
    agree = (kept.sign() == sign) & (sign != 0)
    return (kept * agree).sum(0) / agree.sum(0).clamp_min(1)


def _largest(change: Tensor, density: float) -> Tensor:
    count = max(1, round(density * change.numel()))
    floor = change.abs().flatten().kthvalue(change.numel() - count + 1).values
    return change * (change.abs() >= floor)


def _dare(chance: torch.Generator) -> Callable[[Sequence[Tensor], float], Tensor]:
    def join(changes: Sequence[Tensor], density: float) -> Tensor:
        total = torch.zeros_like(changes[0])
        for change in changes:
            kept = torch.rand(change.shape, generator=chance) < density
            total += change * kept / density
        return total

    return join
