"""MemoryOS: the verbs, for one tenant. The clients have the same ones with the same parameters.

Each verb finds the cube and hands on; what a verb does stands in the module named for it.
"""

from __future__ import annotations

from types import TracebackType

from memos.service.activation_verbs import ActivationVerbs
from memos.service.adapter_verbs import AdapterVerbs
from memos.service.cube_verbs import CubeVerbs
from memos.service.dump_verbs import DumpVerbs
from memos.service.event_verbs import EventVerbs
from memos.service.graph_verbs import GraphVerbs
from memos.service.job_verbs import JobVerbs
from memos.service.keeping_verbs import KeepingVerbs
from memos.service.lifecycle_verbs import LifecycleVerbs
from memos.service.note_verbs import NoteVerbs
from memos.service.read_verbs import ReadVerbs
from memos.service.write_verbs import WriteVerbs


class MemoryOS(
    WriteVerbs,
    ReadVerbs,
    GraphVerbs,
    NoteVerbs,
    ActivationVerbs,
    AdapterVerbs,
    KeepingVerbs,
    CubeVerbs,
    DumpVerbs,
    JobVerbs,
    EventVerbs,
    LifecycleVerbs,
):
    """One tenant's memories. `memos.open()` makes one on the embedded default.

    `cube` is everywhere a cube's name or id; the cube `default` is made when first named.
    """

    def __enter__(self) -> MemoryOS:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stops the service if this object opened it."""
        if self._owns:
            self._service.close()
