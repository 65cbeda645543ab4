"""What may be sent to search."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from memos.api.schemas.fields import AnyKind, Body, Label, Time
from memos.types import Search as CoreSearch


class SearchIn(Body):
    """A search. `since` ≤ occurred_at < `until`; `as_of` and `known_as_of` answer as it was then,
    and as it was known then."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "text": "Where does Ana live?",
                    "limit": 5,
                    "filter": {"topic": {"eq": "home"}},
                    "since": "2024-01-01T00:00:00Z",
                }
            ]
        }
    )

    text: str
    limit: Annotated[int, Field(ge=1)] = 10
    user_id: Label | None = None
    agent_id: Label | None = None
    session_id: Label | None = None
    kinds: list[AnyKind] = []
    filter: Annotated[
        dict[str, Any] | None,
        Field(description='Metadata filter, such as {"topic": {"in": ["home", "work"]}}.'),
    ] = None
    since: Time | None = None
    until: Time | None = None
    place: Annotated[
        Label | None, Field(description="Only memories of this place, in any case.")
    ] = None
    as_of: Annotated[Time | None, Field(description="Only what had happened by then.")] = None
    known_as_of: Annotated[
        Time | None, Field(description="As the cube was known then, changes since undone.")
    ] = None
    mmr: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    token_budget: Annotated[int, Field(ge=1)] | None = None
    explain: bool = False
    summaries: Annotated[
        int, Field(ge=0, description="Most summaries that are found besides; no hit changes.")
    ] = 0

    def core(self) -> CoreSearch:
        given = {name: getattr(self, name) for name in type(self).model_fields}
        return CoreSearch(**{**given, "kinds": tuple(self.kinds)})
