"""What may be sent to the cubes."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from memos.api.schemas.fields import Body, Metadata


class CubeIn(Body):
    """A cube to make. A name has letters, digits, '.', '_' and '-'."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "ana", "description": "What Ana told us"}]}
    )

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
    description: str = ""
    metadata: Metadata = {}


class ReindexIn(Body):
    """`embed`: also make the vectors anew, with the present model."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"embed": False}]})

    embed: bool = False
