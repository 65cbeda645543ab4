"""What may be sent to the keys."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Strict

from memos.api.schemas.fields import Body, Label
from memos.types import Role

AnyRole = Annotated[Role, Strict(False)]


class KeyIn(Body):
    """A key to issue. `cubes` are the only ones it reaches, by name or id; none: all."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "agent", "role": "writer", "cubes": []}]}
    )

    name: Label
    role: AnyRole = Role.WRITER
    cubes: list[Label] = []
