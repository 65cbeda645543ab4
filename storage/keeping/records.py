"""Between rows of use and policies and their types. Knows no SQL."""

from __future__ import annotations

import msgspec

from memos.protocols import Use
from memos.storage.records import moment_or_none
from memos.types import Policy

_policy = msgspec.json.Decoder(Policy)


def use_of(uses: int | None, last: int | None, pinned: int | None) -> Use:
    return Use(uses=uses or 0, last_used_at=moment_or_none(last), pinned=bool(pinned))


def policy_text(policy: Policy) -> str:
    return msgspec.json.encode(policy).decode()


def policy_of(text: str) -> Policy:
    return _policy.decode(text)
