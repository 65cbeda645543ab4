"""What a memory claims, as assertions about entities, once it is known whom its names mean."""

from __future__ import annotations

import hashlib
import logging
import math
from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from memos.graph.resolving import names
from memos.graph.resolving.names import normal
from memos.graph.resolving.naming import Name, name_of, only, replaced_name
from memos.graph.vocabulary import Vocabulary
from memos.protocols import EntityMention, Reading
from memos.types import (
    Assertion,
    Claim,
    Cube,
    Extraction,
    Granularity,
    Memory,
    MentionDraft,
    Period,
    PredicateType,
    Ref,
)

log = logging.getLogger(__name__)

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LONGEST_VALUE = 10_000


class _Refused(Exception):
    """A claim that can't be kept; the text says why."""


class Claims:
    """One memory's extraction on its way to a reading."""

    def __init__(
        self,
        cube: Cube,
        memory: Memory,
        vocabulary: Vocabulary,
        meant: Mapping[Name, str],
        now: datetime,
    ) -> None:
        self._cube = cube
        self._memory = memory
        self._vocabulary = vocabulary
        self._meant = meant
        self._now = now
        self._stated = memory.occurred_at or memory.created_at
        self._ids: Counter[str] = Counter()

    def reading(self, found: Extraction, extractor: str) -> Reading:
        mentions = [made for draft in found.mentions if (made := self._mention(draft))]
        assertions: list[Assertion] = []
        refused: list[str] = []
        for claim in found.claims:
            try:
                assertions.append(self._assertion(claim, extractor))
            except _Refused as why:
                refused.append(str(why))
        if refused:
            log.info("memory %s: %d claims left out: %s", self._memory.id, len(refused), refused[0])
        return Reading(
            memory_id=self._memory.id,
            version=self._memory.version,
            extractor=extractor,
            mentions=tuple(mentions),
            assertions=tuple(assertions),
            error=refused[0] if refused and not assertions and not mentions else None,
        )

    def _mention(self, draft: MentionDraft) -> EntityMention | None:
        name = name_of(self._memory, draft.ref)
        if name is None:
            return None
        surface = self._memory.content[draft.start : draft.end] or draft.ref.name
        return EntityMention(
            entity_id=self._meant[name],
            surface=surface[: names.LONGEST],
            normal=name.normal,
            start=draft.start,
            end=draft.end,
        )

    def _entity(self, ref: Ref, expected: str, what: str) -> tuple[str, str]:
        name = name_of(self._memory, ref, expected)
        if name is None:
            raise _Refused(f"its {what} is no name: {ref.name[:40]!r} ({len(ref.name)} characters)")
        return self._meant[name], name.normal

    def _assertion(self, claim: Claim, extractor: str) -> Assertion:
        kind = self._vocabulary.predicate(claim.predicate)
        if not kind.name or len(kind.name) > names.LONGEST:
            raise _Refused(f"its predicate is no name: {claim.predicate[:40]!r}")
        subject_id, subject = self._entity(claim.subject, only(kind.subject_types), "subject")
        object_id, thing = None, ""
        if claim.object is not None:
            object_id, thing = self._entity(claim.object, only(kind.object_types), "object")
        value = None if object_id is not None else _value(claim)
        if object_id == subject_id:
            raise _Refused(f"{claim.subject.name!r} {kind.name} itself")
        if not 0.0 <= claim.confidence <= 1.0:
            raise _Refused(f"a confidence of {claim.confidence}")
        said = (subject, kind.name, thing or normal(value or ""), claim.negated)
        valid_at, grain, invalid_at, end_grain = self._times(claim, kind)
        replaced = replaced_name(self._memory, claim, self._vocabulary)
        return Assertion(
            id=self._id(said),
            cube_id=self._cube.id,
            memory_id=self._memory.id,
            subject_id=subject_id,
            predicate=kind.name,
            object_id=object_id,
            value=value,
            quantity=_quantity(claim),
            unit=claim.unit,
            negated=claim.negated,
            corrects=claim.corrects,
            replaces=None if replaced is None else self._meant.get(replaced, claim.replaces),
            valid_at=valid_at,
            granularity=grain,
            invalid_at=invalid_at,
            invalid_granularity=end_grain,
            stated_at=self._stated,
            place=claim.place or self._memory.place,
            confidence=claim.confidence,
            extractor=extractor,
            start=claim.start,
            end=claim.end,
            created_at=self._now,
        )

    def _id(self, said: tuple[object, ...]) -> str:
        """The same for the same claim of the same memory, so that what people ruled over it holds
        when it is read again. It begins with a digest of what is said alone: what is otherwise
        equal sorts the same, whatever the order in which memories arrived."""
        text = repr(said)
        self._ids[text] += 1
        one = f"{self._memory.id} {text} {self._ids[text]}"
        bits = int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") << 80
        bits |= int.from_bytes(hashlib.sha256(one.encode()).digest()[:10], "big")
        return "".join(_ALPHABET[bits >> shift & 31] for shift in range(125, -1, -5))

    def _times(
        self, claim: Claim, kind: PredicateType
    ) -> tuple[datetime | None, Granularity | None, datetime | None, Granularity | None]:
        since, grain = _start(claim.since)
        until, end_grain = _start(claim.until)
        if claim.until is not None and until is None:
            until = claim.until.end
            end_grain = claim.until.granularity if until else None
        if kind.event:
            return (since or self._stated), grain, None, None
        if since is not None and until is not None and until <= since:
            # "From March to May 2020" in years: both begin with the year.
            assert claim.until is not None
            until = claim.until.end
            if until is None or until <= since:
                raise _Refused(
                    f"it ended before it began: {claim.predicate} since {since.isoformat()}"
                )
        begun_before = until is not None and until <= self._stated
        if since is None and not begun_before and not (claim.corrects and until is None):
            since = self._stated
        return since, grain, until, end_grain


def _start(period: Period | None) -> tuple[datetime | None, Granularity | None]:
    if period is None or period.start is None:
        return None, None
    return period.start, period.granularity


def _value(claim: Claim) -> str | None:
    value = claim.value
    if value is None:
        return None
    if not normal(value) or "\x00" in value:
        raise _Refused(f"its value is no text: {value[:40]!r}")
    if len(value) > _LONGEST_VALUE:
        raise _Refused(f"its value has {len(value)} characters")
    return value.strip()


def _quantity(claim: Claim) -> float | None:
    if claim.quantity is not None and not math.isfinite(claim.quantity):
        raise _Refused(f"a quantity of {claim.quantity}")
    return claim.quantity
