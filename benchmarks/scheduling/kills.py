"""What survives `kill -9`: workers do deeds, some die over them, and a ledger tells the rest.

Each kill hits a worker that holds jobs at that moment, by the queue's own table: a portion of the
deeds is queued, a random time passes, one of those at work is chosen by chance, and what it held
when it was dead is counted; a kill that came too late to hit work is not. So what is tested does
not depend on how fast the machine is.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import text

from memos.benchmarks.scheduling.crew import Crew, crew
from memos.benchmarks.scheduling.load import await_end, left, put
from memos.benchmarks.scheduling.worker import LEDGER, open_queue
from memos.protocols import Stores
from memos.types import NewJob

_LEASE = 2.0
"""Seconds; short, so that what a dead worker held is soon another's."""
_DELAY = 0.15
"""Seconds at most from a portion's queueing to the kill, about half of what its deeds take."""
_PATIENCE = 60.0
_HOLDS = "SELECT worker, count(*) FROM job WHERE state = 'running' GROUP BY worker"


def kills(url: str, *, jobs: int, times: int, workers: int, seed: int) -> dict[str, Any]:
    """Kills `times` workers in the middle of jobs while they do `jobs` deeds, and more deeds where
    these do not last so long; what the ledger says afterwards."""
    chance = random.Random(seed)
    stores, _ = open_queue(url)
    try:
        _execute(stores, LEDGER)
        deeds = Deeds(stores, chance)
        with crew(url, workers, lease=_LEASE) as made:
            made.ready()
            held: list[int] = []
            while sum(map(bool, held)) < times:
                held.append(_kill_one(stores, made, deeds, jobs // times, chance))
            deeds.queue(max(0, jobs - len(deeds.amounts)))
            put(stores, [NewJob(tenant_id="t0", cube_id=None, kind="poison", max_attempts=2)])
            poisoned: list[str] = []
            await_end(stores, tick=lambda: poisoned.extend(made.replace_dead()))
            poisoned += made.dead()  # since the last look
        return {
            "jobs": len(deeds.amounts),
            "kills": sum(map(bool, held)),
            "kills_too_late": held.count(0),
            "workers": workers,
            "held_when_killed": sum(held),
            **_outcome(stores, deeds.amounts),
            "workers_poisoned": len(poisoned),
        }
    finally:
        stores.health.close()


class Deeds:
    """Jobs that enter an amount in the ledger, each of a size by chance."""

    def __init__(self, stores: Stores, chance: random.Random) -> None:
        self.amounts: list[int] = []
        self._stores, self._chance = stores, chance

    def queue(self, count: int) -> None:
        put(self._stores, [self._another() for _ in range(count)])

    def _another(self) -> NewJob:
        number, amount = len(self.amounts), self._chance.randrange(1, 1000)
        self.amounts.append(amount)
        return NewJob(
            tenant_id=f"t{number % 4}",
            cube_id=None,
            kind="deed",
            payload={"amount": amount, "seconds": round(self._chance.uniform(0.001, 0.02), 4)},
            max_attempts=10,
        )


def _kill_one(stores: Stores, made: Crew, deeds: Deeds, portion: int, chance: random.Random) -> int:
    """How many jobs the killed one held; 0 if it ended them between the look and the kill. Its
    place is taken, and waited for, before this returns: the next kill finds as many at work."""
    deeds.queue(portion)
    time.sleep(chance.uniform(0.0, _DELAY))
    name = chance.choice(_busy(stores, made, deeds, portion))
    made.kill(name)
    held = _holders(stores)[name]
    made.replace_dead()
    made.ready()
    return held


def _busy(stores: Stores, made: Crew, deeds: Deeds, portion: int) -> list[str]:
    """Who holds jobs and lives; waited for, with more deeds if all are done."""
    deadline = time.monotonic() + _PATIENCE
    while not (busy := sorted(_holders(stores).keys() & made.alive())):
        if time.monotonic() > deadline:
            raise TimeoutError(f"no worker took a job within {_PATIENCE:g} s")
        if not left(stores):
            deeds.queue(portion)
        time.sleep(0.005)
    return busy


def _holders(stores: Stores) -> Counter[str]:
    """How many jobs each worker holds, also one that has died, until its lease is over."""
    return Counter(dict(_execute(stores, _HOLDS)))


def _outcome(stores: Stores, amounts: Sequence[int]) -> dict[str, Any]:
    [(entries, total)] = _execute(stores, "SELECT count(*), sum(amount) FROM ledger")
    [(attempts,)] = _execute(stores, "SELECT sum(attempts) FROM job WHERE kind = 'deed'")
    counts = stores.jobs.counts()
    return {
        "succeeded": counts.get(("deed", "succeeded"), 0),
        "dead": counts.get(("deed", "dead"), 0),
        "in_ledger": entries,
        "lost": len(amounts) - entries,
        "sum_is_right": int(total or 0) == sum(amounts),
        "attempts": int(attempts),
        "poison_dead": counts.get(("poison", "dead"), 0),
    }


def _execute(stores: Stores, statement: str) -> list[tuple[Any, ...]]:
    queue: Any = stores.jobs
    with queue._db.write() as connection:
        found = connection.execute(text(statement))
        return [tuple(row) for row in found] if found.returns_rows else []
