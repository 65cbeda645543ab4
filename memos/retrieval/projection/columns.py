"""The searchable fields of a cube's memories as growable numpy columns, one row per memory.

Texts are factorised (a code per row, the distinct values once), so that a filter is evaluated once
per distinct value and then gathered. Columns of metadata keys are made when a filter first names
them. Rows are given by the projection and used again after a removal; locking is its business.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from memos.protocols import Change
from memos.retrieval.filtering import filters
from memos.retrieval.filtering.comparison import is_number

Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]

MAX_METADATA_COLUMNS = 32
_TEXTS = ("kind", "user_id", "agent_id", "session_id", "speaker", "place")
_NUMBERS = ("position", "priority", "occurred_at", "created_at", "expires_at")


def grown(array: NDArray[Any], size: int, fill: Any) -> NDArray[Any]:
    """`array` with room for more than `size` rows; new rows hold `fill`.

    The last row is never given out: index -1, "no such row", reads `fill` there.
    """
    if size < len(array):
        return array
    shape = (max(size + 1, len(array) * 3 // 2, 64), *array.shape[1:])
    # zeros() leaves the pages untouched, and so unpaid for, until they are written.
    bigger = np.full(shape, fill, array.dtype) if fill else np.zeros(shape, array.dtype)
    bigger[: len(array)] = array
    return bigger


class Factor:
    """A column of JSON values: int32 codes and the distinct values. Code 0 stands for None."""

    def __init__(self) -> None:
        self.codes: NDArray[np.int32] = np.zeros(0, np.int32)
        self.values: list[Any] = [None]
        self._code: dict[Any, int] = {_key(None): 0}
        self._numbers: NDArray[np.float64] = np.zeros(0, np.float64)

    def code(self, value: Any) -> int:
        """The code of `value`, a new one if it is new."""
        key = _key(value)
        code = self._code.get(key)
        if code is None:
            code = self._code[key] = len(self.values)
            self.values.append(value)
        return code

    def find(self, value: Any) -> int | None:
        return self._code.get(_key(value))

    def put(self, rows: Sequence[int] | Rows, values: Sequence[Any], size: int) -> None:
        self.codes = grown(self.codes, size, 0)
        find = self._code.get
        codes = [find(v) if v is None or type(v) is str else self.code(v) for v in values]
        self.codes[rows] = [
            self.code(value) if code is None else code
            for code, value in zip(codes, values, strict=True)
        ]

    def where(self, leaf: filters.Leaf, size: int) -> Mask:
        """Rows for which the comparison holds, shape (size,)."""
        return self._truth(leaf)[self.codes[:size]]

    def _truth(self, leaf: filters.Leaf) -> Mask:
        """The comparison for each distinct value; without a loop over them where that is possible.

        A column of identifiers or numbers has about as many distinct values as rows.
        """
        op, operand = leaf.op, leaf.operand
        if op in _ORDER and is_number(operand):
            return self._ordered(leaf)
        wanted = [operand] if op in ("eq", "ne") else operand if op in ("in", "nin") else [[]]
        if any(isinstance(item, (list, tuple, Mapping)) for item in wanted):
            return np.fromiter(map(leaf.holds, self.values), np.bool_, len(self.values))
        truth = np.zeros(len(self.values), np.bool_)
        truth[[code for item in wanted if (code := self.find(item)) is not None]] = True
        return truth if op in ("eq", "in") else ~truth

    def _ordered(self, leaf: filters.Leaf) -> Mask:
        """By the nearest floats, and one by one where those are equal: integers beyond 2^53 are
        not told apart by them."""
        numbers, operand = self._as_numbers(), float(leaf.operand)
        with np.errstate(invalid="ignore"):
            truth = np.asarray(_COMPARE[leaf.op](numbers, operand), np.bool_)
        for code in np.flatnonzero(numbers == operand).tolist():
            truth[code] = leaf.holds(self.values[code])
        return truth

    def _as_numbers(self) -> NDArray[np.float64]:
        if len(self._numbers) != len(self.values):
            new = self.values[len(self._numbers) :]
            more = [float(value) if is_number(value) else np.nan for value in new]
            self._numbers = np.append(self._numbers, more)
        return self._numbers

    @property
    def nbytes(self) -> int:
        return self.codes.nbytes + 150 * len(self.values)


class Columns:
    """All fields that a search can be limited by. `size` rows are in use, holes included."""

    def __init__(self) -> None:
        self.size = 0
        self.live: Mask = np.zeros(0, np.bool_)
        self.seq: NDArray[np.int64] = np.zeros(0, np.int64)
        self.version: NDArray[np.int64] = np.zeros(0, np.int64)
        self.texts = {name: Factor() for name in _TEXTS}
        self.numbers: dict[str, NDArray[np.float64]] = {
            name: np.zeros(0, np.float64) for name in _NUMBERS
        }
        self.chain = Factor()
        """User and session of memories that belong to a session; neighbours share both."""
        self._metadata: list[str] = []
        self._metadata_bytes = 0
        self._keys: OrderedDict[tuple[str, ...], Factor] = OrderedDict()
        self._making = threading.Lock()

    def put(self, rows: Rows, changes: Sequence[Change]) -> None:
        """Writes live memories into their rows."""
        self.size = size = max(self.size, int(rows.max()) + 1)
        self.live = grown(self.live, size, False)
        self.seq = grown(self.seq, size, 0)
        self.version = grown(self.version, size, 0)
        self.live[rows] = True
        self.seq[rows] = [change.seq for change in changes]
        self.version[rows] = [change.version for change in changes]
        for name, factor in self.texts.items():
            factor.put(rows, [getattr(change, name) for change in changes], size)
        for name in _NUMBERS:
            self.numbers[name] = column = grown(self.numbers[name], size, np.nan)
            column[rows] = [_number(getattr(change, name)) for change in changes]
        # Ids have no NUL and are not empty, so the joint is unambiguous.
        chains = [
            None if c.session_id is None else f"{c.user_id or ''}\0{c.session_id}" for c in changes
        ]
        self.chain.put(rows, chains, size)
        self._put_metadata(rows, changes)

    def remove(self, rows: Rows) -> None:
        self.live[rows] = False
        self.chain.codes[rows] = 0
        for row in rows.tolist():
            self._metadata_bytes -= len(self._metadata[row])
            self._metadata[row] = "{}"

    def where(self, node: filters.Node) -> Mask:
        """Rows that pass the filter, shape (size,); rows that are not live are undefined."""
        if isinstance(node, filters.All):
            return _joined(np.logical_and, True, [self.where(p) for p in node.parts], self.size)
        if isinstance(node, filters.Either):
            return _joined(np.logical_or, False, [self.where(p) for p in node.parts], self.size)
        if isinstance(node, filters.Not):
            return ~self.where(node.part)
        if node.path:
            return self._key_column(node.path).where(node, self.size)
        if node.field in self.texts:
            return self.texts[node.field].where(node, self.size)
        return _where_number(self.numbers[node.field][: self.size], node)

    def equals(self, name: str, value: str) -> Mask:
        """Rows whose text field is `value`."""
        factor = self.texts[name]
        code = factor.find(value)
        if code is None:
            return np.zeros(self.size, np.bool_)
        return np.asarray(factor.codes[: self.size] == code)

    def distinct(self, name: str) -> list[str]:
        """The distinct values of a text field among live memories."""
        factor = self.texts[name]
        used = np.bincount(factor.codes[: self.size][self.live[: self.size]])
        return [factor.values[code] for code in np.flatnonzero(used).tolist() if code]

    @property
    def nbytes(self) -> int:
        arrays = [self.live, self.seq, self.version, *self.numbers.values()]
        factors = [*self.texts.values(), self.chain, *list(self._keys.values())]
        return (
            sum(array.nbytes for array in arrays)
            + sum(factor.nbytes for factor in factors)
            + self._metadata_bytes
            + 57 * len(self._metadata)
        )

    def _put_metadata(self, rows: Rows, changes: Sequence[Change]) -> None:
        self._metadata.extend(["{}"] * (self.size - len(self._metadata)))
        for row, change in zip(rows.tolist(), changes, strict=True):
            raw = change.metadata if change.metadata != "{}" else "{}"  # one object for them all
            self._metadata_bytes += len(raw) - len(self._metadata[row])
            self._metadata[row] = raw
        if self._keys:
            parsed = [_parsed(change.metadata) for change in changes]
            for path, factor in self._keys.items():
                factor.put(rows, [filters.dig(data, path) for data in parsed], self.size)

    def _key_column(self, path: tuple[str, ...]) -> Factor:
        # Searches share the projection while they read it, hence the lock of its own.
        with self._making:
            factor = self._keys.get(path)
            if factor is None:
                factor = Factor()
                values = [
                    None if raw == "{}" else filters.dig(_parsed(raw), path)
                    for raw in self._metadata
                ]
                factor.put(np.arange(self.size), values, self.size)
                self._keys[path] = factor
                if len(self._keys) > MAX_METADATA_COLUMNS:
                    self._keys.popitem(last=False)
            self._keys.move_to_end(path)
            return factor


def _where_number(column: NDArray[np.float64], leaf: filters.Leaf) -> Mask:
    """The comparison over numbers of which NaN stands for an absent one."""
    if leaf.op in ("in", "nin"):
        numbers = [float(item) for item in leaf.operand if is_number(item)]
        hit = np.isin(column, numbers)
        if None in leaf.operand:
            hit |= np.isnan(column)
        return hit if leaf.op == "in" else ~hit
    if not is_number(leaf.operand):
        return np.where(np.isnan(column), leaf.holds(None), leaf.holds(0.0))
    with np.errstate(invalid="ignore"):
        return np.asarray(_COMPARE[leaf.op](column, float(leaf.operand)), np.bool_)


_ORDER = frozenset({"gt", "gte", "lt", "lte"})


def _nothing(column: NDArray[np.float64], operand: float) -> Mask:
    return np.zeros(len(column), np.bool_)


_COMPARE: dict[str, Any] = {
    "eq": np.equal,
    "ne": np.not_equal,
    "gt": np.greater,
    "gte": np.greater_equal,
    "lt": np.less,
    "lte": np.less_equal,
    "contains": _nothing,
}


def _joined(join: Any, empty: bool, masks: list[Mask], size: int) -> Mask:
    result = np.full(size, empty, np.bool_)
    for mask in masks:
        join(result, mask, out=result)
    return result


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def _parsed(raw: str) -> Any:
    return msgspec.json.decode(raw)


def _key(value: Any) -> Any:
    """A hashable that is equal for equal JSON values and keeps true apart from 1."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (list, dict)):
        return json.dumps(value, sort_keys=True), list
    return value, bool if isinstance(value, bool) else None
