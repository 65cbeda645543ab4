"""Checks of what callers send, before anything is stored.

Every refusal is an InvalidInput (or a limit) that names the field, the value and the remedy.
Knows no storage; the limits come from the settings.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Any, TypeVar

from memos.config import Settings
from memos.errors import InvalidInput, PayloadTooLarge
from memos.types import Image, NewFact, NewMemory

_CUBE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
_LABEL_CHARS = 512
_MAX_DEPTH = 32
_Member = TypeVar("_Member", bound=Enum)


def check_memory(new: NewMemory, settings: Settings, *, at: str = "") -> None:
    """All checks of one NewMemory; `at` says which item of a batch it is."""
    check_content(new.content, new.images, settings, at=at)
    for name in ("user_id", "agent_id", "session_id", "speaker", "place"):
        check_label(f"{at}{name}", getattr(new, name))
    check_time(f"{at}occurred_at", new.occurred_at)
    check_time(f"{at}expires_at", new.expires_at)
    check_priority(f"{at}priority", new.priority)
    check_metadata(f"{at}metadata", new.metadata, settings)
    check_label(f"{at}provenance.source", new.provenance.source)
    check_label(f"{at}provenance.external_id", new.provenance.external_id)
    check_label(f"{at}provenance.actor", new.provenance.actor)


def check_fact(fact: NewFact, settings: Settings, *, at: str = "") -> None:
    """All checks of one NewFact; `at` says which item of a list it is."""
    for name in ("subject", "predicate", "subject_type"):
        check_text(f"{at}{name}", getattr(fact, name))
        if not getattr(fact, name).strip():
            raise InvalidInput(f"{at}{name} is empty; name it", field=f"{at}{name}")
    for name in ("subject", "predicate", "subject_type", "object_type", "unit", "place"):
        check_label(f"{at}{name}", getattr(fact, name))
    check_object(f"{at}object", fact.object, settings)
    if not isinstance(fact.negated, bool):
        raise InvalidInput(
            f"{at}negated is {fact.negated!r}; it must be true or false", field=f"{at}negated"
        )
    if fact.object is None and not fact.negated:
        raise InvalidInput(
            f"{at}object is missing; only a negated fact may leave it out, and denies any",
            field=f"{at}object",
        )
    for name in ("valid_at", "invalid_at"):
        check_time(f"{at}{name}", getattr(fact, name))
    if fact.valid_at and fact.invalid_at and fact.invalid_at < fact.valid_at:
        raise InvalidInput(
            f"{at}invalid_at is {fact.invalid_at.isoformat()}, before valid_at "
            f"{fact.valid_at.isoformat()}; exchange or correct them",
            field=f"{at}invalid_at",
        )
    check_priority(f"{at}confidence", fact.confidence)


def check_object(name: str, value: Any, settings: Settings) -> None:
    """What a fact can say of its subject: a text, a number, true or false; None is any."""
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        check_text(name, value)
        if not value.strip():
            raise InvalidInput(f"{name} is empty; name it, or leave it out", field=name)
        if len(value) > settings.max_content_chars:
            raise PayloadTooLarge(
                f"{name} has {len(value)} characters; the limit is {settings.max_content_chars} "
                "(MEMOS_MAX_CONTENT_CHARS)",
                field=name,
            )
    elif isinstance(value, (int, float)):
        check_json(name, value)
    else:
        raise InvalidInput(
            f"{name} is a {type(value).__name__}; give a text, a number, true or false", field=name
        )


def check_content(
    content: str, images: tuple[Image, ...], settings: Settings, *, at: str = ""
) -> None:
    """A memory needs words: text, or the caption of an image."""
    check_text(f"{at}content", content)
    for number, image in enumerate(images):
        check_text(f"{at}images[{number}].caption", image.caption or "")
        check_text(f"{at}images[{number}].url", image.url or "")
    if not content.strip() and not any((image.caption or "").strip() for image in images):
        raise InvalidInput(
            f"{at}content is empty; a memory needs text or an image with a caption",
            field=f"{at}content",
        )
    size = len(content) + sum(len(image.caption or "") for image in images)
    if size > settings.max_content_chars:
        raise PayloadTooLarge(
            f"{at}content has {size} characters; the limit is {settings.max_content_chars} "
            "(MEMOS_MAX_CONTENT_CHARS). Split it into several memories",
            field=f"{at}content",
        )


def check_text(name: str, value: str) -> None:
    """Refuses what no store can keep: wrong types, NUL, and surrogates that are not UTF-8."""
    if not isinstance(value, str):
        raise InvalidInput(f"{name} is a {type(value).__name__}; it must be a string", field=name)
    if "\x00" in value:
        raise InvalidInput(f"{name} has a NUL character; remove it", field=name)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidInput(
            f"{name} has a lone surrogate at character {error.start}, which is not valid UTF-8",
            field=name,
        ) from error


def check_label(name: str, value: str | None) -> None:
    """A short name or id: None, or 1 to 512 characters."""
    if value is None:
        return
    check_text(name, value)
    if not value or len(value) > _LABEL_CHARS:
        raise InvalidInput(
            f"{name} has {len(value)} characters; it must have 1 to {_LABEL_CHARS}, or be left out",
            field=name,
        )


def check_time(name: str, value: datetime | None) -> None:
    """Times are aware; a naive one could mean any of 26 hours."""
    if value is None:
        return
    if not isinstance(value, datetime):
        raise InvalidInput(f"{name} is a {type(value).__name__}; it must be a time", field=name)
    if value.tzinfo is None or value.utcoffset() is None:
        raise InvalidInput(
            f"{name} is {value.isoformat()}, which has no time zone; add one, such as "
            f"{value.isoformat()}Z",
            field=name,
        )
    try:
        to_utc(value)
    except OverflowError as error:
        raise InvalidInput(
            f"{name} is {value.isoformat()}, which is outside the years 1 to 9999 in UTC",
            field=name,
        ) from error


def check_known(name: str, value: datetime | None, now: datetime) -> None:
    """A time at which something can have been believed: aware, and not after `now`."""
    check_time(name, value)
    if value is not None and value > now:
        raise InvalidInput(
            f"{name} is {value.isoformat()}, but it is only {now.isoformat()}; what will be known "
            "then nobody knows. Leave it out for the present",
            field=name,
        )


def to_utc(value: datetime) -> datetime:
    """The same moment in UTC. OverflowError at the ends of the calendar."""
    offset = value.utcoffset() or timedelta(0)
    return (value.replace(tzinfo=None) - offset).replace(tzinfo=timezone.utc)


def check_texts(name: str, value: Any) -> tuple[str, ...]:
    """Several labels. A single text is refused: as a sequence it is one of letters."""
    if isinstance(value, str):
        raise InvalidInput(f"{name} is the text {value!r}; give a list of texts", field=name)
    found = tuple(value)
    for one in found:
        check_label(name, one)
    return found


def to_member(name: str, value: Any, members: type[_Member]) -> _Member:
    """`value`, which may be given by its text as in JSON, as one of `members`."""
    try:
        return members(value)
    except ValueError as error:
        known = ", ".join(str(member.value) for member in members)
        raise InvalidInput(f"{name} is {value!r}; use one of {known}", field=name) from error


def check_priority(name: str, value: float) -> None:
    if type(value) not in (int, float) or not math.isfinite(value) or not 0 <= value <= 1:
        raise InvalidInput(f"{name} is {value!r}; it must be a number from 0 to 1", field=name)


def check_metadata(name: str, value: Mapping[str, Any], settings: Settings) -> None:
    """A JSON object of bounded size and depth, with keys a filter can name."""
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{name} is a {type(value).__name__}; it must be an object", field=name)
    check_json(name, value)
    size = len(json.dumps(dict(value), ensure_ascii=False).encode())
    if size > settings.max_metadata_bytes:
        raise PayloadTooLarge(
            f"{name} has {size} bytes as JSON; the limit is {settings.max_metadata_bytes} "
            "(MEMOS_MAX_METADATA_BYTES)",
            field=name,
        )


def check_json(name: str, value: Any, *, depth: int = 0) -> None:
    """InvalidInput for what is no JSON value, or is nested too deep (it is `depth` deep itself)."""
    if depth > _MAX_DEPTH:
        raise InvalidInput(f"{name} is nested deeper than {_MAX_DEPTH} levels", field=name)
    if isinstance(value, str):
        check_text(name, value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            check_text(f"{name} key", key)
            check_json(f"{name}.{key}", item, depth=depth + 1)
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            check_json(f"{name}[{number}]", item, depth=depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise InvalidInput(f"{name} is {value!r}, which JSON can't hold", field=name)
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InvalidInput(f"{name} is an integer beyond 64 bits", field=name)
    elif value is not None and not isinstance(value, (bool, int, float)):
        raise InvalidInput(
            f"{name} is a {type(value).__name__}; metadata holds JSON values only", field=name
        )


def check_cube_name(name: str) -> None:
    check_text("name", name)
    if not _CUBE_NAME.match(name):
        raise InvalidInput(
            f"{name!r} can't name a cube; use 1 to 128 letters, digits, '.', '_' or '-', "
            "starting with a letter or digit",
            field="name",
        )


def check_limit(name: str, value: int, settings: Settings) -> None:
    if not 1 <= value <= settings.max_limit:
        raise InvalidInput(
            f"{name} is {value}; it must be from 1 to {settings.max_limit}", field=name
        )
