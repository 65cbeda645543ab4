"""What handlers of jobs share, whatever the job is about."""

from __future__ import annotations

from memos.errors import CubeNotFound
from memos.scheduler import Handler, JobContext


def unless_cube_gone(handler: Handler) -> Handler:
    """A job of a cube that was deleted meanwhile has nothing left to do."""

    def run(context: JobContext) -> None:
        try:
            handler(context)
        except CubeNotFound:
            return

    return run
