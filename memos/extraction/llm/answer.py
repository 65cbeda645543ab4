"""What a model has to answer: its JSON schema, and the strict reading of an answer.

Each turn's part is read by itself, so that a mistake in one costs the others nothing. Knows no
provider and no prompt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import tzinfo
from typing import Any

import msgspec

from memos.errors import ExtractorAnswer
from memos.extraction.llm.dates import period_of
from memos.types import Claim, Extraction, Granularity, MentionDraft, Period, Ref

_NAME_CHARS = 512
_PREDICATE_CHARS = 128
_MOST = 200
"""Mentions or claims of one turn; more is a model that runs on."""
_FENCE = re.compile(r"\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*", re.DOTALL)


class _Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    pass


class _Thing(_Strict):
    name: str
    type: str


class _Time(_Strict):
    at: str
    granularity: Granularity


class _Mention(_Strict):
    name: str
    type: str
    text: str | None = None


class _Claim(_Strict):
    subject: _Thing
    predicate: str
    object: _Thing | None = None
    value: str | None = None
    quantity: float | None = None
    unit: str | None = None
    negated: bool = False
    since: _Time | None = None
    until: _Time | None = None
    corrects: bool = False
    replaces: str | None = None
    place: str | None = None
    confidence: float = 0.8
    text: str | None = None


class _Turn(_Strict):
    id: str
    mentions: list[_Mention]
    claims: list[_Claim]


class _Head(msgspec.Struct):
    id: str


class _Answer(_Strict):
    turns: list[msgspec.Raw]


def schema(types: Sequence[str]) -> dict[str, Any]:
    """The JSON schema of an answer, in the strict form that providers ask for: every property is
    required, what may be missing is null. `types` are the entity types' names."""
    thing = _object({"name": _STRING, "type": {"type": "string", "enum": list(types)}})
    time = _object({"at": _STRING, "granularity": {"type": "string", "enum": _GRANULARITIES}})
    mention = _object({**thing["properties"], "text": _TEXT})
    claim = _object(
        {
            "subject": thing,
            "predicate": _STRING,
            "object": _maybe(thing),
            "value": _TEXT,
            "quantity": {"type": ["number", "null"]},
            "unit": _TEXT,
            "negated": {"type": "boolean"},
            "since": _maybe(time),
            "until": _maybe(time),
            "corrects": {"type": "boolean"},
            "replaces": _TEXT,
            "place": _TEXT,
            "confidence": {"type": "number"},
            "text": _TEXT,
        }
    )
    turn = _object({"id": _STRING, "mentions": _list(mention), "claims": _list(claim)})
    return _object({"turns": _list(turn)})


def read_answer(
    text: str, contents: Mapping[str, str], *, zone: tzinfo
) -> dict[str, Extraction | ExtractorAnswer]:
    """What an answer holds of each turn that was asked for, by id; `contents` are their texts.

    ExtractorAnswer, raised, if it is no such JSON at all; as a value, for a turn whose part is
    missing or does not follow the schema. Its message is fit for the model to read.
    """
    fenced = _FENCE.fullmatch(text)
    try:
        answer = msgspec.json.decode(fenced[1] if fenced else text, type=_Answer)
    except msgspec.ValidationError as error:
        raise ExtractorAnswer(f"the answer does not follow the schema: {error}") from error
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ExtractorAnswer(
            f"the answer is not JSON ({error}); it begins {text[:80]!r}"
        ) from error
    found: dict[str, Extraction | ExtractorAnswer] = {}
    for raw in answer.turns:
        id = _id_of(raw, contents)
        if id in found:
            found[id] = ExtractorAnswer(f"turn {id!r} stands in the answer more than once")
        else:
            found[id] = _turn(raw, id, contents[id], zone)
    for id in contents.keys() - found.keys():
        found[id] = ExtractorAnswer(f"turn {id!r} is missing in the answer")
    return found


