"""Between rows of actions and policies and their types. Knows no SQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from memos.protocols import Use
from memos.storage.records import moment, moment_or_none
from memos.types import Action, ActionKind, Moved, Policy

_policy = msgspec.json.Decoder(Policy)


def action_of(row: Sequence[Any], steps: Sequence[Sequence[Any]]) -> Action:
    """From a row of `action` and its steps (memory_id, before, after) in order."""
    return Action(
        id=row[1],
        cube_id=row[0],
        kind=ActionKind(row[2]),
        about=row[3],
        reason=row[4],
        numbers=json.loads(row[5]),
        moved=tuple(Moved(memory_id=id, before=old, after=new) for id, old, new in steps),
        run_id=row[6],
        actor=row[7],
        created_at=moment(row[8]),
        undone_at=moment_or_none(row[9]),
    )


def use_of(uses: int | None, last: int | None, pinned: int | None) -> Use:
    return Use(uses=uses or 0, last_used_at=moment_or_none(last), pinned=bool(pinned))


def policy_text(policy: Policy) -> str:
    return msgspec.json.encode(policy).decode()


def policy_of(text: str) -> Policy:
    return _policy.decode(text)
