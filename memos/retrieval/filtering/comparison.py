"""How two JSON values compare: never with an error, and never across types.

Knows no fields and no filters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def is_number(value: Any) -> bool:
    """A JSON number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def same(a: Any, b: Any) -> bool:
    """JSON equality: 1 equals 1.0, but true is not 1; lists and objects by their parts."""
    if is_number(a) and is_number(b):
        return bool(a == b)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and bool(a == b)


def _ordered(value: Any, operand: Any, test: Callable[[Any, Any], bool]) -> bool:
    if (is_number(value) and is_number(operand)) or (
        isinstance(value, str) and isinstance(operand, str)
    ):
        return test(value, operand)
    return False


def _contains(value: Any, operand: Any) -> bool:
    if isinstance(value, str):
        return isinstance(operand, str) and operand in value
    if isinstance(value, (list, tuple)):
        return any(same(item, operand) for item in value)
    return isinstance(value, Mapping) and isinstance(operand, str) and operand in value


TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": same,
    "ne": lambda value, operand: not same(value, operand),
    "in": lambda value, operand: any(same(value, item) for item in operand),
    "nin": lambda value, operand: not any(same(value, item) for item in operand),
    "gt": lambda value, operand: _ordered(value, operand, lambda a, b: a > b),
    "gte": lambda value, operand: _ordered(value, operand, lambda a, b: a >= b),
    "lt": lambda value, operand: _ordered(value, operand, lambda a, b: a < b),
    "lte": lambda value, operand: _ordered(value, operand, lambda a, b: a <= b),
    "contains": _contains,
    "exists": lambda value, operand: (value is not None) == operand,
}
