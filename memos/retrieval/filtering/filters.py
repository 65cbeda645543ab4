"""The metadata filter language: parsed once, then asked of single memories or of whole columns.

    {"place": "Lisbon"}                                  shorthand for {"place": {"eq": "Lisbon"}}
    {"metadata.score": {"gte": 3, "lt": 9}}              several operators: all must hold
    {"and": [f, …]}  {"or": [f, …]}  {"not": f}          several keys in one object: all must hold

Operators: eq ne in nin gt gte lt lte contains exists. Fields: those in `FIELDS`, else a key of the
metadata, with dots for nesting; `metadata.<key>` reaches a key that has a built-in name. A field
that is absent (or null) equals null, fails every comparison but `ne` and `nin`, and never raises:
values of unlike types are simply unequal and not ordered. Text compares by code point; the time
fields compare as times with ISO 8601 text (a naive time is UTC).

`contains`: a part of a text, an element of a list, a key of an object.

Knows no storage and no columns; `memos.retrieval.projection.columns` evaluates the leaves per
distinct value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from math import isfinite
from typing import Any, Union

from memos.errors import InvalidFilter
from memos.retrieval.filtering.comparison import TESTS
from memos.types import Memory

TIME_FIELDS = frozenset({"created_at", "expires_at", "occurred_at"})
NUMBER_FIELDS = frozenset({"position", "priority"})
TEXT_FIELDS = frozenset({"agent_id", "kind", "place", "session_id", "speaker", "user_id"})
FIELDS = TIME_FIELDS | NUMBER_FIELDS | TEXT_FIELDS
OPERATORS = frozenset(TESTS)
MAX_DEPTH = 8
MAX_LEAVES = 64
MAX_LIST = 1000
MAX_FIELD_CHARS = 1000

_METADATA = "metadata."
_JOINS = ("and", "or", "not")


@dataclass(frozen=True, slots=True)
class Leaf:
    """One comparison. `path` is empty for a built-in field, else the keys into the metadata.

    Operands of time fields are Unix seconds.
    """

    field: str
    path: tuple[str, ...]
    op: str
    operand: Any

    def holds(self, value: Any) -> bool:
        """Whether a value of the field satisfies the comparison. Never raises."""
        return TESTS[self.op](value, self.operand)

    def matches(self, memory: Memory) -> bool:
        return self.holds(self._value(memory))

    def _value(self, memory: Memory) -> Any:
        if self.path:
            return dig(memory.metadata, self.path)
        value = getattr(memory, self.field)
        if self.field in TIME_FIELDS:
            return None if value is None else value.timestamp()
        return value.value if self.field == "kind" else value


@dataclass(frozen=True, slots=True)
class All:
    parts: tuple[Node, ...]

    def matches(self, memory: Memory) -> bool:
        return all(part.matches(memory) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Either:
    parts: tuple[Node, ...]

    def matches(self, memory: Memory) -> bool:
        return any(part.matches(memory) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Not:
    part: Node

    def matches(self, memory: Memory) -> bool:
        return not self.part.matches(memory)


Node = Union[Leaf, All, Either, Not]  # noqa: UP007  the classes do not know `|` before they exist


def parse_filter(filter: Mapping[str, Any] | None) -> Node | None:
    """The filter as a tree; None for None or {}. InvalidFilter names the place and the remedy."""
    if filter is None:
        return None
    leaves: list[Leaf] = []
    node = _object(filter, "filter", 1, leaves)
    if len(leaves) > MAX_LEAVES:
        raise InvalidFilter(
            f"filter has {len(leaves)} comparisons; at most {MAX_LEAVES} are allowed",
            field="filter",
        )
    return None if node == All(()) else node


def dig(metadata: Any, path: Sequence[str]) -> Any:
    """The value under nested keys, None if one is missing; a key that has dots itself is found."""
    if not isinstance(metadata, Mapping):
        return None
    whole = ".".join(path)
    if whole in metadata:
        return metadata[whole]
    if len(path) < 2 or path[0] not in metadata:
        return None
    return dig(metadata[path[0]], path[1:])


def _object(filter: Any, at: str, depth: int, leaves: list[Leaf]) -> Node:
    if not isinstance(filter, Mapping):
        raise InvalidFilter(
            f"{at} is {_shown(filter)}; it must be an object such as "
            '{"place": "Lisbon"} or {"and": [...]}',
            field=at,
        )
    if depth > MAX_DEPTH:
        raise InvalidFilter(f"{at} is nested deeper than {MAX_DEPTH}; write it flatter", field=at)
    parts: list[Node] = []
    for key, value in filter.items():
        if not isinstance(key, str) or not key:
            raise InvalidFilter(f"{at} has the key {_shown(key)}; keys are field names", field=at)
        if len(key) > MAX_FIELD_CHARS:
            raise InvalidFilter(
                f"{at} names a field of {len(key)} characters; at most {MAX_FIELD_CHARS} are"
                " allowed",
                field=at,
            )
        parts.append(_entry(key, value, f"{at}.{key}", depth, leaves))
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def _entry(key: str, value: Any, at: str, depth: int, leaves: list[Leaf]) -> Node:
    if key == "not":
        return Not(_object(value, at, depth + 1, leaves))
    if key in _JOINS:
        if not isinstance(value, (list, tuple)) or not value:
            raise InvalidFilter(f"{at} is {_shown(value)}; it must be a list of filters", field=at)
        if len(value) > MAX_LEAVES:
            raise InvalidFilter(
                f"{at} has {len(value)} parts; at most {MAX_LEAVES} are allowed", field=at
            )
        parts = tuple(
            _object(part, f"{at}[{i}]", depth + 1, leaves) for i, part in enumerate(value)
        )
        return All(parts) if key == "and" else Either(parts)
    if key.startswith("$"):
        raise InvalidFilter(
            f"{at}: operators have no '$'; use one of {_listed(_JOINS)}, or a field name", field=at
        )
    return _comparisons(key, value, at, leaves)


def _comparisons(key: str, value: Any, at: str, leaves: list[Leaf]) -> Node:
    path: tuple[str, ...] = ()
    if key not in FIELDS:
        path = tuple(key.removeprefix(_METADATA).split("."))
        if not all(path):
            raise InvalidFilter(f"{at}: the field {key!r} has an empty part", field=at)
    if not isinstance(value, Mapping):
        value = {"eq": value}
    if not value:
        raise InvalidFilter(f"{at} has no operator; use one of {_listed(OPERATORS)}", field=at)
    parts: list[Node] = []
    for op, operand in value.items():
        if op not in OPERATORS:
            raise InvalidFilter(
                f"{at}: unknown operator {_shown(op)}; use one of {_listed(OPERATORS)}"
                " (a nested metadata key is written with a dot)",
                field=at,
            )
        leaf = Leaf(key, path, op, _operand(key, path, op, operand, f"{at}.{op}"))
        leaves.append(leaf)
        parts.append(leaf)
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def _operand(key: str, path: tuple[str, ...], op: str, operand: Any, at: str) -> Any:
    if op == "exists":
        if not isinstance(operand, bool):
            raise InvalidFilter(f"{at} is {_shown(operand)}; it must be true or false", field=at)
        return operand
    if op in ("in", "nin"):
        if not isinstance(operand, (list, tuple)):
            raise InvalidFilter(f"{at} is {_shown(operand)}; it must be a list", field=at)
        if len(operand) > MAX_LIST:
            raise InvalidFilter(
                f"{at} has {len(operand)} values; at most {MAX_LIST} are allowed", field=at
            )
        return tuple(_scalar(key, path, item, f"{at}[{i}]") for i, item in enumerate(operand))
    if op in ("gt", "gte", "lt", "lte") and (
        isinstance(operand, bool) or not isinstance(operand, (int, float, str, datetime))
    ):
        raise InvalidFilter(
            f"{at} is {_shown(operand)}; it must be a number, a text or a time", field=at
        )
    if op == "contains" and isinstance(operand, (Mapping, list, tuple)):
        raise InvalidFilter(f"{at} is {_shown(operand)}; it must be a single value", field=at)
    return _scalar(key, path, operand, at)


def _scalar(key: str, path: tuple[str, ...], operand: Any, at: str) -> Any:
    if not path and key in TIME_FIELDS and operand is not None:
        return _seconds(operand, at)
    if isinstance(operand, datetime):
        return _utc(operand).astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
    if isinstance(operand, int) and not -(2**63) <= operand < 2**63:
        raise InvalidFilter(f"{at} is an integer beyond 64 bits", field=at)
    if isinstance(operand, float) and not isfinite(operand):
        raise InvalidFilter(f"{at} is {operand!r}, which JSON can't hold", field=at)
    if operand is None or isinstance(operand, (bool, int, float, str, list, tuple, Mapping)):
        return operand
    raise InvalidFilter(f"{at} is {_shown(operand)}; use a JSON value", field=at)


def _seconds(operand: Any, at: str) -> float:
    if isinstance(operand, datetime):
        return _utc(operand).timestamp()
    if isinstance(operand, str):
        text = operand.strip()
        if text.endswith(("Z", "z")):  # Python 3.10 does not read it
            text = text[:-1] + "+00:00"
        try:
            return _utc(datetime.fromisoformat(text)).timestamp()
        except (ValueError, OverflowError) as error:
            raise InvalidFilter(
                f"{at} is {_shown(operand)}; it must be an ISO 8601 time such as "
                "2024-05-07T12:00:00Z",
                field=at,
            ) from error
    raise InvalidFilter(f"{at} is {_shown(operand)}; it must be an ISO 8601 time", field=at)


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"


def _listed(names: Sequence[str] | frozenset[str]) -> str:
    return ", ".join(sorted(names))
