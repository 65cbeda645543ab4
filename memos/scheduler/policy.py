"""Which jobs run next: fair between tenants, the short and urgent first, nothing starves.

Pure: from the lanes of waiting jobs and the books follows a plan. No clock, no SQL, no threads; the
SQL queue and the simulator of `memos bench scheduler` use the same object.

- Between tenants: surplus round robin (Adiseshu, Parulkar and Varghese, 1996), which is deficit
  round robin (Shreedhar and Varghese, 1995) for costs that are known only afterwards. In each
  round every tenant that has work is granted one quantum; who has the largest surplus of grants
  over charges is served first, and a debt is carried into the next round. Jobs are charged with the
  mean cost of their kind when they are taken, and with the rest when it was measured.
- Within a tenant: a multi-level feedback queue (Corbató, 1962). A kind begins at its own level, or
  at the one of its measured cost if that is lower; a job that has run longer than its level allows
  falls to the next.
- Ageing: one in eight picks goes to whatever has waited longest of all that waited longer than its
  level has patience. So every job comes to its turn, and a long backlog that has grown old can't
  hold up what is urgent by more than an eighth.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from memos.types import Books, Lane, Pick, Plan

LEVELS = 4
_NEVER = float("-inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """`levels`: where kinds begin (default 0). `limits`: how many of a kind may run at once, over
    all workers. `ceilings`: seconds of work up to which a job stays at levels 0, 1 and 2.
    `patience`: seconds after which a job of each level is overdue. `quantum`: seconds of work per
    tenant and round. `batch`: expected seconds of work that a worker takes at once. `unknown`: what
    a run of a kind takes that was never measured."""

    levels: Mapping[str, int] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    ceilings: tuple[float, ...] = (0.2, 2.0, 20.0)
    patience: tuple[float, ...] = (1.0, 10.0, 60.0, 300.0)
    aged_share: float = 1 / 8
    quantum: float = 0.05
    batch: float = 0.02
    unknown: float = 0.01

    def level(self, kind: str, *, mean: float, spent: float) -> int:
        """Where a job stands whose kind takes `mean` s and that has itself run for `spent`."""
        worked = max(mean, spent)
        fallen = sum(worked > ceiling for ceiling in self.ceilings)
        return min(LEVELS - 1, max(self.levels.get(kind, 0), fallen))

    def plan(
        self,
        lanes: Sequence[Lane],
        books: Books,
        *,
        now: float,
        limit: int,
        rng: random.Random,
    ) -> Plan:
        """At most `limit` jobs for one worker; none if every lane is at the limit of its kind.

        `lanes` have due jobs, how many is not known. Times are in seconds on one scale; a wait that
        a clock set back makes negative counts as none.
        """
        room = self._room(lanes, books)
        active = _by_tenant(lane for lane in lanes if room.get(lane.kind, 1) > 0)
        if not active:
            return Plan((), books.round, books.round - self.quantum)
        round, spent = self._granted(active, books)
        picks: dict[Lane, int] = {}
        worth = 0.0
        while active and sum(picks.values()) < limit and (worth < self.batch or not picks):
            # The largest surplus first, then who was away the longest; the name only makes ties the
            # same for everybody.
            tenant = min(
                active, key=lambda name: (spent[name], books.spent.get(name, _NEVER), name)
            )
            lane = self._choose(active[tenant], now, rng)
            cost = self._cost(lane.kind, books)
            if picks and worth + cost > self.batch:
                break
            picks[lane] = picks.get(lane, 0) + 1
            worth += cost
            spent[tenant] += cost
            if lane.kind in room:
                room[lane.kind] -= 1
                if room[lane.kind] <= 0:
                    active = _by_tenant(
                        other
                        for mine in active.values()
                        for other in mine
                        if other.kind != lane.kind
                    )
            round = _reached(round, [spent[name] for name in active], self.quantum)
        taken = tuple(
            Pick(lane, count, self._cost(lane.kind, books)) for lane, count in picks.items()
        )
        return Plan(taken, round, books.round - self.quantum)

    def _granted(
        self, active: Mapping[str, object], books: Books
    ) -> tuple[float, dict[str, float]]:
        """The round in which somebody can be served, and everybody's charges; who was away has a
        quantum to its credit and no more."""
        floor = books.round - self.quantum
        spent = {name: max(books.spent.get(name, floor), floor) for name in active}
        return _reached(books.round, list(spent.values()), self.quantum), spent

    def _choose(self, lanes: Sequence[Lane], now: float, rng: random.Random) -> Lane:
        """Of one tenant's: the most urgent level, now and then the one most overdue."""
        if len(lanes) > 1 and rng.random() < self.aged_share:
            overdue = [lane for lane in lanes if self._overdue(lane, now)]
            if overdue:
                return min(overdue, key=lambda lane: (lane.since, lane.kind))
        return min(lanes, key=lambda lane: (lane.level, lane.since, lane.kind))

    def _overdue(self, lane: Lane, now: float) -> bool:
        """Whether its first job has waited longer than its level has patience."""
        return now - lane.since > self.patience[min(lane.level, LEVELS - 1)]

    def _cost(self, kind: str, books: Books) -> float:
        return books.costs.get(kind, self.unknown)

    def _room(self, lanes: Sequence[Lane], books: Books) -> dict[str, int]:
        """How many more of each kind with a limit may start."""
        kinds = {lane.kind for lane in lanes}
        return {
            kind: limit - books.running.get(kind, 0)
            for kind, limit in self.limits.items()
            if kind in kinds
        }


def _reached(round: float, spent: Sequence[float], quantum: float) -> float:
    """The round, or the next one if nobody has anything left in it."""
    if not spent or min(spent) < round:
        return round
    return min(spent) + quantum


def _by_tenant(lanes: Iterable[Lane]) -> dict[str, list[Lane]]:
    found: dict[str, list[Lane]] = {}
    for lane in lanes:
        found.setdefault(lane.tenant_id, []).append(lane)
    return found
