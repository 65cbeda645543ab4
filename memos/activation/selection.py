"""What is to be compiled, as asked for, and its checks; which memories fit is found elsewhere."""

from __future__ import annotations

import re
from dataclasses import dataclass

from memos.config import Settings
from memos.errors import InvalidInput, PayloadTooLarge
from memos.types import Kind
from memos.validation import check_limit, check_text

CODECS = ("raw", "lossless", "int8", "k8v4", "int4", "int2")
POLICIES = (
    "key-norm",
    "keydiff",
    "expected-attention",
    "lagkv",
    "kvzip",
    "h2o",
    "tova",
    "snapkv",
    "pyramidkv",
    "cake",
    "finch",
    "laq",
    "think",
    "kvmerger",
    "zeromerge",
    "elastic",
    "kvsharer",
)
"""The last five prune channels of keys, merge rows or share them between layers; the others choose
rows."""
GUIDED = ("tova", "snapkv", "pyramidkv", "cake", "finch", "laq", "think")
"""Those that a prompt can guide: what it looks at is kept."""
NEEDS_GUIDE = ("finch",)
"""Those whose formula is the attention of a prompt: without one they would be another policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Memories by id, by what a search for `query` finds, or all of a kind; or a text of one's own.
    `limit` is for the last two of memories; `token_budget` for the memories alone."""

    memories: tuple[str, ...] = ()
    query: str | None = None
    kind: Kind | None = None
    text: str | None = None
    system: str | None = None
    limit: int = 100
    token_budget: int | None = None

    def check(self, settings: Settings) -> None:
        """InvalidInput for nothing, or for more than one way to choose memories."""
        ways = [bool(self.memories), self.query is not None, self.kind is not None]
        if sum(ways) > 1:
            raise InvalidInput(
                "memories, query and kind are three ways to choose; give one of them",
                field="memories",
            )
        if not any(ways) and self.text is None and self.system is None:
            raise InvalidInput(
                "there is nothing to compile; give memories, a query, a kind, text or system",
                field="memories",
            )
        for name in ("text", "system", "query"):
            value = getattr(self, name)
            if value is not None:
                _check_own(name, value, settings)
        if self.token_budget is not None and self.token_budget < 1:
            raise InvalidInput(
                f"token_budget is {self.token_budget}; the minimum is 1", field="token_budget"
            )
        if len(self.memories) > settings.max_limit:
            raise InvalidInput(
                f"{len(self.memories)} memories to compile; the limit is {settings.max_limit} "
                "(MEMOS_MAX_LIMIT)",
                field="memories",
            )
        check_limit("limit", self.limit, settings)


def check_codec(codec: str, *, field: str = "codec") -> str:
    """The codec; InvalidInput if there is none of this name."""
    if codec not in CODECS:
        raise InvalidInput(f"{field} is {codec!r}; use one of {', '.join(CODECS)}", field=field)
    return codec


def check_policy(label: str | None) -> None:
    """InvalidInput unless it is `<name>:<share>` with a known name and a share between 0 and 1."""
    if label is None:
        return
    name, _, share = label.partition(":")
    if name not in POLICIES:
        raise InvalidInput(
            f"policy is {label!r}; use one of {', '.join(POLICIES)} with the share of rows to "
            "remove, such as keydiff:0.5",
            field="policy",
        )
    if not re.fullmatch(r"0?\.\d{1,6}", share) or not float(share):
        raise InvalidInput(
            f"policy is {label!r}; after the name write the share of rows to remove, between 0 "
            "and 1, such as keydiff:0.5",
            field="policy",
        )


def check_guide(label: str | None, guide: str | None, settings: Settings) -> None:
    """InvalidInput for a guide that the policy would ignore, or none where it needs one; to be
    asked after `check_policy`."""
    name = label.partition(":")[0] if label else None
    if guide is None:
        if name in NEEDS_GUIDE:
            raise InvalidInput(
                f"policy {name} keeps what a prompt looks at; give the prompt, or one like it, as "
                "guide",
                field="guide",
            )
        return
    if name not in GUIDED:
        raise InvalidInput(
            f"policy {name or 'none'} is guided by no prompt; leave guide out, or use one of "
            f"{', '.join(GUIDED)}",
            field="guide",
        )
    _check_own("guide", guide, settings)


def _check_own(name: str, value: str, settings: Settings) -> None:
    check_text(name, value)
    if not value.strip():
        raise InvalidInput(f"{name} is empty; leave it out or give a text", field=name)
    if len(value) > settings.max_content_chars:
        raise PayloadTooLarge(
            f"{name} has {len(value)} characters; the limit is {settings.max_content_chars} "
            "(MEMOS_MAX_CONTENT_CHARS)",
            limit=settings.max_content_chars,
        )
