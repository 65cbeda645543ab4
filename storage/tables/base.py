"""What all tables have in common: their metadata, and the type of ids."""

from __future__ import annotations

from sqlalchemy import MetaData, Text

# Ids are compared byte by byte on PostgreSQL too, whatever the language of the database.
Id = Text().with_variant(Text(collation="C"), "postgresql")

metadata = MetaData()
