"""The tables of the truth, as the newest migration leaves them (a test compares the two).

Only plain column types, the same on SQLite and PostgreSQL, so that both behave alike and rows need
no conversion by SQLAlchemy: times are whole microseconds since 1970 (UTC), structured values are
JSON text, vectors little-endian float32, digests raw bytes. `memos.storage.records` knows how rows
become types.
"""

from memos.storage.tables.accounts import api_key, cube, tenant
from memos.storage.tables.artifacts import artifact, artifact_source
from memos.storage.tables.base import Id, metadata
from memos.storage.tables.graph import (
    assertion,
    entity,
    entity_alias,
    entity_type,
    fact,
    fact_source,
    graph_gone,
    mention,
    predicate_type,
    ruling,
)
from memos.storage.tables.jobs import audit, job, receipt
from memos.storage.tables.keeping import KEPT, lineage, memory_use, policy
from memos.storage.tables.lifecycle import lifecycle_rule
from memos.storage.tables.memories import indexed, link, memory, memory_version, removed_link
from memos.storage.tables.notes import note, summary, summary_source
from memos.storage.tables.readings import reading, reading_mark
from memos.storage.tables.schedules import schedule

__all__ = [
    "KEPT",
    "Id",
    "api_key",
    "artifact",
    "artifact_source",
    "assertion",
    "audit",
    "cube",
    "entity",
    "entity_alias",
    "entity_type",
    "fact",
    "fact_source",
    "graph_gone",
    "indexed",
    "job",
    "lifecycle_rule",
    "lineage",
    "link",
    "memory",
    "memory_use",
    "memory_version",
    "mention",
    "metadata",
    "note",
    "policy",
    "predicate_type",
    "reading",
    "reading_mark",
    "receipt",
    "removed_link",
    "ruling",
    "schedule",
    "summary",
    "summary_source",
    "tenant",
]
