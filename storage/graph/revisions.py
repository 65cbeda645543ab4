"""Revisions of facts rewritten as if some assertions had never been made.

A revision that rested on nothing else is deleted; one that rested on others too becomes what those
amount to. Knows facts and their sources; not why the assertions go.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from memos.storage.bulk import change, matching, remove
from memos.storage.graph.deriving import Deriver
from memos.storage.graph.edit import Edit
from memos.storage.graph.records import assertion_of
from memos.storage.tables import assertion, fact, fact_source
from memos.types import Assertion

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


Touched = dict[str, tuple[list[Sequence[Any]], list[Sequence[Any]]]]
"""By fact: its revisions, and the sources of it that go."""


class Revised:
    """Rewrites revisions of facts as if some assertions had never been made."""

    def __init__(self, edit: Edit, deriver: Deriver, erased: set[str]) -> None:
        self._edit = edit
        self._deriver = deriver
        self._erased = erased
        self._rulings = deriver.rulings(edit)
        self.forgotten: set[str] = set()

    def facts(self, touched: Touched) -> None:
        """Rewrites these facts; `forgotten` are those of which nothing is left."""
        edit = self._edit
        sources: dict[str, list[Sequence[Any]]] = defaultdict(list)
        for row in matching(
            edit.connection,
            fact_source,
            edit.cube_id,
            ("fact_id",),
            [(id,) for id in sorted(touched)],
            columns="fact_id, assertion_id, created_at, expired_at",
        ):
            sources[row[0]].append(row)
        gone: list[tuple[str, int]] = []
        stamps: list[tuple[str, int, int]] = []
        for id, (rows, going) in sorted(touched.items()):
            left = [row[2] for row in rows if self._stays(row, going, sources[id])]
            gone += [(id, row[2]) for row in rows if row[2] not in left]
            if left:
                # The newest revision that is left tells followers how it is.
                stamps.append((id, max(left), edit.number()))
            else:
                self.forgotten.add(id)
        on = ("id", "revision")
        remove(edit.connection, fact, edit.cube_id, on, gone)
        change(edit.connection, fact, edit.cube_id, on, ("seq",), stamps)
        keys = [(id,) for id in sorted(self.forgotten)]
        remove(edit.connection, fact_source, edit.cube_id, ("fact_id",), keys)
        edit.gone("fact", sorted(self.forgotten))

    def _stays(
        self,
        row: Sequence[Any],
        going: Sequence[Sequence[Any]],
        sources: Sequence[Sequence[Any]],
    ) -> bool:
        """Whether the revision rests on something else too; then it is as that has it."""
        if row[22] not in self._erased and not any(_within(one, row) for one in going):
            return True
        return self._rewrite(row, [one for one in sources if _within(one, row)])

    def _rewrite(self, row: Sequence[Any], left: Sequence[Sequence[Any]]) -> bool:
        """Whether anything is left that the revision rests on; it is believed as long as that."""
        if not left:
            return False
        basis = {one[1] for one in left}
        begun = max(row[19], min(one[2] for one in left))
        ended = min(row[20], max(one[3] for one in left))
        asked = basis | ({row[22]} if row[22] is not None else set())
        said = self._assertions(asked)
        kind = self._deriver.predicate(self._edit, row[5])
        stretches = self._deriver.stretches(kind, list(said.values()), self._rulings)
        best = max(
            stretches,
            key=lambda one: (len(basis.intersection(one.assertions)), min(one.assertions)),
            default=None,
        )
        if best is None or basis.isdisjoint(best.assertions):
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
            (*_BELIEF[3:], *_CLOSED, "created_at", "expired_at"),
            [(row[1], row[2], *belief[3:], *closed, begun, ended)],
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


def join(edit: Edit, fact_ids: set[str]) -> None:
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