def _id_of(raw: msgspec.Raw, contents: Mapping[str, str]) -> str:
    try:
        id = msgspec.json.decode(raw, type=_Head).id
    except msgspec.MsgspecError as error:
        raise ExtractorAnswer(f"an item of `turns` has no id: {error}") from error
    if id not in contents:
        raise ExtractorAnswer(f"the answer names a turn {id!r} that was not asked for")
    return id


def _turn(raw: msgspec.Raw, id: str, content: str, zone: tzinfo) -> Extraction | ExtractorAnswer:
    try:
        turn = msgspec.json.decode(raw, type=_Turn)
        if max(len(turn.mentions), len(turn.claims)) > _MOST:
            raise ValueError(f"more than {_MOST} mentions or claims")
        return Extraction(
            mentions=tuple(_mention(mention, content) for mention in turn.mentions),
            claims=tuple(_each(turn.claims, content, zone)),
        )
    except (msgspec.MsgspecError, ValueError) as error:
        failure = ExtractorAnswer(f"turn {id!r}: {error}")
        failure.__cause__ = error
        return failure


def _each(claims: Iterable[_Claim], content: str, zone: tzinfo) -> Iterable[Claim]:
    for number, claim in enumerate(claims):
        try:
            yield _claim(claim, content, zone)
        except ValueError as error:
            raise ValueError(f"claims[{number}]: {error}") from error


def _claim(claim: _Claim, content: str, zone: tzinfo) -> Claim:
    if claim.object is not None and claim.value is not None:
        raise ValueError("`object` and `value` are both given; use one")
    if claim.object is None and claim.value is None and not claim.negated:
        raise ValueError("neither `object` nor `value`; only a negated claim may lack both")
    if not 0 <= claim.confidence <= 1:
        raise ValueError(f"`confidence` is {claim.confidence}; it goes from 0 to 1")
    since, until = _period(claim.since, zone), _period(claim.until, zone)
    if since and until and since.start and until.end and until.end <= since.start:
        raise ValueError("`until` is before `since`")
    start, end = _place(claim.text, content)
    return Claim(
        subject=_ref(claim.subject),
        predicate=_named("predicate", claim.predicate, _PREDICATE_CHARS),
        object=None if claim.object is None else _ref(claim.object),
        value=claim.value,
        quantity=claim.quantity,
        unit=claim.unit,
        negated=claim.negated,
        since=since,
        until=until,
        corrects=claim.corrects,
        replaces=claim.replaces,
        place=claim.place,
        confidence=claim.confidence,
        start=start,
        end=end,
    )


def _mention(mention: _Mention, content: str) -> MentionDraft:
    start, end = _place(mention.text or mention.name, content)
    return MentionDraft(
        ref=Ref(
            name=_named("name", mention.name, _NAME_CHARS),
            type=_named("type", mention.type, _PREDICATE_CHARS),
        ),
        start=start,
        end=end,
    )


def _ref(thing: _Thing) -> Ref:
    return Ref(
        name=_named("name", thing.name, _NAME_CHARS),
        type=_named("type", thing.type, _PREDICATE_CHARS),
    )


def _named(field: str, text: str, limit: int) -> str:
    text = " ".join(text.split())
    if not text or len(text) > limit:
        raise ValueError(f"`{field}` is {text[:40]!r}; it must have 1 to {limit} characters")
    return text


def _period(time: _Time | None, zone: tzinfo) -> Period | None:
    return None if time is None else period_of(time.at, time.granularity, zone)


def _place(quote: str | None, content: str) -> tuple[int, int]:
    """Where the quote stands in the text; (0, 0) if a model has changed its words."""
    if not quote:
        return 0, 0
    start = content.find(quote)
    if start < 0:
        match = re.search(re.escape(quote), content, re.IGNORECASE)
        return match.span() if match else (0, 0)
    return start, start + len(quote)


_STRING = {"type": "string"}
_TEXT = {"type": ["string", "null"]}
_GRANULARITIES = [granularity.value for granularity in Granularity]


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _maybe(shape: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [shape, {"type": "null"}]}
