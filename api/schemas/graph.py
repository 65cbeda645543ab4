"""What may be sent to the graph: facts, records, rulings and the words of its vocabulary.

As strict as all of `memos.api.schemas`; knows shapes, and nothing of how facts follow from others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import ConfigDict, Discriminator, Field, Strict, Tag

from memos.api.schemas.fields import Body, Label, Priority, Time
from memos.types import Granularity, NewFact

AnyGranularity = Annotated[Granularity, Strict(False)]


class NewFactIn(Body):
    """One fact to add. Without `object` it must be `negated`, and denies any object."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "subject": "Ana",
                    "subject_type": "person",
                    "predicate": "lives_in",
                    "object": "Lisbon",
                    "valid_at": "2024-03-01T00:00:00Z",
                    "granularity": "month",
                }
            ]
        }
    )

    subject: Label
    predicate: Label
    object: str | int | float | bool | None = None
    subject_type: Label = "thing"
    object_type: Annotated[
        Label | None, Field(description="Makes `object` the name of an entity of this type.")
    ] = None
    unit: Label | None = None
    negated: bool = False
    valid_at: Time | None = None
    invalid_at: Time | None = None
    granularity: Annotated[
        AnyGranularity, Field(description="How exactly both times are known.")
    ] = Granularity.SECOND
    place: Label | None = None
    confidence: Priority = 1.0

    def core(self) -> NewFact:
        return NewFact(**{name: getattr(self, name) for name in type(self).model_fields})


class FactsIn(Body):
    """Facts to add, all or none."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "facts": [
                        {
                            "subject": "Ana",
                            "predicate": "works_at",
                            "object": "Metro",
                            "valid_at": "2023-01-09T00:00:00Z",
                            "granularity": "day",
                        }
                    ]
                }
            ]
        }
    )

    facts: Annotated[list[NewFactIn], Field(min_length=1)]
    session_id: Label | None = None


class RecordsIn(Body):
    """JSON records to read facts from, all or none: `name_field` names the subject of each, every
    other field is a predicate."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "records": [{"name": "Ana", "lives_in": "Lisbon", "since": "2024-03"}],
                    "name_field": "name",
                    "type": "person",
                    "time_field": "since",
                }
            ]
        }
    )

    records: Annotated[list[dict[str, Any]], Field(min_length=1)]
    name_field: Label
    type: Annotated[Label, Field(description="The entity type of the subjects.")] = "thing"
    time_field: Annotated[
        Label | None, Field(description="The field that says since when the others are true.")
    ] = None
    session_id: Label | None = None


def _tag(value: Any) -> str:
    present = value if isinstance(value, Mapping) else getattr(value, "model_fields_set", ())
    return "<records>" if "records" in present else "<facts>"


AddFactsIn = Annotated[
    Annotated[FactsIn, Tag("<facts>")] | Annotated[RecordsIn, Tag("<records>")],
    Discriminator(_tag),
]


class MergeIn(Body):
    """The entity that shall stand for both, by id or name."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"into": "Ana", "reason": "the same person"}]}
    )

    into: Label
    reason: str | None = None


class SplitIn(Body):
    """What belongs to another entity: the facts and memories named move to a new one."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "Ana Prado", "memories": ["01HXA8Q5T9V0J4M2K7N3P6R8SD"]}]
        }
    )

    name: Label
    type: Annotated[Label | None, Field(description="As the first's, if left out.")] = None
    facts: Annotated[list[Label], Field(default_factory=list)]
    memories: Annotated[list[Label], Field(default_factory=list)]
    reason: str | None = None


class PredicateIn(Body):
    """What a predicate means for time. `functional`: at most one object at a time."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"functional": True, "description": "the tariff that is paid"}]
        }
    )

    functional: bool = False
    event: bool = False
    inverse: Label | None = None
    subject_types: Annotated[list[Label], Field(default_factory=list)]
    object_types: Annotated[list[Label], Field(default_factory=list)]
    description: str = ""

    def keywords(self) -> dict[str, Any]:
        given = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}


class TypeIn(Body):
    """A kind of entity; `parent` is a more general one."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"description": "A boat with a name", "parent": "thing"}]}
    )

    description: str = ""
    parent: Label | None = None


class ExtractIn(Body):
    """`again`: also what has been read before."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"again": False}]})

    again: bool = False
