"""Between rows of the graph and types: how a time, an object and an assertion are written.

Knows no SQL. Open ends of times are the least and the greatest 64-bit number, so that a view is
two comparisons; objects and values are compared by a digest, so that an index can hold them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from memos.errors import InvalidInput
from memos.protocols import NAME_LIMIT, EntityMention
from memos.storage.records import json_text, micros, moment, moment_or_none
from memos.types import (
    Assertion,
    EntityRef,
    EntityType,
    Fact,
    FactSource,
    Granularity,
    PredicateType,
    Ruling,
    RulingKind,
)

BEGINNING = -(2**63)
END = 2**63 - 1
"""No time of a datetime comes near these."""

ACTIVE, INACTIVE, STALE = 1, 0, -1
"""Of a mention: it counts; its memory is archived; its memory reads otherwise now."""

NEWEST = "+seq IS NOT NULL"
"""Of a fact's revision, in SQL. The sign keeps SQLite from walking the index of the numbers."""

WIDE = 0
"""The object key of an assertion that bears on other objects than its own."""

_GRAINS = {grain.value: grain for grain in Granularity}
_moment = lru_cache(maxsize=1024)(moment)


def since(time: datetime | None) -> int:
    return BEGINNING if time is None else micros(time)


def until(time: datetime | None) -> int:
    return END if time is None else micros(time)


def since_of(value: int) -> datetime | None:
    return None if value == BEGINNING else moment(value)


def until_of(value: int) -> datetime | None:
    return None if value == END else moment(value)


def grain(value: Granularity | None) -> str | None:
    return None if value is None else value.value


def grain_of(value: str | None) -> Granularity | None:
    return None if value is None else _GRAINS[value]


def value_key(folded: str) -> int:
    """The digest of a folded value."""
    return _digest("v" + folded)


def object_key(object_id: str | None, value: str | None, folded: Callable[[str], str]) -> int:
    """The digest of an object or value; `WIDE` for neither."""
    if object_id is not None:
        return _digest("o" + object_id)
    return WIDE if value is None else value_key(folded(value))


def _digest(text: str) -> int:
    data = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(data, "big", signed=True) or 1


def named(text: str, field: str) -> str:
    """The text, if an index can hold it."""
    if len(text) > NAME_LIMIT:
        raise InvalidInput(
            f"{field} has {len(text)} characters, more than {NAME_LIMIT}: {text[:60]!r}…",
            field=field,
        )
    if "\0" in text:
        raise InvalidInput(f"{field} contains a NUL character; remove it", field=field)
    return text


def text_or_none(text: str | None, field: str) -> str | None:
    if text is not None and "\0" in text:
        raise InvalidInput(f"{field} contains a NUL character; remove it", field=field)
    return text


def assertion_row(
    item: Assertion,
    *,
    subject_id: str,
    object_id: str | None,
    said_subject_id: str,
    said_object_id: str | None,
    folded: Callable[[str], str],
    active: bool,
    created_at: int,
) -> tuple[Any, ...]:
    """The columns of `tables.assertion` in their order, for a current one."""
    key = WIDE if item.corrects else object_key(object_id, item.value, folded)
    return (
        item.cube_id,
        item.id,
        item.memory_id,
        subject_id,
        said_subject_id,
        named(item.predicate, "predicate"),
        object_id,
        said_object_id,
        text_or_none(item.value, "value"),
        key,
        item.quantity,
        text_or_none(item.unit, "unit"),
        int(item.negated),
        int(item.corrects),
        text_or_none(item.replaces, "replaces"),
        since(item.valid_at),
        grain(item.granularity),
        until(item.invalid_at),
        grain(item.invalid_granularity),
        micros(item.stated_at),
        text_or_none(item.place, "place"),
        item.confidence,
        item.extractor,
        item.start,
        item.end,
        created_at,
        1,
        int(active),
    )


