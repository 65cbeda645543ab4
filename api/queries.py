"""Query parameters, as strict as the bodies: an unknown or misspelt one is refused.

Knows names and shapes only.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from memos.api.schemas.fields import Label, Time
from memos.errors import InvalidFilter, InvalidInput
from memos.graph.network.walking import MOST_HOPS
from memos.types import LIVE, JobState, Kind, State, SummaryKind, Work

_BATCH_SIZE = 256


def _flag(value: Any) -> Any:
    """Only the two words: `wait=yes` or `wait=1` may mean what they look like, `wait=no` must not
    come as a surprise."""
    if isinstance(value, str):
        if value not in ("true", "false"):
            raise ValueError(f"{value[:20]!r} is neither true nor false")
        return value == "true"
    return value


Flag = Annotated[bool, BeforeValidator(_flag)]
Cursor = Annotated[str, Field(description="`next_cursor` of the page before.")]
Limit = Annotated[int, Field(ge=1)]


class Query(BaseModel):
    """Base of all query models."""

    model_config = ConfigDict(extra="forbid")


class Known(Query):
    """For reads of what is not in time itself, such as an entity."""

    known_as_of: Annotated[
        Time | None, Field(description="As it was known at this time; RFC 3339. Default: now.")
    ] = None


class View(Known):
    """The two times of a read."""

    as_of: Annotated[
        Time | None, Field(description="As it was in the world at this time; RFC 3339.")
    ] = None

    def view(self) -> dict[str, datetime | None]:
        """Both, as keywords of the verbs."""
        return {"as_of": self.as_of, "known_as_of": self.known_as_of}


class LoadQuery(Query):
    name: Annotated[
        str | None,
        Field(description="Of the new cube; without it the one in the dump.", examples=["ana"]),
    ] = None


class Paging(Query):
    cursor: Cursor | None = None
    limit: Limit = 50


class MemoriesQuery(Paging, View):
    kinds: list[Kind] = []
    states: list[State] = list(LIVE)
    user_id: Label | None = None
    agent_id: Label | None = None
    session_id: Label | None = None
    filter: Annotated[
        str | None,
        Field(description="The metadata filter as JSON.", examples=['{"topic": "home"}']),
    ] = None

    def parsed_filter(self) -> Mapping[str, Any] | None:
        """InvalidFilter if it is no JSON object."""
        if self.filter is None:
            return None
        try:
            return msgspec.json.decode(self.filter, type=dict[str, Any])
        except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
            raise InvalidFilter(
                f"the filter is no JSON object: {error}. Write it like "
                '{"topic": {"eq": "home"}}',
                field="filter",
            ) from error


class AddQuery(Query):
    wait: Annotated[
        Flag,
        Field(description="false: answer when it is durable, and leave the rest to a job."),
    ] = True


class WaitQuery(Query):
    wait: Annotated[
        Flag,
        Field(description="true: answer when it is done; else a job does it."),
    ] = False


class BatchQuery(Query):
    batch_size: Annotated[
        int | None,
        Field(ge=1, description="Memories that are made durable together; 256 if left out."),
    ] = None

    def size(self, most: int) -> int:
        """InvalidInput for more than `most`."""
        if self.batch_size is not None and self.batch_size > most:
            raise InvalidInput(
                f"batch_size is {self.batch_size}; the limit is {most} (MEMOS_MAX_BATCH)",
                field="batch_size",
            )
        return self.batch_size or min(_BATCH_SIZE, most)


class ForgetQuery(Query):
    erase: Annotated[Flag, Field(description="true: gone from every store, with no way back.")] = (
        False
    )
    reason: str | None = None


class FactsQuery(Paging, View):
    """A triple with `?` for what is left out."""

    subject: Annotated[Label | None, Field(description="An entity's name, alias or id.")] = None
    predicate: Label | None = None
    object: Annotated[
        Label | None, Field(description="An entity's name, alias or id, or a value.")
    ] = None
    since: Annotated[Time | None, Field(description="Still true at this time or after.")] = None
    until: Annotated[Time | None, Field(description="True before this time.")] = None
    min_confidence: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.0


class EntitiesQuery(Paging, Known):
    text: Annotated[Label | None, Field(description="In a name or alias.")] = None
    type: Label | None = None


class TimelineQuery(Known):
    predicate: Label | None = None
    since: Time | None = None
    until: Time | None = None
    limit: Limit = 200


class NeighboursQuery(View):
    hops: Annotated[int, Field(ge=1, le=MOST_HOPS, description="How many facts away at most.")] = 1
    limit: Limit = 50


class PathsQuery(View):
    target: Annotated[Label, Field(description="An entity's name, alias or id.")]
    max_hops: Annotated[
        int, Field(ge=1, le=MOST_HOPS, description="How many facts long at most.")
    ] = 4
    limit: Limit = 5


class DiffQuery(Query):
    since: Annotated[Time, Field(description="The earlier time; RFC 3339.")]
    until: Annotated[Time, Field(description="The later time; RFC 3339.")]
    axis: Annotated[
        Literal["known", "valid"],
        Field(description="known: what was believed at each time; valid: what was true."),
    ] = "known"


class SummariesQuery(Paging, Known):
    kind: SummaryKind | None = None


class EventsQuery(Paging):
    kinds: Annotated[
        list[Label], Field(description="Such as job.dead; memory. means all that begin so.")
    ] = []
    cube: str | None = None
    after: Annotated[
        int, Field(ge=0, le=2**63 - 1, description="Only events with a greater `seq`.")
    ] = 0


class PlanQuery(Query):
    work: Annotated[Work, Field(description="Of which run.")] = Work.CONSOLIDATE
    limit: Limit = 50


class SegmentsQuery(View):
    session_id: Label
    user_id: Label | None = None


class StreamQuery(Query):
    kinds: Annotated[
        list[Label], Field(description="Such as job.dead; memory. means all that begin so.")
    ] = []
    cube: str | None = None
    after: Annotated[
        int | None,
        Field(
            ge=0,
            le=2**63 - 1,
            description="Only events with a greater `seq`; default: those from now on.",
        ),
    ] = None
    seconds: Annotated[
        float | None,
        Field(ge=0, le=86400, allow_inf_nan=False, description="End the stream after so long."),
    ] = None


class QueueQuery(Query):
    cube: str | None = None


class JobsQuery(Paging):
    state: list[JobState] = []
    cube: str | None = None


class JobQuery(Query):
    wait: Annotated[
        float,
        Field(
            ge=0,
            le=60,
            allow_inf_nan=False,
            description="Seconds to wait for the job's end before the answer.",
        ),
    ] = 0.0
