"""Rows of the files that are made of memories, and the salts that keep tenants' files apart.

Whether a file may still be used is told by a comparison with the memories as they are now, in each
read. Knows nothing of what is in the files.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from memos.errors import (
    ActivationNotFound,
    AdapterNotFound,
    MemoryNotFound,
    NotFound,
    VersionConflict,
)
from memos.protocols import Clock, artifact_name, cube_name, memory_name
from memos.storage.bulk import by_ids, load, matching, remove
from memos.storage.derived.leftovers import forgetting
from memos.storage.engine import Database
from memos.storage.feed import take_numbers
from memos.storage.jobs.queue import SqlJobQueue
from memos.storage.records import (
    checked,
    json_text,
    micros,
    micros_or_none,
    moment,
    moment_or_none,
    storable,
)
from memos.storage.tables import artifact, artifact_source, cube, memory, tenant
from memos.types import LIVE, Artifact, ArtifactSource, NewJob, State, Substrate

SALT_BYTES = 32
_CHUNK = 500
_LIVE = tuple(state.value for state in LIVE)
_KEPT = ("cube_id", "id", "hits", "last_used_at", "created_at", "attached")


class SqlArtifactStore:
    """`memos.protocols.ArtifactStore`. `random` gives so many random bytes."""

    def __init__(
        self,
        database: Database,
        *,
        jobs: SqlJobQueue,
        clock: Clock,
        random: Callable[[int], bytes],
    ) -> None:
        self._db = database
        self._jobs = jobs
        self._clock = clock
        self._random = random

    def add(self, new: Artifact, *, jobs: Sequence[NewJob] = ()) -> tuple[str, ...]:
        with self._db.write() as connection:
            take_numbers(connection, new.cube_id, 0)
            _check_sources(connection, new)
            ids = self._jobs.add(connection, jobs)
            row = _row(new)
            if ids:
                row["job_id"] = ids[0]
            connection.execute(insert(artifact), row)
            _put_sources(connection, new)
        return ids

    def get(self, cube_id: str, artifact_id: str, substrate: Substrate | None = None) -> Artifact:
        with self._db.read() as connection:
            rows = by_ids(connection, artifact, cube_id, [artifact_id])
            found = _read(connection, cube_id, rows, micros(self._clock()))
        if not found or (substrate is not None and found[0].substrate is not substrate):
            raise artifact_missing(artifact_id, substrate)
        return found[0]

    def page(
        self, cube_id: str, substrate: Substrate, *, after: str | None = None, limit: int
    ) -> list[Artifact]:
        query = select(artifact).where(
            artifact.c.cube_id == cube_id, artifact.c.substrate == substrate.value
        )
        if after is not None:
            query = query.where(artifact.c.id > after)
        with self._db.read() as connection:
            rows = connection.execute(query.order_by(artifact.c.id).limit(limit)).all()
            return _read(connection, cube_id, rows, micros(self._clock()))

    def put(self, changed: Artifact) -> None:
        row = {name: value for name, value in _row(changed).items() if name not in _KEPT}
        with self._db.write() as connection:
            take_numbers(connection, changed.cube_id, 0)
            _check_sources(connection, changed)
            done = connection.execute(
                update(artifact)
                .where(artifact.c.cube_id == changed.cube_id, artifact.c.id == changed.id)
                .values(**row)
            )
            if done.rowcount == 0:
                raise artifact_missing(changed.id)
            key = [(changed.id,)]
            remove(connection, artifact_source, changed.cube_id, ("artifact_id",), key)
            _put_sources(connection, changed)

    def pin(self, cube_id: str, artifact_id: str, *, pinned: bool) -> None:
        change = (
            update(artifact)
            .where(artifact.c.cube_id == cube_id, artifact.c.id == artifact_id)
            .values(pinned=int(pinned))
        )
        with self._db.write() as connection:
            if not storable(artifact_id) or connection.execute(change).rowcount == 0:
                raise artifact_missing(artifact_id)

    def attach(self, cube_id: str, artifact_id: str | None) -> None:
        mine = (artifact.c.cube_id == cube_id, artifact.c.substrate == Substrate.PARAMETRIC.value)
        with self._db.write() as connection:
            take_numbers(connection, cube_id, 0)
            connection.execute(
                update(artifact).where(*mine, artifact.c.attached == 1).values(attached=0)
            )
            if artifact_id is None:
                return
            change = update(artifact).where(*mine, artifact.c.id == artifact_id).values(attached=1)
            if not storable(artifact_id) or connection.execute(change).rowcount == 0:
                raise artifact_missing(artifact_id, Substrate.PARAMETRIC)

    def attached(self, cube_id: str) -> Artifact | None:
        query = select(artifact).where(
            artifact.c.cube_id == cube_id,
            artifact.c.substrate == Substrate.PARAMETRIC.value,
            artifact.c.attached == 1,
        )
        with self._db.read() as connection:
            rows = connection.execute(query).all()
            found = _read(connection, cube_id, rows, micros(self._clock()))
        return found[0] if found and found[0].attached else None

    def used(self, cube_id: str, artifact_id: str, *, hit: bool, at: datetime) -> None:
        change = (
            update(artifact)
            .where(artifact.c.cube_id == cube_id, artifact.c.id == artifact_id)
            .values(hits=artifact.c.hits + int(hit), last_used_at=micros(at))
        )
        with self._db.write() as connection:
            connection.execute(change)

    def remove(self, cube_id: str, artifact_id: str) -> None:
        if not storable(artifact_id):
            raise artifact_missing(artifact_id)
        # Its own text goes from the database's files too.
        with self._db.erasing() as connection:
            _, tenant_id = take_numbers(connection, cube_id, 0)
            done = connection.execute(
                delete(artifact).where(artifact.c.cube_id == cube_id, artifact.c.id == artifact_id)
            )
            if done.rowcount == 0:
                raise artifact_missing(artifact_id)
            remove(connection, artifact_source, cube_id, ("artifact_id",), [(artifact_id,)])
            self._jobs.add(connection, [forgetting(tenant_id, artifact_name(artifact_id))])

    def compiled(self, cube_id: str, memory_id: str) -> bool:
        key = [(memory_id,)]
        with self._db.read() as connection:
            found = matching(
                connection, artifact_source, cube_id, ("memory_id",), key, columns="artifact_id"
            )
        return bool(found)

    def wanted(self, sources: Sequence[str]) -> set[str]:
        found: set[str] = set()
        with self._db.read() as connection:
            for start in range(0, len(sources), _CHUNK):
                part = [name for name in sources[start : start + _CHUNK] if storable(name)]
                found |= _wanted(connection, part)
        return found

    def salt(self, tenant_id: str) -> bytes:
        query = select(tenant.c.salt).where(tenant.c.id == tenant_id)
        with self._db.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise NotFound(f"there is no tenant {tenant_id!r}; it is made with its first cube")
        if row.salt is not None:
            return bytes(row.salt)
        with self._db.write() as connection:
            # Whoever is first decides; the others read what is there.
            connection.execute(
                update(tenant)
                .where(tenant.c.id == tenant_id, tenant.c.salt.is_(None))
                .values(salt=self._random(SALT_BYTES))
            )
            return bytes(connection.execute(query).scalar_one())


def artifact_missing(artifact_id: str, substrate: Substrate | None = None) -> NotFound:
    if substrate is Substrate.PARAMETRIC:
        return AdapterNotFound(
            f"there is no adapter {artifact_id!r} in this cube; `adapters` lists them",
            adapter_id=artifact_id,
        )
    return ActivationNotFound(
        f"there is no activation memory {artifact_id!r} in this cube; `activations` lists them",
        activation_id=artifact_id,
    )


def _check_sources(connection: Connection, new: Artifact) -> None:
    """The cube's row lock, held by the caller, keeps what this finds true until the commit."""
    ids = [source.memory_id for source in new.sources]
    rows = by_ids(connection, memory, new.cube_id, ids, "id, version, state")
    present = {id: (version, state) for id, version, state in rows}
    for source in new.sources:
        version, state = present.get(source.memory_id, (0, None))
        if state not in _LIVE:
            raise MemoryNotFound(
                f"memory {source.memory_id} is {state or 'not in this cube'}; only activated "
                "memories can be compiled",
                memory_id=source.memory_id,
            )
        if version != source.version:
            raise VersionConflict(
                f"memory {source.memory_id} is at version {version}, not {source.version}: it was "
                "changed while it was compiled; do that again",
                expected=source.version,
                actual=version,
            )


