"""MemoryOS: the verbs, for one tenant. The clients have the same ones with the same parameters.

Each verb finds the cube and hands on; what a verb does stands in the module named for it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any

from memos.errors import JobFailed, WaitTimeout
from memos.messages import Defaults, Item, as_items, in_parts
from memos.service import cursors
from memos.types import (
    UNSET,
    Added,
    AddProgress,
    ApiKey,
    Cube,
    CubeDescription,
    Finding,
    Image,
    IssuedKey,
    Job,
    JobState,
    Kind,
    Link,
    Memory,
    MemoryVersion,
    NewJob,
    Page,
    Role,
    Search,
    SearchResult,
    State,
    Unset,
)
from memos.validation import check_label, check_limit, check_text, check_time, to_member, to_utc

if TYPE_CHECKING:
    from memos.service.service import Service

_POLL_SECONDS = 0.02


class MemoryOS:
    """One tenant's memories. `memos.open()` makes one on the embedded default.

    `cube` is everywhere a cube's name or id; the cube `default` is made when first named.
    """

    def __init__(
        self, service: Service, tenant_id: str, *, actor: str | None = None, owns: bool = False
    ) -> None:
        self._service = service
        self.tenant_id = tenant_id
        self._actor = actor
        self._owns = owns

    def __enter__(self) -> MemoryOS:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stops the service if this object opened it."""
        if self._owns:
            self._service.close()

    def _cube(self, name_or_id: str) -> Cube:
        return self._service.cubes.find(self.tenant_id, name_or_id)

    # Writing

    def add(
        self,
        content: Item | Sequence[Item],
        *,
        cube: str = "default",
        kind: Kind = Kind.EPISODIC,
        user_id: str | None = None,
        agent_id: str | None = None,
        session_id: str | None = None,
        speaker: str | None = None,
        occurred_at: datetime | None = None,
        place: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        priority: float | None = None,
        expires_at: datetime | None = None,
        wait: bool = True,
        idempotency_key: str | None = None,
    ) -> Added:
        """Stores one or many memories, all or none; durable when it returns.

        The keyword fields are defaults for items that do not set them. With `wait` the memories are
        searchable on return; without, words find them at once and a job (its id is in the
        answer) makes them findable by meaning.
        """
        added = self._service.writer.add(
            self._cube(cube),
            as_items(content),
            Defaults(
                kind=to_member("kind", kind, Kind),
                user_id=user_id,
                agent_id=agent_id,
                session_id=session_id,
                speaker=speaker,
                occurred_at=occurred_at,
                place=place,
                metadata=metadata,
                priority=priority,
                expires_at=expires_at,
            ),
            wait=wait,
            idempotency_key=idempotency_key,
            actor=self._actor,
        )
        self._service.worker.wake()
        return added

    def add_batch(
        self,
        items: Iterable[Item],
        *,
        cube: str = "default",
        batch_size: int = 256,
        **defaults: Any,
    ) -> Iterator[AddProgress]:
        """Stores any number of items in parts; each part yielded is durable and searchable.

        `defaults` are the keyword fields of `add`. An error stops the batch; what was yielded
        stays.
        """
        check_limit("batch_size", batch_size, self._service.settings)
        done = 0
        for part in in_parts(items, min(batch_size, self._service.settings.max_batch)):
            added = self.add(part, cube=cube, **defaults)
            done += len(added.memories)
            yield AddProgress(done=done, ids=tuple(memory.id for memory in added.memories))

    def update(
        self,
        id: str,
        *,
        cube: str = "default",
        if_version: int | None = None,
        reason: str | None = None,
        content: str | Unset = UNSET,
        kind: Kind | Unset = UNSET,
        speaker: str | Unset | None = UNSET,
        occurred_at: datetime | Unset | None = UNSET,
        place: str | Unset | None = UNSET,
        images: tuple[Image, ...] | Unset = UNSET,
        metadata: Mapping[str, Any] | Unset = UNSET,
        priority: float | Unset = UNSET,
        expires_at: datetime | Unset | None = UNSET,
    ) -> Memory:
        """Makes a new version; the former ones stay in the history.

        VersionConflict if `if_version` is not the present version.
        """
        given = {
            "content": content,
            "kind": kind if kind is UNSET else to_member("kind", kind, Kind),
            "speaker": speaker,
            "occurred_at": occurred_at,
            "place": place,
            "images": images,
            "metadata": metadata,
            "priority": priority,
            "expires_at": expires_at,
        }
        return self._service.writer.update(
            self._cube(cube),
            id,
            {name: value for name, value in given.items() if value is not UNSET},
            if_version=if_version,
            reason=reason,
            actor=self._actor,
        )

    def forget(
        self,
        id: str,
        *,
        cube: str = "default",
        erase: bool = False,
        if_version: int | None = None,
        reason: str | None = None,
    ) -> Memory:
        """Takes the memory out of search; `restore` brings it back.

        With `erase` its text, versions, vector, terms and links are removed from every store for
        good, and a tombstone without content is left.
        """
        target = self._cube(cube)
        gone = self._service.writer.forget(
            target, id, erase=erase, if_version=if_version, reason=reason, actor=self._actor
        )
        if erase:
            self._service.purge(target)
        return gone

    def restore(self, id: str, *, cube: str = "default", reason: str | None = None) -> Memory:
        """Undoes `forget`. StateConflict if the memory was not forgotten."""
        return self._service.writer.restore(self._cube(cube), id, reason=reason, actor=self._actor)

    def link(
        self,
        source_id: str,
        target_id: str,
        *,
        cube: str = "default",
        relation: str = "related",
        reason: str | None = None,
    ) -> Link:
        """Connects two memories of a cube. The same link again is the same link."""
        check_label("relation", relation)
        if reason is not None:
            check_text("reason", reason)
        service = self._service
        return service.stores.links.put(
            Link(
                id=service.new_id(),
                cube_id=self._cube(cube).id,
                source_id=source_id,
                target_id=target_id,
                relation=relation,
                reason=reason,
                created_at=service.clock(),
            )
        )

    def unlink(self, link_id: str, *, cube: str = "default") -> None:
        self._service.stores.links.remove(self._cube(cube).id, link_id)

    # Reading

    def get(self, id: str, *, cube: str = "default") -> Memory:
        """MemoryNotFound if the cube has none such, or it was erased."""
        return self._service.reader.get(self._cube(cube), id)

    def memories(
        self,
        *,
        cube: str = "default",
        kinds: Sequence[Kind] = (),
        states: Sequence[State] = (State.ACTIVATED,),
        user_id: str | None = None,
        agent_id: str | None = None,
        session_id: str | None = None,
        filter: Mapping[str, Any] | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Memory]:
        """A page of memories in order of arrival; the cursor goes on with the same parameters."""
        return self._service.reader.page(
            self._cube(cube),
            kinds=tuple(to_member("kinds", kind, Kind) for kind in kinds),
            states=tuple(to_member("states", state, State) for state in states),
            user_id=user_id,
            agent_id=agent_id,
            session_id=session_id,
            filter=filter,
            cursor=cursor,
            limit=limit,
        )

    def search(
        self,
        text: str,
        *,
        cube: str = "default",
        limit: int = 10,
        user_id: str | None = None,
        agent_id: str | None = None,
        session_id: str | None = None,
        kinds: Sequence[Kind] = (),
        filter: Mapping[str, Any] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        mmr: float | None = None,
        token_budget: int | None = None,
        explain: bool = False,
    ) -> SearchResult:
        """The memories that answer `text` best. No hits means that nothing matched; a failure
        is an error. See `memos.types.Search` for the parameters."""
        for name, value in (("since", since), ("until", until)):
            check_time(name, value)
        return self._service.searcher.search(
            self._cube(cube),
            Search(
                text=text,
                limit=limit,
                user_id=user_id,
                agent_id=agent_id,
                session_id=session_id,
                kinds=tuple(to_member("kinds", kind, Kind) for kind in kinds),
                filter=filter,
                since=None if since is None else to_utc(since),
                until=None if until is None else to_utc(until),
                mmr=mmr,
                token_budget=token_budget,
                explain=explain,
            ),
        )

    def history(self, id: str, *, cube: str = "default") -> tuple[MemoryVersion, ...]:
        """Every version, oldest first; of an erased memory only that it was, and when it went."""
        return self._service.reader.history(self._cube(cube), id)

    def links(self, id: str, *, cube: str = "default") -> tuple[Link, ...]:
        """The memory's links in both directions."""
        return self._service.reader.links(self._cube(cube), id)

    # Cubes

    def create_cube(
        self, name: str, *, description: str = "", metadata: Mapping[str, Any] | None = None
    ) -> Cube:
        """AlreadyExists if there is a cube of this name."""
        return self._service.cubes.create(
            self.tenant_id, name, description=description, metadata=metadata or {}
        )

    def cubes(self, *, cursor: str | None = None, limit: int = 50) -> Page[Cube]:
        return self._service.cubes.page(self.tenant_id, cursor=cursor, limit=limit)

    def cube(self, cube: str) -> Cube:
        """The cube of this name or id. CubeNotFound if there is none."""
        return self._cube(cube)

    def describe_cube(self, cube: str) -> CubeDescription:
        return self._service.cubes.describe(self._cube(cube))

    def delete_cube(self, cube: str) -> None:
        """The cube with all that is in it, at once and for good."""
        target = self._cube(cube)
        self._service.cubes.delete(target)
        self._service.searcher.drop(target.id)
        self._service.worker.wake()

    # Jobs

    def job(self, id: str) -> Job:
        return self._service.stores.jobs.get(self.tenant_id, id)

    def jobs(
        self,
        *,
        states: Sequence[JobState] = (),
        cube: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Job]:
        """Newest first."""
        check_limit("limit", limit, self._service.settings)
        cube_id = None if cube is None else self._cube(cube).id
        listing = f"jobs {self.tenant_id} {cube_id} {[str(JobState(s).value) for s in states]}"
        rows = self._service.stores.jobs.page(
            self.tenant_id,
            states=states,
            cube_id=cube_id,
            before=cursors.decode(listing, cursor) if cursor else None,
            limit=limit + 1,
        )
        more = len(rows) > limit
        return Page(
            items=tuple(rows[:limit]),
            next_cursor=cursors.encode(listing, rows[limit - 1].id) if more else None,
        )

    def wait_for(self, job_id: str, *, timeout: float = 60.0) -> Job:
        """The job once it has succeeded. JobFailed if it is dead or cancelled, WaitTimeout if it
        is neither within `timeout` s."""
        deadline = time.monotonic() + timeout
        while True:
            job = self.job(job_id)
            if job.state is JobState.SUCCEEDED:
                return job
            if job.state in (JobState.DEAD, JobState.CANCELLED):
                raise JobFailed(
                    f"job {job_id} ({job.kind}) is {job.state.value}: {job.error}",
                    job_id=job_id,
                    error=job.error,
                )
            if time.monotonic() >= deadline:
                raise WaitTimeout(
                    f"job {job_id} ({job.kind}) is still {job.state.value} after {timeout} s",
                    job_id=job_id,
                )
            time.sleep(_POLL_SECONDS)

    def retry_job(self, id: str) -> Job:
        """Queues a failed, dead or cancelled job again."""
        job = self._service.stores.jobs.retry(self.tenant_id, id)
        self._service.worker.wake()
        return job

    def reindex(self, cube: str = "default", *, embed: bool = False) -> Job:
        """A job that rebuilds all that is derived from the cube's texts: the terms and the vector
        index from what SQL holds, with `embed` also the vectors by the configured model."""
        target = self._cube(cube)
        queue = self._service.stores.jobs
        job_id = queue.enqueue(
            NewJob(
                tenant_id=self.tenant_id,
                cube_id=target.id,
                kind="reindex",
                payload={"embed": embed},
                dedupe_key=f"reindex:{target.id}:{embed}",
                max_attempts=self._service.settings.job_attempts,
            )
        )
        self._service.worker.wake()
        return queue.get(self.tenant_id, job_id)

    def doctor(self, *, repair: bool = False) -> tuple[Finding, ...]:
        """What is wrong with the stores; with `repair`, mends what can be mended."""
        return self._service.doctor.examine(self.tenant_id, repair=repair)

    # Keys

    def create_key(
        self, name: str, *, role: Role = Role.WRITER, cubes: Sequence[str] = ()
    ) -> IssuedKey:
        """A new API key; its secret is in this answer and nowhere else."""
        return self._service.keys.issue(self.tenant_id, name, role=Role(role), cubes=cubes)

    def keys(self) -> tuple[ApiKey, ...]:
        return self._service.keys.of(self.tenant_id)

    def revoke_key(self, id: str) -> ApiKey:
        return self._service.keys.revoke(self.tenant_id, id)
