"""The whole schema: every module of tables, registered in one `metadata`."""

from __future__ import annotations

from memos.storage.keeping import tables as keeping
from memos.storage.tables import metadata

__all__ = ["keeping", "metadata"]
