"""Activation and parametric memories on their way in: as rows without files.

Files are named by the ids of artifacts, over all cubes, and depend on the tenant's secret; so these
get new ids here, and their files are made anew. What they were made of, and how, stays.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

import msgspec

from memos.errors import InvalidDump
from memos.protocols import NewId
from memos.storage.dumps.rows import Row
from memos.storage.records import json_text
from memos.storage.tables import artifact, artifact_source
from memos.types import Recipe, State, Substrate

T = TypeVar("T")

_NO_FILE = "the files of adapters do not travel in a dump; distill it again"
_PLACE = {column.name: number for number, column in enumerate(artifact.c)}
_SOURCE = {column.name: number for number, column in enumerate(artifact_source.c)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Detail:
    """What stays of an adapter's details: how it was made, and nothing of what it knew."""

    version: int = 1
    parent: str | None = None
    recipe: Recipe | None = None
    when: Literal["named", "always"] = "named"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Guide:
    """What stays of an activation memory's."""

    guide: str | None = None


_detail = msgspec.json.Decoder(_Detail)
_guide = msgspec.json.Decoder(_Guide)


class Artifacts:
    """Those of one dump. `at` is now, in microseconds."""

    def __init__(self, new_id: NewId, *, at: int) -> None:
        self._new_id = new_id
        self._at = at
        self._ids: dict[str, str] = {}
        self.compiled: list[str] = []
        self.attached: list[str] = []

    def row(self, row: Row) -> Row:
        id = self._named(row[_PLACE["id"]])
        parametric = row[_PLACE["substrate"]] == Substrate.PARAMETRIC.value
        detail = self._kept(row[_PLACE["detail"]]) if parametric else _guided(row[_PLACE["detail"]])
        if row[_PLACE["attached"]] and "recipe" in detail:
            self.attached.append(id)
        if not parametric and row[_PLACE["state"]] == State.ACTIVATED.value:
            self.compiled.append(id)
        changes: dict[str, Any] = {
            "id": id,
            "file": None,
            "root": None,
            "model": "",
            "fingerprint": "{}",
            "bytes": 0,
            "job_id": None,
            "attached": 0,
            "updated_at": self._at,
            "reason": _NO_FILE if parametric else None,
            "state": State.EXPIRED.value if parametric else State.GENERATED.value,
            "detail": json_text(detail) if detail else None,
        }
        for name, value in changes.items():
            row[_PLACE[name]] = value
        return row

    def source(self, row: Row) -> Row:
        """InvalidDump for a source of what is not there."""
        place = _SOURCE["artifact_id"]
        if row[place] not in self._ids:
            raise InvalidDump("the dump has sources of an artifact that is not in it")
        row[place] = self._ids[row[place]]
        return row

    def _named(self, id: str) -> str:
        return self._ids.setdefault(id, self._new_id())

    def _kept(self, text: str | None) -> dict[str, Any]:
        found = _read(_detail, text)
        kept = {name: value for name, value in asdict(found).items() if value is not None}
        if found.parent is not None:
            kept["parent"] = self._named(found.parent)
        return kept


def _guided(text: str | None) -> dict[str, Any]:
    found = _read(_guide, text)
    return {} if found.guide is None else {"guide": found.guide}


def _read(decoder: msgspec.json.Decoder[T], text: str | None) -> T:
    try:
        return decoder.decode(text or "{}")
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidDump(f"artifact.detail does not fit: {error}") from error
