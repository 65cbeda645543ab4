"""What the core needs from the truth: SQL repositories over one database."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from memos.protocols.events import EventStore, Retention, RuleStore, Timetable
from memos.protocols.graph import GraphStore, NoteStore, SummaryStore
from memos.protocols.keeping import KeepingStore
from memos.types import (
    LIVE,
    ApiKey,
    Artifact,
    Books,
    Cube,
    CubeDescription,
    Dump,
    EmbeddingModel,
    Finding,
    Job,
    JobState,
    Kind,
    KindReport,
    Lane,
    Link,
    Loaded,
    Memory,
    MemoryVersion,
    NewEvent,
    NewJob,
    Outcome,
    Plan,
    State,
    Substrate,
)

if TYPE_CHECKING:
    from random import Random

    from memos.protocols.models import Vector

Clock = Callable[[], datetime]
NewId = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Indexed:
    """What the derived indexes hold of one version of a memory.

    `terms` are the analysed tokens joined by one space, made by `analyzer`; `vector` has shape
    (dimensions,) and comes from the model with digest `model`; `text_sha256` (hex) is the digest of
    the text that was embedded, by which the vector can be used again. Either may be absent while a
    job has still to make it.
    """

    terms: str | None
    analyzer: str | None
    vector: Vector | None
    model: str | None
    text_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One memory as the in-RAM projection and the vector index need it, at change number `seq`.

    `live` is False for memories that no search may return. Times are Unix seconds (UTC).
    `metadata` is the raw JSON text of the memory's metadata.
    """

    seq: int
    memory_id: str
    version: int
    live: bool
    kind: str
    position: int
    user_id: str | None
    agent_id: str | None
    session_id: str | None
    speaker: str | None
    place: str | None
    occurred_at: float | None
    created_at: float
    expires_at: float | None
    priority: float
    metadata: str
    terms: str | None
    vector: Vector | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """A memory's next version: see `MemoryStore.replace`."""

    memory: Memory
    expected_version: int
    operation: str
    actor: str | None = None
    reason: str | None = None
    indexed: Indexed | None = None


