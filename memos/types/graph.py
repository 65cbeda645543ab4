"""The graph: entities, what was asserted of them, and the facts that follow, in two times.

World time (`valid_at` ≤ t < `invalid_at`) is when a fact was true; system time (`created_at` ≤ t <
`expired_at`) is when it was believed. An *assertion* is what one memory says; it is never changed.
A *fact* is what all assertions together amount to, derived from them, so that the order in which
they came does not matter and what one of them closed opens again when it is forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum


class Granularity(str, Enum):
    """How exactly a time is known; the times of a period are those of its whole."""

    SECOND = "second"
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    SEASON = "season"
    YEAR = "year"
    DECADE = "decade"


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """From `start` up to, not including, `end`; None is open. "last year" is a whole year."""

    start: datetime | None
    end: datetime | None
    granularity: Granularity


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityType:
    """A kind of thing that facts are about. `parent` is a more general type."""

    name: str
    description: str = ""
    parent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PredicateType:
    """What a predicate means for time.

    `functional`: at most one object at a time, so a newer one closes the older. Otherwise objects
    stand side by side and only a negation of the same one closes it. `event`: it happens at its
    time, and having happened stays true; nothing closes it. `subject_types` and `object_types`:
    entity types that it joins (empty: any). `inverse` reads it from the object's side.
    """

    name: str
    functional: bool = False
    event: bool = False
    inverse: str | None = None
    subject_types: tuple[str, ...] = ()
    object_types: tuple[str, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityRef:
    """An entity as a fact names it."""

    id: str
    name: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """A node. `aliases` are all names it goes by, its own included; `merged_into` is the entity
    that stands for it since a merge (None: it stands for itself)."""

    id: str
    cube_id: str
    name: str
    type: str
    aliases: tuple[str, ...]
    merged_into: str | None
    created_at: datetime
    mentions: int = 0
    facts: int = 0


# What an extractor finds in one memory, before anybody knows which entity a name means.


@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    """A thing as named in a text. `type` is an entity type (`thing` if nothing better is known)."""

    name: str
    type: str = "thing"


@dataclass(frozen=True, slots=True, kw_only=True)
class MentionDraft:
    """`ref` is named at content[start:end]; both 0 if it is meant but not named (a speaker)."""

    ref: Ref
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Subject, predicate and object as one memory asserts them.

    `object` is a thing or `value` a text (never both; neither means any, in a negation such as "I
    no longer work"). `since` is when it became true or happened, None: by the time it was said;
    `until` when it ended (`since` None and `until` given: "I used to"). `corrects`: an earlier
    statement of the same was wrong from its beginning, that of `replaces` if that is named.
    `quantity` with `unit` is the value as a number. Text at content[start:end] says it.
    """

    subject: Ref
    predicate: str
    object: Ref | None = None
    value: str | None = None
    quantity: float | None = None
    unit: str | None = None
    negated: bool = False
    since: Period | None = None
    until: Period | None = None
    corrects: bool = False
    replaces: str | None = None
    place: str | None = None
    confidence: float = 0.8
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """What one memory holds."""

    mentions: tuple[MentionDraft, ...] = ()
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """A claim with its entities resolved, as stored: immutable, and gone only with its memory.

    `stated_at` is the memory's own time. `valid_at` None: since before anything known. `active` is
    False while its memory is forgotten.
    """

    id: str
    cube_id: str
    memory_id: str
    subject_id: str
    predicate: str
    object_id: str | None
    value: str | None
    quantity: float | None
    unit: str | None
    negated: bool
    corrects: bool
    replaces: str | None
    valid_at: datetime | None
    granularity: Granularity | None
    invalid_at: datetime | None
    invalid_granularity: Granularity | None
    stated_at: datetime
    place: str | None
    confidence: float
    extractor: str
    start: int
    end: int
    created_at: datetime
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FactSource:
    """The place in a memory, content[start:end] of version `memory_version`, that says it."""

    assertion_id: str
    memory_id: str
    start: int
    end: int
    extractor: str
    confidence: float
    stated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Subject, predicate, object or value, true from `valid_at` until `invalid_at` (None: open) and
    believed from `created_at` until `expired_at`.

    One fact keeps its `id` while its times change; each change is a new `revision`. `closed_by` is
    the id of the fact that ended it, `rule` the name of the rule by which.
    """

    id: str
    revision: int
    cube_id: str
    subject: EntityRef
    predicate: str
    object: EntityRef | None
    value: str | None
    quantity: float | None
    unit: str | None
    negated: bool
    event: bool
    place: str | None
    confidence: float
    valid_at: datetime | None
    granularity: Granularity | None
    invalid_at: datetime | None
    invalid_granularity: Granularity | None
    created_at: datetime
    expired_at: datetime | None
    closed_by: str | None
    rule: str | None
    sources: tuple[FactSource, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFact:
    """What a caller gives to `add_facts`: names, not ids. `object` names an entity if `object_type`
    is given or the predicate wants one, else it is a value. Times without granularity are exact."""

    subject: str
    predicate: str
    object: str | float | int | bool | None = None
    subject_type: str = "thing"
    object_type: str | None = None
    unit: str | None = None
    negated: bool = False
    valid_at: datetime | None = None
    invalid_at: datetime | None = None
    granularity: Granularity = Granularity.SECOND
    place: str | None = None
    confidence: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FactQuery:
    """A triple with `?` where None is: subject and object are entity ids or names.

    `as_of` t: true at t. `known_as_of` t: as believed at t (None: now). Without `as_of` all facts
    believed are answered, whenever they were true.
    """

    subject: str | None = None
    predicate: str | None = None
    object: str | None = None
    as_of: datetime | None = None
    known_as_of: datetime | None = None
    since: datetime | None = None
    until: datetime | None = None
    min_confidence: float = 0.0
    include_negated: bool = True


class RulingKind(str, Enum):
    KEEP_OPEN = "keep_open"
    """The closing of a fact is undone: `fact_id` is not closed by what `closed_by` asserts."""
    MERGE = "merge"
    """Two entities are one: `source_id` goes into `target_id`."""
    SPLIT = "split"
    """Mentions and assertions of some memories or aliases move from `source_id` to `target_id`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """A person's decision over what was derived; revoking it restores what was before."""

    id: str
    cube_id: str
    kind: RulingKind
    source_id: str
    target_id: str | None
    assertions: tuple[str, ...]
    actor: str | None
    reason: str | None
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One edge of a path, from `source` to `target` along `fact` (`forward`: subject to object)."""

    source: EntityRef
    target: EntityRef
    fact: Fact
    forward: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """Steps from one entity to another; `confidence` is the product of those of its facts."""

    steps: tuple[Step, ...]
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """An entity within reach, `distance` facts away, and the facts that lead to it from the ring
    before."""

    entity: EntityRef
    distance: int
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactExplanation:
    """Why a fact is believed, and why it is closed. `text` says it in sentences; `revisions` are
    all beliefs about it, oldest first."""

    fact: Fact
    assertions: tuple[Assertion, ...]
    closed_by: Fact | None
    closes: tuple[Fact, ...]
    revisions: tuple[Fact, ...]
    rulings: tuple[Ruling, ...]
    text: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphDiff:
    """How the facts of a cube differ between two times: those true (or believed) only at the later
    one, only at the earlier one, and those at both whose times or confidence changed (before,
    after)."""

    appeared: tuple[Fact, ...] = ()
    disappeared: tuple[Fact, ...] = ()
    changed: tuple[tuple[Fact, Fact], ...] = field(default=())


class SummaryKind(str, Enum):
    SESSION = "session"
    SEGMENT = "segment"
    COMMUNITY = "community"


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A text made of several memories. `key` is the session id, also of a segment, or the
    community's number; `entity_ids` its members; `memory_ids` what it was made from; `covers` a
    digest of all turns that it tells of, quoted or not."""

    id: str
    cube_id: str
    kind: SummaryKind
    key: str
    text: str
    memory_ids: tuple[str, ...]
    entity_ids: tuple[str, ...]
    method: str
    created_at: datetime
    covers: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a memory is about, beside its text (A-MEM, arXiv 2502.12110): keywords, tags and a
    sentence of context. A later memory, `cause`, can give it a new revision; undoing that makes
    the former the present one again, as one more revision."""

    memory_id: str
    revision: int
    keywords: tuple[str, ...]
    tags: tuple[str, ...]
    context: str
    method: str
    cause: str | None
    created_at: datetime
    expired_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """The predicates and entity types that a cube knows, the built-in ones included."""

    predicates: tuple[PredicateType, ...]
    types: tuple[EntityType, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedFacts:
    """What `add_facts` acknowledges: durable facts, and the memory that each comes from (forgetting
    it forgets the fact)."""

    facts: tuple[Fact, ...]
    memory_ids: tuple[str, ...]
