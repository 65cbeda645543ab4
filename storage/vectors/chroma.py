"""The vector index of one machine: Chroma in a folder, one collection per cube.

Knows ids, vectors and change numbers; not what a memory says, nor scopes and filters (one that
keeps a tenth of the rows makes a Chroma query ten times slower, so they are applied elsewhere).
The folder belongs to one process at a time, because Chroma keeps its graphs in RAM.

How far a cube is complete stands in the metadata of its collection, in the same SQLite file as
Chroma's own log and written after the rows: whatever a crash leaves, the number never runs ahead
of the data. HNSW: Malkov and Yashunin, https://arxiv.org/abs/1603.09320.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memos.errors import (
    IndexUnavailable,
    MissingDependency,
    StorageError,
    StorageFull,
    StorageReadOnly,
    StorageUnavailable,
)

if TYPE_CHECKING:
    from chromadb.api.client import Client
    from chromadb.api.collection_configuration import CreateCollectionConfiguration
    from chromadb.api.models.Collection import Collection

    from memos.protocols import Vector


LOCK = "memos.lock"
DATABASE = "chroma.sqlite3"
_ROOM = 8 << 20
"""Bytes that have to be free before a write."""
# SQLite's bytes for locks, from the one of who waits to write to the last of readers
# (https://www.sqlite.org/src/file/src/os.h); and struct flock: type, whence, start, length, pid.
_LOCK_BYTES = (0x40000000, 512)
_FLOCK = "hhqqi"
"""On 64-bit Linux."""
REACHED = "reached"

# Rows per call. Chroma holds a cube's lock for the whole call, so searches wait that long.
SLICE = 200


class ChromaIndex:
    """`VectorIndex` in `path`, which is made if it is missing.

    Raises StorageUnavailable while another process (or another index of this one) holds the folder,
    StorageReadOnly if it can't be written, MissingDependency without chromadb. A folder whose
    content can't be read opens all the same: every method then raises IndexUnavailable, except
    `drop`, which starts the folder anew, so that a reindex repairs it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._write = threading.Lock()
        self._open = threading.Lock()
        self._probing = threading.Lock()
        self._collections: dict[str, Collection] = {}
        self._client: Client | None = None
        self._broken: IndexUnavailable | None = None
        self._closed = False
        self._probe_fd: int | None = None
        self._lock_fd = _lock(path)
        try:
            self._start()
        except BaseException:
            os.close(self._lock_fd)
            raise

    def upsert(
        self,
        cube_id: str,
        ids: Sequence[str],
        vectors: Vector,
        *,
        seq: int,
        after: int | None = None,
    ) -> bool:
        """Of ids given twice the last row counts. IndexUnavailable if the dimensions are others
        than the cube's."""
        if len(ids) != len(vectors):
            raise ValueError(f"{len(ids)} ids for {len(vectors)} vectors")
        last = {memory_id: row for row, memory_id in enumerate(ids)}
        unique, rows = list(last), list(last.values())
        with self._write, self._translated(f"write cube {cube_id}"):
            if self._moved(cube_id, after):
                return False
            self._check_room()
            collection = self._collection(cube_id, create=True)
            assert collection is not None
            for start in range(0, len(unique), SLICE):
                part = slice(start, start + SLICE)
                collection.upsert(ids=unique[part], embeddings=vectors[rows[part]])
            _record(collection, seq)
            return True

    def delete(
        self, cube_id: str, ids: Sequence[str], *, seq: int, after: int | None = None
    ) -> bool:
        unique = list(dict.fromkeys(ids))
        with self._write, self._translated(f"write cube {cube_id}"):
            if self._moved(cube_id, after):
                return False
            self._check_room()
            collection = self._collection(cube_id, create=True)
            assert collection is not None
            for start in range(0, len(unique), SLICE):
                collection.delete(ids=unique[start : start + SLICE])
            _record(collection, seq)
            return True

    def query(self, cube_id: str, vector: Vector, *, limit: int) -> list[tuple[str, float]]:
        if limit < 1:
            return []
        with self._translated(f"search cube {cube_id}"):
            collection = self._collection(cube_id)
            if collection is None:
                return []
            found = collection.query(
                query_embeddings=vector.reshape(1, -1), n_results=limit, include=["distances"]
            )
        distances = found["distances"]
        assert distances is not None
        return [
            (memory_id, 1.0 - distance)
            for memory_id, distance in zip(found["ids"][0], distances[0], strict=True)
        ]

    def reached(self, cube_id: str) -> int:
        with self._translated(f"read cube {cube_id}"):
            collection = self._collection(cube_id)
            return 0 if collection is None else _reached(collection)

    def ids(self, cube_id: str) -> set[str]:
        with self._translated(f"read cube {cube_id}"):
            collection = self._collection(cube_id)
            return set() if collection is None else set(collection.get(include=[])["ids"])

    def vectors(self, cube_id: str, ids: Sequence[str]) -> dict[str, Vector]:
        with self._translated(f"read cube {cube_id}"):
            collection = self._collection(cube_id)
            if collection is None:
                return {}
            found = collection.get(ids=sorted(set(ids)), include=["embeddings"])
        held: Any = found["embeddings"]
        return dict(zip(found["ids"], held, strict=True))

    def drop(self, cube_id: str) -> None:
        """If the folder can't be read, all cubes in it are dropped: it is started anew."""
        with self._write:
            try:
                with self._translated(f"drop cube {cube_id}"):
                    self._delete_collection(cube_id)
            except IndexUnavailable:
                if self._closed:
                    raise
                self._restart()

    def close(self) -> None:
        """Gives the folder back. Safe to call twice; other methods then raise IndexUnavailable."""
        with self._write, self._open:
            if self._closed:
                return
            self._closed = True
            self._stop()
            self._close_probe()
            os.close(self._lock_fd)

    def _check_room(self) -> None:
        """StorageFull where a write might not come to its end: a transaction of Chroma's that can't
        be rolled back for want of space keeps its lock for ever."""
        try:
            room = os.statvfs(self._path)
        except OSError:
            return
        if room.f_bavail * room.f_frsize < _ROOM:
            raise StorageFull(
                f"less than {_ROOM >> 20} MiB are free in {self._path}, too little for the vector"
                " index to be written; nothing of the memories themselves is lost: free some space",
                path=str(self._path),
            )

    def _check_lock(self) -> None:
        """StorageUnavailable while another process has the database. Chroma's library, also when it
        searches, waits for it without giving Python's own lock away: everything in this process
        would stand still as long."""
        with self._probing:
            if self._probe_fd is None and sys.platform == "linux" and not self._closed:
                with suppress(FileNotFoundError):
                    # Kept until the end: to close it drops the locks that SQLite has on the file.
                    path = self._path / DATABASE
                    self._probe_fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            holder = None if self._probe_fd is None else _writer(self._probe_fd)
        if holder is not None:
            raise StorageUnavailable(
                f"the SQLite file of {self._path} is locked by process {holder}, no part of memos",
                path=str(self._path),
                pid=holder,
            )

    def _moved(self, cube_id: str, after: int | None) -> bool:
        """Whether the cube's index is no longer where its writer read on."""
        if after is None:
            return False
        collection = self._collection(cube_id)
        return after != (0 if collection is None else _reached(collection))

    def _chroma(self) -> Client:
        if self._closed:
            raise IndexUnavailable(f"the vector index in {self._path} is closed", path=self._path)
        if self._broken is not None:
            raise self._broken
        assert self._client is not None
        return self._client

    def _collection(self, cube_id: str, *, create: bool = False) -> Collection | None:
        client = self._chroma()
        found = self._collections.get(cube_id)
        if found is not None:
            return found
        from chromadb.errors import NotFoundError

        with self._open:
            try:
                found = client.get_collection(_name(cube_id), embedding_function=None)
                _probe(found)
            except NotFoundError:
                if not create:
                    return None
                found = client.create_collection(
                    _name(cube_id), configuration=_configuration(), embedding_function=None
                )
            return self._collections.setdefault(cube_id, found)

    def _delete_collection(self, cube_id: str) -> None:
        from chromadb.errors import NotFoundError

        self._collections.pop(cube_id, None)
        with suppress(NotFoundError):
            self._chroma().delete_collection(_name(cube_id))

    def _start(self) -> None:
        try:
            from chromadb.api.client import Client
            from chromadb.config import Settings, System
        except ImportError as error:
            raise MissingDependency(
                "the vector index needs chromadb: pip install chromadb, or set vector_index=none"
            ) from error
        try:
            with self._translated("be opened"):
                # Started here and not by a client: a client keeps even one that failed to start,
                # by its path, for every later client of this process.
                system = System(
                    Settings(
                        is_persistent=True,
                        persist_directory=str(self._path),
                        anonymized_telemetry=False,
                    )
                )
                system.start()
                self._client = Client.from_system(system)
        except IndexUnavailable as error:
            self._broken = error

    def _stop(self) -> None:
        self._collections.clear()
        if self._client is not None:
            self._client.close()
            self._client = None

    def _restart(self) -> None:
        with self._open:
            self._stop()
            self._close_probe()
            self._broken = None
            for entry in self._path.iterdir():
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                elif entry.name != LOCK:
                    entry.unlink()
            self._start()
        if self._broken is not None:
            raise self._broken

    def _close_probe(self) -> None:
        with self._probing:
            fd, self._probe_fd = self._probe_fd, None
            if fd is not None:
                os.close(fd)

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        try:
            self._check_lock()
            yield
        except (StorageError, MissingDependency):
            raise
        except Exception as error:
            raise _error(error, self._path, doing) from error
        except BaseException as error:
            # A panic inside Chroma's Rust library is not an Exception.
            if type(error).__name__ != "PanicException":
                raise
            raise _error(error, self._path, doing) from error


