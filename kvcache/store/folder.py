"""The folder of a store: names, durable writes, the lock between processes, the quarantine.

    blocks/<id>.safetensors     what is stored; <id>.<pid>.tmp while it is written
    pins/<id>                   empty: the block is not evicted
    quarantine/<id>.<n>.bad     files that were found damaged, with a .txt that says why
    forgotten                   see `memos.kvcache.store.forgetting`
    lock, generation            of the processes that share the folder

One writer at a time, threads and processes alike: so there is never more than one unfinished file,
a budget can be kept exactly, and any .tmp that the writer finds was left by a crash. Readers take
no lock. Modes are 0700 and 0600: states can be turned back into the text they come from. It knows
nothing of what a block is.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import RLock

from memos.errors import (
    MemosError,
    StorageError,
    StorageFull,
    StorageReadOnly,
    StorageUnavailable,
)
from memos.kvcache.blocks.block import BlockId

SUFFIX = ".safetensors"
UNFINISHED = ".tmp"
LOCK_SECONDS = 30.0
"""How long a writer waits for another before it gives up."""

POLL_SECONDS = 0.002


Signature = tuple[int, int, int, int]
"""Device, inode, bytes and time of change: equal ones mean the same file, unchanged."""


@dataclass(frozen=True, slots=True)
class State:
    """Equal states mean that nothing in the folder was added or removed in between."""

    generation: int
    blocks_ns: int
    pins_ns: int


class Folder:
    """Errors of the system leave as StorageError with the path; ENOSPC as StorageFull."""

    def __init__(self, root: Path, *, lock_seconds: float = LOCK_SECONDS) -> None:
        self.root = root
        self.blocks = root / "blocks"
        self.pins = root / "pins"
        self.quarantine = root / "quarantine"
        self._lock_seconds = lock_seconds
        self._threads = RLock()
        self._held: int | None = None
        with translated(root):
            for folder in (root, self.blocks, self.pins, self.quarantine):
                folder.mkdir(parents=True, exist_ok=True)
                folder.chmod(0o700)
            self._generation = _counter(root / "generation")

    def path(self, block: BlockId) -> Path:
        return self.blocks / f"{block}{SUFFIX}"

    def state(self) -> State:
        """Cheap: two calls of stat and a read of shared memory."""
        with translated(self.root):
            return State(
                int.from_bytes(self._generation[:8], "little"),
                os.stat(self.blocks).st_mtime_ns,
                os.stat(self.pins).st_mtime_ns,
            )

    def listing(self) -> dict[BlockId, Signature]:
        """Every finished block's file."""
        found = {}
        with translated(self.blocks), os.scandir(self.blocks) as entries:
            for entry in entries:
                if entry.name.endswith(SUFFIX):
                    with suppress(FileNotFoundError):  # removed meanwhile by another process
                        found[entry.name.removesuffix(SUFFIX)] = signature_of(entry.stat())
        return found

    def pinned(self) -> set[BlockId]:
        with translated(self.pins):
            return set(os.listdir(self.pins))

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """The only writer, among all processes, for the time of the block; may be nested.

        StorageUnavailable if another writer does not finish in time. The lock goes with its
        process, however that ends.
        """
        if not self._threads.acquire(timeout=self._lock_seconds):
            raise self._too_long()
        try:
            if self._held is not None:
                yield
                return
            self._held = self._flocked()
            try:
                yield
            finally:
                held, self._held = self._held, None
                os.close(held)
        finally:
            self._threads.release()

    def write(self, block: BlockId, head: bytes, payload: memoryview) -> Signature:
        """All of it or nothing, durably: temporary file → fsync → rename → fsync of the folder."""
        final = self.path(block)
        temporary = self.blocks / f"{block}.{os.getpid()}{UNFINISHED}"
        with self.exclusive(), translated(final):
            try:
                descriptor = os.open(temporary, _NEW, 0o600)
                try:
                    write_all(descriptor, head)
                    write_all(descriptor, payload)
                    os.fsync(descriptor)
                    signature = signature_of(os.fstat(descriptor))
                finally:
                    os.close(descriptor)
                os.rename(temporary, final)
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(temporary)
                raise
            sync_folder(self.blocks)
            self.bump()
            return signature

    def remove(self, block: BlockId) -> bool:
        """Whether there was such a file. It is gone for good when this returns."""
        with self.exclusive(), translated(self.path(block)):
            self.unpin(block)
            try:
                os.unlink(self.path(block))
            except FileNotFoundError:
                return False
            sync_folder(self.blocks)
            self.bump()
            return True

    def pin(self, block: BlockId) -> None:
        with self.exclusive(), translated(self.pins):
            os.close(os.open(self.pins / block, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            sync_folder(self.pins)
            self.bump()

    def unpin(self, block: BlockId) -> None:
        with self.exclusive(), translated(self.pins), suppress(FileNotFoundError):
            os.unlink(self.pins / block)
            self.bump()

    def leftovers(self) -> list[Path]:
        """Unfinished files. To be removed only by who holds the lock: then nobody writes them."""
        with translated(self.blocks):
            return [path for path in self.blocks.iterdir() if path.name.endswith(UNFINISHED)]

    def bump(self) -> None:
        """Tells the other processes that something changed. By the one writer only."""
        count = int.from_bytes(self._generation[:8], "little") + 1
        self._generation[:8] = (count % 2**64).to_bytes(8, "little")

    def _flocked(self) -> int:
        with translated(self.root):
            held = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        until = time.monotonic() + self._lock_seconds
        while True:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return held
            except BlockingIOError:
                if time.monotonic() > until:
                    os.close(held)
                    raise self._too_long() from None
            except BaseException:
                os.close(held)
                raise
            time.sleep(POLL_SECONDS)

    def _too_long(self) -> StorageUnavailable:
        return StorageUnavailable(
            f"another writer has held {self.root} for over {self._lock_seconds:g} s; look for a "
            "process that hangs"
        )


_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC


def write_all(descriptor: int, content: bytes | memoryview) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def signature_of(status: os.stat_result) -> Signature:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def sync_folder(folder: Path) -> None:
    """Makes names that were added or removed there durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Errors of the system as errors of ours; FileNotFoundError passes where callers expect it."""
    try:
        yield
    except MemosError:
        raise
    except OSError as error:
        raise storage_error(error, path) from error


def storage_error(error: OSError, path: Path) -> StorageError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StorageFull(
            f"no room to write {path}: {error.strerror}; free some or lower the budget"
        )
    if error.errno == errno.EROFS:
        return StorageReadOnly(f"{path} is on a file system that can't be written to")
    return StorageUnavailable(f"{path} can't be used: {error.strerror or error}")


def _counter(path: Path) -> mmap.mmap:
    """Eight bytes that all processes share."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(descriptor).st_size < 8:
            os.ftruncate(descriptor, 8)
        return mmap.mmap(descriptor, 8)
    finally:
        os.close(descriptor)
