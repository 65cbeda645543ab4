"""One example of each answer, as a value of its type, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memos.api.examples.activations import ACTIVATION_EXAMPLES
from memos.api.examples.adapters import ADAPTER_EXAMPLES
from memos.api.examples.cubes import CUBE_EXAMPLES
from memos.api.examples.events import EVENT_EXAMPLES
from memos.api.examples.graph import GRAPH_EXAMPLES
from memos.api.examples.jobs import JOB_EXAMPLES
from memos.api.examples.keeping import KEEPING_EXAMPLES
from memos.api.examples.keys import KEY_EXAMPLES
from memos.api.examples.memories import MEMORY_EXAMPLES
from memos.api.examples.search import SEARCH_EXAMPLES
from memos.api.routes.health import Health

EXAMPLES: Mapping[str, Any] = {
    **ACTIVATION_EXAMPLES,
    **ADAPTER_EXAMPLES,
    **CUBE_EXAMPLES,
    **EVENT_EXAMPLES,
    **GRAPH_EXAMPLES,
    **JOB_EXAMPLES,
    **KEEPING_EXAMPLES,
    **KEY_EXAMPLES,
    **MEMORY_EXAMPLES,
    **SEARCH_EXAMPLES,
    "Health": Health(status="ok", version="0.1.0"),
}
"""By the name of the schema."""
