"""From what callers hand over to what the service takes: strings, messages and defaults for `add`,
triples for `add_facts`.

Knows the shapes of input and nothing of storage.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any, TypeVar

from memos.errors import InvalidInput
from memos.types import Granularity, Kind, Message, NewFact, NewMemory, Provenance
from memos.validation import check_time, to_member, to_utc

Item = str | Message | NewMemory
T = TypeVar("T")


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


def in_parts(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of at most `size` items, taken lazily."""
    part: list[T] = []
    for item in items:
        part.append(item)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


# Facts

_FACT_FIELDS = tuple(NewFact.__dataclass_fields__)
_PERIODS = (
    (re.compile(r"\d{4}\Z"), "{}-01-01", Granularity.YEAR),
    (re.compile(r"\d{4}-\d\d\Z"), "{}-01", Granularity.MONTH),
    (re.compile(r"\d{4}-\d\d-\d\d\Z"), "{}", Granularity.DAY),
)


def as_facts(facts: Sequence[NewFact | Mapping[str, Any]]) -> list[NewFact]:
    """What `add_facts` takes, each as a NewFact with its times in UTC. InvalidInput names the
    fact that can't be used by its number."""
    if isinstance(facts, (str, bytes, Mapping, NewFact)) or not hasattr(facts, "__iter__"):
        raise InvalidInput(
            f"add_facts got a {type(facts).__name__}; give it a list of NewFact or of objects",
            field="facts",
        )
    found = []
    for number, fact in enumerate(facts):
        try:
            found.append(as_fact(fact))
        except InvalidInput as error:
            message = f"fact {number}: {error.message}"
            raise InvalidInput(message, **{**error.details, "fact": number}) from error
    return found


def as_fact(fact: NewFact | Mapping[str, Any]) -> NewFact:
    """A NewFact, or one from an object with its fields.

    In an object a time may be a text: RFC 3339, or a year, month or day such as 2023, 2023-05 or
    2023-05-01, which means its start in UTC and says how exactly it is known.
    """
    if isinstance(fact, Mapping):
        fact = _fact_of(fact)
    elif not isinstance(fact, NewFact):
        raise InvalidInput(f"it is a {type(fact).__name__}; give a NewFact or an object")
    changed: dict[str, Any] = {
        "granularity": to_member("granularity", fact.granularity, Granularity)
    }
    for name in ("valid_at", "invalid_at"):
        value = getattr(fact, name)
        check_time(name, value)
        if value is not None:
            changed[name] = to_utc(value)
    return replace(fact, **changed)


def _fact_of(given: Mapping[str, Any]) -> NewFact:
    # Strict: a misspelt field would lose its content in silence.
    unknown = sorted(str(name) for name in given if name not in _FACT_FIELDS)
    if unknown:
        raise InvalidInput(
            f"unknown field {', '.join(unknown)}; a fact has {', '.join(_FACT_FIELDS)}",
            field=unknown[0],
        )
    for name in ("subject", "predicate"):
        if name not in given:
            raise InvalidInput(f"it has no {name}; a fact needs subject and predicate", field=name)
    fields = dict(given)
    known = []
    for name in ("valid_at", "invalid_at"):
        if isinstance(fields.get(name), str):
            fields[name], granularity = read_time(name, fields[name])
            known.append(granularity)
    if known and "granularity" not in fields:
        fields["granularity"] = known[0]
    return NewFact(**fields)


def read_time(name: str, text: str) -> tuple[datetime, Granularity]:
    """The time that a text names, in UTC, and how exactly. InvalidInput for anything but RFC 3339
    with a zone, or a year, month or day."""
    text = text.strip()
    plain, granularity = text, Granularity.SECOND
    for pattern, form, period in _PERIODS:
        if pattern.match(text):
            plain, granularity = f"{form.format(text)}T00:00:00+00:00", period
    if plain[-1:] in ("z", "Z"):
        plain = f"{plain[:-1]}+00:00"
    try:
        moment = datetime.fromisoformat(plain)
    except ValueError as error:
        raise InvalidInput(
            f"{name} is {text[:40]!r}; write 2023, 2023-05, 2023-05-01 or 2023-05-01T18:30:00Z",
            field=name,
        ) from error
    check_time(name, moment)
    return moment.astimezone(timezone.utc), granularity