def _lock(path: Path) -> int:
    """An open descriptor that holds the folder's lock; the kernel frees it however we end."""
    try:
        # Chroma makes files that all may read; the folder keeps others out.
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageReadOnly(
            f"can't write the vector index folder {path}: {error.strerror}; make it writable or set"
            " data_dir to another folder",
            path=str(path),
        ) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(fd, 32).decode("ascii", "replace").strip() or "unknown"
        os.close(fd)
        raise StorageUnavailable(
            f"the vector index folder {path} is in use by process {holder}; only one process can"
            " have it open: stop that one, or set data_dir to another folder, or use PostgreSQL"
            " (database_url) to run several",
            path=str(path),
            pid=holder,
        ) from error
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode("ascii"), 0)
    return fd


def _writer(fd: int) -> int | None:
    """The process, another one, that holds a lock against writers on an SQLite file."""
    asked = struct.pack(_FLOCK, fcntl.F_RDLCK, os.SEEK_SET, *_LOCK_BYTES, 0)
    kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    return None if kind == fcntl.F_UNLCK else int(pid)


def _name(cube_id: str) -> str:
    """A collection name (3–512 characters of a small alphabet) that keeps ids apart."""
    return f"cube-{cube_id.encode().hex()}"


def _configuration() -> CreateCollectionConfiguration:
    """Measured at 100,000 rows. The graph is written to disk every
    `sync_threshold` rows; what came later is replayed from Chroma's log at the next open."""
    return {
        "hnsw": {
            "space": "cosine",
            "max_neighbors": 16,
            "ef_construction": 128,
            "ef_search": 128,
            "sync_threshold": 2000,
        }
    }