@dataclass(frozen=True, slots=True)
class Erasure:
    """`memory_ids` were erased, the one asked for first; `removed` counts rows by store;
    `file_jobs` delete the files that were made of them."""

    memory_ids: tuple[str, ...]
    removed: Mapping[str, int]
    file_jobs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an idempotency key stands for: which request, and what it answered."""

    request_hash: str
    result: Mapping[str, Any]


class CubeStore(Protocol):
    """Cubes. A name is unique within a tenant."""

    def create(self, cube: Cube) -> Cube:
        """AlreadyExists if the tenant has a cube of this name. Makes the tenant if it is new."""
        ...

    def get(self, tenant_id: str, name_or_id: str) -> Cube:
        """CubeNotFound if the tenant has none such, also when another tenant has."""
        ...

    def page(self, tenant_id: str, *, after: str | None, limit: int) -> list[Cube]:
        """By id, ids greater than `after`."""
        ...

    def describe(self, cube_id: str) -> CubeDescription: ...

    def set_embedding(self, cube_id: str, model: EmbeddingModel) -> None: ...

    def delete(self, cube_id: str, *, jobs: Sequence[NewJob] = ()) -> None:
        """The cube and everything in it, in one transaction, and `jobs` queued in the same."""
        ...


class MemoryStore(Protocol):
    """The truth. Every write is one transaction: memory, version, indexed form, jobs, receipt.

    Each write takes the next change numbers of the cube (`cube.change_seq`, under its row lock, so
    that numbers become visible in order) and stamps the rows with them.
    """

    def insert(
        self,
        cube_id: str,
        memories: Sequence[Memory],
        indexed: Sequence[Indexed],
        *,
        jobs: Sequence[NewJob] = (),
        receipt: tuple[str, str, Receipt] | None = None,
    ) -> tuple[tuple[Memory, ...], tuple[str, ...]]:
        """Stores version 1 of each, with operation `add`; gives them back with their `position`
        (the change number at insert) and the ids of the queued jobs (an existing job's id where a
        dedupe key matched). `receipt` is (tenant_id, idempotency key, receipt); the store adds
        `memories` and `jobs` (lists of ids) to its result. IdempotencyConflict if the key is taken;
        CubeNotFound if the cube is gone; AlreadyExists for an id that is there. All or nothing.
        """
        ...

    def replace(
        self,
        memory: Memory,
        *,
        expected_version: int,
        operation: str,
        actor: str | None,
        reason: str | None,
        indexed: Indexed | None,
        jobs: Sequence[NewJob] = (),
        events: Sequence[NewEvent] = (),
    ) -> Memory:
        """Stores `memory` as version expected_version + 1 and appends to its history.

        `events` are recorded in the same transaction. `indexed` None keeps the present indexed
        form. VersionConflict if the stored version is another; MemoryNotFound if it is not in the
        cube.
        """
        ...

    def replace_all(
        self,
        cube_id: str,
        replacements: Sequence[Replacement],
        *,
        jobs: Sequence[NewJob] = (),
        events: Sequence[NewEvent] = (),
    ) -> tuple[Memory, ...]:
        """As `replace`, for several memories of one cube: all or none."""
        ...

    def erase(
        self,
        cube_id: str,
        memory_id: str,
        *,
        actor: str | None,
        reason: str | None,
        jobs: Sequence[NewJob] = (),
        events: Sequence[NewEvent] = (),
    ) -> Erasure:
        """Removes content, metadata, all versions' snapshots, vector, terms and links, and
        the reasons of its events; leaves a row in state `erased` and an `erase` history entry
        without content. MemoryNotFound if absent.

        The same befalls what comes from it by lineage: memories made of it, and those that were
        merged into it. Answers what was removed where.
        """
        ...

    def get(self, cube_id: str, ids: Sequence[str]) -> dict[str, Memory]:
        """Those of `ids` that the cube has, in any state; unknown ids are left out."""
        ...

    def page(
        self,
        cube_id: str,
        *,
        after: int = 0,
        limit: int,
        states: Sequence[State] = LIVE,
        kinds: Sequence[Kind] = (),
        user_id: str | None = None,
        agent_id: str | None = None,
        session_id: str | None = None,
    ) -> list[Memory]:
        """By position, positions greater than `after`."""
        ...

    def preceding(self, turns: Sequence[Memory], *, limit: int) -> list[list[Memory]]:
        """For each of these memories of one cube the last live ones before it in its user's
        session, oldest first; none for a memory of no session."""
        ...

    def history(self, cube_id: str, memory_id: str) -> tuple[MemoryVersion, ...]:
        """Oldest first. MemoryNotFound if the cube never had it."""
        ...


class PastStore(Protocol):
    """Memories as they were believed at a time: each in the last version made by then. Those added
    later are not there, nor those erased since: they never come back."""

    def get(self, cube_id: str, ids: Sequence[str], *, at: datetime) -> dict[str, Memory]:
        """Those of `ids` that the cube had then, in any state."""
        ...

    def page(
        self,
        cube_id: str,
        *,
        at: datetime,
        after: int = 0,
        limit: int,
        states: Sequence[State] = LIVE,
        kinds: Sequence[Kind] = (),
        user_id: str | None = None,
        agent_id: str | None = None,
        session_id: str | None = None,
    ) -> list[Memory]:
        """As `MemoryStore.page`, by what they were then."""
        ...

    def changed(
        self, cube_id: str, ids: Sequence[str], *, at: datetime
    ) -> dict[str, Memory | None]:
        """Those of `ids` that have changed since, as they were then; None: not there."""
        ...

    def unchanged(self, cube_id: str, *, since: datetime, until: datetime) -> bool:
        """Whether no memory changed after `since` and up to `until`."""
        ...


class ChangeFeed(Protocol):
    """From the truth to everything derived from it."""

    def last(self, cube_id: str) -> int:
        """The cube's newest change number (0 while empty), by one indexed read. CubeNotFound."""
        ...

    def changes(self, cube_id: str, *, after: int, limit: int = 5000) -> list[Change]:
        """Each memory changed after `after` once, as it is now, by seq."""
        ...

    def put_indexed(self, cube_id: str, items: Sequence[tuple[str, int, Indexed]]) -> int:
        """Replaces indexed forms by (memory id, version); stale versions are passed over. Stamps
        the memories with new change numbers. Answers how many were stored."""
        ...

    def unindexed(self, cube_id: str, *, analyzer: str, model: str, limit: int) -> list[Memory]:
        """Live memories whose terms are not by `analyzer` or whose vector is not by `model` or that
        lack either, or whose indexed version is not the memory's."""
        ...

    def vectors(self, cube_id: str, texts_sha256: Sequence[str], model: str) -> dict[str, Vector]:
        """Stored vectors by the SHA-256 (hex) of the embedded text, for reuse."""
        ...


