"""Bodies of the requests about parametric memory."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from memos.api.schemas.fields import AnyKind, Body, Label


class DistillIn(Body):
    """What the local model shall learn: memories by id, by a search, or all of a kind; without any
    of these the policy chooses."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "semantic", "name": "people", "rank": 8}]}
    )

    memories: Annotated[list[Label], Field(default_factory=list)]
    query: str | None = None
    kind: AnyKind | None = None
    name: Annotated[str, Field(max_length=512)] = "default"
    begin: Annotated[Label | None, Field(description="Id of the adapter to go on from.")] = None
    limit: Annotated[int, Field(ge=1)] = 100
    diversity: Annotated[
        float, Field(ge=0, le=1, allow_inf_nan=False, description="How much the choice is spread.")
    ] = 0.0
    attach: Annotated[bool, Field(description="Put it to work once it has passed.")] = True
    when: Annotated[
        Literal["named", "always"],
        Field(description="At work where something that it knows of is named, or always."),
    ] = "named"
    rank: Annotated[int | None, Field(ge=1, le=256)] = None
    rate: Annotated[float | None, Field(gt=0, le=1, allow_inf_nan=False)] = None
    passes: Annotated[int | None, Field(ge=1, le=200)] = None
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0

    def options(self) -> dict[str, Any]:
        """Keywords of the verb."""
        return {name: getattr(self, name) for name in type(self).model_fields}


class MergeAdaptersIn(Body):
    """Adapters of the cube that shall be one."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "adapters": ["01HXA8Q5T9V0J4M2K7N3P6R8SL", "01HXA8Q5T9V0J4M2K7N3P6R8SM"],
                    "shares": [1.0, 0.5],
                    "method": "ties",
                }
            ]
        }
    )

    adapters: Annotated[list[Label], Field(min_length=2)]
    shares: Annotated[
        list[Annotated[float, Field(ge=-10, le=10, allow_inf_nan=False)]],
        Field(default_factory=list, description="One for each; 1 each if there are none."),
    ]
    method: Literal["linear", "ties", "dare"] = "linear"
    rank: Annotated[int | None, Field(ge=1, le=256)] = None
    name: Annotated[str, Field(max_length=512)] = "default"
    attach: Annotated[bool, Field(description="Put it to work once it has passed.")] = True
    when: Annotated[
        Literal["named", "always"],
        Field(description="At work where something that it knows of is named, or always."),
    ] = "named"

    def options(self) -> dict[str, Any]:
        """Keywords of the verb."""
        return {name: getattr(self, name) for name in type(self).model_fields}
