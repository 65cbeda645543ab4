"""Facts extended by assertions that come after all others of their subject and predicate.

As turns come in, nearly all that is said is of this kind, and the facts that may be going on are
few, however often they were said. What is not of this kind is left to be derived as a whole. Knows
which assertions come last and where the standing facts are; what becomes of them, the rules say.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import text

from memos.protocols import Derivation, Standing, Stretch
from memos.storage.bulk import keyed, matching
from memos.storage.graph.edit import Edit
from memos.storage.graph.pairing import Old
from memos.storage.graph.records import (
    BEGINNING,
    END,
    WIDE,
    assertion_of,
    grain_of,
    object_key,
    since_of,
    until_of,
)
from memos.storage.tables import assertion, fact, fact_source
from memos.types import Assertion, PredicateType, Ruling

Pair = tuple[str, str]
"""Subject and predicate."""

Row = Sequence[Any]

# Of each pair the last time of saying, and the last time of what is said where that is later or an
# end. Each is one look into an index.
_LAST = (
    "SELECT w.k0, w.k1,"
    " (SELECT max(stated_at) FROM assertion WHERE cube_id = :cube AND subject_id = w.k0"
    " AND predicate = w.k1),"
    f" (SELECT max(CASE WHEN valid_at > {BEGINNING} THEN valid_at"
    f" WHEN invalid_at < {END} THEN invalid_at END) FROM assertion WHERE cube_id = :cube"
    " AND subject_id = w.k0 AND predicate = w.k1"
    f" AND (valid_at > stated_at OR valid_at = {BEGINNING})) FROM "
)
# Places in a row of `tables.assertion`.
_ID, _SUBJECT, _PREDICATE, _KEY, _VALID, _STATED, _ACTIVE = 1, 3, 5, 9, 15, 19, 27


class Appending:
    """Of the rows of new assertions those that only extend facts; `pairs` are theirs."""

    def __init__(
        self,
        edit: Edit,
        rules: Derivation,
        kinds: Mapping[str, PredicateType],
        rulings: Sequence[Ruling],
    ) -> None:
        self._edit = edit
        self._rules = rules
        self._kinds = kinds
        self._rulings = rulings
        self.pairs: set[Pair] = set()
        self.olds: dict[str, Old] = {}

    def extended(
        self, added: Iterable[Row], *, fresh: Collection[str], others: Collection[Pair]
    ) -> list[tuple[Old | None, Stretch, PredicateType, dict[str, Assertion]]]:
        """What follows from the rows of `pairs`: the fact that changes, what it becomes, and the
        new assertions by id. Pairs in `others` change in other ways too."""
        if self._edit.rules != self._rules.version:
            return []
        rows: dict[Pair, list[Row]] = defaultdict(list)
        for row in added:
            rows[row[_SUBJECT], row[_PREDICATE]].append(row)
        rows = {pair: of for pair, of in rows.items() if pair not in others}
        said = self._plain(rows, fresh)
        for pair in self._late(rows, said.keys() - self._ruled(said)):
            self.pairs.add(pair)
        standing = self._standing({pair: rows[pair] for pair in self.pairs}, said)
        found = []
        for pair in sorted(self.pairs):
            kind, items = self._kind(pair), said[pair]
            known = {item.id: item for item in items}
            for held, stretch in self._rules.extend(kind, standing.get(pair, ()), items):
                old = None if held is None else self.olds[held.fact_id]
                found.append((old, stretch, kind, known))
        changed = {old.row[1] for old, *_ in found if old is not None}
        self.olds = {id: old for id, old in self.olds.items() if id in changed}
        return found

    def _kind(self, pair: Pair) -> PredicateType:
        return self._kinds.get(pair[1]) or self._rules.predicate(pair[1])

    def _plain(
        self, rows: Mapping[Pair, Sequence[Row]], fresh: Collection[str]
    ) -> dict[Pair, list[Assertion]]:
        """The assertions of the pairs of which all are plain, and new to every fact."""
        found = {}
        for pair, of in rows.items():
            if all(row[_ACTIVE] and row[_ID] in fresh for row in of):
                kind, items = self._kind(pair), [assertion_of(row) for row in of]
                if all(self._rules.plain(kind, item) for item in items):
                    found[pair] = items
        return found

    def _ruled(self, pairs: Collection[Pair]) -> set[Pair]:
        """Those that rulings bear on."""
        named = sorted({(id,) for ruling in self._rulings for id in ruling.assertions})
        if not named or not pairs:
            return set()
        found = matching(
            self._edit.connection,
            assertion,
            self._edit.cube_id,
            ("id",),
            named,
            columns="subject_id, predicate",
        )
        return {(row[0], row[1]) for row in found}

    def _late(self, rows: Mapping[Pair, Sequence[Row]], pairs: Collection[Pair]) -> list[Pair]:
        """Those whose new assertions come after all that there are."""
        if not pairs:
            return []
        connection = self._edit.connection
        wanted, keys = keyed(connection, assertion, ("subject_id", "predicate"), sorted(pairs))
        asked = {"cube": self._edit.cube_id, "keys": keys}
        found = []
        for subject, name, stated, last in connection.execute(text(f"{_LAST}{wanted} AS w"), asked):
            of = rows[subject, name]
            since = BEGINNING if stated is None else stated
            if min(row[_STATED] for row in of) <= since:
                continue
            reached = max(since, BEGINNING if last is None else last)
            event = self._kind((subject, name)).event
            if event or min(row[_VALID] for row in of) > reached:
                found.append((subject, name))
        return found

    def _standing(
        self, rows: Mapping[Pair, Sequence[Row]], said: Mapping[Pair, Sequence[Assertion]]
    ) -> dict[Pair, list[Standing]]:
        """The facts that may be going on, as far as the new assertions can bear on them."""
        found: dict[Pair, list[Row]] = defaultdict(list)
        for row in self._believed(rows):
            pair = (row[4], row[5])
            if self._bears(row, pair, rows[pair]):
                self.olds[row[1]] = Old(row)
                found[pair].append(row)
        sayings = {(*pair, row[_KEY], row[12]) for pair, of in rows.items() for row in of}
        alike = [row for of in found.values() for row in of if self._saying(row) in sayings]
        resting = self._resting([row[1] for row in alike if row[14] != 1.0])
        return {
            pair: [_standing(row, resting.get(row[1], ())) for row in of]
            for pair, of in found.items()
        }

    def _saying(self, row: Row) -> tuple[Any, ...]:
        return (row[4], row[5], object_key(row[6], row[7], self._rules.folded), row[11])

    def _bears(self, row: Row, pair: Pair, of: Sequence[Row]) -> bool:
        """Of a functional predicate all matter, else those of the same object and of none."""
        if self._kind(pair).functional:
            return True
        key = self._saying(row)[2]
        return key == WIDE or any(key == one[_KEY] for one in of)

    def _believed(self, rows: Mapping[Pair, Sequence[Row]]) -> Sequence[Row]:
        """States that go on after the first new assertion, and events of the very times."""
        states, events = [], set()
        for pair, of in rows.items():
            if self._kind(pair).event:
                events |= {(*pair, row[_VALID]) for row in of}
            else:
                states.append((*pair, min(row[_VALID] for row in of)))
        on = ("subject_id", "predicate")
        return [
            *self._facts(on, states, "invalid_at > w.k2", beside=("invalid_at",)),
            *self._facts((*on, "valid_at"), sorted(events), f"invalid_at = {END}"),
        ]

    def _facts(
        self, on: Sequence[str], keys: Sequence[Row], where: str, *, beside: Sequence[str] = ()
    ) -> Sequence[Row]:
        return matching(
            self._edit.connection,
            fact,
            self._edit.cube_id,
            on,
            keys,
            where=f"expired_at = {END} AND {where}",
            beside=beside,
        )

    def _resting(self, ids: Sequence[str]) -> dict[str, list[Assertion]]:
        """By fact the assertions that it rests on."""
        connection, cube = self._edit.connection, self._edit.cube_id
        keys = [(id,) for id in ids]
        sources = matching(
            connection,
            fact_source,
            cube,
            ("fact_id",),
            keys,
            columns="fact_id, assertion_id",
            where=f"expired_at = {END}",
        )
        wanted = sorted({(row[1],) for row in sources})
        said = {row[1]: row for row in matching(connection, assertion, cube, ("id",), wanted)}
        found: dict[str, list[Assertion]] = defaultdict(list)
        for fact_id, assertion_id in sources:
            found[fact_id].append(assertion_of(said[assertion_id]))
        return found


def _standing(row: Row, resting: Sequence[Assertion]) -> Standing:
    return Standing(
        fact_id=row[1],
        object_id=row[6],
        value=row[7],
        negated=row[11] == 1,
        valid_at=since_of(row[15]),
        granularity=grain_of(row[16]),
        invalid_at=until_of(row[17]),
        invalid_granularity=grain_of(row[18]),
        rule=row[23],
        confidence=row[14],
        assertions=tuple(resting),
    )