class LinkStore(Protocol):
    def put(self, link: Link) -> Link:
        """MemoryNotFound if either end is not in the cube or erased. The same (source, target,
        relation) again gives the existing link."""
        ...

    def of(
        self, cube_id: str, memory_id: str, *, known_as_of: datetime | None = None
    ) -> tuple[Link, ...]:
        """Links in both directions, oldest first; with `known_as_of` those there were then, but
        for those of memories erased since."""
        ...

    def remove(self, cube_id: str, link_id: str, *, at: datetime) -> None:
        """Takes it away, as of `at`. NotFound if the cube has none such."""
        ...


class QueuePolicy(Protocol):
    """Which jobs run next; pure, and the same for all workers."""

    @property
    def limits(self) -> Mapping[str, int]:
        """How many of a kind may run at once, over all workers; kinds not named have no limit."""
        ...

    def level(self, kind: str, *, mean: float, spent: float) -> int:
        """How urgent a job is, 0 first, whose kind takes `mean` seconds and that has itself run for
        `spent`."""
        ...

    def plan(
        self, lanes: Sequence[Lane], books: Books, *, now: float, limit: int, rng: Random
    ) -> Plan:
        """What a worker takes of these lanes, which have due jobs: at most `limit` of them."""
        ...


class JobQueue(Protocol):
    """Durable jobs with leases. At most one worker holds a job; an expired lease frees it.

    What becomes of a job other than by plan is recorded as an event: `job.fail` (to be tried
    again), `job.dead`, `job.lost` (its worker died), `job.cancel`, `job.requeue`; and one
    `job.succeed` for all of a kind that succeeded together.
    """

    def enqueue(self, job: NewJob) -> str: ...

    def lease(
        self,
        worker: str,
        *,
        kinds: Sequence[str] | Mapping[str, int],
        limit: int,
        seconds: float,
    ) -> list[Job]:
        """Takes due jobs (queued, or failed with run_at passed) as the policy plans, in its order,
        and counts the attempt; those whose lease has expired wait again before, or are dead if no
        attempts are left. A mapping names the newest version of each kind's payload that the
        worker knows. What was tried before comes alone, so that what kills its worker takes
        nothing along."""
        ...

    def heartbeat(
        self, job_id: str, worker: str, *, seconds: float, progress: float | None = None
    ) -> bool:
        """Extends the lease. False if the worker no longer holds it."""
        ...

    def extend(self, worker: str, *, seconds: float) -> frozenset[str]:
        """Extends all leases of a worker; the ids of the jobs that it holds."""
        ...

    def finish(
        self,
        job_id: str,
        worker: str,
        *,
        error: str | None = None,
        retry_in: float | None = None,
    ) -> None:
        """`settle` for one job, at no cost."""
        ...

    def settle(self, worker: str, outcomes: Sequence[Outcome]) -> None:
        """Success without `error`; else failed (due again in `retry_in` s), or dead if attempts are
        used up or `retry_in` is None. Jobs that the worker no longer holds are passed over. Costs
        go to the tenants' accounts and into the mean of the kind."""
        ...

    def postpone(self, job_id: str, worker: str, *, seconds: float, spent: float = 0.0) -> None:
        """Gives a job back, the attempt uncounted, due in `seconds`; `spent` is how long it ran.
        Does nothing if the worker no longer holds it."""
        ...

    def release(self, worker: str) -> int:
        """Returns all leases of a stopping worker: its jobs are queued, the attempt uncounted."""
        ...

    def get(self, tenant_id: str, job_id: str) -> Job:
        """JobNotFound if the tenant has none such."""
        ...

    def page(
        self,
        tenant_id: str,
        *,
        states: Sequence[JobState] = (),
        cube_id: str | None = None,
        before: str | None = None,
        limit: int,
    ) -> list[Job]:
        """Newest first (ids less than `before`)."""
        ...

    def retry(self, tenant_id: str, job_id: str, *, actor: str | None = None) -> Job:
        """Queues a failed, dead or cancelled job with fresh attempts; StateConflict otherwise."""
        ...

    def stop(self, tenant_id: str, job_id: str, *, reason: str | None, actor: str | None) -> Job:
        """Cancels a job. One that runs is no longer held by its worker, which notices at its next
        beat. StateConflict if it has ended."""
        ...

    def counts(self) -> Mapping[tuple[str, str], int]:
        """Jobs by (kind, state), over all tenants, for metrics."""
        ...

    def report(
        self, tenant_id: str | None, *, cube_id: str | None = None
    ) -> tuple[KindReport, ...]:
        """The queue kind by kind, of one tenant (and cube) or of all. Sums of runs are over all
        tenants, and given for kinds of which there are jobs."""
        ...


