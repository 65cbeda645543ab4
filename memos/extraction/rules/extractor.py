"""The rule extractor: parses turns, lets each rule read each clause, gathers what was named."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone, tzinfo
from typing import TYPE_CHECKING

from memos.errors import ExtractionFailed, MemosError
from memos.extraction.rules import language as models
from memos.extraction.rules.belongings import read_belonging, read_pets
from memos.extraction.rules.clause import Clause, Mood
from memos.extraction.rules.corrections import Former, corrected, may_correct
from memos.extraction.rules.doings import read_doing
from memos.extraction.rules.draft import Draft, shifted
from memos.extraction.rules.events import read_event
from memos.extraction.rules.grammar import clauses
from memos.extraction.rules.homes import read_home
from memos.extraction.rules.jobs import read_job
from memos.extraction.rules.naming import mentions
from memos.extraction.rules.partners import read_partner, read_relatives
from memos.extraction.rules.people import People, may_be_kin
from memos.extraction.rules.phrases import entity_type
from memos.extraction.rules.pieces import pieces
from memos.extraction.rules.taken_back import material, takes_back
from memos.extraction.rules.tastes import read_taste
from memos.extraction.rules.traits import read_trait
from memos.extraction.rules.when import assign
from memos.extraction.times import find_times
from memos.graph.resolving.names import normal
from memos.protocols import Turns
from memos.types import Claim, Extraction, Image, Memory, MentionDraft, Ref

if TYPE_CHECKING:
    from spacy.tokens import Doc

    from memos.extraction.rules.language import Language

NAME = "rules-1"
_READERS = (
    read_home, read_job, read_partner, read_belonging, read_trait, read_taste, read_doing,
    read_event,
)  # fmt: skip
_CAPTION_LIMIT = 500


@dataclass(slots=True)
class _Turn:
    """A memory on its way: its pieces of text with where each begins."""

    memory: Memory
    me: Ref
    you: Ref | None
    pieces: list[tuple[int, str]]
    captions: list[str]


class RulesExtractor:
    """`memos.protocols.Extractor` by rules over spaCy's parse; deterministic.

    `zone` is the speakers' time zone. The model is loaded at the first text, once per process.
    """

    def __init__(self, *, zone: tzinfo = timezone.utc) -> None:
        self._zone = zone

    @property
    def name(self) -> str:
        return NAME

    def extract(
        self, memories: Sequence[Memory], *, before: Sequence[Memory] = ()
    ) -> list[Extraction | ExtractionFailed]:
        (found,) = self.extract_runs([(memories, before)])
        return found

    def extract_runs(self, runs: Sequence[Turns]) -> Iterator[list[Extraction | ExtractionFailed]]:
        """`memos.protocols.RunExtractor`: the parser takes less for a text among many."""
        if not any(memories for memories, _ in runs):
            return iter([[] for _ in runs])
        language = models.load()
        turns = [_turns(memories, before) for memories, before in runs]
        known = [{name.lower(): name for turn in run for name in _names(turn)} for run in turns]
        with language.session():
            flat = [
                (turn, frozenset(names))
                for run, names in zip(turns, known, strict=True)
                for turn in run
            ]
            documents = iter(_documents(language, flat))
            return iter(
                [
                    _Reading(language, self._zone, names).read(
                        [(turn, next(documents)) for turn in run],
                        [_turn(memory, None) for memory in before],
                    )
                    for run, names, (_, before) in zip(turns, known, runs, strict=True)
                ]
            )


_Documents = list["Doc"] | Exception
"""The parsed pieces and captions of a turn, or why there are none."""


def _documents(
    language: Language, turns: Sequence[tuple[_Turn, frozenset[str]]]
) -> list[_Documents]:
    """Of each turn with its usual names. A text that the parser breaks on fails alone."""
    texts = [[t for _, t in turn.pieces] + turn.captions for turn, _ in turns]
    usual = [names for (_, names), each in zip(turns, texts, strict=True) for _ in each]
    try:
        flat = iter(language.parse([t for each in texts for t in each], usual=usual))
    except (ValueError, RuntimeError, MemoryError):
        if len(turns) == 1:
            raise
        return [_alone(language, turn) for turn in turns]
    return [[next(flat) for _ in each] for each in texts]


def _alone(language: Language, turn: tuple[_Turn, frozenset[str]]) -> _Documents:
    try:
        return _documents(language, [turn])[0]
    except (ValueError, RuntimeError) as error:
        return error


class _Reading:
    """The work on one run: the documents live as long as the language's session."""

    def __init__(self, language: Language, zone: tzinfo, known: dict[str, str]) -> None:
        self._language = language
        self._zone = zone
        self._known = known
        self._former: dict[str, Former] = {}

    def read(
        self, run: Sequence[tuple[_Turn, _Documents]], past: list[_Turn]
    ) -> list[Extraction | ExtractionFailed]:
        found: list[Extraction | ExtractionFailed] = []
        earlier = list(past)
        for turn, docs in run:
            try:
                if isinstance(docs, Exception):
                    raise docs
                claims, places = self._claims(turn, docs)
                if claims or may_correct(turn.memory.content):
                    claims = self._with_corrections(turn, docs, claims, earlier)
                self._former[turn.memory.id] = Former(turn.me.name, tuple(claims))
                found.append(self._extraction(turn, docs, claims, places))
            except MemosError as error:
                found.append(_failed(turn.memory, error))
            except (ValueError, RuntimeError, LookupError, TypeError, AttributeError) as error:
                found.append(_failed(turn.memory, error))
            earlier.append(turn)
        return found

    def _claims(
        self, turn: _Turn, docs: list[Doc]
    ) -> tuple[list[Claim], dict[int, tuple[Ref, int, int]]]:
        said_at = turn.memory.occurred_at or turn.memory.created_at
        claims: list[Claim] = []
        places: dict[int, tuple[Ref, int, int]] = {}
        people = People(me=turn.me, you=turn.you, known=self._known)
        for (offset, text), doc in zip(turn.pieces, docs, strict=False):
            people = replace(people, places={}, relatives=[])
            draft = Draft(people=people, said_at=said_at)
            self._read(doc, text, draft, said_at)
            claims += [shifted(claim, offset) for claim in draft.claims]
            for start, (ref, first, last) in people.places.items():
                places[start + offset] = (ref, first + offset, last + offset)
        first, last = material(turn.memory.content)
        told = [c for c in claims if c.end <= first or c.start >= last]
        return _distinct(told), places

    def _read(self, doc: Doc, text: str, draft: Draft, said_at: datetime) -> None:
        found: list[Clause] = []
        last: list[Clause] = []
        for span in doc.sents:
            here = clauses(span, self._language)
            if takes_back(span.text):
                for clause in (*last, *here):
                    clause.mood = Mood.OPEN
            found += here
            last = here
        times = find_times(text, said_at, zone=self._zone) if found else ()
        assign(doc, found, times)
        for clause in found:
            draft.people.subjects(clause.subject)  # who is named is known to later pronouns
            for reader in _READERS:
                reader(clause, draft)
        clause_of = _clause_of(doc, found)
        for token in doc:
            if may_be_kin(token.lower_):
                draft.people.relative(token)
        read_relatives(draft, clause_of)
        read_pets(draft, clause_of, list(doc))

    def _with_corrections(
        self, turn: _Turn, docs: list[Doc], claims: list[Claim], earlier: list[_Turn]
    ) -> list[Claim]:
        text = turn.memory.content
        if not may_correct(text):
            return claims
        session = turn.memory.session_id
        same = [t for t in earlier if t.memory.session_id == session][-8:]
        kinds = {
            normal(entity.text): kind
            for doc in docs
            for entity in doc.ents
            if (kind := entity_type(entity.label_)) is not None
        }
        return corrected(text, claims, [self._former_of(t) for t in same], turn.me.name, kinds)

    def _former_of(self, turn: _Turn) -> Former:
        """What an earlier turn claimed; one of `before` is read now."""
        known = self._former.get(turn.memory.id)
        if known is None:
            documents = _documents(self._language, [(turn, frozenset(self._known))])[0]
            claims: list[Claim] = []
            if not isinstance(documents, Exception):
                claims, _ = self._claims(turn, documents)
            known = self._former[turn.memory.id] = Former(turn.me.name, tuple(claims))
        return known

    def _extraction(
        self,
        turn: _Turn,
        docs: list[Doc],
        claims: list[Claim],
        places: dict[int, tuple[Ref, int, int]],
    ) -> Extraction:
        named: list[MentionDraft] = []
        for (offset, _), doc in zip(turn.pieces, docs, strict=False):
            named += mentions(doc, offset, places, self._known)
        shown = [
            _shown(turn, doc.text, noun) for doc in docs[len(turn.pieces) :] for noun in _nouns(doc)
        ]
        place = turn.memory.place
        if place:
            events = replace
            claims = [
                events(c, place=place) if c.since is not None and c.place is None else c
                for c in claims
            ]
        named += _unnamed(turn, claims, named)
        named += [MentionDraft(ref=claim.object) for claim in shown if claim.object is not None]
        return Extraction(
            mentions=tuple(dict.fromkeys(named)), claims=tuple(_distinct([*claims, *shown]))
        )


