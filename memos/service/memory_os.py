"""MemoryOS: the verbs, for one tenant. The clients have the same ones with the same parameters.

Each verb finds the cube and hands on; what a verb does stands in the module named for it.
"""

from __future__ import annotations

from types import TracebackType

from memos.service.verbs.activations import ActivationVerbs
from memos.service.verbs.adapters import AdapterVerbs
from memos.service.verbs.cubes import CubeVerbs
from memos.service.verbs.dumps import DumpVerbs
from memos.service.verbs.events import EventVerbs
from memos.service.verbs.facts import FactVerbs
from memos.service.verbs.graph import GraphVerbs
from memos.service.verbs.jobs import JobVerbs
from memos.service.verbs.keeping import KeepingVerbs
from memos.service.verbs.lifecycle import LifecycleVerbs
from memos.service.verbs.notes import NoteVerbs
from memos.service.verbs.reading import ReadVerbs
from memos.service.verbs.writing import WriteVerbs


class MemoryOS(
    WriteVerbs,
    ReadVerbs,
    FactVerbs,
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
