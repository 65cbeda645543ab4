"""Erasing memories from the graph: their rows, and every trace of it in what was derived.

A revision of a fact that rested on nothing else is deleted. One that rested on others too stays as
what those others amount to, so that history keeps what they said and nothing of what was erased.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from memos.storage.bulk import change, matching, remove
from memos.storage.derived import notes, summaries
from memos.storage.graph import rulings
from memos.storage.graph.deriving import Deriver
from memos.storage.graph.edit import Edit
from memos.storage.graph.forgetting import forget
from memos.storage.graph.revisions import Revised, Touched, join
from memos.storage.records import json_text
from memos.storage.tables import (
    assertion,
    fact,
    fact_source,
    mention,
    reading,
    ruling,
)
from memos.types import Ruling, RulingKind


def erase(edit: Edit, deriver: Deriver, memory_ids: Sequence[str]) -> None:
    """All that the memories left in the graph, in notes and in summaries."""
    key = [(id,) for id in memory_ids]
    said = matching(edit.connection, assertion, edit.cube_id, ("memory_id",), key)
    named = matching(
        edit.connection,
        mention,
        edit.cube_id,
        ("memory_id",),
        key,
        columns="memory_id, said_id, entity_id",
    )
    ids = {row[1] for row in said}
    held = rulings.every(edit.connection, edit.cube_id)
    subjects = rulings.connected((id for row in said for id in (row[3], row[4])), held)
    touched = _resting_on(edit, ids, subjects, {row[5] for row in said})
    remove(edit.connection, fact_source, edit.cube_id, ("assertion_id",), [(id,) for id in ids])
    for table in (assertion, mention, reading):
        remove(edit.connection, table, edit.cube_id, ("memory_id",), key)
    edit.gone("mention", sorted({f"{row[0]} {row[2]}" for row in named}))
    # What they rested on besides is asked for only now that these are gone.
    revised = Revised(edit, deriver, ids)
    revised.facts(touched)
    _drop_rulings(edit, held, ids, revised.forgotten)
    deriver.derive(edit, {(row[3], row[5], row[9]) for row in said})
    join(edit, set(touched) - revised.forgotten)
    involved = {id for row in said for id in (row[3], row[4], row[6], row[7]) if id is not None}
    involved |= {id for row in named for id in row[1:]}
    forget(edit, deriver, involved)
    for id in memory_ids:
        notes.erase_those_of(edit.connection, edit.cube_id, id, now=edit.now)
        summaries.erase_those_of(edit.connection, edit.cube_id, id)


def _resting_on(edit: Edit, ids: set[str], subjects: set[str], predicates: set[str]) -> Touched:
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
    found: Touched = {id: ([], going[id]) for id in facts}
    for row in matching(
        edit.connection, fact, edit.cube_id, ("id",), [(id,) for id in sorted(facts)]
    ):
        found[row[1]][0].append(row)
    return found


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
