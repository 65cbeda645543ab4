"""What the core needs from the stores of notes and of summaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from memos.types import (
    Link,
    NewEvent,
    Note,
    Summary,
    SummaryKind,
)


class NoteStore(Protocol):
    """Notes: one present revision per memory, former ones kept; a note goes with its memory."""

    def put(
        self,
        cube_id: str,
        notes: Sequence[Note],
        *,
        links: Sequence[Link] = (),
        relinked: Sequence[str] = (),
    ) -> tuple[Note, ...]:
        """Stores each as the next revision of its memory's note (its `revision` is ignored), with
        links, in one transaction. Those of erased memories are passed over. The memories `relinked`
        have a new text: links that were drafted of the former one and are not among `links` are
        removed."""
        ...

    def get(
        self, cube_id: str, memory_ids: Sequence[str], *, known_as_of: datetime | None = None
    ) -> dict[str, Note]: ...

    def history(self, cube_id: str, memory_id: str) -> tuple[Note, ...]:
        """Oldest first."""
        ...

    def caused_by(self, cube_id: str, memory_id: str) -> tuple[Note, ...]:
        """Present revisions that this memory brought about in others."""
        ...


@dataclass(frozen=True, slots=True)
class Covered:
    """What present summaries cover, and what those did that somebody took back."""

    present: frozenset[str] = frozenset()
    undone: frozenset[str] = frozenset()

    @property
    def either(self) -> frozenset[str]:
        return self.present | self.undone


class SummaryStore(Protocol):
    """Summaries of sessions, segments and communities; those made from a forgotten memory are gone
    with it until they are made anew."""

    def replace(
        self,
        cube_id: str,
        kind: SummaryKind,
        summaries: Sequence[Summary],
        *,
        keys: Sequence[str],
        told: Mapping[str, NewEvent] | None = None,
    ) -> tuple[Summary, ...]:
        """Puts `summaries` in the place of those with these keys (`keys` empty: of all of the
        kind); gives those that are new. Of each key that has any `told` is recorded, their ids put
        before its subjects, undone by taking them back."""
        ...

    def covered(
        self, cube_id: str, kinds: Sequence[SummaryKind]
    ) -> dict[tuple[SummaryKind, str], Covered]:
        """By kind and key; those that have neither are left out."""
        ...

    def former(self, cube_id: str, kind: SummaryKind, key: str) -> list[tuple[Summary, bool]]:
        """All that were ever made, oldest first, and whether each was taken back."""
        ...

    def get(self, cube_id: str, summary_id: str) -> Summary | None:
        """Also if it holds no longer; None if there is none such."""
        ...

    def take_back(self, cube_id: str, ids: Sequence[str], *, told: NewEvent) -> None:
        """These hold no longer, and what they cover is not summarised by itself again.
        VersionConflict if one of them is not the present one any more."""
        ...

    def of(
        self, cube_id: str, memory_ids: Sequence[str], *, known_as_of: datetime | None = None
    ) -> list[Summary]:
        """Those that some of these memories are told of in, by id; as they are, or as they were
        known then."""
        ...

    def page(
        self,
        cube_id: str,
        kind: SummaryKind | None = None,
        *,
        keys: Sequence[str] = (),
        known_as_of: datetime | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> list[Summary]: ...
