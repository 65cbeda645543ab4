"""Points of a benchmark shared out among processes, each with a model of its own.

A small model leaves most of a device idle between one kernel and the next, so several trainings at
a time are done sooner than one after the other. With one job all is done here.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any

from memos.benchmarks.parametric.world import World, world

Act = Callable[[World, Any], dict[str, Any]]
_here: World | None = None


def spread(here: World, act: Act, points: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """What `act` (a function of a module) makes of each point, in the order in which they are done.
    One that fails does not end the others; its error is raised after them."""
    jobs = min(here.options.jobs, len(points))
    if jobs <= 1:
        yield from (act(here, point) for point in points)
        return
    failed: list[BaseException] = []
    with ProcessPoolExecutor(
        jobs, mp_context=get_context("spawn"), initializer=_begin, initargs=(here.options,)
    ) as pool:
        for done in as_completed([pool.submit(_act, act, point) for point in points]):
            error = done.exception()
            if error is None:
                yield done.result()
            else:
                here.say(f"failed: {error!r}")
                failed.append(error)
    if failed:
        raise failed[0]


def _begin(options: argparse.Namespace) -> None:
    global _here
    # A folder of its own: names of adapters are the same in all processes.
    _here = world(argparse.Namespace(**{**vars(options), "work": None}))


def _act(act: Act, point: Any) -> dict[str, Any]:
    assert _here is not None
    return act(_here, point)
