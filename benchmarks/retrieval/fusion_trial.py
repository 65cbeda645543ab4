"""Fits of the fusion that never see the conversation they are judged by, and what each channel is
worth.

Leave one conversation out: for each conversation the weights are fitted to all others. An ablation
leaves a channel's features and its share of the plain sum out of both the fit and the ranking; the
candidates stay the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memos.benchmarks.retrieval import evidence_metrics, listwise
from memos.benchmarks.retrieval.fusion_examples import Example
from memos.retrieval.ranking.features import CHANNELS
from memos.retrieval.ranking.fit import Fit
from memos.retrieval.ranking.fusion import REPLACED

Scores = dict[str, float]

GRAPH_WEIGHTS = (0.5, 1.0)
"""At which the graph channel, which is off by default, is tried."""


def fitted(examples: Iterable[Example], *, made: Mapping[str, Any] | None = None) -> Fit:
    """The weights for these examples; those whose evidence is no candidate teach nothing."""
    lists = [
        listwise.List(base=each.base, matrix=each.matrix, relevant=each.relevant)
        for each in examples
        if each.relevant.any()
    ]
    base, weights = listwise.fit(lists)
    return Fit(
        base=base, weights=dict(zip(CHANNELS, weights.tolist(), strict=True)), made=made or {}
    )


def left_out(examples: Sequence[Example]) -> dict[str, Fit]:
    """By conversation, the weights fitted to all the others."""
    names = dict.fromkeys(each.conversation for each in examples)
    return {name: fitted(each for each in examples if each.conversation != name) for name in names}


def judged(examples: Sequence[Example], fits: Mapping[str, Fit] | None) -> list[Scores]:
    """Each judged example's metrics under its conversation's weights; None: under the plain sum."""
    found = []
    for each in examples:
        if not each.judged:
            continue
        scores = each.plain
        if fits is not None:
            fit = fits[each.conversation]
            scores = fit.base * each.base + each.matrix @ fit.vector().astype(np.float64)
        ranked = [each.ids[at] for at in np.argsort(-scores, kind="stable")]
        found.append(evidence_metrics.score(ranked, each.question.evidence))
    return found


def channels(examples: Sequence[Example]) -> list[str]:
    """All channels that an ablation can leave out of a fit."""
    parts = {name for each in examples for name in each.parts} - {REPLACED}
    return sorted(parts.union(CHANNELS.values()))


def without(examples: Sequence[Example], channel: str) -> list[Example]:
    """The examples as they would be without one channel."""
    columns = np.array([owner == channel for owner in CHANNELS.values()])
    return [_without(each, channel, columns) for each in examples]


def _without(each: Example, channel: str, columns: NDArray[np.bool_]) -> Example:
    matrix = np.where(columns, 0.0, each.matrix)
    share = each.parts.get(channel)
    if share is None:
        return replace(each, matrix=matrix)
    return replace(each, matrix=matrix, plain=each.plain - share, base=each.base - share)


def ablations(examples: Sequence[Example]) -> dict[str, list[Scores]]:
    """By what was left out or added, the metrics under leave-one-conversation-out."""
    found = {"all": judged(examples, left_out(examples)), "plain sum": judged(examples, None)}
    for channel in channels(examples):
        fewer = without(examples, channel)
        found[f"all - {channel}"] = judged(fewer, left_out(fewer))
    for weight in GRAPH_WEIGHTS:
        more = [replace(each, base=each.base + weight * each.graph) for each in examples]
        found[f"all + {weight:g} graph"] = judged(more, left_out(more))
    return found


def summary(examples: Sequence[Example], *, seed: int) -> dict[str, dict[str, dict[str, Any]]]:
    """`ablations`, each summed up by group of categories."""
    of = categories(examples)
    return {
        name: evidence_metrics.summarise(scores, of, seed=seed)
        for name, scores in ablations(examples).items()
    }


def categories(examples: Sequence[Example]) -> list[int]:
    """Of the judged examples, in their order."""
    return [each.question.category for each in examples if each.judged]
