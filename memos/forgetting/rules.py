"""Which rules a policy may have, and which can't hold together. Knows no memories."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from memos.errors import InvalidInput, PolicyContradiction
from memos.types import Kind, Policy


def checked(policy: Policy) -> Policy:
    """The policy with kinds as members. InvalidInput for values out of range, PolicyContradiction
    for rules that can't all hold."""
    for name in ("half_life_days", "archive_days", "expire_days"):
        for kind, days in getattr(policy, name).items():
            _positive(f"{name} of {Kind(kind).value}", name, days, none=name == "half_life_days")
    _positive("purge_days", "purge_days", policy.purge_days)
    _positive("max_memories", "max_memories", policy.max_memories)
    _positive("max_bytes", "max_bytes", policy.max_bytes)
    _between("archive_below", policy.archive_below)
    _between("junk_above", policy.junk_above)
    _between("quarantine_above", policy.quarantine_above)
    for name in ("consolidate_after", "loop_minutes", "short_term_turns"):
        value = getattr(policy, name)
        if not math.isfinite(value) or value < 0:
            raise InvalidInput(f"{name} is {value}; the minimum is 0", field=name)
    _check_order(policy)
    return policy


def _check_order(policy: Policy) -> None:
    for kind, days in policy.expire_days.items():
        archived = policy.archive_days.get(kind)
        if archived is not None and days <= archived:
            raise PolicyContradiction(
                f"{kind.value} memories would expire after {days:g} days, before they are archived "
                f"after {archived:g}; let expire_days be more than archive_days",
                field="expire_days",
            )
        if archived is None and policy.archive_below is None:
            raise PolicyContradiction(
                f"{kind.value} memories would expire after {days:g} days, but nothing archives "
                "them, and only what is archived expires; set archive_days or archive_below",
                field="expire_days",
            )
    if policy.purge_days is not None and not policy.expire_days:
        raise PolicyContradiction(
            f"purge_days is {policy.purge_days:g}, but nothing ever expires; set expire_days",
            field="purge_days",
        )


def check_budget(policy: Policy, *, pinned: int, pinned_bytes: int) -> None:
    """PolicyContradiction if what must never go is more than the budget."""
    for name, most, held in (
        ("max_memories", policy.max_memories, pinned),
        ("max_bytes", policy.max_bytes, pinned_bytes),
    ):
        if most is not None and held > most:
            raise PolicyContradiction(
                f"{name} is {most}, but pinned, core and vault memories alone are {held}; "
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


def _positive(what: str, field: str, value: float | None, *, none: bool = True) -> None:
    if value is None and none:
        return
    if value is None or not math.isfinite(value) or value <= 0:
        raise InvalidInput(f"{what} is {value}; it must be more than 0", field=field)


def _between(name: str, value: float | None) -> None:
    if value is not None and not 0 < value <= 1:
        raise InvalidInput(f"{name} is {value}; it must be between 0 and 1", field=name)
