"""A queue simulated: a trace of jobs, replayed through the policy or first come, first served.

The policy is the object that the SQL queue uses, and the books are kept as it keeps them; only the
clock is simulated. Waiting times of first come, first served with one worker have a formula to be
held against: Pollaczek and Khinchine's, for Poisson arrivals and any service times (M/G/1).
"""

from __future__ import annotations

import heapq
import random
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass

from memos.scheduler import Policy
from memos.types import Books, Lane

MEANS = {"index": 0.02, "vector_sync": 0.1, "extract": 0.5, "compile": 4.0}
"""Seconds that jobs of each kind take on average; each is drawn from an exponential."""
SHARES = {"index": 0.6, "vector_sync": 0.25, "extract": 0.13, "compile": 0.02}
_KEEP = 0.9


@dataclass(frozen=True, slots=True)
class Arrival:
    """A job of the trace; times in seconds."""

    at: float
    tenant: str
    kind: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Served:
    arrival: Arrival
    wait: float


def trace(count: int, *, load: float, tenants: int, seed: int, workers: int = 1) -> list[Arrival]:
    """Poisson arrivals that keep `workers` busy for `load` of the time."""
    chance = random.Random(seed)
    mean = sum(SHARES[kind] * MEANS[kind] for kind in MEANS)
    rate = load * workers / mean
    now, found = 0.0, []
    for _ in range(count):
        now += chance.expovariate(rate)
        kind = chance.choices(list(SHARES), list(SHARES.values()))[0]
        tenant = f"tenant-{chance.randrange(tenants)}"
        found.append(Arrival(now, tenant, kind, chance.expovariate(1 / MEANS[kind])))
    return found


def pollaczek_khinchine(arrivals: Sequence[Arrival]) -> float:
    """The mean wait of a single server, first come first served: λ E[S²] / 2 (1 − ρ), with the
    moments of this very trace."""
    span = arrivals[-1].at - arrivals[0].at
    rate = len(arrivals) / span
    second = sum(a.seconds**2 for a in arrivals) / len(arrivals)
    busy = rate * sum(a.seconds for a in arrivals) / len(arrivals)
    return float("inf") if busy >= 1 else rate * second / (2 * (1 - busy))


def first_come(arrivals: Sequence[Arrival], *, workers: int = 1) -> list[Served]:
    free = [0.0] * workers
    served = []
    for arrival in arrivals:
        begun = max(arrival.at, heapq.heappop(free))
        heapq.heappush(free, begun + arrival.seconds)
        served.append(Served(arrival, begun - arrival.at))
    return served


def planned(
    arrivals: Sequence[Arrival], policy: Policy, *, seed: int, workers: int = 1
) -> list[Served]:
    """The same through the policy."""
    return _Queue(policy, seed).run(arrivals, workers)


class _Queue:
    """What SQL holds, in RAM: lanes of waiting jobs, what tenants were charged, what kinds cost."""

    def __init__(self, policy: Policy, seed: int) -> None:
        self._policy = policy
        self._rng = random.Random(seed)
        self._lanes: dict[tuple[str, str, int], deque[Arrival]] = defaultdict(deque)
        self._spent: dict[str, float] = {}
        self._costs: dict[str, float] = {}
        self._round = 0.0

    def run(self, arrivals: Sequence[Arrival], workers: int) -> list[Served]:
        free = [0.0] * workers
        coming = deque(arrivals)
        served: list[Served] = []
        now = 0.0
        while coming or any(self._lanes.values()):
            now = max(now, heapq.heappop(free))
            if not any(self._lanes.values()):
                now = max(now, coming[0].at)
            while coming and coming[0].at <= now:
                self._put(coming.popleft())
            if not any(self._lanes.values()):
                heapq.heappush(free, coming[0].at)
                continue
            until = now
            for arrival, charge in self._take(now):
                served.append(Served(arrival, until - arrival.at))
                until += arrival.seconds
                self._settle(arrival, charge)
            heapq.heappush(free, until)
        return served

    def _put(self, arrival: Arrival) -> None:
        mean = self._costs.get(arrival.kind, 0.0)
        level = self._policy.level(arrival.kind, mean=mean, spent=0.0)
        self._lanes[arrival.tenant, arrival.kind, level].append(arrival)

    def _take(self, now: float) -> list[tuple[Arrival, float]]:
        lanes = [
            Lane(tenant, kind, 1, level, waiting[0].at)
            for (tenant, kind, level), waiting in self._lanes.items()
            if waiting
        ]
        books = Books(dict(self._spent), self._round, dict(self._costs))
        plan = self._policy.plan(lanes, books, now=now, limit=64, rng=self._rng)
        self._round = max(self._round, plan.round)
        taken = []
        for pick in plan.picks:
            lane = pick.lane
            waiting = self._lanes[lane.tenant_id, lane.kind, lane.level]
            for _ in range(min(pick.count, len(waiting))):
                taken.append((waiting.popleft(), pick.charge))
                present = max(self._spent.get(lane.tenant_id, plan.floor), plan.floor)
                self._spent[lane.tenant_id] = present + pick.charge
        return taken

    def _settle(self, arrival: Arrival, charge: float) -> None:
        self._spent[arrival.tenant] += arrival.seconds - charge
        old = self._costs.get(arrival.kind, arrival.seconds)
        self._costs[arrival.kind] = old * _KEEP + arrival.seconds * (1 - _KEEP)
