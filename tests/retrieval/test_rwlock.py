"""Readers share, a writer is alone, and a waiting writer is not overtaken."""

import threading

import pytest

from memos.retrieval.rwlock import ReadWriteLock


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
            self.leave.wait(10)

    def gone(self) -> None:
        self.leave.set()
        self.join(10)
        assert not self.is_alive()


@pytest.fixture
def lock() -> ReadWriteLock:
    return ReadWriteLock()


def test_readers_share(lock):
    one, two = Actor(lock.read), Actor(lock.read)
    assert one.inside.wait(10)
    assert two.inside.wait(10)
    one.gone()
    two.gone()


def test_a_writer_waits_for_readers_and_later_readers_for_it(lock):
    reader = Actor(lock.read)
    assert reader.inside.wait(10)
    writer = Actor(lock.write)
    assert not writer.inside.wait(0.1)
    late = Actor(lock.read)
    assert not late.inside.wait(0.1)
    reader.gone()
    assert writer.inside.wait(10)
    assert not late.inside.wait(0.1)
    writer.gone()
    assert late.inside.wait(10)
    late.gone()


def test_writers_exclude_each_other(lock):
    one = Actor(lock.write)
    assert one.inside.wait(10)
    two = Actor(lock.write)
    assert not two.inside.wait(0.1)
    one.gone()
    assert two.inside.wait(10)
    two.gone()


def test_an_error_inside_frees_the_lock(lock):
    for enter in (lock.read, lock.write):
        with pytest.raises(ValueError, match="inside"), enter():
            raise ValueError("inside")
    with lock.write():
        pass
