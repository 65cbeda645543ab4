"""Links from a new memory to old ones: which, of what relation, and why in words.

The associated old memories compete by nearness and by what they share; few win. Relations, the
first that fits:

contradicts   a fact of the old memory was ended or annulled by one of the new
repeats       it says nearly the same
continues     it is the turn before, or close before, in the session
elaborates    both have several keywords in common
same_entity   both name a thing
same_topic    one keyword or topic in common, or very near in meaning

Knows what was drafted of each memory; no store.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from memos.notes.surroundings import Near
from memos.protocols import EntityMention
from memos.retrieval.reading.analysis import QUESTION, analyze, fold
from memos.types import Fact

LIMIT = 5
SAME_SESSION = 2
"""Links within a session; who reads it finds the others there anyway."""
_REPEATS = 0.95
_VERY_NEAR = 0.6
"""Small talk is alike everywhere: with nothing in common it takes this much."""
_CLOSE_TURNS = 3
_ELABORATES = 2
_SHARED = 0.04
"""What a shared keyword or entity is worth beside the cosine."""
_MOST_SHARED = 3
_TOLD = 3
_NAME_CHARS = 96
_FACT_CHARS = 160


@dataclass(frozen=True, slots=True)
class Subject:
    """What a memory is about, as far as links need it. `entities`: surface by id."""

    memory_id: str
    position: int
    keywords: tuple[str, ...]
    tags: tuple[str, ...]
    entities: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Tie:
    """A link from a new memory to `memory_id`, an old one."""

    memory_id: str
    relation: str
    reason: str
    cosine: float
    same_session: bool
    shared: int
    """How many keywords and things both have."""


def entities_of(mentions: Iterable[EntityMention], speaker: str | None) -> dict[str, str]:
    """The things a memory names, by id. Not its speaker, and not what it only means."""
    own = "" if speaker is None else fold(speaker)
    return {
        mention.entity_id: " ".join(mention.surface.split())
        for mention in mentions
        if 0 < mention.end - mention.start <= _NAME_CHARS and fold(mention.surface) != own
    }


def contradictions(facts: Sequence[Fact]) -> dict[tuple[str, str], str]:
    """(new memory, old memory) → reason, for facts that others of `facts` closed."""
    by_id = {fact.id: fact for fact in facts}
    found: dict[tuple[str, str], str] = {}
    for fact in facts:
        later = by_id.get(fact.closed_by or "")
        if later is None:
            continue
        reason = f"“{_said(fact)}” was ended by “{_said(later)}”"
        for old in fact.sources:
            for new in later.sources:
                if new.memory_id != old.memory_id:
                    found.setdefault((new.memory_id, old.memory_id), reason)
    return found


def ties(
    new: Subject,
    near: Sequence[Near],
    old: Mapping[str, Subject],
    contradicted: Mapping[tuple[str, str], str],
) -> tuple[Tie, ...]:
    """At most LIMIT, the strongest first; what the new memory contradicts comes before all."""
    weighed = []
    terms = _terms(new.keywords)
    for other in near:
        subject = old.get(other.memory_id)
        shared = [] if subject is None else _shared(terms, subject.keywords)
        things = [] if subject is None else _things(new, subject)
        denied = contradicted.get((new.memory_id, other.memory_id))
        strength = other.cosine + _SHARED * min(_MOST_SHARED, len(shared) + len(things))
        tie = _tie(new, other, subject, shared, things, denied)
        if tie is None:
            continue
        weighed.append((denied is None, -strength, -other.position, tie))
    weighed.sort(key=lambda item: item[:3])
    return _few(tie for *_, tie in weighed)


def _few(found: Iterable[Tie]) -> tuple[Tie, ...]:
    chosen: list[Tie] = []
    inside = 0
    for tie in found:
        if tie.same_session and tie.relation != "contradicts":
            if inside == SAME_SESSION:
                continue
            inside += 1
        chosen.append(tie)
        if len(chosen) == LIMIT:
            break
    return tuple(chosen)


def _tie(
    new: Subject,
    other: Near,
    subject: Subject | None,
    shared: Sequence[str],
    things: Sequence[str],
    denied: str | None,
) -> Tie | None:
    topic = next((tag for tag in new.tags if subject and tag in subject.tags), None)
    if denied is not None:
        relation, reason = "contradicts", denied
    elif other.cosine >= _REPEATS:
        relation, reason = "repeats", "says nearly the same"
    elif other.same_session and new.position - other.position <= _CLOSE_TURNS:
        relation, reason = "continues", "follows on in the session"
    elif len(shared) >= _ELABORATES:
        relation, reason = "elaborates", f"takes up {_listed(shared)}"
    elif things:
        relation, reason = "same_entity", f"both name {_listed(things)}"
    elif shared:
        relation, reason = "same_topic", f"both about {_listed(shared)}"
    elif topic is not None:
        relation, reason = "same_topic", f"both about {topic}"
    elif other.cosine >= _VERY_NEAR and new.keywords:
        relation, reason = "same_topic", "very near in meaning"
    else:
        return None
    return Tie(
        memory_id=other.memory_id,
        relation=relation,
        reason=f"{reason}; cosine {other.cosine:.2f}",
        cosine=other.cosine,
        same_session=other.same_session,
        shared=len(shared) + len(things),
    )


def _terms(keywords: Sequence[str]) -> dict[frozenset[str], str]:
    return {frozenset(analyze(keyword)) - {QUESTION}: keyword for keyword in keywords}


def _shared(mine: Mapping[frozenset[str], str], theirs: Sequence[str]) -> list[str]:
    """My keywords of which a term stands in one of theirs."""
    other: set[str] = set().union(*_terms(theirs))
    return [keyword for terms, keyword in mine.items() if terms & other]


def _things(new: Subject, old: Subject) -> list[str]:
    return [name for id, name in new.entities.items() if id in old.entities]


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words[:_TOLD])


def _said(fact: Fact) -> str:
    what = fact.object.name if fact.object is not None else fact.value
    verb = ("not " if fact.negated else "") + fact.predicate.replace("_", " ")
    said = " ".join(part for part in (fact.subject.name, verb, what) if part)
    return said if len(said) <= _FACT_CHARS else said[:_FACT_CHARS] + "…"
