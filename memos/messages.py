"""From what callers hand to `add` to NewMemory: strings, messages of a conversation, defaults.

Knows the shapes of input and nothing of storage.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from memos.errors import InvalidInput
from memos.types import Kind, Message, NewMemory, Provenance
from memos.validation import check_time, to_member, to_utc

Item = str | Message | NewMemory


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What items take over where they say nothing themselves."""

    kind: Kind = Kind.EPISODIC
    user_id: str | None = None
    agent_id: str | None = None
    session_id: str | None = None
    speaker: str | None = None
    occurred_at: datetime | None = None
    place: str | None = None
    metadata: Mapping[str, Any] | None = None
    priority: float | None = None
    expires_at: datetime | None = None


_INHERITED = ("user_id", "agent_id", "session_id", "speaker", "occurred_at", "place", "expires_at")


def normalise(item: Item, defaults: Defaults) -> NewMemory:
    """One item as a NewMemory with the defaults filled in and its times in UTC.

    InvalidInput for anything that is neither a string, a Message nor a NewMemory.
    """
    if isinstance(item, str):
        new = NewMemory(content=item, kind=defaults.kind)
    elif isinstance(item, Message):
        new = _from_message(item, defaults.kind)
    elif isinstance(item, NewMemory):
        new = replace(item, kind=to_member("kind", item.kind, Kind))
        if defaults.kind is not Kind.EPISODIC and new.kind is Kind.EPISODIC:
            new = replace(new, kind=defaults.kind)
    else:
        raise InvalidInput(
            f"add got a {type(item).__name__}; give it a string, a Message or a NewMemory"
        )
    filled: dict[str, Any] = {
        name: getattr(defaults, name)
        for name in _INHERITED
        if getattr(new, name) is None and getattr(defaults, name) is not None
    }
    if defaults.metadata:
        filled["metadata"] = {**defaults.metadata, **new.metadata}
    if defaults.priority is not None and new.priority == NewMemory(content="").priority:
        filled["priority"] = defaults.priority
    new = replace(new, **filled) if filled else new
    return _in_utc(new)


def _from_message(message: Message, kind: Kind) -> NewMemory:
    """A turn keeps who said it: the speaker's name, else the role."""
    return NewMemory(
        content=message.content,
        kind=kind,
        speaker=message.speaker or message.role,
        occurred_at=message.at,
        place=message.place,
        images=message.images,
        metadata={**message.metadata, "role": message.role},
        provenance=Provenance(source="message", external_id=message.external_id),
    )


def _in_utc(new: NewMemory) -> NewMemory:
    changed: dict[str, Any] = {}
    for name in ("occurred_at", "expires_at"):
        value = getattr(new, name)
        check_time(name, value)
        if value is not None:
            changed[name] = to_utc(value)
    return replace(new, **changed) if changed else new


def as_items(content: Item | Sequence[Item]) -> list[Item]:
    """`add` takes one item or a sequence of them."""
    if isinstance(content, (str, Message, NewMemory)):
        return [content]
    if not isinstance(content, bytes | bytearray | Mapping) and hasattr(content, "__iter__"):
        return list(content)
    raise InvalidInput(
        f"add got a {type(content).__name__}; give it a string, a Message, a NewMemory or a list"
    )


def in_parts(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of at most `size` items, taken lazily."""
    part: list[Item] = []
    for item in items:
        part.append(item)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part
