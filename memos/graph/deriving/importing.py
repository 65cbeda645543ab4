"""Facts that a caller gives, made ready: checked, with their predicate's one name and the types
that it implies; JSON records taken apart into facts.

Knows shapes and the vocabulary; no store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from memos.config import Settings
from memos.errors import InvalidInput, MemosError
from memos.extraction.structured import as_metadata
from memos.graph.resolving.names import LONGEST, normal
from memos.graph.sentences import sentence, shown
from memos.graph.vocabulary import ANY, Vocabulary
from memos.messages import as_facts, read_time
from memos.protocols import IMPORTED
from memos.types import Granularity, Kind, NewFact, NewMemory, Provenance
from memos.validation import check_fact, check_label, check_text, check_time

LONGEST_VALUE = 10_000
"""Characters of what a fact says, where it names nothing."""


def ready(
    facts: Sequence[NewFact | Mapping[str, Any]], vocabulary: Vocabulary, settings: Settings
) -> list[NewFact]:
    """Checked facts. InvalidInput names the fact that can't be used by its number."""
    found = as_facts(facts)
    if not found:
        raise InvalidInput("there are no facts; give at least one", field="facts")
    return [_numbered(number, fact, vocabulary, settings) for number, fact in enumerate(found)]


def _numbered(number: int, fact: NewFact, vocabulary: Vocabulary, settings: Settings) -> NewFact:
    try:
        check_fact(fact, settings)
        return _typed(fact, vocabulary)
    except InvalidInput as error:
        details = {**error.details, "fact": number}
        raise InvalidInput(f"fact {number}: {error.message}", **details) from error
    except MemosError as error:
        raise type(error)(f"fact {number}: {error.message}", **error.details) from error


def _typed(fact: NewFact, vocabulary: Vocabulary) -> NewFact:
    kind = vocabulary.predicate(fact.predicate)
    if not kind.name:
        raise InvalidInput(
            f"predicate is {fact.predicate!r}, which has neither letter nor digit",
            field="predicate",
        )
    subject_type = vocabulary.type(fact.subject_type).name
    if subject_type == ANY and len(kind.subject_types) == 1:
        subject_type = kind.subject_types[0]
    object_type = None if fact.object_type is None else vocabulary.type(fact.object_type).name
    if object_type is None and isinstance(fact.object, str) and kind.object_types:
        object_type = kind.object_types[0] if len(kind.object_types) == 1 else ANY
    made = replace(fact, predicate=kind.name, subject_type=subject_type, object_type=object_type)
    _check_names(made)
    _check_times(made)
    if (
        object_type is not None
        and normal(shown(fact.object) or "") == normal(fact.subject)
        and vocabulary.compatible(subject_type, object_type)
    ):
        raise InvalidInput(
            f"it links {fact.subject!r} to itself; name another object", field="object"
        )
    return made


def _check_names(fact: NewFact) -> None:
    for field, name in (("subject", fact.subject), ("predicate", fact.predicate)):
        _check_name(field, name)
    thing = shown(fact.object)
    if fact.object_type is not None and thing is not None:
        _check_name("object", thing)
    elif thing is not None and len(thing) > LONGEST_VALUE:
        raise InvalidInput(
            f"object has {len(thing)} characters; at most {LONGEST_VALUE} are a fact. Add it as a "
            "memory instead",
            field="object",
        )


def _check_name(field: str, name: str) -> None:
    if len(name) > LONGEST:
        raise InvalidInput(
            f"{field} has {len(name)} characters; a name has at most {LONGEST}", field=field
        )


def _check_times(fact: NewFact) -> None:
    if fact.valid_at is not None and fact.valid_at == fact.invalid_at:
        raise InvalidInput(
            f"valid_at and invalid_at are both {fact.valid_at.isoformat()}, so that it was never "
            "true; correct one of them",
            field="invalid_at",
        )


def memory_of(fact: NewFact, vocabulary: Vocabulary, session_id: str | None) -> NewMemory:
    """The memory that a fact comes from: it says it, at the time that the fact is of, so that facts
    of given times are the same in whatever order they arrive."""
    event = vocabulary.predicate(fact.predicate).event
    return NewMemory(
        content=sentence(fact, event=event),
        kind=Kind.SEMANTIC,
        session_id=session_id,
        occurred_at=fact.valid_at,
        place=fact.place,
        metadata=as_metadata(fact, event=event),
        provenance=Provenance(source=IMPORTED),
    )


def facts_of(
    records: Sequence[Mapping[str, Any]],
    *,
    name_field: str,
    type: str,
    time_field: str | None,
) -> list[NewFact]:
    """Each field of a record but its name and its time is a predicate of the one it names. Fields
    that hold nothing are passed over; a list is several facts. InvalidInput names the record."""
    check_label("name_field", name_field)
    check_label("time_field", time_field)
    check_label("type", type)
    if isinstance(records, (str, bytes, Mapping)) or not hasattr(records, "__iter__"):
        raise InvalidInput(
            f"add_records got a {records.__class__.__name__}; give it a list of objects",
            field="records",
        )
    found: list[NewFact] = []
    for number, record in enumerate(records):
        try:
            found += _of_record(record, name_field, type, time_field)
        except InvalidInput as error:
            details = {**error.details, "record": number}
            raise InvalidInput(f"record {number}: {error.message}", **details) from error
    if not found:
        raise InvalidInput("the records hold no facts beside their names", field="records")
    return found


def _of_record(
    record: Mapping[str, Any], name_field: str, type: str, time_field: str | None
) -> Iterator[NewFact]:
    if not isinstance(record, Mapping):
        raise InvalidInput(f"it is a {record.__class__.__name__}; give an object")
    name = record.get(name_field)
    if name is None or isinstance(name, (Mapping, list, tuple, bool)) or not str(name).strip():
        raise InvalidInput(
            f"its name, field {name_field!r}, is {name!r}; give a text", field=name_field
        )
    since, granularity = _time(record, time_field)
    for field, held in record.items():
        if field in (name_field, time_field):
            continue
        check_text("field name", field)
        for value in held if isinstance(held, (list, tuple)) else (held,):
            if value is None or (isinstance(value, str) and not value.strip()):
                continue
            if isinstance(value, (Mapping, list, tuple)):
                raise InvalidInput(
                    f"field {field!r} holds a {value.__class__.__name__}; give a text, a number, "
                    "true or false, or a list of these",
                    field=field,
                )
            yield NewFact(
                subject=shown(name) or "",
                subject_type=type,
                predicate=field,
                object=value,
                valid_at=since,
                granularity=granularity,
            )


def _time(record: Mapping[str, Any], time_field: str | None) -> tuple[datetime | None, Granularity]:
    held = None if time_field is None else record.get(time_field)
    if held is None or held == "":
        return None, Granularity.SECOND
    name = str(time_field)
    if isinstance(held, datetime):
        check_time(name, held)
        return held, Granularity.SECOND
    if isinstance(held, int) and not isinstance(held, bool):
        held = f"{held:04}"
    if not isinstance(held, str):
        raise InvalidInput(f"field {name!r} is {held!r}; it must be a time", field=name)
    return read_time(name, held)
