"""A linear ranking fitted list by list, held close to a score that is known to work.

For each question every piece of evidence competes with all candidates that are none, by a softmax
(ListNet's top-one view: Z. Cao et al., "Learning to Rank: From Pairwise Approach to Listwise
Approach", ICML 2007); features are scaled to one spread and their weights shrunk (L2). Afterwards
the plain score gets a fixed weight more (`PULL`): the softmax cares for the first place above all,
a search for the first ten. Knows arrays only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

L2 = 0.02
PULL = 0.5

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class List:
    """One question: `base` (candidates,), `matrix` (candidates, features), `relevant` (candidates,)
    with at least one True."""

    base: Array
    matrix: Array
    relevant: NDArray[np.bool_]


def fit(lists: Sequence[List], *, l2: float = L2, pull: float = PULL) -> tuple[float, Array]:
    """The weight of `base` and of each feature, as they are applied to raw values.

    Deterministic: a convex problem, solved by L-BFGS from the plain score.
    """
    from scipy.optimize import minimize

    centred = [one.matrix - one.matrix.mean(axis=0) for one in lists]
    spread = np.concatenate(centred).std(axis=0)
    spread[spread < 1e-9] = np.inf  # a feature that never differs gets no weight
    problem = _Problem(
        base=np.concatenate([one.base for one in lists]),
        matrix=np.concatenate(centred) / spread,
        relevant=np.concatenate([one.relevant for one in lists]),
        sizes=np.array([len(one.base) for one in lists]),
        l2=l2,
    )
    start = np.zeros(1 + len(spread))
    start[0] = 1.0
    found: Any = minimize(
        problem.loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500, "ftol": 1e-10}
    )
    return float(found.x[0]) + pull, np.asarray(found.x[1:] / spread, np.float64)


class _Problem:
    def __init__(
        self, base: Array, matrix: Array, relevant: NDArray[np.bool_], sizes: Any, l2: float
    ) -> None:
        self._base, self._matrix, self._l2 = base, matrix, l2
        self._starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        self._list = np.repeat(np.arange(len(sizes)), sizes)
        self._count = len(sizes)
        self._other = ~relevant
        self._evidence = np.flatnonzero(relevant)
        of = self._list[self._evidence]
        # Each question counts the same, however much evidence it has.
        self._share = 1.0 / np.bincount(of, minlength=self._count)[of] / self._count

    def loss(self, weights: Array) -> tuple[float, Array]:
        """The mean of -log softmax of the evidence plus the L2 term, and its gradient."""
        scores = weights[0] * self._base + self._matrix @ weights[1:]
        peak = np.maximum.reduceat(scores, self._starts)[self._list]
        powers = np.exp(scores - peak)
        others = np.bincount(self._list, powers * self._other, minlength=self._count)
        of = self._list[self._evidence]
        total = powers[self._evidence] + others[of]
        chance = np.maximum(powers[self._evidence] / total, 1e-300)
        slope = np.zeros_like(scores)
        slope[self._evidence] = -self._share * (1 - chance)
        slope += np.bincount(of, self._share / total, minlength=self._count)[self._list] * (
            powers * self._other
        )
        bare = weights[1:]
        value = -float(self._share @ np.log(chance)) + self._l2 * float(bare @ bare) / 2
        gradient = np.concatenate([[slope @ self._base], self._matrix.T @ slope + self._l2 * bare])
        return value, gradient