def _put_sources(connection: Connection, new: Artifact) -> None:
    rows = [
        (new.cube_id, new.id, ordinal, source.memory_id, source.version)
        for ordinal, source in enumerate(new.sources)
    ]
    if rows:
        load(connection, artifact_source, rows)


def _wanted(connection: Connection, sources: Sequence[str]) -> set[str]:
    artifacts = {artifact_name(""): artifact.c.id, cube_name(""): cube.c.id}
    found: set[str] = set()
    for prefix, column in artifacts.items():
        ids = [name.removeprefix(prefix) for name in sources if name.startswith(prefix)]
        rows = connection.execute(select(column).where(column.in_(ids)))
        found |= {f"{prefix}{id}" for id in rows.scalars()}
    memories: dict[str, list[str]] = defaultdict(list)
    for name in sources:
        kind, _, rest = name.partition(":")
        of, _, id = rest.partition(":")
        if kind == "memory":
            memories[of].append(id)
    for of, ids in memories.items():
        live = select(memory.c.id).where(
            memory.c.cube_id == of, memory.c.id.in_(ids), memory.c.state.in_(_LIVE)
        )
        found |= {memory_name(of, id) for id in connection.execute(live).scalars()}
    return found


def _read(
    connection: Connection, cube_id: str, rows: Sequence[Sequence[Any]], now: int
) -> list[Artifact]:
    """The artifacts of these rows, each with its sources compared with the memories."""
    keys = [(row[1],) for row in rows]
    columns = "artifact_id, ordinal, memory_id, version"
    sources: dict[str, list[tuple[int, str, int]]] = {row[1]: [] for row in rows}
    for id, ordinal, memory_id, version in matching(
        connection, artifact_source, cube_id, ("artifact_id",), keys, columns=columns
    ):
        sources[id].append((ordinal, memory_id, version))
    ids = sorted({entry[1] for entries in sources.values() for entry in entries})
    columns = "id, version, state, expires_at"
    present = {
        id: (version, State.EXPIRED.value if ends is not None and ends <= now else state)
        for id, version, state, ends in by_ids(connection, memory, cube_id, ids, columns)
    }
    return [_artifact(row, sorted(sources[row[1]]), present) for row in rows]


