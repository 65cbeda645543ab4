"""What the core needs from a vector index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from memos.protocols.models import Vector


class VectorIndex(Protocol):
    """Approximate nearest neighbours by cosine, one index per cube. Derived; may lag behind SQL.

    Several may write a cube's index at once. One that read the truth from `after` on says so: if
    the index has meanwhile reached another number, nothing is written and the answer is False,
    since what was read may be older than what the index holds. It has to be read again.
    """

    def upsert(
        self,
        cube_id: str,
        ids: Sequence[str],
        vectors: Vector,
        *,
        seq: int,
        after: int | None = None,
    ) -> bool:
        """Adds or replaces rows (n, dimensions) and records `seq` as the change number reached."""
        ...

    def delete(
        self, cube_id: str, ids: Sequence[str], *, seq: int, after: int | None = None
    ) -> bool:
        """Unknown ids are passed over; records `seq` likewise."""
        ...

    def query(self, cube_id: str, vector: Vector, *, limit: int) -> list[tuple[str, float]]:
        """(memory id, cosine), best first; an unknown cube gives []."""
        ...

    def reached(self, cube_id: str) -> int:
        """The change number up to which the index is complete (0 for an unknown cube)."""
        ...

    def ids(self, cube_id: str) -> set[str]:
        """All ids it holds, for doctor."""
        ...

    def vectors(self, cube_id: str, ids: Sequence[str]) -> dict[str, Vector]:
        """Those that it holds of these, each (dimensions,)."""
        ...

    def drop(self, cube_id: str) -> None:
        """Forgets the cube's index; no error if there is none."""
        ...

    def close(self) -> None: ...