class KeyStore(Protocol):
    """API keys, by the SHA-256 of their secret; the secret itself is never stored."""

    def add(self, key: ApiKey, secret_sha256: str) -> None: ...

    def find(self, secret_sha256: str) -> ApiKey | None:
        """Revoked keys are found too; the caller looks at `revoked_at`."""
        ...

    def page(self, tenant_id: str) -> list[ApiKey]: ...

    def revoke(self, tenant_id: str, key_id: str, *, at: datetime) -> ApiKey: ...

    def any(self) -> bool:
        """Whether any key exists; the first start issues one if not."""
        ...


class ReceiptStore(Protocol):
    """Answers kept by idempotency key, per tenant."""

    def find(self, tenant_id: str, key: str) -> Receipt | None: ...

    def put(self, tenant_id: str, key: str, receipt: Receipt) -> None:
        """IdempotencyConflict if the key is taken."""
        ...

    def purge(self, *, before: datetime) -> int: ...


class ArtifactStore(Protocol):
    """Rows of the files that are made of memories: states and adapters. A row is there before its
    files, so that what forgets a memory always knows which files there may be."""

    def add(self, artifact: Artifact, *, jobs: Sequence[NewJob] = ()) -> tuple[str, ...]:
        """Ids of the queued jobs. CubeNotFound; MemoryNotFound or VersionConflict if a source is
        not there, activated and in the named version at the moment of the commit."""
        ...

    def get(self, cube_id: str, artifact_id: str, substrate: Substrate | None = None) -> Artifact:
        """With its state as of now: `expired`, with the reason, if a source is another version
        today or not activated. ActivationNotFound if the cube has none such, AdapterNotFound if
        that is what was asked for."""
        ...

    def page(
        self, cube_id: str, substrate: Substrate, *, after: str | None = None, limit: int
    ) -> list[Artifact]:
        """By id, ids greater than `after`; states as with `get`."""
        ...

    def put(self, artifact: Artifact) -> None:
        """Replaces the row and its sources, which are checked as by `add`; hits and last use stay.
        ActivationNotFound if it was dropped meanwhile."""
        ...

    def pin(self, cube_id: str, artifact_id: str, *, pinned: bool) -> None:
        """Also where it is stale. ActivationNotFound."""
        ...

    def attach(self, cube_id: str, artifact_id: str | None) -> None:
        """Makes this adapter the one at work in its cube, and no other; None: none at all.
        AdapterNotFound."""
        ...

    def attached(self, cube_id: str) -> Artifact | None:
        """The adapter at work in a cube. One that is stale is at work no more."""
        ...

    def used(self, cube_id: str, artifact_id: str, *, hit: bool, at: datetime) -> None:
        """Counts a use. Nothing happens if it is gone."""
        ...

    def remove(self, cube_id: str, artifact_id: str) -> None:
        """Takes the row away, and queues the job that deletes its files. ActivationNotFound."""
        ...

    def compiled(self, cube_id: str, memory_id: str) -> bool:
        """Whether a memory is or was a source of an artifact that is there."""
        ...

    def wanted(self, sources: Sequence[str]) -> set[str]:
        """Those of the sources that files may carry: artifacts and cubes that are there, memories
        that are activated (`artifact_name`, `cube_name`, `memory_name`)."""
        ...

    def salt(self, tenant_id: str) -> bytes:
        """The tenant's 32 bytes, drawn at random when first asked for. NotFound without tenant."""
        ...


