"""The jobs of activation and parametric memory, and what `doctor` looks at. Each may run twice.

kv_compile   computes and stores the states of an activation memory
kv_forget    deletes the states and adapters of what was forgotten, dropped, or a deleted cube
lora_distill trains an adapter, and attaches it if it passes
lora_retrain trains one anew without what was forgotten
"""

from __future__ import annotations

from collections.abc import Mapping

from memos.errors import ActivationNotFound, AdapterNotFound
from memos.protocols import FORGET_STATES, RETRAIN, Stores
from memos.scheduler import Handler, JobContext
from memos.service.activation.activations import Activations
from memos.service.activation.compiling import COMPILE
from memos.service.background.handling import unless_cube_gone
from memos.service.local_model.late_states import LateStates
from memos.service.parametric.adapters import DISTILL, Adapters
from memos.types import Cube, Finding, State, Substrate

_PART = 256


class ActivationJobs:
    def __init__(
        self, stores: Stores, activations: Activations, adapters: Adapters, states: LateStates
    ) -> None:
        self._stores = stores
        self._activations = activations
        self._adapters = adapters
        self._states = states

    def table(self) -> Mapping[str, Handler]:
        return {
            COMPILE: unless_cube_gone(self._compile),
            FORGET_STATES: self._forget,
            DISTILL: unless_cube_gone(self._distill),
            RETRAIN: unless_cube_gone(self._retrain),
        }

    def _distill(self, context: JobContext) -> None:
        job = context.job
        cube = self._stores.cubes.get(job.tenant_id, job.cube_id or "")
        self._adapters.run(cube, job.payload["adapter_id"], context)

    def _retrain(self, context: JobContext) -> None:
        job = context.job
        cube = self._stores.cubes.get(job.tenant_id, job.cube_id or "")
        try:
            self._adapters.retrain(cube, job.payload["adapter_id"])
        except AdapterNotFound:  # dropped meanwhile
            return

    def _compile(self, context: JobContext) -> None:
        job = context.job
        cube = self._stores.cubes.get(job.tenant_id, job.cube_id or "")
        try:
            self._activations.compute(
                cube, job.payload["activation_id"], adapter=job.payload.get("adapter")
            )
        except ActivationNotFound:  # dropped meanwhile
            return

    def _forget(self, context: JobContext) -> None:
        if self._activations.any_files:
            self._states.wait().forget(context.job.payload["sources"])


class ActivationDoctor:
    """Compares the files of states with the rows that they are of."""

    def __init__(self, stores: Stores, activations: Activations, states: LateStates) -> None:
        self._stores = stores
        self._activations = activations
        self._states = states

    def orphans(self, *, repair: bool) -> list[Finding]:
        """Files that carry what is forgotten, dropped or deleted, of whichever tenant."""
        if not self._activations.any_files:
            return []
        states = self._states.wait()
        gone = self._states.orphans(states)
        if not gone:
            return []
        if repair:
            states.forget(sorted(gone))
        return [
            Finding(
                check="activation files",
                cube_id=None,
                problem="stored states that carry a source which is no longer there",
                count=sum(gone.values()),
                repaired=repair,
            )
        ]

    def missing(self, cube: Cube, *, repair: bool) -> list[Finding]:
        """Activation memories whose states are not stored; they are computed again at their next
        use, and by a repair now, in a job. What is stale is in order: it says so."""
        lost = [id for id in self._expected(cube) if id]
        if not lost:
            return []
        if repair:
            for id in lost:
                self._stores.jobs.enqueue(self._activations.compiling.job(cube, id))
        problem = "activation memories without stored states; they are computed again when used"
        return [
            Finding(
                check="activations",
                cube_id=cube.id,
                problem=problem,
                count=len(lost),
                repaired=repair,
            )
        ]

    def _expected(self, cube: Cube) -> list[str]:
        """Ids of those that should be stored and are not."""
        found: list[str] = []
        after, blocks = None, None
        while rows := self._stores.artifacts.page(
            cube.id, Substrate.ACTIVATION, after=after, limit=_PART
        ):
            after = rows[-1].id
            if blocks is None:
                files = self._activations.any_files
                blocks = self._states.wait().inventory().blocks if files else frozenset()
            found += [
                row.id for row in rows if row.state is not State.EXPIRED and row.file not in blocks
            ]
        return found
