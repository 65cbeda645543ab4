"""The last look at the best: a model that reads query and memory together.

Its scores are put on the scale of the others by their mean and standard deviation over what it
read, and added. Knows no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from memos.types import Contribution

if TYPE_CHECKING:
    Scores = NDArray[np.float32]

READ = 50
"""So many of the best it reads at most; each costs a pass of the model."""
WEIGHT = 2.0


class Reranker(Protocol):
    """Reads query and text together. Thread-safe."""

    def scores(self, query: str, texts: Sequence[str]) -> Scores:
        """How well each text answers the query, higher is better; shape (texts,)."""
        ...


def shares(raw: Scores) -> list[Contribution]:
    """What each text gains by the model's scores; nothing where all are alike."""
    spread = float(raw.std()) if len(raw) else 0.0
    value = (raw - raw.mean()) / spread if spread > 1e-6 else np.zeros_like(raw)
    ranks = np.searchsorted(np.sort(-raw), -raw, side="left")
    return [
        Contribution(
            channel="reranker",
            raw=float(raw[i]),
            calibrated=float(value[i]),
            weighted=WEIGHT * float(value[i]),
            rank=int(ranks[i]) + 1,
        )
        for i in range(len(raw))
    ]
