"""Why something is as it is: what an id stands for, and what is recorded of it, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from memos.errors import EventNotFound, FactNotFound, JobNotFound, MemoryNotFound, NotFound
from memos.protocols import Stores
from memos.service.graph.graph import Graph
from memos.types import Cube, Event, Explanation, Job, MemoryVersion, State
from memos.validation import check_label

_MOST_EVENTS = 200


class Explainer:
    """Looks an id up among the memories and facts of a cube and the jobs and events of its
    tenant."""

    def __init__(self, stores: Stores, graph: Graph) -> None:
        self._stores = stores
        self._graph = graph

    def explain(self, cube: Cube, id: str, *, known_as_of: datetime | None) -> Explanation:
        """NotFound if the id is nobody's. With `known_as_of` what was recorded later is left
        out."""
        check_label("id", id)
        for look in (self._memory, self._fact, self._summary, self._job, self._event):
            found = look(cube, id, known_as_of)
            if found is not None:
                return found
        raise NotFound(
            f"{id!r} is no memory, fact or summary of cube {cube.name!r} and no job or event; "
            "name the cube it is in",
            id=id,
        )

    def _memory(self, cube: Cube, id: str, known: datetime | None) -> Explanation | None:
        try:
            versions = self._stores.memories.history(cube.id, id)
        except MemoryNotFound:
            return None
        versions = tuple(v for v in versions if known is None or v.changed_at <= known)
        if not versions:
            return None
        events = self._about(cube.tenant_id, id, known)
        newest = versions[-1].memory
        return Explanation(
            id=id,
            what="memory",
            text=tuple(_of_versions(versions)) + tuple(map(sentence, events)),
            events=events,
            memory=None if newest is None or newest.state is State.ERASED else newest,
            versions=versions,
        )

    def _fact(self, cube: Cube, id: str, known: datetime | None) -> Explanation | None:
        try:
            why = self._graph.why(cube, id, known_as_of=known)
        except FactNotFound:
            return None
        events = self._about(cube.tenant_id, id, known)
        return Explanation(
            id=id,
            what="fact",
            text=why.text + tuple(map(sentence, events)),
            events=events,
            fact=why,
        )

    def _summary(self, cube: Cube, id: str, known: datetime | None) -> Explanation | None:
        found = self._stores.summaries.get(cube.id, id)
        if found is None or (known is not None and found.created_at > known):
            return None
        events = self._about(cube.tenant_id, id, known)
        made = (
            f"{_at(found.created_at)} a summary of {found.kind.value} {found.key} was made by "
            f"{found.method} from {len(found.memory_ids)} memories: {', '.join(found.memory_ids)}"
        )
        return Explanation(
            id=id, what="summary", text=(made, *map(sentence, events)), events=events
        )

    def _job(self, cube: Cube, id: str, known: datetime | None) -> Explanation | None:
        try:
            job = self._stores.jobs.get(cube.tenant_id, id)
        except JobNotFound:
            return None
        if known is not None and job.created_at > known:
            return None
        events = self._about(cube.tenant_id, id, known)
        return Explanation(
            id=id,
            what="job",
            text=tuple(_of_job(job)) + tuple(map(sentence, events)),
            events=events,
            job=job,
        )

    def _event(self, cube: Cube, id: str, known: datetime | None) -> Explanation | None:
        try:
            event = self._stores.events.get(cube.tenant_id, id)
        except EventNotFound:
            return None
        if known is not None and event.at > known:
            return None
        after = self._about(cube.tenant_id, id, known)
        return Explanation(
            id=id,
            what="event",
            text=tuple(map(sentence, (event, *after))),
            events=after,
            event=event,
        )

    def _about(self, tenant_id: str, id: str, known: datetime | None) -> tuple[Event, ...]:
        found = self._stores.events.about(tenant_id, id, limit=_MOST_EVENTS)
        return tuple(event for event in found if known is None or event.at <= known)


def sentence(event: Event) -> str:
    """An event in one line: when, what, by whom, why, by which numbers."""
    who = f" by {event.actor}" if event.actor else ""
    why = f": {event.reason}" if event.reason else ""
    numbers = ", ".join(f"{name} {_number(value)}" for name, value in event.numbers.items())
    how = f" ({numbers})" if numbers else ""
    return f"{_at(event.at)} {event.kind}{who}{why}{how}"


def _of_versions(versions: Sequence[MemoryVersion]) -> list[str]:
    lines = []
    for version in versions:
        who = f" by {version.actor}" if version.actor else ""
        why = f": {version.reason}" if version.reason else ""
        state = f", {version.memory.state.value}" if version.memory is not None else ""
        lines.append(
            f"{_at(version.changed_at)} version {version.version} by {version.operation}"
            f"{who}{state}{why}"
        )
    return lines


def _of_job(job: Job) -> list[str]:
    lines = [f"{_at(job.created_at)} {job.kind} was queued"]
    if job.started_at is not None:
        lines.append(
            f"{_at(job.started_at)} it was begun, attempt {job.attempts} of {job.max_attempts}"
        )
    ended = f"{_at(job.finished_at)} " if job.finished_at is not None else ""
    error = f": {job.error}" if job.error else ""
    lines.append(f"{ended}it is {job.state.value}{error}")
    return lines


def _at(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%SZ")


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
