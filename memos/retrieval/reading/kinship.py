"""How near two words are in meaning, from a small table that ships with the package.

A question asks for "activities", and memories tell of pottery and of swimming. The vector of a
whole memory blurs what one of its words means; the table has a vector for each common English
term, so that terms are compared one by one. It is fixed: it does not depend on the embedder that
is configured, and needs no model. `memos bench kinship` makes it. Knows terms, no texts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

import memos
from memos.errors import InvalidInput

FILE = Path(memos.__file__).parent / "data" / "kinship.npz"

FLOOR = 0.3
"""Cosine up to which two terms have nothing to do with each other. The vectors are centred, so that
two terms at random are near 0; from 0.2 to 0.35 the floor makes no difference that could be told
from chance on the conversations it was tried on."""

SCALE = 127.0
"""What a component of a unit vector is multiplied by, to be a signed byte."""

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Kinship:
    """`vectors`: signed bytes (terms, dimensions), unit vectors times `SCALE`; `row` by term."""

    row: Mapping[str, int]
    vectors: NDArray[np.int8]
    made: Mapping[str, Any] = field(default_factory=dict)

    def rows(self, terms: Iterable[str]) -> list[int]:
        """The row of each term; -1 for one that the table does not have."""
        return [self.row.get(term, -1) for term in terms]

    def nearness(
        self, rows: Sequence[int], others: Sequence[int] | NDArray[np.signedinteger[Any]]
    ) -> Scores:
        """Shape (rows, others), 0 to 1: the cosine above `FLOOR`; 0 for rows that are -1."""
        left, right = np.asarray(rows, np.int64), np.asarray(others, np.int64)
        cosines = self._units(left) @ self._units(right).T
        near = np.clip((cosines - FLOOR) / (1 - FLOOR), 0, 1)
        return np.asarray(near * (left >= 0)[:, None] * (right >= 0)[None, :], np.float32)

    def _units(self, rows: NDArray[np.int64]) -> Scores:
        return np.asarray(self.vectors[rows] / np.float32(SCALE), np.float32)


def read(path: Path) -> Kinship:
    """InvalidInput if the file is none of ours."""
    try:
        # Opened here, so that it is closed whatever is in it.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            terms = file["terms"].tobytes().decode("utf-8").split("\n")
            vectors = file["vectors"]
            made = json.loads(file["made"].tobytes())
        if vectors.dtype != np.int8 or vectors.shape[:1] != (len(terms),) or vectors.ndim != 2:
            raise ValueError(f"{len(terms)} terms, vectors {vectors.dtype} {vectors.shape}")
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise InvalidInput(f"{path} holds no table of terms: {error}") from error
    return Kinship({term: row for row, term in enumerate(terms)}, vectors, made)


def write(table: Kinship, path: Path) -> None:
    """The same bytes for the same table."""
    terms = sorted(table.row, key=lambda term: table.row[term])
    np.savez(
        path,
        terms=np.frombuffer("\n".join(terms).encode(), np.uint8),
        vectors=table.vectors,
        made=np.frombuffer(json.dumps(dict(table.made)).encode(), np.uint8),
    )


@cache
def default() -> Kinship:
    """The table that ships."""
    return read(FILE)