def _unnamed(turn: _Turn, claims: list[Claim], named: list[MentionDraft]) -> Iterator[MentionDraft]:
    """Those meant without their name: the speaker, and who "she" was."""
    seen = {mention.ref for mention in named}
    if turn.memory.speaker:
        yield MentionDraft(ref=turn.me)
        seen.add(turn.me)
    for claim in claims:
        for ref in (claim.subject, claim.object):
            if ref is not None and ref not in seen:
                seen.add(ref)
                yield MentionDraft(ref=ref)


def _shown(turn: _Turn, caption: str, noun: str) -> Claim:
    return Claim(
        subject=turn.me, predicate="showed", object=Ref(name=noun), confidence=0.5, start=0, end=0
    )


def _nouns(doc: Doc) -> list[str]:
    """The main things of a caption, without articles: "a dog on a beach" → dog, beach."""
    from memos.extraction.rules.phrases import is_thing, phrase

    found = []
    for token in doc:
        if (
            token.pos_ in ("NOUN", "PROPN")
            and token.dep_ not in ("compound", "poss")
            and (
                is_thing(token)
                and token.lower_ not in ("photo", "picture", "image", "close", "view")
            )
        ):
            found.append(phrase(token))
    return list(dict.fromkeys(found))[:3]


def _clause_of(doc: Doc, found: list[Clause]) -> dict[int, Clause]:
    """For each token the clause whose verb is nearest above it; else the first of its sentence."""
    by_verb = {clause.verb.i: clause for clause in found}
    result: dict[int, Clause] = {}
    for token in doc:
        at = token
        for _ in range(60):
            if at.i in by_verb:
                result[token.i] = by_verb[at.i]
                break
            if at.head.i == at.i:
                break
            at = at.head
    return result


