"""Revisions of facts rewritten as if some assertions had never been made.

A revision that rested on nothing else is deleted; one that rested on others too becomes what those
amount to. Knows facts and their sources; not why the assertions go.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from memos.storage.bulk import change, load, matching, remove
from memos.storage.graph.deriving import Deriver
from memos.storage.graph.edit import Edit
from memos.storage.graph.records import assertion_of
from memos.storage.tables import assertion, fact, fact_source
from memos.types import Assertion

Row = Sequence[Any]

Touched = dict[str, tuple[list[Row], list[Row]]]
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
        sources: dict[str, list[Row]] = defaultdict(list)
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
        come: list[Row] = []
        for id, (rows, going) in sorted(touched.items()):
            rows = sorted(rows, key=lambda row: int(row[2]))
            left = self._left(rows, going, sources[id])
            if left:
                # The newest revision that is left tells followers how it is.
                left[-1] = (*left[-1][:3], edit.number(), *left[-1][4:])
            else:
                self.forgotten.add(id)
            held, wanted = set(rows), set(left)
            gone += [(id, row[2]) for row in rows if row not in wanted]
            come += [row for row in left if row not in held]
        remove(edit.connection, fact, edit.cube_id, ("id", "revision"), gone)
        load(edit.connection, fact, come)
        keys = [(id,) for id in sorted(self.forgotten)]
        remove(edit.connection, fact_source, edit.cube_id, ("fact_id",), keys)
        edit.gone("fact", sorted(self.forgotten))

    def _left(self, rows: Sequence[Row], going: Sequence[Row], sources: Sequence[Row]) -> list[Row]:
        """What becomes of a fact's revisions, in their order; all but the last without a `seq`."""
        found: list[Row] = []
        more = 0
        for row in rows:
            parts: list[Row] = [tuple(row)]
            if row[22] in self._erased or any(_within(one, row) for one in going):
                parts = self._parts(row, [one for one in sources if _within(one, row)])
            for n, part in enumerate(parts):
                found.append((*part[:2], part[2] + more + n, None, *part[4:]))
            # Those that come after make room.
            more += max(0, len(parts) - 1)
        return found

    def _parts(self, row: Row, left: Sequence[Row]) -> list[Row]:
        """A revision as what it still rests on has it: believed as long as that held, which may be
        several times, if what held between is erased."""
        found = []
        for sources in _unbroken(left):
            begun = max(row[19], min(one[2] for one in sources))
            ended = min(row[20], max(one[3] for one in sources))
            part = self._rewritten(row, {one[1] for one in sources}, begun, ended)
            if part is not None:
                found.append(part)
        return found

    def _rewritten(self, row: Row, basis: set[str], begun: int, ended: int) -> Row | None:
        """None: what is left does not amount to it."""
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
            return None
        belief = self._deriver.belief(kind, said[best.assertions[0]], best)
        same = best.closed_by is not None and best.closed_by == row[22]
        closed = (row[21] if same else None, best.closed_by, best.rule)
        # Of what and of whom as it was then, whatever has been merged since.
        return (*row[:7], *belief[3:], begun, ended, *closed)

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


def _within(source: Row, revision: Row) -> bool:
    """Whether a source held while a revision was believed."""
    begun, ended = revision[19], revision[20]
    if begun == ended:
        # Never seen, for its successor came at the same moment.
        return bool(source[2] <= begun <= source[3])
    return bool(source[2] <= begun < source[3] or begun <= source[2] < ended)


def _unbroken(sources: Sequence[Row]) -> list[list[Row]]:
    """Sources by the stretches of time in which one at least held; the earliest stretch first."""
    found: list[list[Row]] = []
    reached = 0
    for one in sorted(sources, key=lambda one: (one[2], one[3])):
        if found and one[2] <= reached:
            found[-1].append(one)
            reached = max(reached, one[3])
        else:
            found.append([one])
            reached = one[3]
    return found


def join(edit: Edit, fact_ids: set[str]) -> None:
    """Revisions that differed only by what was erased become one."""
    by_fact: dict[str, list[Row]] = defaultdict(list)
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


def _said(row: Row) -> tuple[Any, ...]:
    return (*row[4:19], *row[21:24])
