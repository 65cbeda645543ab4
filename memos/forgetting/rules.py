"""Which values a policy may have, and when it can't be kept. Knows no memories."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from memos.activation.selection import check_codec
from memos.errors import InvalidInput, PolicyContradiction
from memos.types import Kind, Policy


def checked(policy: Policy) -> Policy:
    """The policy, kinds that it leaves out as by default. InvalidInput for values out of range."""
    for kind, days in policy.half_life_days.items():
        _positive(f"half_life_days of {Kind(kind).value}", "half_life_days", days)
    _positive("max_memories", "max_memories", policy.max_memories)
    _positive("max_bytes", "max_bytes", policy.max_bytes)
    _positive("promote_heat", "promote_heat", policy.promote_heat)
    _positive(*2 * ("consolidate_idle_minutes",), policy.consolidate_idle_minutes)
    _between("archive_below", policy.archive_below)
    _between("junk_above", policy.junk_above)
    _between("quarantine_above", policy.quarantine_above)
    for name in ("consolidate_after", "loop_minutes", "short_term_turns"):
        value = getattr(policy, name)
        if not math.isfinite(value) or value < 0:
            raise InvalidInput(f"{name} is {value}; the minimum is 0", field=name)
    if policy.kv_codec is not None:
        check_codec(policy.kv_codec, field="kv_codec")
    half_lives = {**Policy().half_life_days, **policy.half_life_days}
    return replace(policy, half_life_days=half_lives)


def check_budget(policy: Policy, *, pinned: int, pinned_bytes: int) -> None:
    """PolicyContradiction if what must never go is more than the budget."""
    for name, most, held in (
        ("max_memories", policy.max_memories, pinned),
        ("max_bytes", policy.max_bytes, pinned_bytes),
    ):
        if most is not None and held > most:
            raise PolicyContradiction(
                f"{name} is {most}, but pinned, frozen, core and vault memories alone are {held}; "
                "raise it, or unpin some",
                field=name,
                held=held,
            )


def policy_of(given: Mapping[str, Any]) -> Policy:
    """A policy of the fields given, the others as by default. InvalidInput for unknown ones."""
    unknown = sorted(set(given) - set(Policy.__dataclass_fields__))
    if unknown:
        raise InvalidInput(
            f"a policy has no {unknown[0]!r}; it has {', '.join(Policy.__dataclass_fields__)}",
            field=unknown[0],
        )
    return checked(Policy(**given))


def _positive(what: str, field: str, value: float | None) -> None:
    if value is None:
        return
    if not math.isfinite(value) or value <= 0:
        raise InvalidInput(f"{what} is {value}; it must be more than 0", field=field)


def _between(name: str, value: float | None) -> None:
    if value is not None and not 0 < value <= 1:
        raise InvalidInput(f"{name} is {value}; it must be between 0 and 1", field=name)
