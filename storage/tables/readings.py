"""Which memories were read for facts."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, PrimaryKeyConstraint, Table, Text

from memos.storage.tables.base import Id, metadata

# Which version of a memory was read last, by whom, or why that failed.
reading = Table(
    "reading",
    metadata,
    Column("cube_id", Id, nullable=False),
    Column("memory_id", Id, nullable=False),
    Column("version", Integer, nullable=False),
    Column("extractor", Text, nullable=False),
    Column("error", Text),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("cube_id", "memory_id", name="pk_reading"),
)

# Up to `position` the extractor has nothing left to read.
reading_mark = Table(
    "reading_mark",
    metadata,
    Column("cube_id", Id, nullable=False),
    Column("extractor", Id, nullable=False),
    Column("position", BigInteger, nullable=False),
    PrimaryKeyConstraint("cube_id", "extractor", name="pk_reading_mark"),
)
