"""Weights of the fusion that were fitted, and the file they are committed in.

The score of a candidate is `base` times what it keeps of the plain sum of channels plus a weighted
sum of features: linear, so that each share can be shown. `memos bench fusion_fit` makes the file
and says in it from what. Knows neither how the weights were found nor where the features come from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import memos
from memos.errors import InvalidInput
from memos.retrieval.ranking.features import CHANNELS

FILE = Path(memos.__file__).parent / "data" / "fusion.json"


@dataclass(frozen=True)
class Fit:
    """`weights` by feature, all of `CHANNELS`; `made` says from what, for people."""

    base: float
    weights: Mapping[str, float]
    made: Mapping[str, Any] = field(default_factory=dict)

    def vector(self) -> NDArray[np.float32]:
        """The weights in the order of the features' matrix."""
        return np.array([self.weights[name] for name in CHANNELS], np.float32)


def read(path: Path) -> Fit:
    """InvalidInput if the file is none of ours, or of other features than these."""
    try:
        data = json.loads(path.read_text("utf-8"))
        fit = Fit(
            base=float(data["base"]),
            weights={str(name): float(weight) for name, weight in data["weights"].items()},
            made=data["made"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(f"{path} holds no weights of a fusion: {error}") from error
    if set(fit.weights) != set(CHANNELS):
        odd = sorted(set(fit.weights) ^ set(CHANNELS))
        raise InvalidInput(
            f"{path} was fitted to other features ({', '.join(odd)}); run `memos bench fusion_fit`"
        )
    return fit


def write(fit: Fit, path: Path) -> None:
    data = {"base": round(fit.base, 6), "weights": {}, "made": dict(fit.made)}
    data["weights"] = {name: round(float(fit.weights[name]), 6) for name in CHANNELS}
    path.write_text(json.dumps(data, indent=2) + "\n", "utf-8")


@cache
def default() -> Fit:
    """The committed weights."""
    return read(FILE)
