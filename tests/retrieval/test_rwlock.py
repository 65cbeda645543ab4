"""Readers share, a writer is alone, and a waiting writer is not overtaken."""

import threading
import time

import pytest

from memos.retrieval.projection.rwlock import ReadWriteLock

PATIENCE = 60


class Noted(threading.Condition):
    """Counts those who wait for it."""

    waiting = 0

    def wait(self, timeout: float | None = None) -> bool:
        self.waiting += 1
        try:
            return super().wait(timeout)
        finally:
            self.waiting -= 1


class Actor(threading.Thread):
    """Enters the lock, says so, and leaves when told."""

    def __init__(self, enter) -> None:
        super().__init__(daemon=True)
        self.enter = enter
        self.inside = threading.Event()
        self.leave = threading.Event()
        self.start()

    def run(self) -> None:
        with self.enter():
            self.inside.set()
            self.leave.wait(PATIENCE)

    def gone(self) -> None:
        self.leave.set()
        self.join(PATIENCE)
        assert not self.is_alive()


@pytest.fixture
def lock() -> ReadWriteLock:
    made = ReadWriteLock()
    made._condition = Noted()
    return made


def waits(lock: ReadWriteLock, *actors: Actor) -> None:
    """Comes back when so many wait for the lock, all of them outside."""
    end = time.monotonic() + PATIENCE
    while lock._condition.waiting < len(actors):
        assert not any(actor.inside.is_set() for actor in actors)
        assert time.monotonic() < end
        time.sleep(0.001)
    assert not any(actor.inside.is_set() for actor in actors)


def test_readers_share(lock):
    one, two = Actor(lock.read), Actor(lock.read)
    assert one.inside.wait(PATIENCE)
    assert two.inside.wait(PATIENCE)
    one.gone()
    two.gone()


def test_a_writer_waits_for_readers_and_later_readers_for_it(lock):
    reader = Actor(lock.read)
    assert reader.inside.wait(PATIENCE)
    writer = Actor(lock.write)
    waits(lock, writer)
    late = Actor(lock.read)
    waits(lock, writer, late)
    reader.gone()
    assert writer.inside.wait(PATIENCE)
    waits(lock, late)
    writer.gone()
    assert late.inside.wait(PATIENCE)
    late.gone()


def test_writers_exclude_each_other(lock):
    one = Actor(lock.write)
    assert one.inside.wait(PATIENCE)
    two = Actor(lock.write)
    waits(lock, two)
    one.gone()
    assert two.inside.wait(PATIENCE)
    two.gone()


def test_an_error_inside_frees_the_lock(lock):
    for enter in (lock.read, lock.write):
        with pytest.raises(ValueError, match="inside"), enter():
            raise ValueError("inside")
    with lock.write():
        pass
