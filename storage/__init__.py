"""Where memories are kept: SQL tables, vector and lexical indexes, blobs, migrations.

Imported as `memos.storage`. Knows the protocols of the core and nothing of retrieval,
HTTP or the key-value caches. Importing this package loads no backend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memos.protocols import Clock, Derivation, NewId, QueuePolicy, Stores

__all__ = ["open_stores"]


def open_stores(
    url: str,
    *,
    new_id: NewId,
    clock: Clock,
    derivation: Derivation,
    policy: QueuePolicy | None = None,
    lock_timeout: float = 10.0,
    statement_timeout: float = 30.0,
) -> Stores:
    """The repositories over the database at `url`, which is made or brought up to date first.

    `url` is an SQLAlchemy URL of a SQLite file (`sqlite:////folder/memos.db`) or of PostgreSQL
    (`postgresql://user@host/database`). Timeouts are in seconds; `lock_timeout` is how long a write
    waits for others, `statement_timeout` bounds one statement on PostgreSQL. Many processes may
    open the same database at once. `derivation` says how assertions become facts,
    `policy` which jobs run next (None: first come, first served).
    `Stores.health.close()` closes all of them.

    Raises InvalidSetting for a URL that can't be used, MissingDependency without the driver,
    SchemaMismatch for a database of a newer version, and the other StorageErrors.
    """
    import os

    from memos.protocols import Stores
    from memos.storage.audit import AuditTrail
    from memos.storage.cubes import SqlCubeStore
    from memos.storage.derived.artifacts import SqlArtifactStore
    from memos.storage.derived.notes import SqlNoteStore
    from memos.storage.derived.summaries import SqlSummaryStore
    from memos.storage.dumps.store import SqlDumpStore
    from memos.storage.engine import Database
    from memos.storage.events import EventLog, SqlEventStore
    from memos.storage.feed import SqlChangeFeed
    from memos.storage.graph.deriving import Deriver
    from memos.storage.graph.store import SqlGraphStore
    from memos.storage.graph.upkeep import GraphUpkeep
    from memos.storage.health import SqlStoreHealth
    from memos.storage.jobs.queue import SqlJobQueue
    from memos.storage.jobs.timetable import SqlTimetable
    from memos.storage.keeping.rules import SqlRuleStore
    from memos.storage.keeping.store import SqlKeepingStore
    from memos.storage.keys import SqlKeyStore
    from memos.storage.memories.links import SqlLinkStore
    from memos.storage.memories.past import SqlPastStore
    from memos.storage.memories.store import SqlMemoryStore
    from memos.storage.migrations import migrate
    from memos.storage.receipts import SqlReceiptStore
    from memos.storage.retention import SqlRetention

    database = Database(url, lock_timeout=lock_timeout, statement_timeout=statement_timeout)
    try:
        migrate(database)
    except BaseException:
        database.close()
        raise
    events = EventLog(new_id=new_id, clock=clock)
    jobs = SqlJobQueue(database, new_id=new_id, clock=clock, events=events, policy=policy)
    audit = AuditTrail(new_id=new_id, clock=clock)
    deriver = Deriver(derivation, new_id)
    graph = GraphUpkeep(deriver, clock)
    return Stores(
        cubes=SqlCubeStore(database, jobs=jobs, audit=audit, clock=clock),
        memories=SqlMemoryStore(
            database, jobs=jobs, audit=audit, events=events, graph=graph, clock=clock
        ),
        past=SqlPastStore(database),
        feed=SqlChangeFeed(database),
        links=SqlLinkStore(database),
        jobs=jobs,
        keys=SqlKeyStore(database, audit=audit),
        receipts=SqlReceiptStore(database, clock=clock),
        graph=SqlGraphStore(database, deriver=deriver, clock=clock),
        notes=SqlNoteStore(database, clock=clock),
        summaries=SqlSummaryStore(database, events=events, clock=clock),
        artifacts=SqlArtifactStore(database, jobs=jobs, clock=clock, random=os.urandom),
        keeping=SqlKeepingStore(database, jobs=jobs, events=events, graph=graph, clock=clock),
        events=SqlEventStore(database, log=events),
        retention=SqlRetention(database),
        rules=SqlRuleStore(database, jobs=jobs),
        timetable=SqlTimetable(database, jobs=jobs, clock=clock),
        dumps=SqlDumpStore(database, jobs=jobs, audit=audit, new_id=new_id, clock=clock),
        health=SqlStoreHealth(database, deriver=deriver, clock=clock),
    )
