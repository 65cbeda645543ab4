"""A worker process of the scheduler's benchmark: a plain queue and two kinds of jobs.

    python -m memos.benchmarks.scheduling.worker URL NAME LEASE_SECONDS

`noop` does nothing, `nap` sleeps, also until a file is there. `deed` sleeps and then enters itself
in a ledger, whose key is the job: to do it twice is to do it once, as it is for every job of the
service.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable

from memos.graph.deriving.validity import Rules
from memos.identity import UlidMaker, utc_now
from memos.protocols import Stores
from memos.scheduler import Handler, JobContext, Policy, Worker

LEDGER = "CREATE TABLE IF NOT EXISTS ledger (job TEXT PRIMARY KEY, amount INTEGER NOT NULL)"
ENTER = "INSERT INTO ledger (job, amount) VALUES (:job, :amount) ON CONFLICT DO NOTHING"


def open_queue(url: str) -> tuple[Stores, Callable[[str, int], None]]:
    """The stores, and what enters a job into the ledger."""
    from sqlalchemy import text

    from memos.storage import open_stores
    from memos.storage.engine import Database

    stores = open_stores(
        url, new_id=UlidMaker(), clock=utc_now, derivation=Rules(), policy=Policy()
    )
    database = Database(url)

    def enter(job: str, amount: int) -> None:
        with database.write() as connection:
            connection.execute(text(ENTER), {"job": job, "amount": amount})

    return stores, enter


def handlers(enter: Callable[[str, int], None]) -> dict[str, Handler]:
    def deed(context: JobContext) -> None:
        payload = context.job.payload
        time.sleep(payload["seconds"])
        enter(context.job.id, payload["amount"])

    def nap(context: JobContext) -> None:
        payload = context.job.payload
        time.sleep(payload["seconds"])
        while "until" in payload and not os.path.exists(payload["until"]):
            time.sleep(0.01)

    def poison(context: JobContext) -> None:
        import signal

        os.kill(os.getpid(), signal.SIGKILL)

    return {"noop": lambda context: None, "deed": deed, "nap": nap, "poison": poison}


def main(argv: list[str]) -> None:
    url, name, lease = argv
    stores, enter = open_queue(url)
    worker = Worker(stores.jobs, handlers(enter), name=name, lease_seconds=float(lease))
    worker.start()
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1:])
