"""How hard a query is: whether what was found so far decides it, or dearer channels are worth it.

The scores of the best candidates are taken as a distribution (softmax); where nearly all of it lies
on one, its entropy is near 0 and nothing else is asked (cf. MemGAS, arXiv 2505.19549, which weighs
granularities by such entropies; weighing channels per query gave nothing here beside fitted
weights, choosing whom to ask saves time). Knows scores only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EASY = 0.2
"""Share of the greatest possible entropy up to which a query is easy."""
_BEST = 10


def difficulty(scores: NDArray[np.float32]) -> float:
    """From 0, one candidate has it all, to 1, the best ten are alike; 0 for fewer than two."""
    if len(scores) < 2:
        return 0.0
    best = np.sort(scores)[::-1][:_BEST].astype(np.float64)
    powers = np.exp(best - best[0])
    chances = powers / powers.sum()
    entropy = -float((chances * np.log(np.maximum(chances, 1e-300))).sum())
    return entropy / float(np.log(len(best)))