def assertion_of(row: Sequence[Any]) -> Assertion:
    """From a row of `tables.assertion`; its entities are those that they now stand for."""
    return Assertion(
        id=row[1],
        cube_id=row[0],
        memory_id=row[2],
        subject_id=row[3],
        predicate=row[5],
        object_id=row[6],
        value=row[8],
        quantity=row[10],
        unit=row[11],
        negated=bool(row[12]),
        corrects=bool(row[13]),
        replaces=row[14],
        valid_at=since_of(row[15]),
        granularity=grain_of(row[16]),
        invalid_at=until_of(row[17]),
        invalid_granularity=grain_of(row[18]),
        stated_at=moment(row[19]),
        place=row[20],
        confidence=row[21],
        extractor=row[22],
        start=row[23],
        end=row[24],
        created_at=moment(row[25]),
        active=bool(row[27]),
    )


def fact_of(
    row: Sequence[Any], names: Mapping[str, EntityRef], sources: tuple[FactSource, ...] = ()
) -> Fact:
    """From a row of `tables.fact`; `names` has the entities."""
    (
        cube_id,
        id,
        revision,
        _,
        subject_id,
        predicate,
        object_id,
        value,
        _,
        quantity,
        unit,
        negated,
        event,
        place,
        confidence,
        valid_at,
        granularity,
        invalid_at,
        invalid_granularity,
        created_at,
        expired_at,
        closed_by,
        _,
        rule,
        *_,
    ) = row
    return Fact(
        id=id,
        revision=revision,
        cube_id=cube_id,
        subject=names[subject_id],
        predicate=predicate,
        object=None if object_id is None else names[object_id],
        value=value,
        quantity=quantity,
        unit=unit,
        negated=negated == 1,
        event=event == 1,
        place=place,
        confidence=confidence,
        valid_at=None if valid_at == BEGINNING else moment(valid_at),
        granularity=None if granularity is None else _GRAINS[granularity],
        invalid_at=None if invalid_at == END else moment(invalid_at),
        invalid_granularity=None if invalid_granularity is None else _GRAINS[invalid_granularity],
        # Facts of one reading share it.
        created_at=_moment(created_at),
        expired_at=None if expired_at == END else _moment(expired_at),
        closed_by=closed_by,
        rule=rule,
        sources=sources,
    )


def spans_text(mentions: Sequence[EntityMention]) -> str:
    return json_text([[item.surface, item.normal, item.start, item.end] for item in mentions])


def spans_of(text: str) -> list[tuple[str, str, int, int]]:
    return [tuple(span) for span in json.loads(text)]


def ruling_row(item: Ruling) -> tuple[Any, ...]:
    """The columns of `tables.ruling` in their order."""
    return (
        item.cube_id,
        item.id,
        item.kind.value,
        item.source_id,
        item.target_id,
        json_text(item.assertions),
        text_or_none(item.actor, "actor"),
        text_or_none(item.reason, "reason"),
        micros(item.created_at),
        None if item.revoked_at is None else micros(item.revoked_at),
    )


def ruling_of(row: Sequence[Any]) -> Ruling:
    return Ruling(
        id=row[1],
        cube_id=row[0],
        kind=RulingKind(row[2]),
        source_id=row[3],
        target_id=row[4],
        assertions=tuple(json.loads(row[5])),
        actor=row[6],
        reason=row[7],
        created_at=moment(row[8]),
        revoked_at=moment_or_none(row[9]),
    )


def predicate_row(cube_id: str, item: PredicateType) -> tuple[Any, ...]:
    """The columns of `tables.predicate_type` in their order."""
    return (
        cube_id,
        named(item.name, "predicate"),
        int(item.functional),
        int(item.event),
        text_or_none(item.inverse, "inverse"),
        json_text(item.subject_types),
        json_text(item.object_types),
        text_or_none(item.description, "description"),
    )


def predicate_of(row: Sequence[Any]) -> PredicateType:
    return PredicateType(
        name=row[1],
        functional=bool(row[2]),
        event=bool(row[3]),
        inverse=row[4],
        subject_types=tuple(json.loads(row[5])),
        object_types=tuple(json.loads(row[6])),
        description=row[7],
    )


def type_of(row: Sequence[Any]) -> EntityType:
    return EntityType(name=row[1], description=row[2], parent=row[3])
