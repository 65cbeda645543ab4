"""Who stands beside whom: the memories of each session in order of position, as linked rows.

Knows rows, chain codes (0: belongs to no session, has no neighbours) and positions; nothing else.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memos.retrieval.projection.columns import Mask, Rows, grown

# Beyond these, sorting everything once is cheaper than walking row by row.
_FEW_ROWS = 64
_LONG_WALK = 2000


class Timeline:
    """`before[row]` and `after[row]` are the neighbouring rows, or -1."""

    def __init__(self) -> None:
        self.before: NDArray[np.int64] = np.zeros(0, np.int64)
        self.after: NDArray[np.int64] = np.zeros(0, np.int64)
        self._tails: dict[int, int] = {}

    def reserve(self, size: int) -> None:
        self.before = grown(self.before, size, -1)
        self.after = grown(self.after, size, -1)

    def insert(
        self, rows: Rows, chain: NDArray[np.int32], position: NDArray[np.float64], live: Mask
    ) -> None:
        """Puts rows into their chains. `chain`, `position` and `live` are the whole columns."""
        if len(rows) > _FEW_ROWS or not all(
            self._insert(row, chain, position) for row in rows.tolist()
        ):
            self.rebuild(chain, position, live)

    def remove(self, rows: Rows, chain: NDArray[np.int32]) -> None:
        """Takes rows out; `chain` still holds their codes."""
        for row in rows.tolist():
            before, after = int(self.before[row]), int(self.after[row])
            if before >= 0:
                self.after[before] = after
            if after >= 0:
                self.before[after] = before
            code = int(chain[row])
            if self._tails.get(code) == row:
                if before >= 0:
                    self._tails[code] = before
                else:
                    del self._tails[code]
            self.before[row] = self.after[row] = -1

    def rebuild(self, chain: NDArray[np.int32], position: NDArray[np.float64], live: Mask) -> None:
        """Links all live rows anew."""
        self.before.fill(-1)
        self.after.fill(-1)
        rows = np.flatnonzero(live & (chain > 0))
        order = rows[np.lexsort((position[rows], chain[rows]))]
        codes = chain[order]
        same = codes[1:] == codes[:-1]
        left, right = order[:-1][same], order[1:][same]
        self.after[left] = right
        self.before[right] = left
        last = np.append(~same, True) if len(order) else np.zeros(0, np.bool_)
        self._tails = dict(zip(codes[last].tolist(), order[last].tolist(), strict=True))

    def around(self, rows: Rows) -> tuple[tuple[int, Rows], ...]:
        """(distance, rows there) for one and two steps back and forth; -1 where there is none.

        Row -1 has no neighbours in its turn, since the last row of the arrays is never given out.
        """
        before, after = self.before[rows], self.after[rows]
        return (1, before), (1, after), (2, self.before[before]), (2, self.after[after])

    @property
    def nbytes(self) -> int:
        return self.before.nbytes + self.after.nbytes + 100 * len(self._tails)

    def _insert(self, row: int, chain: NDArray[np.int32], position: NDArray[np.float64]) -> bool:
        """False if the place is too far from the chain's end to walk to."""
        code = int(chain[row])
        if not code:
            return True
        left, right = self._tails.get(code, -1), -1
        for _ in range(_LONG_WALK):
            if left < 0 or position[left] <= position[row]:
                break
            left, right = int(self.before[left]), left
        else:
            return False
        self.before[row], self.after[row] = left, right
        if left >= 0:
            self.after[left] = row
        if right >= 0:
            self.before[right] = row
        else:
            self._tails[code] = row
        return True
