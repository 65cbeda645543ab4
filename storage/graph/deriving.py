"""Facts kept in step with assertions: what follows from them is compared with what is believed.

A group is what must be derived together: all assertions of a subject and predicate, or of one
object of them where the predicate is multi-valued and nothing said bears on several objects. Knows
how facts keep their ids and how revisions are written; the rules themselves are handed in.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from memos.protocols import Derivation, NewId, Stretch
from memos.storage.bulk import change, load, matching
from memos.storage.graph.appending import Appending
from memos.storage.graph.edit import Edit
from memos.storage.graph.pairing import New, Old, pair
from memos.storage.graph.records import (
    END,
    NEWEST,
    WIDE,
    assertion_of,
    grain,
    object_key,
    predicate_of,
    ruling_of,
    since,
    until,
)
from memos.storage.tables import assertion, fact, fact_source, predicate_type, ruling
from memos.types import Assertion, PredicateType, Ruling, RulingKind

Group = tuple[str, str, int]
"""Subject, predicate and object key; `WIDE` for all objects."""

# The columns of `tables.fact` that say what is believed, and places among them.
_BELIEF = slice(4, 19)
_NEGATED = 7


class Deriver:
    """Derives groups anew and writes what changed."""

    def __init__(self, derivation: Derivation, new_id: NewId) -> None:
        self.rules = derivation
        self._new_id = new_id

    def types(self, edit: Edit) -> dict[str, PredicateType]:
        """The cube's own predicates."""
        query = predicate_type.select().where(predicate_type.c.cube_id == edit.cube_id)
        return {row[1]: predicate_of(row) for row in edit.connection.execute(query)}

    def derive(
        self,
        edit: Edit,
        touched: Collection[Group],
        *,
        added: Sequence[Sequence[Any]] = (),
        fresh: Collection[str] = frozenset(),
        write: bool = True,
    ) -> int:
        """Brings the facts of these groups up to date; how many changed. `added` are rows of
        assertions that are not in the table yet, of these or other groups; `fresh` are ids of those
        that no fact can rest on so far. Without `write` it only counts."""
        own = self.types(edit)
        rulings = self._rulings(edit)
        appending = Appending(edit, self.rules, own, rulings)
        extended = appending.extended(added, fresh=fresh, others={key[:2] for key in touched})
        left = [row for row in added if (row[3], row[5]) not in appending.pairs]
        groups = {*touched, *((row[3], row[5], row[9]) for row in left)}
        units = self._units(edit, groups, own)
        for row in left:
            group = (row[3], row[5], WIDE)
            units.setdefault(group if group in units else (row[3], row[5], row[9]), []).append(row)
        if not units and not extended:
            return 0
        olds = _olds(edit, [row[1] for rows in units.values() for row in rows], fresh)
        news: list[New] = []
        for (_, name, _), rows in units.items():
            kind = own.get(name) or self.rules.predicate(name)
            news += self._follow(kind, rows, rulings)
        pair(news, olds, self._key_of)
        news += [self._extended(*one) for one in extended]
        for new in news:
            new.id = new.old.row[1] if new.old else self._new_id()
        return _Writing(edit, write=write).facts(news, olds | appending.olds)

    def _extended(
        self,
        old: Old | None,
        stretch: Stretch,
        kind: PredicateType,
        said: Mapping[str, Assertion],
    ) -> New:
        """A fact that begins or that is `old`, of which only what can have changed is another."""
        if old is None:
            belief = self.belief(kind, said[stretch.assertions[0]], stretch)
        else:
            held = old.row
            times = (held[15], held[16], until(stretch.invalid_at))
            ended = grain(stretch.invalid_granularity)
            belief = (*held[4:14], stretch.confidence, *times, ended)
        return New(stretch, belief, (), old)

    def stretches(
        self, kind: PredicateType, items: Sequence[Assertion], rulings: Sequence[Ruling]
    ) -> tuple[Stretch, ...]:
        if not rulings:
            return self.rules.derive(kind, items, ())
        ids = {item.id for item in items}
        bearing = [ruling for ruling in rulings if not ids.isdisjoint(ruling.assertions)]
        return self.rules.derive(kind, items, bearing)

    def predicate(self, edit: Edit, name: str) -> PredicateType:
        return self.types(edit).get(name) or self.rules.predicate(name)

    def rulings(self, edit: Edit) -> list[Ruling]:
        return self._rulings(edit)

    def belief(self, kind: PredicateType, lead: Assertion, stretch: Stretch) -> tuple[Any, ...]:
        """The columns of a fact from `subject_id` to `invalid_granularity`."""
        value = lead.value
        return (
            lead.subject_id,
            lead.predicate,
            lead.object_id,
            value,
            None
            if value is None or lead.object_id is not None
            else object_key(None, value, self.rules.folded),
            lead.quantity,
            lead.unit,
            int(lead.negated),
            int(kind.event),
            lead.place,
            stretch.confidence,
            since(stretch.valid_at),
            grain(stretch.granularity),
            until(stretch.invalid_at),
            grain(stretch.invalid_granularity),
        )

    def _units(
        self, edit: Edit, touched: set[Group], own: dict[str, PredicateType]
    ) -> dict[Group, list[Sequence[Any]]]:
        """The rows of all assertions of each group, after widening those that have to be."""
        wide: set[tuple[str, str]] = set()
        narrow: set[Group] = set()
        for subject, name, key in touched:
            kind = own.get(name) or self.rules.predicate(name)
            if kind.functional or key == WIDE:
                wide.add((subject, name))
            else:
                narrow.add((subject, name, key))
        keys = [group for group in narrow if group[:2] not in wide]
        bearing = matching(
            edit.connection,
            assertion,
            edit.cube_id,
            ("subject_id", "predicate"),
            list({key[:2] for key in keys}),
            columns="subject_id, predicate",
            where=f"object_key = {WIDE}",
        )
        wide.update((row[0], row[1]) for row in bearing)
        units: dict[Group, list[Sequence[Any]]] = {}
        for subject, name in sorted(wide):
            units[subject, name, WIDE] = []
        on = ("subject_id", "predicate", "object_key")
        for row in matching(edit.connection, assertion, edit.cube_id, on[:2], sorted(wide)):
            units[row[3], row[5], WIDE].append(row)
        left = sorted(key for key in keys if key[:2] not in wide)
        for row in matching(edit.connection, assertion, edit.cube_id, on, left):
            units.setdefault((row[3], row[5], row[9]), []).append(row)
        return units

    def _follow(
        self, kind: PredicateType, rows: Sequence[Sequence[Any]], rulings: Sequence[Ruling]
    ) -> list[New]:
        said = {row[1]: assertion_of(row) for row in rows if row[27]}
        if not said:
            return []
        found = []
        for stretch in self.stretches(kind, list(said.values()), rulings):
            lead = said[stretch.assertions[0]]
            belief = self.belief(kind, lead, stretch)
            key = (
                *belief[:2],
                object_key(lead.object_id, lead.value, self.rules.folded),
                belief[_NEGATED],
            )
            found.append(New(stretch, belief, key))
        return found

    def _key_of(self, row: Sequence[Any]) -> tuple[Any, ...]:
        key = object_key(row[6], row[7], self.rules.folded)
        return (row[4], row[5], key, row[11])

    def _rulings(self, edit: Edit) -> list[Ruling]:
        query = (
            ruling.select()
            .where(
                ruling.c.cube_id == edit.cube_id,
                ruling.c.kind == RulingKind.KEEP_OPEN.value,
                ruling.c.revoked_at.is_(None),
            )
            .order_by(ruling.c.id)
        )
        return [ruling_of(row) for row in edit.connection.execute(query)]


