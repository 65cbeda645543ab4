"""How well a ranking finds the turns that a question's answer stands in.

Knows ids and ranks only. All values are in percent; every mean over questions has a bootstrap
interval by resampling questions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

CUTS = (1, 5, 10, 20, 50)
SESSION_CUTS = (1, 5, 10)
RESAMPLES = 2000

GROUPS: Mapping[str, frozenset[int]] = {
    "1-4": frozenset({1, 2, 3, 4}),
    "1-5": frozenset({1, 2, 3, 4, 5}),
    **{str(number): frozenset({number}) for number in range(1, 6)},
}


def names() -> tuple[str, ...]:
    """The metrics of one question, in the order reports show them."""
    turn = [f"{kind}@{k}" for kind in ("recall", "any", "all") for k in CUTS]
    return (*turn, "ndcg@10", "mrr", *(f"session_recall@{k}" for k in SESSION_CUTS))


def score(ranked: Sequence[str], gold: Sequence[str]) -> dict[str, float]:
    """One question's metrics from the ranked ids, best first, and its evidence (at least one id).

    recall@k: share of the evidence in the first k. any@k: 100 if at least one is. all@k: 100 if all
    are. ndcg@10: binary gain over log2(rank + 1), divided by that of an ideal ranking. mrr: 100 /
    rank of the first found, 0 if none is. session_recall@k: share of the evidence's sessions among
    the first k distinct sessions of the ranking. An id ranked twice counts once, where it is first.
    """
    if not gold:
        raise ValueError("a question without evidence can't be scored")
    ranked = list(dict.fromkeys(ranked))
    wanted = set(gold)
    found = [identity in wanted for identity in ranked]
    values: dict[str, float] = {}
    for k in CUTS:
        hits = sum(found[:k])
        values[f"recall@{k}"] = 100 * hits / len(wanted)
        values[f"any@{k}"] = 100.0 if hits else 0.0
        values[f"all@{k}"] = 100.0 if hits == len(wanted) else 0.0
    gain = sum(_discount(rank) for rank, hit in enumerate(found[:10], 1) if hit)
    ideal = sum(_discount(rank) for rank in range(1, min(len(wanted), 10) + 1))
    values["ndcg@10"] = 100 * gain / ideal
    values["mrr"] = 100 / (found.index(True) + 1) if True in found else 0.0
    sessions = list(dict.fromkeys(session_of(identity) for identity in ranked))
    gold_sessions = {session_of(identity) for identity in wanted}
    for k in SESSION_CUTS:
        reached = gold_sessions.intersection(sessions[:k])
        values[f"session_recall@{k}"] = 100 * len(reached) / len(gold_sessions)
    return {name: values[name] for name in names()}


def _discount(rank: int) -> float:
    return 1 / math.log2(rank + 1)


def session_of(dia_id: str) -> str:
    """`D8:6` → `D8`."""
    return dia_id.partition(":")[0]


def summarise(
    scores: Sequence[Mapping[str, float]], categories: Sequence[int], *, seed: int
) -> dict[str, dict[str, Any]]:
    """Per group of categories: `n`, each metric's mean, and `<metric>_ci95` as [low, high].

    `scores[i]` belongs to a question of category `categories[i]`. A group without questions has n 0
    and nulls.
    """
    return {
        group: _summary(
            [s for s, category in zip(scores, categories, strict=True) if category in members],
            seed=seed,
        )
        for group, members in GROUPS.items()
    }


def _summary(scores: Sequence[Mapping[str, float]], *, seed: int) -> dict[str, Any]:
    summary: dict[str, Any] = {"n": len(scores)}
    if not scores:
        return summary | {key: None for name in names() for key in (name, f"{name}_ci95")}
    table = np.array([[each[name] for name in names()] for each in scores])
    low, high = bootstrap(table, seed=seed)
    for column, name in enumerate(names()):
        summary[name] = round(float(table[:, column].mean()), 2)
        summary[f"{name}_ci95"] = [round(float(low[column]), 2), round(float(high[column]), 2)]
    return summary


def bootstrap(
    table: np.ndarray[Any, np.dtype[np.float64]], *, seed: int, resamples: int = RESAMPLES
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """95 % percentile intervals of the column means of (n, metrics), rows drawn anew each time."""
    n = len(table)
    # How often each row is drawn is multinomial: one matrix product instead of many copies.
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)
    low, high = np.percentile(drawn @ table / n, [2.5, 97.5], axis=0)
    return low, high