RETRAIN = "lora_retrain"
"""The job that makes an adapter anew without what was forgotten, if it was at work."""

FORGET_STATES = "kv_forget"
"""The job that deletes the files of its payload's `sources`."""


def artifact_name(artifact_id: str) -> str:
    """An artifact as a source of the files that were made for it."""
    return f"artifact:{artifact_id}"


def memory_name(cube_id: str, memory_id: str) -> str:
    """A memory as a source of the files that were made of it; the same id in another cube, as a
    loaded copy has it, is another memory."""
    return f"memory:{cube_id}:{memory_id}"


def cube_name(cube_id: str) -> str:
    """A cube as a source of the files that were made for it."""
    return f"cube:{cube_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """What was loaded, as far as it matters for what has to follow: the cube and its newest change
    number, activation memories that were compiled and adapters that were at work, by id, and
    whether memories lack their indexed form."""

    cube: Cube
    last: int
    compiled: tuple[str, ...]
    attached: tuple[str, ...]
    unindexed: bool


class DumpStore(Protocol):
    """Cubes in files."""

    def write(self, cube_id: str, file: BinaryIO, *, product: str) -> Dump:
        """Writes the cube as it is at one moment, while others go on writing. CubeNotFound."""
        ...

    def load(
        self,
        file: BinaryIO,
        *,
        tenant_id: str,
        name: str | None,
        ratio: int,
        analyzer: str,
        check: Callable[[Cube], None],
        jobs: Callable[[Arrived], Sequence[NewJob]],
        actor: str | None,
    ) -> Loaded:
        """Makes a new cube of a dump: all of it, with the jobs, or nothing. `file` can be read
        twice: all is checked before anything is written. At most `ratio` bytes may come out of
        each one of it. `name` None: as it was called. `check` sees the cube before it is made.

        InvalidDump; PayloadTooLarge; AlreadyExists if the tenant has a cube of that name."""
        ...


class StoreHealth(Protocol):
    """The state of the database itself."""

    def ping(self) -> None:
        """StorageUnavailable and the like if it can't be read and written."""
        ...

    def check(self, *, repair: bool) -> list[Finding]:
        """Integrity of the file, orphan rows, counters; repairs what can be repaired."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Stores:
    """The SQL repositories over one database."""

    cubes: CubeStore
    memories: MemoryStore
    past: PastStore
    feed: ChangeFeed
    links: LinkStore
    jobs: JobQueue
    keys: KeyStore
    receipts: ReceiptStore
    graph: GraphStore
    notes: NoteStore
    summaries: SummaryStore
    artifacts: ArtifactStore
    keeping: KeepingStore
    events: EventStore
    retention: Retention
    rules: RuleStore
    timetable: Timetable
    dumps: DumpStore
    health: StoreHealth
