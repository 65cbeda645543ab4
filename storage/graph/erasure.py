"""Erasing a memory from the graph: its rows, and every trace of it in what was derived.

A revision of a fact that rested on nothing else is deleted. One that rested on others too stays as
what those others amount to, so that history keeps what they said and nothing of what was erased.
"""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import text

from memos.storage import notes, summaries
from memos.storage.bulk import change, matching, remove
from memos.storage.graph import rulings
from memos.storage.graph.deriving import Deriver
from memos.storage.graph.edit import Edit
from memos.storage.graph.records import NEWEST, assertion_of, spans_of
from memos.storage.records import json_text
from memos.storage.tables import (
    assertion,
    entity,
    entity_alias,
    fact,
    fact_source,
    mention,
    reading,
    ruling,
)
from memos.types import Assertion, Ruling, RulingKind

_BELIEF = (
    "subject_id",
    "predicate",
    "object_id",
    "value",
    "value_key",
    "quantity",
    "unit",
    "negated",
    "event",
    "place",
    "confidence",
    "valid_at",
    "granularity",
    "invalid_at",
    "invalid_granularity",
)
_CLOSED = ("closed_by", "closing", "rule")


def erase(edit: Edit, deriver: Deriver, memory_id: str) -> None:
    """All that the memory left in the graph, in notes and in summaries."""
    key = [(memory_id,)]
    said = matching(edit.connection, assertion, edit.cube_id, ("memory_id",), key)
    named = matching(
        edit.connection, mention, edit.cube_id, ("memory_id",), key, columns="said_id, entity_id"
    )
    ids = {row[1] for row in said}
    held = rulings.every(edit.connection, edit.cube_id)
    subjects = rulings.connected((id for row in said for id in (row[3], row[4])), held)
    touched = _resting_on(edit, ids, subjects, {row[5] for row in said})
    remove(edit.connection, fact_source, edit.cube_id, ("assertion_id",), [(id,) for id in ids])
    for table in (assertion, mention, reading):
        remove(edit.connection, table, edit.cube_id, ("memory_id",), key)
    edit.gone("mention", sorted({f"{memory_id} {row[1]}" for row in named}))
    # What they rested on besides is asked for only now that these are gone.
    revised = _Revised(edit, deriver, ids)
    for fact_id, (rows, erased) in sorted(touched.items()):
        revised.fact(fact_id, rows, erased)
    _drop_rulings(edit, held, ids, revised.forgotten)
    deriver.derive(edit, {(row[3], row[5], row[9]) for row in said})
    _join(edit, set(touched) - revised.forgotten)
    involved = {id for row in said for id in (row[3], row[4], row[6], row[7]) if id is not None}
    involved |= {id for row in named for id in row}
    for entity_id in sorted(involved):
        _forget_entity(edit, deriver, entity_id)
    notes.erase_those_of(edit.connection, edit.cube_id, memory_id, now=edit.now)
    summaries.erase_those_of(edit.connection, edit.cube_id, memory_id)


_Touched = dict[str, tuple[list[Sequence[Any]], list[Sequence[Any]]]]


def _resting_on(edit: Edit, ids: set[str], subjects: set[str], predicates: set[str]) -> _Touched:
    """By fact that ever rested on these assertions, or was closed by one: its revisions and the
    sources of it that go."""
    going: dict[str, list[Sequence[Any]]] = defaultdict(list)
    for row in matching(
        edit.connection,
        fact_source,
        edit.cube_id,
        ("assertion_id",),
        sorted((id,) for id in ids),
        columns="fact_id, assertion_id, created_at, expired_at",
    ):
        going[row[0]].append(row)
    closed = matching(
        edit.connection,
        fact,
        edit.cube_id,
        ("predicate", "subject_id"),
        [(name, subject) for name in sorted(predicates) for subject in sorted(subjects)],
        columns="id, closing",
        where="closing IS NOT NULL",
    )
    facts = going.keys() | {row[0] for row in closed if row[1] in ids}
    found: _Touched = {id: ([], going[id]) for id in facts}
    for row in matching(
        edit.connection, fact, edit.cube_id, ("id",), [(id,) for id in sorted(facts)]
    ):
        found[row[1]][0].append(row)
    return found


