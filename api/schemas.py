"""What may be sent: the requests as pydantic models, and how they become the core's dataclasses.

Strict: no unknown fields, no numbers for texts, no naive times. Limits that the settings set are
checked by the service, so that all ways into it have the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Strict,
    Tag,
    WithJsonSchema,
)

from memos.messages import Defaults, Item
from memos.types import Image, Kind, Message, NewMemory, Provenance, Role
from memos.types import Search as CoreSearch

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
AnyRole = Annotated[Role, Strict(False)]
Priority = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Label = Annotated[str, Field(min_length=1, max_length=512)]
Metadata = Annotated[
    dict[str, Any], Field(description="Any JSON object; search and list can filter by it.")
]


class Body(BaseModel):
    """Base of all request bodies."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ImageIn(Body):
    """A picture, kept by reference and found by its caption."""

    url: str | None = None
    caption: str | None = None

    def core(self) -> Image:
        return Image(url=self.url, caption=self.caption)


class ProvenanceIn(Body):
    """Where a memory came from. `actor` is always taken from the key."""

    source: Label = "api"
    external_id: Label | None = None
    actor: None = None
    parents: list[Label] = []

    def core(self) -> Provenance:
        return Provenance(
            source=self.source, external_id=self.external_id, parents=tuple(self.parents)
        )


class ItemFields(Body):
    """What a memory of its own and the defaults of a list share."""

    kind: AnyKind = Kind.EPISODIC
    user_id: Label | None = None
    agent_id: Label | None = None
    session_id: Label | None = None
    speaker: Label | None = None
    occurred_at: Time | None = None
    place: Label | None = None
    expires_at: Time | None = None


class NewMemoryIn(ItemFields):
    """One memory to add."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "content": "I moved to Lisbon in March.",
                    "speaker": "Ana",
                    "session_id": "2024-05-01",
                    "occurred_at": "2024-05-01T18:30:00Z",
                    "metadata": {"topic": "home"},
                }
            ]
        }
    )

    content: str
    images: list[ImageIn] = []
    metadata: Metadata = {}
    priority: Priority = 0.5
    provenance: ProvenanceIn = ProvenanceIn()

    def core(self) -> NewMemory:
        return NewMemory(
            **_shared(self),
            content=self.content,
            images=tuple(image.core() for image in self.images),
            metadata=self.metadata,
            priority=self.priority,
            provenance=self.provenance.core(),
        )

    def items(self) -> list[Item]:
        return [self.core()]

    def defaults(self) -> Defaults:
        """None: a memory by itself says all there is."""
        return Defaults()


class MessageIn(Body):
    """One turn of a conversation to add. `role` is what tells it from a memory."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"role": "user", "content": "I moved to Lisbon.", "at": "2024-05-01T18:30:00Z"}
            ]
        }
    )

    role: Label
    content: str
    speaker: Label | None = None
    at: Time | None = None
    place: Label | None = None
    images: list[ImageIn] = []
    metadata: Metadata = {}
    external_id: Label | None = None

    def core(self) -> Message:
        return Message(
            content=self.content,
            role=self.role,
            speaker=self.speaker,
            at=self.at,
            place=self.place,
            images=tuple(image.core() for image in self.images),
            metadata=self.metadata,
            external_id=self.external_id,
        )


def _item_tag(value: Any) -> str:
    present = value if isinstance(value, Mapping) else getattr(value, "model_fields_set", ())
    return "<message>" if "role" in present else "<memory>"


ItemIn = Annotated[
    Annotated[NewMemoryIn, Tag("<memory>")] | Annotated[MessageIn, Tag("<message>")],
    Discriminator(_item_tag),
]


class DefaultsIn(ItemFields):
    """Fields for the items that don't set them themselves."""

    metadata: Metadata | None = None
    priority: Priority | None = None

    def defaults(self) -> Defaults:
        return Defaults(**_shared(self), metadata=self.metadata, priority=self.priority)


class MemoriesIn(DefaultsIn):
    """Several memories to add at once, all or none. An item with a `role` is a message."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "session_id": "2024-05-01",
                    "memories": [
                        {"content": "I moved to Lisbon.", "speaker": "Ana"},
                        {"content": "My flat is near the river.", "speaker": "Ana"},
                    ],
                }
            ]
        }
    )

    memories: Annotated[list[ItemIn], Field(min_length=1)]

    def items(self) -> list[Item]:
        return [item.core() for item in self.memories]


class MessagesIn(DefaultsIn):
    """A conversation to add, turn by turn, all or none."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "user_id": "ana",
                    "messages": [
                        {"role": "user", "speaker": "Ana", "content": "I moved to Lisbon."},
                        {"role": "assistant", "content": "How do you like it there?"},
                    ],
                }
            ]
        }
    )

    messages: Annotated[list[MessageIn], Field(min_length=1)]

    def items(self) -> list[Item]:
        return [message.core() for message in self.messages]


