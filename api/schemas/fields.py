"""What the bodies of requests share: their base, times, and the kinds of fields."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, WithJsonSchema

from memos.types import Kind

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:?\d\d)?\Z")


def _time(value: Any) -> datetime:
    """RFC 3339 text to an aware datetime in UTC."""
    if not isinstance(value, str):
        raise ValueError("must be a time as text, such as 2024-05-01T18:30:00Z")
    found = _RFC3339.match(value) if value.isascii() else None
    if found is None:
        raise ValueError(f"{value[:40]!r} is no time; write it like 2024-05-01T18:30:00Z")
    if found[3] is None:
        raise ValueError(f"{value!r} has no time zone; add one, such as {value}Z")
    try:
        return _parsed(value, found[3])
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"{value!r} is not in the calendar (years 1 to 9999 in UTC): {error}"
        ) from error


def _parsed(value: str, zone: str) -> datetime:
    # fromisoformat of Python 3.10 reads neither Z nor +0100 nor other than 3 or 6 decimals.
    plain = value[: -len(zone)].replace("t", "T").replace(" ", "T")
    head, _, decimals = plain.partition(".")
    if head.count(":") == 1:
        head += ":00"
    local = datetime.fromisoformat(head)
    local = local.replace(microsecond=int(decimals[:6].ljust(6, "0")) if decimals else 0)
    offset = timedelta(0)
    if zone not in "Zz":
        digits = zone[1:].replace(":", "")
        offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
        if offset >= timedelta(hours=24):
            raise ValueError(f"the zone {zone} is a day or more")
        offset = -offset if zone[0] == "-" else offset
    return (local - offset).replace(tzinfo=timezone.utc)


Time = Annotated[
    datetime,
    BeforeValidator(_time),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "description": "RFC 3339 with a time zone.",
        }
    ),
]


AnyKind = Annotated[Kind, Strict(False)]


Priority = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


Label = Annotated[str, Field(min_length=1, max_length=512)]


Metadata = Annotated[
    dict[str, Any], Field(description="Any JSON object; search and list can filter by it.")
]


class Body(BaseModel):
    """Base of all request bodies."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ReasonIn(Body):
    """Why; kept in the history."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "asked for by Ana"}]})

    reason: str | None = None
