"""Between rows and types: the one place that knows how a value is written into a column.

Knows no SQL. Values that can't be stored the same on every database are refused here with
InvalidInput.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from memos.errors import InvalidInput
from memos.protocols import Indexed
from memos.types import (
    ApiKey,
    Cube,
    EmbeddingModel,
    Image,
    Job,
    JobState,
    Kind,
    Link,
    Memory,
    MemoryVersion,
    Provenance,
    Role,
    State,
)

if TYPE_CHECKING:
    from memos.protocols import Vector

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_TICK = timedelta(microseconds=1)
_FLOAT32 = np.dtype("<f4")
_SMALL = 1
"""What the length of a small vector leaves, divided by four: it begins with a byte of its own."""
_KINDS = {kind.value: kind for kind in Kind}
_STATES = {state.value: state for state in State}
_images = msgspec.json.Decoder(tuple[Image, ...])
_json = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":"))
_provenance = msgspec.json.Decoder(Provenance)
_snapshot = msgspec.json.Decoder(Memory)


def micros(time: datetime) -> int:
    """Microseconds since 1970, exact. InvalidInput for a time without a zone."""
    try:
        return (time - _EPOCH) // _TICK
    except TypeError as error:
        raise InvalidInput(
            f"{time!r} has no time zone; give an aware time", value=str(time)
        ) from error


def micros_or_none(time: datetime | None) -> int | None:
    return None if time is None else micros(time)


@lru_cache(maxsize=1 << 14)
def moment(value: int) -> datetime:
    return _EPOCH + timedelta(microseconds=value)


def moment_or_none(value: int | None) -> datetime | None:
    return None if value is None else _EPOCH + timedelta(microseconds=value)


def json_text(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """Strict JSON. InvalidInput for what JSON can't hold (NaN, bytes, lone surrogates, …)."""
    if not value:
        return "{}" if isinstance(value, Mapping) else "[]"
    try:
        text = _json.encode(value)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"this can't be stored as JSON: {error}") from error
    return text


def storable(text: str) -> bool:
    """Whether every database can hold this text: no NUL character, no lone surrogate."""
    try:
        return "\0" not in text and (text.isascii() or bool(text.encode()))
    except UnicodeEncodeError:
        return False


def checked(row: dict[str, Any]) -> dict[str, Any]:
    """The row, if its texts are such as every database can hold."""
    for name, value in row.items():
        if type(value) is str:
            if "\0" in value:
                raise InvalidInput(f"{name} contains a NUL character; remove it", field=name)
            if not value.isascii():
                try:
                    value.encode()
                except UnicodeEncodeError as error:
                    raise InvalidInput(
                        f"{name} contains a lone surrogate ({error.reason} at {error.start});"
                        " send valid Unicode",
                        field=name,
                    ) from error
    return row


def memory_row(memory: Memory, *, seq: int, position: int, version: int) -> dict[str, Any]:
    """The columns of `tables.memory` in their order."""
    provenance = memory.provenance
    return checked(
        {
            "cube_id": memory.cube_id,
            "id": memory.id,
            "seq": seq,
            "position": position,
            "version": version,
            "state": memory.state.value,
            "kind": memory.kind.value,
            "user_id": memory.user_id,
            "agent_id": memory.agent_id,
            "session_id": memory.session_id,
            "speaker": memory.speaker,
            "place": memory.place,
            "occurred_at": micros_or_none(memory.occurred_at),
            "created_at": micros(memory.created_at),
            "updated_at": micros(memory.updated_at),
            "expires_at": micros_or_none(memory.expires_at),
            "priority": memory.priority,
            "metadata": json_text(memory.metadata),
            "images": msgspec.json.encode(memory.images).decode() if memory.images else "[]",
            "provenance": msgspec.json.encode(provenance).decode(),
            "content": memory.content,
        }
    )


def memory_of(row: Sequence[Any]) -> Memory:
    """From a row with the columns of `tables.memory` in their order."""
    images, provenance, metadata = row[18], row[19], row[17]
    return Memory(
        id=row[1],
        cube_id=row[0],
        content=row[20],
        kind=_KINDS[row[6]],
        state=_STATES[row[5]],
        version=row[4],
        position=row[3],
        user_id=row[7],
        agent_id=row[8],
        session_id=row[9],
        speaker=row[10],
        occurred_at=moment_or_none(row[12]),
        place=row[11],
        images=() if images == "[]" else _images.decode(images),
        metadata={} if metadata == "{}" else json.loads(metadata),
        priority=row[16],
        expires_at=moment_or_none(row[15]),
        provenance=_provenance.decode(provenance),
        created_at=moment(row[13]),
        updated_at=moment(row[14]),
    )


def version_row(
    memory: Memory, *, operation: str, changed_at: datetime, actor: str | None, reason: str | None
) -> dict[str, Any]:
    return {
        "cube_id": memory.cube_id,
        "memory_id": memory.id,
        "version": memory.version,
        "operation": operation,
        "changed_at": micros(changed_at),
        "actor": actor,
        "reason": reason,
        "snapshot": msgspec.json.encode(memory).decode(),
    }