def _add_tag(value: Any) -> str:
    present = value if isinstance(value, Mapping) else getattr(value, "model_fields_set", ())
    for name in ("memories", "messages"):
        if name in present:
            return f"<{name}>"
    return "<memory>"


AddIn = Annotated[
    Annotated[NewMemoryIn, Tag("<memory>")]
    | Annotated[MemoriesIn, Tag("<memories>")]
    | Annotated[MessagesIn, Tag("<messages>")],
    Discriminator(_add_tag),
]


class UpdateIn(Body):
    """The fields to change; null empties one, what is left out stays."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"content": "I moved to Porto in March.", "reason": "corrected by Ana"}]
        }
    )

    content: str = ""
    kind: AnyKind = Kind.EPISODIC
    speaker: Label | None = None
    occurred_at: Time | None = None
    place: Label | None = None
    images: list[ImageIn] = []
    metadata: Metadata = {}
    priority: Priority = 0.5
    expires_at: Time | None = None
    reason: str | None = None

    def changes(self) -> dict[str, Any]:
        """Keyword arguments of `update`: what was sent, nothing else."""
        sent = {name: getattr(self, name) for name in self.model_fields_set}
        if "images" in sent:
            sent["images"] = tuple(image.core() for image in self.images)
        return sent


class ReasonIn(Body):
    """Why; kept in the history."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "asked for by Ana"}]})

    reason: str | None = None


class ScheduleIn(Body):
    """Which job is queued when: five fields of cron, in a zone of the tz database."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"cron": "30 3 * * *", "kind": "lifecycle", "zone": "Europe/Lisbon"}]
        }
    )

    cron: Label
    kind: Label
    zone: Label | None = None


class LinkIn(Body):
    """A connection to another memory of the same cube."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"target_id": "01HXA8Q5T9V0J4M2K7N3P6R8SE", "relation": "explains"}]
        }
    )

    target_id: str
    relation: Label = "related"
    reason: str | None = None


class SearchIn(Body):
    """A search. `since` ≤ occurred_at < `until`; `as_of` and `known_as_of` answer as it was then,
    and as it was known then."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "text": "Where does Ana live?",
                    "limit": 5,
                    "filter": {"topic": {"eq": "home"}},
                    "since": "2024-01-01T00:00:00Z",
                }
            ]
        }
    )

    text: str
    limit: Annotated[int, Field(ge=1)] = 10
    user_id: Label | None = None
    agent_id: Label | None = None
    session_id: Label | None = None
    kinds: list[AnyKind] = []
    filter: Annotated[
        dict[str, Any] | None,
        Field(description='Metadata filter, such as {"topic": {"in": ["home", "work"]}}.'),
    ] = None
    since: Time | None = None
    until: Time | None = None
    place: Annotated[
        Label | None, Field(description="Only memories of this place, in any case.")
    ] = None
    as_of: Annotated[Time | None, Field(description="Only what had happened by then.")] = None
    known_as_of: Annotated[
        Time | None, Field(description="As the cube was known then, changes since undone.")
    ] = None
    mmr: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    token_budget: Annotated[int, Field(ge=1)] | None = None
    explain: bool = False
    summaries: Annotated[
        int, Field(ge=0, description="Most summaries that are found besides; no hit changes.")
    ] = 0

    def core(self) -> CoreSearch:
        given = {name: getattr(self, name) for name in type(self).model_fields}
        return CoreSearch(**{**given, "kinds": tuple(self.kinds)})


class CubeIn(Body):
    """A cube to make. A name has letters, digits, '.', '_' and '-'."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "ana", "description": "What Ana told us"}]}
    )

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
    description: str = ""
    metadata: Metadata = {}


class ReindexIn(Body):
    """`embed`: also make the vectors anew, with the present model."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"embed": False}]})

    embed: bool = False


class KeyIn(Body):
    """A key to issue. `cubes` are the only ones it reaches, by name or id; none: all."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "agent", "role": "writer", "cubes": []}]}
    )

    name: Label
    role: AnyRole = Role.WRITER
    cubes: list[Label] = []


_SHARED = tuple(spec.name for spec in fields(Defaults) if spec.name in ItemFields.model_fields)


def _shared(item: ItemFields) -> dict[str, Any]:
    return {name: getattr(item, name) for name in _SHARED}
