"""What all verbs stand on: the service, the tenant, who acts, and how a cube is found."""

from __future__ import annotations

from datetime import datetime

from memos.service.engine import Engine
from memos.service.viewpoint import Viewpoint
from memos.types import Cube, Job, NewJob


class Verbs:
    """Base of the groups of verbs that `memos.service.MemoryOS` is made of."""

    def __init__(
        self, service: Engine, tenant_id: str, *, actor: str | None = None, owns: bool = False
    ) -> None:
        self._service = service
        self.tenant_id = tenant_id
        self._actor = actor
        self._owns = owns

    def _cube(self, name_or_id: str) -> Cube:
        return self._service.cubes.find(self.tenant_id, name_or_id)

    def _view(
        self, *, as_of: datetime | None = None, known_as_of: datetime | None = None
    ) -> Viewpoint:
        """The two times, checked and in UTC."""
        return Viewpoint.at(self._service.clock(), as_of=as_of, known_as_of=known_as_of)

    def _queued(self, job: NewJob) -> Job:
        """The job as it waits, or the one that waits already for the same."""
        queue = self._service.stores.jobs
        job_id = queue.enqueue(job)
        self._service.worker.wake()
        return queue.get(self.tenant_id, job_id)
