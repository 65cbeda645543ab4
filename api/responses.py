"""What routes share: answers as JSON straight from msgspec, and the parts of their paths."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path
from starlette.responses import Response

from memos.types import Memory
from memos.wire import to_json

CubeName = Annotated[str, Path(description="A cube's name or id.", examples=["default"])]
MemoryId = Annotated[str, Path(description="A memory's id.")]
ActivationId = Annotated[str, Path(description="An activation memory's id.")]
JobId = Annotated[str, Path(description="A job's id.")]
FactId = Annotated[str, Path(description="A fact's id.")]
EventId = Annotated[str, Path(description="An event's id.")]
RulingId = Annotated[str, Path(description="A ruling's id.")]
EntityName = Annotated[
    str,
    Path(
        min_length=1,
        max_length=512,
        description="An entity's id, name or alias. A name that several entities have is refused "
        "with their ids; one that ends like a path below it (`/timeline`) is reached by its id.",
        examples=["Ana"],
    ),
]
TypeName = Annotated[str, Path(min_length=1, max_length=512, description="The name to define.")]
AnyId = Annotated[str, Path(description="The id of a memory, fact, job or event.")]
ScheduleName = Annotated[
    str, Path(min_length=1, max_length=512, description="A schedule's name.", examples=["nightly"])
]
KeyId = Annotated[str, Path(description="A key's id, not its secret.")]


class WireResponse(Response):
    """Renders a dataclass, or lists and dicts of them, without a detour through pydantic."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return to_json(content)


def versioned(memory: Memory) -> WireResponse:
    """A memory with its version as ETag, for If-Match."""
    return WireResponse(memory, headers={"ETag": f'"{memory.version}"'})


def nothing() -> Response:
    return Response(status_code=204)
