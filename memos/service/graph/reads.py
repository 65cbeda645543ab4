"""The verbs that read the graph: facts, entities, rulings and the vocabulary, as they are or were.

Knows the store; not how ways through the graph are found.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

from memos.errors import FactNotFound, InvalidInput
from memos.graph import explanation
from memos.graph.resolving.names import normal
from memos.service import cursors
from memos.service.graph.base import GraphBase
from memos.types import (
    Cube,
    Entity,
    Fact,
    FactExplanation,
    FactQuery,
    GraphDiff,
    Page,
    Ruling,
    RulingKind,
    Vocabulary,
)
from memos.validation import (
    check_known,
    check_label,
    check_limit,
    check_priority,
    check_text,
    check_time,
    to_utc,
)

_PAGE = 1000
_NEVER = datetime.min


class GraphReads(GraphBase):
    """facts, fact, why, timeline, diff, entities, entity, rulings, vocabulary."""

    def facts(self, cube: Cube, wanted: FactQuery, *, cursor: str | None, limit: int) -> Page[Fact]:
        """By id. What nobody goes by has no facts; a name of several means them all."""
        check_limit("limit", limit, self._settings)
        check_priority("min_confidence", wanted.min_confidence)
        for name, text in (("subject", wanted.subject), ("predicate", wanted.predicate)):
            check_label(name, text)
        listing = f"facts {cube.id} {wanted!r}"
        after = cursors.decode(listing, cursor) if cursor else None
        asked = self._asked(cube, wanted)
        found: dict[str, Fact] = {}
        for filters in asked:
            rows = self._store.facts(cube.id, **filters, after=after, limit=limit + 1)
            found.update((row.id, row) for row in rows)
        rows = [found[id] for id in sorted(found)]
        more = len(rows) > limit
        return Page(
            items=tuple(rows[:limit]),
            next_cursor=cursors.encode(listing, rows[limit - 1].id) if more else None,
        )

    def _asked(self, cube: Cube, wanted: FactQuery) -> list[dict[str, Any]]:
        """What to ask the store: an object can be an entity, a value, or both by turns."""
        filters: dict[str, Any] = {
            "as_of": wanted.as_of,
            "known_as_of": wanted.known_as_of,
            "since": wanted.since,
            "until": wanted.until,
            "min_confidence": wanted.min_confidence,
            "include_negated": wanted.include_negated,
        }
        if wanted.predicate is not None:
            filters["predicates"] = [self._words(cube).canonical(wanted.predicate)]
        if wanted.subject is not None:
            subjects = self._named(cube, wanted.subject, wanted.known_as_of)
            if not subjects:
                return []
            filters["subjects"] = [entity.id for entity in subjects]
        if wanted.object is None:
            return [filters]
        check_text("object", wanted.object)
        asked = [{**filters, "values": [wanted.object]}] if wanted.object.strip() else []
        objects = self._named(cube, wanted.object, wanted.known_as_of)
        if objects:
            asked.append({**filters, "objects": [entity.id for entity in objects]})
        return asked

    def fact(self, cube: Cube, fact_id: str, *, known_as_of: datetime | None) -> Fact:
        """FactNotFound if there is none such, or it is (or was then) not believed."""
        check_label("id", fact_id)
        found = self._store.facts(cube.id, ids=[fact_id], known_as_of=known_as_of, limit=1)
        if not found:
            raise FactNotFound(
                f"cube {cube.name!r} has no fact {fact_id!r} that "
                f"{'was believed then' if known_as_of else 'is believed'}",
                fact_id=fact_id,
            )
        return found[0]

    def why(self, cube: Cube, fact_id: str, *, known_as_of: datetime | None) -> FactExplanation:
        """All that a fact rests on, what ended it and what it ended, as known at a time."""
        fact = self.fact(cube, fact_id, known_as_of=known_as_of)
        assertions = self._store.assertions(cube.id, [s.assertion_id for s in fact.sources])
        closed_by = None
        if fact.closed_by is not None:
            rows = self._store.facts(cube.id, ids=[fact.closed_by], known_as_of=known_as_of)
            closed_by = rows[0] if rows else None
        group = self._all_facts(
            cube,
            subjects=[fact.subject.id],
            predicates=[fact.predicate],
            known_as_of=known_as_of,
        )
        closes = tuple(other for other in group if other.closed_by == fact.id)
        revisions = tuple(
            one
            for one in self._store.revisions(cube.id, fact_id)
            if known_as_of is None or one.created_at <= known_as_of
        )
        rulings = tuple(self._bearing(cube, fact, known_as_of))
        return FactExplanation(
            fact=fact,
            assertions=tuple(assertions),
            closed_by=closed_by,
            closes=closes,
            revisions=revisions,
            rulings=rulings,
            text=explanation.sentences(fact, assertions, closed_by, closes, revisions, rulings),
        )

    def _bearing(self, cube: Cube, fact: Fact, known: datetime | None) -> Iterator[Ruling]:
        """Rulings in force that a fact owes something to."""
        ends = {fact.subject.id} | ({fact.object.id} if fact.object else set())
        said = {source.assertion_id for source in fact.sources}
        for ruling in self._store.rulings(cube.id):
            if ruling.revoked_at is not None and (known is None or ruling.revoked_at <= known):
                continue
            if known is not None and ruling.created_at > known:
                continue
            if ruling.kind is RulingKind.MERGE:
                bears = ruling.target_id in ends
            elif ruling.kind is RulingKind.KEEP_OPEN:
                bears = ruling.source_id == fact.id
            else:
                bears = not said.isdisjoint(ruling.assertions)
            if bears:
                yield ruling

    def diff(
        self, cube: Cube, since: datetime, until: datetime, *, axis: Literal["known", "valid"]
    ) -> GraphDiff:
        """Reads both views side by side, in pages: as long as the cube has facts."""
        if axis not in ("known", "valid"):
            raise InvalidInput(f"axis is {axis!r}; it must be known or valid", field="axis")
        for name, time in (("since", since), ("until", until)):
            if time is None:
                raise InvalidInput(f"{name} is missing; give a time", field=name)
            check_time(name, time)
            if axis == "known":
                check_known(name, time, self._clock())
        first, last = to_utc(since), to_utc(until)
        if first > last:
            raise InvalidInput(
                f"since is {since.isoformat()}, after until {until.isoformat()}; exchange them",
                field="since",
            )
        view = "known_as_of" if axis == "known" else "as_of"
        before = {fact.id: fact for fact in self._all_facts(cube, **{view: first})}
        appeared, changed = [], []
        for fact in self._all_facts(cube, **{view: last}):
            old = before.pop(fact.id, None)
            if old is None:
                appeared.append(fact)
            elif old.revision != fact.revision:
                changed.append((old, fact))
        return GraphDiff(
            appeared=tuple(appeared),
            disappeared=tuple(before.values()),
            changed=tuple(changed),
        )

    def rulings(self, cube: Cube) -> tuple[Ruling, ...]:
        """Oldest first."""
        return tuple(self._store.rulings(cube.id))

    def vocabulary(self, cube: Cube) -> Vocabulary:
        words = self._words(cube)
        return Vocabulary(predicates=words.predicates, types=words.types)

    def entities(
        self,
        cube: Cube,
        *,
        text: str | None,
        type: str | None,
        known_as_of: datetime | None,
        cursor: str | None,
        limit: int,
    ) -> Page[Entity]:
        """By id; `text` is part of a folded name or alias."""
        check_limit("limit", limit, self._settings)
        check_label("text", text)
        check_label("type", type)
        listing = f"entities {cube.id} {text!r} {type!r} {known_as_of!r}"
        after = cursors.decode(listing, cursor) if cursor else None
        part = None if text is None else normal(text)
        kind = None if type is None else self._words(cube).type(type).name
        found: list[Entity] = []
        while len(found) <= limit:
            size = limit + 1 if part is None else _PAGE
            rows = self._store.entities(
                cube.id, type=kind, after=after, limit=size, known_as_of=known_as_of
            )
            found += [row for row in rows if part is None or _goes_by_part(row, part)]
            if len(rows) < size:
                break
            after = rows[-1].id
        more = len(found) > limit
        return Page(
            items=tuple(found[:limit]),
            next_cursor=cursors.encode(listing, found[limit - 1].id) if more else None,
        )

    def entity(self, cube: Cube, entity: str, *, known_as_of: datetime | None) -> Entity:
        return self._one(cube, entity, known_as_of)

    def timeline(
        self,
        cube: Cube,
        entity: str,
        *,
        predicate: str | None,
        known_as_of: datetime | None,
        since: datetime | None,
        until: datetime | None,
        limit: int,
    ) -> tuple[Fact, ...]:
        """The first `limit` by when they became true, those of unknown beginning first."""
        check_limit("limit", limit, self._settings)
        check_label("predicate", predicate)
        one = self._one(cube, entity, known_as_of)
        predicates = [] if predicate is None else [self._words(cube).canonical(predicate)]
        rows = self._all_facts(
            cube,
            touching=[one.id],
            predicates=predicates,
            known_as_of=known_as_of,
            since=since,
            until=until,
        )
        return tuple(sorted(rows, key=_begun)[:limit])


def _begun(fact: Fact) -> tuple[bool, datetime, str]:
    moment = _NEVER if fact.valid_at is None else fact.valid_at.replace(tzinfo=None)
    return (fact.valid_at is not None, moment, fact.id)


def _goes_by_part(entity: Entity, part: str) -> bool:
    return any(part in alias for alias in (*entity.aliases, normal(entity.name)))