def _distinct(claims: list[Claim]) -> list[Claim]:
    """Each claim once, the surest of those that say the same."""
    best: dict[tuple[object, ...], Claim] = {}
    for claim in claims:
        name = claim.object.name.casefold() if claim.object else None
        key = (
            claim.subject.name.casefold(),
            claim.predicate,
            name,
            claim.value.casefold() if claim.value else None,
            claim.negated,
            claim.corrects,
        )
        held = best.get(key)
        if held is None or _better(claim, held):
            best[key] = claim
    return list(best.values())


def _better(claim: Claim, held: Claim) -> bool:
    def rank(one: Claim) -> tuple[bool, bool, float]:
        return one.since is not None, one.until is None, one.confidence

    return rank(claim) > rank(held)


def _turns(memories: Sequence[Memory], before: Sequence[Memory]) -> list[_Turn]:
    """Each with whom "you" means: who spoke last in its session beside its own speaker."""
    last: dict[str | None, list[str]] = {}
    for memory in before:
        if memory.speaker:
            last.setdefault(memory.session_id, []).append(memory.speaker)
    found = []
    for number, memory in enumerate(memories):
        spoken = last.setdefault(memory.session_id, [])
        other = next((s for s in reversed(spoken) if s != memory.speaker), None)
        if other is None and memory.session_id is not None:
            later = (m.speaker for m in memories[number + 1 :] if m.session_id == memory.session_id)
            other = next((s for s in later if s and s != memory.speaker), None)
        found.append(_turn(memory, other))
        if memory.speaker:
            spoken.append(memory.speaker)
    return found


_QUOTES = str.maketrans({"’": "'", "‘": "'", "´": "'", "`": "'", "\x00": " ", "\u00a0": " "})
_FORMER = re.compile(
    r"\b(ex)-(?=(?:husband|wife|boyfriend|girlfriend|partner|boss|colleague)\b)", re.I
)
"""Read as two words; the parser takes the hyphen for one of its own."""
_LIKE = re.compile(r"(?<=\bno longer )like\b(?! (?:this|that|to)\b)", re.I)
"""Read as "love", which the parser takes for the verb that it is."""
_BROKEN = re.compile("[\ud800-\udfff]")


def _turn(memory: Memory, other: str | None) -> _Turn:
    me = Ref(name=memory.speaker or memory.user_id or "user", type="person")
    text = _FORMER.sub(r"\1 ", _BROKEN.sub("?", memory.content.translate(_QUOTES)))
    text = _LIKE.sub("love", text)
    return _Turn(
        memory=memory,
        me=me,
        you=Ref(name=other, type="person") if other else None,
        pieces=list(pieces(text)),
        captions=[_caption(image) for image in memory.images if image.caption],
    )


def _caption(image: Image) -> str:
    return _BROKEN.sub("?", (image.caption or "").translate(_QUOTES))[:_CAPTION_LIMIT]


def _names(turn: _Turn) -> Iterator[str]:
    if turn.memory.speaker:
        yield turn.memory.speaker
    if turn.you is not None:
        yield turn.you.name


def _failed(memory: Memory, error: Exception) -> ExtractionFailed:
    failure = ExtractionFailed(
        f"the rules could not read memory {memory.id}: {type(error).__name__}: {error}",
        memory_id=memory.id,
    )
    failure.__cause__ = error
    return failure