def _probe(collection: Collection) -> None:
    """Raises Chroma's InternalError if the graph lacks the oldest rows. Chroma itself answers from
    what is left when the graph's files are gone; this also loads the graph before the first search.
    """
    collection.get(limit=16, include=["embeddings"])


def _reached(collection: Collection) -> int:
    return int((collection.metadata or {}).get(REACHED, 0))


def _record(collection: Collection, seq: int) -> None:
    if seq > _reached(collection):
        collection.modify(metadata={REACHED: seq})


def _is_full(path: Path) -> bool:
    """Chroma's message often leaves out why it could not write."""
    try:
        free = os.statvfs(path)
    except OSError:
        return False
    return free.f_bavail * free.f_frsize < 1 << 20


def _error(error: BaseException, path: Path, doing: str) -> StorageError:
    """What Chroma's errors mean; most reach us as one class with SQLite's text in it."""
    text = str(error)
    details: dict[str, Any] = {"path": str(path)}
    low = text.lower()
    if "disk is full" in low or "no space left" in low or _is_full(path):
        return StorageFull(
            f"can't {doing}: no space left in {path} for the vector index; nothing of the memories"
            " themselves is lost: free some space",
            **details,
        )
    if "readonly" in low or "read-only" in low or "permission denied" in low:
        return StorageReadOnly(f"can't {doing}: {path} can't be written ({text})", **details)
    if "database is locked" in low:
        return StorageUnavailable(
            f"can't {doing}: the SQLite file of {path} is locked by a program that is not memos",
            **details,
        )
    return IndexUnavailable(
        f"the vector index in {path} can't {doing} ({type(error).__name__}: {text}); it is derived"
        " data: run `memos reindex` to build it again",
        **details,
    )