def _olds(edit: Edit, ids: Sequence[str], fresh: Collection[str]) -> dict[str, Old]:
    """The facts that rest on these assertions, and those no longer believed that did."""
    asked = [(id,) for id in ids if id not in fresh]
    sources = matching(
        edit.connection,
        fact_source,
        edit.cube_id,
        ("assertion_id",),
        asked,
        columns="fact_id, assertion_id, created_at, expired_at",
    )
    rows = matching(
        edit.connection,
        fact,
        edit.cube_id,
        ("id",),
        sorted({(row[0],) for row in sources}),
        where=NEWEST,
    )
    found = {row[1]: Old(row) for row in rows}
    for fact_id, assertion_id, created_at, expired_at in sources:
        old = found.get(fact_id)
        if old is None:
            continue
        if expired_at == END:
            old.sources.add(assertion_id)
        old.ever[assertion_id] = min(created_at, old.ever.get(assertion_id, created_at))
    # A fact that is believed for other reasons than these assertions belongs to another group.
    return {id: old for id, old in found.items() if old.sources or not old.believed}


class _Writing:
    """Collects the rows of changed facts and writes them, many at once."""

    def __init__(self, edit: Edit, *, write: bool) -> None:
        self._edit = edit
        self._write = write
        self._changed = 0
        self._ended: list[tuple[str, int, int, int | None]] = []
        self._stamped: list[tuple[str, int, int]] = []
        self._rows: list[tuple[Any, ...]] = []
        self._lost: list[tuple[str, str]] = []
        self._won: list[tuple[str, str]] = []

    def facts(self, news: Sequence[New], olds: dict[str, Old]) -> int:
        of = {item: new.id for new in news for item in new.stretch.assertions}
        for new in news:
            closing = new.stretch.closed_by
            closed = (None if closing is None else of.get(closing), closing, new.stretch.rule)
            self._fact(new, closed)
        kept = {new.id for new in news}
        for id, old in sorted(olds.items()):
            if old.believed and id not in kept:
                self._changed += 1
                self._end(old, self._edit.number())
                self._lost += [(id, source) for source in old.sources]
        if self._write:
            self._flush()
        return self._changed

    def _fact(self, new: New, closed: tuple[Any, ...]) -> None:
        old, wanted = new.old, set(new.stretch.assertions)
        held = old.sources if old is not None and old.believed else set()
        self._won += [(new.id, source) for source in new.stretch.assertions if source not in held]
        self._lost += [(new.id, source) for source in held - wanted]
        if old is None:
            self._add(new, 1, self._edit.now, closed)
        elif (
            not old.believed
            or tuple(old.row[_BELIEF]) != new.belief
            or tuple(old.row[21:24]) != closed
        ):
            at = max(self._edit.now, old.row[20] if not old.believed else old.row[19])
            self._end(old, None, at)
            self._add(new, old.row[2] + 1, at, closed)
        elif held != wanted:
            self._changed += 1
            self._stamped.append((new.id, old.row[2], self._edit.number()))

    def _add(self, new: New, revision: int, at: int, closed: tuple[Any, ...]) -> None:
        self._changed += 1
        head = (self._edit.cube_id, new.id, revision, self._edit.number())
        self._rows.append((*head, *new.belief, at, END, *closed))

    def _end(self, old: Old, seq: int | None, at: int | None = None) -> None:
        """The newest revision ends, if it has not already; `seq` None: it has a successor."""
        if at is None:
            at = max(self._edit.now, old.row[19])
        end = at if old.believed else old.row[20]
        self._ended.append((old.row[1], old.row[2], end, seq))

    def _flush(self) -> None:
        connection, cube, now = self._edit.connection, self._edit.cube_id, self._edit.now
        key = ("id", "revision")
        change(connection, fact, cube, key, ("expired_at", "seq"), self._ended)
        change(connection, fact, cube, key, ("seq",), self._stamped)
        if self._rows:
            load(connection, fact, self._rows)
        lost = [(*ends, END, now) for ends in self._lost]
        pair = ("fact_id", "assertion_id", "expired_at")
        change(connection, fact_source, cube, pair, ("expired_at",), lost)
        if self._won:
            load(connection, fact_source, [(cube, *ends, now, END) for ends in self._won])
