"""The names in what was read of a memory, each with the type that its place asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from memos.graph.resolving import names
from memos.graph.resolving.names import normal
from memos.graph.vocabulary import ANY, Vocabulary
from memos.types import Claim, Extraction, Memory, Ref

PERSON = "person"
_ROLES = {"user": "user_id", "assistant": "agent_id"}
"""Speakers who are named after their part in a conversation are told apart by whom it was with."""


@dataclass(frozen=True, slots=True)
class Name:
    """A name to be resolved. `speaker`: it is who says something, whom nobody else stands for."""

    text: str
    normal: str
    type: str
    speaker: bool


def names_of(memory: Memory, found: Extraction, vocabulary: Vocabulary) -> Iterator[Name]:
    refs = [(mention.ref, ANY) for mention in found.mentions]
    for claim in found.claims:
        kind = vocabulary.predicate(claim.predicate)
        refs.append((claim.subject, only(kind.subject_types)))
        if claim.object is not None:
            refs.append((claim.object, only(kind.object_types)))
    for ref, expected in refs:
        name = name_of(memory, ref, expected)
        if name is not None:
            yield name


def name_of(memory: Memory, ref: Ref, expected: str = ANY) -> Name | None:
    """None for what is no name."""
    text = ref.name.strip()
    folded = normal(text) if len(text) <= names.LONGEST else ""
    if not folded or "\x00" in text:
        return None
    speaker = memory.speaker is not None and folded == normal(memory.speaker)
    if folded in _ROLES and (whom := getattr(memory, _ROLES[folded])):
        whom = whom[: names.LONGEST]
        return Name(whom, normal(whom), PERSON, True)
    return Name(text, folded, ref.type if ref.type != ANY else expected, speaker)


def replaced_name(memory: Memory, claim: Claim, vocabulary: Vocabulary) -> Name | None:
    if claim.replaces is None:
        return None
    type = claim.object.type if claim.object is not None else ANY
    expected = only(vocabulary.predicate(claim.predicate).object_types)
    return name_of(memory, Ref(name=claim.replaces, type=type), expected)


def only(types: Sequence[str]) -> str:
    return types[0] if len(types) == 1 else ANY