def _artifact(
    row: Sequence[Any],
    entries: Sequence[tuple[int, str, int]],
    present: Mapping[str, tuple[int, str]],
) -> Artifact:
    reason = _staleness(entries, present)
    return Artifact(
        cube_id=row[0],
        id=row[1],
        substrate=Substrate(row[2]),
        name=row[3],
        state=State.EXPIRED if reason else State(row[4]),
        reason=reason or row[5],
        sources=tuple(ArtifactSource(memory_id=id, version=version) for _, id, version in entries),
        system=row[6],
        own_text=row[7],
        model=row[8],
        fingerprint=json.loads(row[9]),
        root=row[10],
        file=row[11],
        tokens=row[12],
        bytes=row[13],
        codec=row[14],
        policy=row[15],
        pinned=bool(row[16]),
        hits=row[17],
        last_used_at=moment_or_none(row[18]),
        created_at=moment(row[19]),
        updated_at=moment(row[20]),
        actor=row[21],
        job_id=row[22],
        attached=bool(row[23]) and reason is None,
        detail=json.loads(row[24]) if row[24] else {},
    )


def _staleness(
    entries: Sequence[tuple[int, str, int]], present: Mapping[str, tuple[int, str]]
) -> str | None:
    """Why the sources are not what they were; None if they are."""
    reasons = []
    for _, id, version in entries:
        now, state = present.get(id, (0, "gone"))
        if state not in _LIVE:
            reasons.append(f"memory {id} is {state}")
        elif now != version:
            reasons.append(f"memory {id} was compiled at version {version} and is at {now}")
    return "; ".join(reasons) or None


def _row(item: Artifact) -> dict[str, Any]:
    """By column of `tables.artifact`, in their order."""
    return checked(
        {
            "cube_id": item.cube_id,
            "id": item.id,
            "substrate": item.substrate.value,
            "name": item.name,
            "state": item.state.value,
            "reason": item.reason,
            "system": item.system,
            "own_text": item.own_text,
            "model": item.model,
            "fingerprint": json_text(item.fingerprint),
            "root": item.root,
            "file": item.file,
            "tokens": item.tokens,
            "bytes": item.bytes,
            "codec": item.codec,
            "policy": item.policy,
            "pinned": int(item.pinned),
            "hits": item.hits,
            "last_used_at": micros_or_none(item.last_used_at),
            "created_at": micros(item.created_at),
            "updated_at": micros(item.updated_at),
            "actor": item.actor,
            "job_id": item.job_id,
            "attached": int(item.attached),
            "detail": json_text(item.detail) if item.detail else None,
        }
    )
