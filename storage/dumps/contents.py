"""What of a cube is in its dump, and what is not, and why. A test finds a table that is in neither.

Rows are lists of values in the order of the columns, without `cube_id`: a dump belongs to no cube
but the one that is made of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Column, Table

from memos.storage.tables import (
    artifact,
    artifact_source,
    assertion,
    entity,
    entity_alias,
    entity_type,
    fact,
    fact_source,
    graph_gone,
    indexed,
    lifecycle_rule,
    lineage,
    link,
    memory,
    memory_use,
    memory_version,
    mention,
    note,
    policy,
    predicate_type,
    reading,
    reading_mark,
    removed_link,
    ruling,
    summary,
    summary_source,
)

# Memories before links, which refer to them.
TABLES: tuple[Table, ...] = (
    memory,
    memory_version,
    indexed,
    link,
    removed_link,
    entity,
    entity_alias,
    entity_type,
    predicate_type,
    mention,
    assertion,
    fact,
    fact_source,
    ruling,
    reading,
    reading_mark,
    graph_gone,
    note,
    summary,
    summary_source,
    lineage,
    memory_use,
    policy,
    lifecycle_rule,
    artifact,
    artifact_source,
)

LEFT_OUT: Mapping[str, str] = {
    "job": "work of the service that it is in; what has still to be done is queued at loading",
    "event": "the tenant's log, numbered over all its cubes; undoing by an event ends with it",
    "event_subject": "goes with the events",
    "schedule": "when a service works, and with which jobs: that is for the operator to say",
}
"""By name of the table."""


def columns(table: Table) -> list[Column[object]]:
    """Those that are in a dump."""
    return [column for column in table.c if column.name != "cube_id"]