class _Revised:
    """Rewrites revisions of facts as if some assertions had never been made."""

    def __init__(self, edit: Edit, deriver: Deriver, erased: set[str]) -> None:
        self._edit = edit
        self._deriver = deriver
        self._erased = erased
        self._rulings = deriver.rulings(edit)
        self.forgotten: set[str] = set()

    def fact(
        self, fact_id: str, rows: Sequence[Sequence[Any]], going: Sequence[Sequence[Any]]
    ) -> None:
        edit = self._edit
        sources = matching(
            edit.connection,
            fact_source,
            edit.cube_id,
            ("fact_id",),
            [(fact_id,)],
            columns="fact_id, assertion_id, created_at, expired_at",
        )
        left = []
        for row in sorted(rows, key=lambda row: int(row[2])):
            held = row[22] not in self._erased and not any(_within(one, row) for one in going)
            basis = [one[1] for one in sources if _within(one, row)]
            if held or self._rewrite(row, basis):
                left.append(row)
            else:
                key = [(fact_id, row[2])]
                remove(edit.connection, fact, edit.cube_id, ("id", "revision"), key)
        if not left:
            remove(edit.connection, fact_source, edit.cube_id, ("fact_id",), [(fact_id,)])
            edit.gone("fact", [fact_id])
            self.forgotten.add(fact_id)
            return
        # The newest revision that is left tells followers how it is.
        stamps = [(fact_id, left[-1][2], edit.number())]
        change(edit.connection, fact, edit.cube_id, ("id", "revision"), ("seq",), stamps)

    def _rewrite(self, row: Sequence[Any], basis: Sequence[str]) -> bool:
        """Whether anything is left that the revision rests on."""
        if not basis:
            return False
        asked = set(basis) | ({row[22]} if row[22] is not None else set())
        said = self._assertions(asked)
        kind = self._deriver.predicate(self._edit, row[5])
        stretches = self._deriver.stretches(kind, list(said.values()), self._rulings)
        best = max(
            stretches,
            key=lambda one: (len(set(one.assertions) & set(basis)), min(one.assertions)),
            default=None,
        )
        if best is None or set(best.assertions).isdisjoint(basis):
            return False
        lead = said[best.assertions[0]]
        belief = self._deriver.belief(kind, lead, best)
        same = best.closed_by is not None and best.closed_by == row[22]
        closed = (row[21] if same else None, best.closed_by, best.rule)
        change(
            self._edit.connection,
            fact,
            self._edit.cube_id,
            ("id", "revision"),
            # As it was then, whatever has been merged since.
            (*_BELIEF[3:], *_CLOSED),
            [(row[1], row[2], *belief[3:], *closed)],
        )
        return True

    def _assertions(self, ids: Iterable[str]) -> dict[str, Assertion]:
        rows = matching(
            self._edit.connection,
            assertion,
            self._edit.cube_id,
            ("id",),
            [(id,) for id in sorted(ids)],
        )
        # They counted then, whatever has become of them.
        return {row[1]: dataclasses.replace(assertion_of(row), active=True) for row in rows}


def _within(source: Sequence[Any], revision: Sequence[Any]) -> bool:
    """Whether a source held while a revision was believed."""
    begun, ended = revision[19], revision[20]
    if begun == ended:
        # Never seen, for its successor came at the same moment.
        return bool(source[2] <= begun <= source[3])
    return bool(source[2] <= begun < source[3] or begun <= source[2] < ended)


def _join(edit: Edit, fact_ids: set[str]) -> None:
    """Revisions that differed only by what was erased become one."""
    by_fact: dict[str, list[Sequence[Any]]] = defaultdict(list)
    for row in matching(
        edit.connection, fact, edit.cube_id, ("id",), [(id,) for id in sorted(fact_ids)]
    ):
        by_fact[row[1]].append(row)
    gone, kept = [], []
    for id, rows in sorted(by_fact.items()):
        rows.sort(key=lambda row: int(row[2]))
        runs = [[rows[0]]]
        for row in rows[1:]:
            if row[19] == runs[-1][-1][20] and _said(row) == _said(runs[-1][0]):
                runs[-1].append(row)
            else:
                runs.append([row])
        for first, *rest in runs:
            gone += [(id, row[2]) for row in rest]
            if rest:
                kept.append((id, first[2], rest[-1][20], rest[-1][3]))
    on = ("id", "revision")
    remove(edit.connection, fact, edit.cube_id, on, gone)
    change(edit.connection, fact, edit.cube_id, on, ("expired_at", "seq"), kept)


def _said(row: Sequence[Any]) -> tuple[Any, ...]:
    return (*row[4:19], *row[21:24])


def _drop_rulings(edit: Edit, held: Sequence[Ruling], ids: set[str], forgotten: set[str]) -> None:
    """Rulings lose what they say of erased assertions, and go with what they were about."""
    for item in held:
        left = [id for id in item.assertions if id not in ids]
        about = {item.source_id, item.target_id}
        if item.kind is RulingKind.KEEP_OPEN and about & forgotten:
            left = []
        elif len(left) == len(item.assertions):
            continue
        if not left:
            remove(edit.connection, ruling, edit.cube_id, ("id",), [(item.id,)])
            continue
        # A reason may quote the text.
        sets = ("assertions", "reason")
        rows = [(item.id, json_text(left), None)]
        change(edit.connection, ruling, edit.cube_id, ("id",), sets, rows)


