"""What may be sent to the memories: one, several, conversations, changes, links."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any

from pydantic import ConfigDict, Discriminator, Field, Tag

from memos.api.schemas.fields import AnyKind, Body, Label, Metadata, Priority, Time
from memos.messages import Defaults, Item
from memos.types import Image, Kind, Message, NewMemory, Provenance


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


def _without_defaults(schema: dict[str, Any]) -> None:
    """A client that filled them in would wipe what it did not mean to change."""
    for property in schema["properties"].values():
        property.pop("default", None)
    schema["examples"] = [{"content": "I moved to Porto in March.", "reason": "corrected by Ana"}]


class UpdateIn(Body):
    """The fields to change; what is left out stays. null empties `speaker`, `occurred_at`, `place`
    and `expires_at`."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    # The values below are never used: only what was sent counts.
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


_SHARED = tuple(spec.name for spec in fields(Defaults) if spec.name in ItemFields.model_fields)


def _shared(item: ItemFields) -> dict[str, Any]:
    return {name: getattr(item, name) for name in _SHARED}