def version_of(row: Sequence[Any]) -> MemoryVersion:
    """From a row with the columns of `tables.memory_version` in their order."""
    return MemoryVersion(
        memory_id=row[1],
        version=row[2],
        operation=row[3],
        changed_at=moment(row[4]),
        actor=row[5],
        reason=row[6],
        memory=None if row[7] is None else snapshot_of(row[7]),
    )


def snapshot_of(text: str) -> Memory:
    """The memory as a version's snapshot has it."""
    return _snapshot.decode(text)


def indexed_row(cube_id: str, memory_id: str, version: int, form: Indexed) -> dict[str, Any]:
    return {
        "cube_id": cube_id,
        "memory_id": memory_id,
        "version": version,
        "analyzer": form.analyzer,
        "model": form.model,
        "text_sha256": None if form.text_sha256 is None else digest(form.text_sha256),
        "terms": form.terms,
        "vector": None if form.vector is None else vector_bytes(form.vector),
    }


def vector_bytes(vector: Vector) -> bytes:
    return np.ascontiguousarray(vector, dtype=_FLOAT32).tobytes()


def vector_of(data: bytes) -> Vector:
    """Also of a vector that was made small, which is told by its length."""
    if len(data) % _FLOAT32.itemsize != _SMALL:
        return np.frombuffer(data, dtype=_FLOAT32)
    scale = np.frombuffer(data, dtype=_FLOAT32, count=1, offset=_SMALL)
    steps = np.frombuffer(data, dtype=np.int8, offset=_SMALL + _FLOAT32.itemsize)
    return _rounded(steps * scale)


def small_vector(data: bytes) -> bytes:
    """A stored vector in a quarter of the bytes: one byte per component and a scale. The cosine to
    what it was is above 0.999 for vectors of some hundred dimensions; its length stays 1."""
    vector = vector_of(data)
    pad = -len(vector) % _FLOAT32.itemsize
    if len(data) % _FLOAT32.itemsize == _SMALL or pad:
        return data
    scale = max(float(np.abs(vector).max()), 1e-12) / 127
    steps = np.round(vector / scale).astype(np.int8)
    return b"\x01" + np.array([scale], _FLOAT32).tobytes() + steps.tobytes()


def _rounded(vector: Vector) -> Vector:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), np.float32)


def digest(sha256: str) -> bytes:
    try:
        return bytes.fromhex(sha256)
    except ValueError as error:
        raise InvalidInput(f"{sha256!r} is not a SHA-256 in hexadecimal") from error


def cube_of(row: Sequence[Any]) -> Cube:
    """From a row with the columns of `tables.cube` in their order, but for `change_seq`."""
    model = (
        None
        if row[6] is None
        else EmbeddingModel(id=row[5], digest=row[6], dimensions=row[7], max_tokens=row[8])
    )
    return Cube(
        id=row[0],
        tenant_id=row[1],
        name=row[2],
        description=row[3],
        metadata=json.loads(row[4]),
        embedding=model,
        created_at=moment(row[9]),
    )


def job_of(row: Sequence[Any]) -> Job:
    """From a row with the columns of `tables.job` in their order."""
    return Job(
        id=row[0],
        tenant_id=row[1],
        cube_id=row[2],
        kind=row[3],
        state=JobState(row[4]),
        payload=json.loads(row[5]),
        attempts=row[7],
        max_attempts=row[8],
        progress=row[9],
        error=row[10],
        run_at=moment(row[13]),
        created_at=moment(row[14]),
        started_at=moment_or_none(row[15]),
        finished_at=moment_or_none(row[16]),
        version=row[17],
        level=row[18],
        seconds=row[19],
    )


def key_of(row: Sequence[Any]) -> ApiKey:
    """From a row with the columns of `tables.api_key` in their order."""
    return ApiKey(
        id=row[0],
        tenant_id=row[1],
        name=row[2],
        role=Role(row[3]),
        cubes=tuple(json.loads(row[4])),
        created_at=moment(row[6]),
        revoked_at=moment_or_none(row[7]),
    )


def link_of(row: Any) -> Link:
    """From a row with the columns of `tables.link`, by their names."""
    return Link(
        id=row.id,
        cube_id=row.cube_id,
        source_id=row.source_id,
        target_id=row.target_id,
        relation=row.relation,
        reason=row.reason,
        created_at=moment(row.created_at),
        origin=row.origin,
    )


def link_row(item: Link) -> dict[str, Any]:
    """By column of `tables.link`, in their order; InvalidInput for text that can't be stored."""
    return checked(
        {
            "id": item.id,
            "cube_id": item.cube_id,
            "source_id": item.source_id,
            "target_id": item.target_id,
            "relation": item.relation,
            "reason": item.reason,
            "created_at": micros(item.created_at),
            "origin": item.origin,
        }
    )
