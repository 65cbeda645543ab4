"""How long something takes, whatever else the machine does meanwhile."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_PATIENCE = 30


def within(seconds: float, work: Callable[[], T]) -> T:
    """What `work` gives, once it took no more than that of its thread's time on a core. A machine
    that is busy or stands still makes some calls slow, code that does too much all of them."""
    taken, end = [], time.monotonic() + _PATIENCE
    while not taken or (min(taken) > seconds and (time.monotonic() < end or len(taken) < 20)):
        began = time.thread_time()
        found = work()
        taken.append(time.thread_time() - began)
    assert min(taken) <= seconds, f"{min(taken):.4f} s at best of {len(taken)}"
    return found