def _forget_entity(edit: Edit, deriver: Deriver, entity_id: str) -> None:
    """It goes if nothing names it any more, else those of its names that nothing uses."""
    held = rulings.every(edit.connection, edit.cube_id)
    near = sorted(rulings.connected([entity_id], held))
    if not _supported(edit, entity_id, near):
        about = [item for item in held if _is_about(item, entity_id)]
        remove(edit.connection, ruling, edit.cube_id, ("id",), [(item.id,) for item in about])
        for table, column in ((entity_alias, "entity_id"), (entity, "id")):
            there = matching(
                edit.connection, table, edit.cube_id, (column,), [(entity_id,)], columns=column
            )
            remove(edit.connection, table, edit.cube_id, (column,), [(entity_id,)])
        if there:
            edit.gone("entity", [entity_id])
        if about:
            rulings.realign(edit, deriver, set(near) - {entity_id}, also=about)
            _forget_past(edit, entity_id)
        return
    _forget_names(edit, entity_id, near)


def _forget_past(edit: Edit, entity_id: str) -> None:
    """Facts of others were believed of an entity that stood for them: in the past too they are now
    of what stands for them since it is gone."""
    for column in ("subject_id", "object_id"):
        key = [(entity_id,)]
        rows = matching(edit.connection, fact, edit.cube_id, (column,), key, columns="id, revision")
        newest = matching(
            edit.connection,
            fact,
            edit.cube_id,
            ("id",),
            sorted({(row[0],) for row in rows}),
            columns=f"id, {column}",
            where=NEWEST,
        )
        now = dict(map(tuple, newest))
        moved = [(id, n, now[id]) for id, n in rows if now[id] != entity_id]
        change(edit.connection, fact, edit.cube_id, ("id", "revision"), (column,), moved)
        _join(edit, {id for id, *_ in moved})


def _is_about(item: Ruling, entity_id: str) -> bool:
    about = item.kind is not RulingKind.KEEP_OPEN
    return about and entity_id in (item.source_id, item.target_id)


_UNSUPPORTED = """
SELECT NOT EXISTS (SELECT 1 FROM mention WHERE cube_id = :cube AND entity_id {near}
  AND said_id = :id)
AND NOT EXISTS (SELECT 1 FROM ruling WHERE cube_id = :cube AND target_id = :id
  AND kind = 'split' AND revoked_at IS NULL)
"""


def _supported(edit: Edit, entity_id: str, near: Sequence[str]) -> bool:
    """Whether a memory names it, or did in a former reading, or a split was made for it."""
    asked = {"cube": edit.cube_id, "id": entity_id, "near": _list(edit, near)}
    query = text(_UNSUPPORTED.format(near=_in(edit, "near")))
    return not edit.connection.execute(query, asked).scalar()


def _forget_names(edit: Edit, entity_id: str, near: Sequence[str]) -> None:
    asked = {"cube": edit.cube_id, "id": entity_id, "near": _list(edit, near)}
    spoken = (
        f"FROM mention WHERE cube_id = :cube AND entity_id {_in(edit, 'near')}"
        " AND said_id = :id AND spans <> '[]'"
    )
    first = edit.connection.execute(
        text(f"SELECT spans {spoken} ORDER BY memory_id LIMIT 1"), asked
    ).scalar()
    if first is None:
        # Others assert something of it without saying where; by which name is not known.
        return
    found = "instr" if edit.connection.dialect.name == "sqlite" else "strpos"
    uses = text(f"SELECT 1 {spoken} AND {found}(spans, :needle) > 0 LIMIT 1")

    def used(name: str) -> bool:
        needle = json.dumps(name, ensure_ascii=False)
        return edit.connection.execute(uses, {**asked, "needle": needle}).scalar() is not None

    names = matching(
        edit.connection,
        entity_alias,
        edit.cube_id,
        ("entity_id",),
        [(entity_id,)],
        columns="normal",
    )
    unused = [(row[0], entity_id) for row in names if not used(row[0])]
    remove(edit.connection, entity_alias, edit.cube_id, ("normal", "entity_id"), unused)
    row = matching(edit.connection, entity, edit.cube_id, ("id",), [(entity_id,)], columns="name")
    if not row:
        return
    name = row[0][0] if used(row[0][0]) else _surface(first)
    if unused or name != row[0][0]:
        rows = [(entity_id, name, edit.number())]
        change(edit.connection, entity, edit.cube_id, ("id",), ("name", "seq"), rows)


def _surface(spans: str) -> str:
    """A name among the places of a mention; a pronoun only if there is nothing else."""
    places = spans_of(spans)
    return next((surface for surface, normal, *_ in places if normal), places[0][0])


def _list(edit: Edit, ids: Sequence[str]) -> Any:
    return json.dumps(list(ids)) if edit.connection.dialect.name == "sqlite" else list(ids)


def _in(edit: Edit, name: str) -> str:
    if edit.connection.dialect.name == "sqlite":
        return f"IN (SELECT value FROM json_each(:{name}))"
    return f"= ANY(CAST(:{name} AS text[]))"
