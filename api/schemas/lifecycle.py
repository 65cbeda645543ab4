"""What may be sent about the lives of memories."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from memos.api.schemas.fields import Body

Version = Annotated[int, Field(ge=1, le=2**31 - 1)]
Days = Annotated[float, Field(gt=0, le=36500, allow_inf_nan=False)]


class RollbackIn(Body):
    """Which version to go back to, and why."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"version": 1, "reason": "a slip"}]})

    version: Version
    reason: str | None = None


class RuleIn(Body):
    """Days since a memory was added, changed or brought back; what is left out never happens by
    itself, and a rule without any is no rule."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"archive_after": 90, "expire_after": 365}]}
    )

    archive_after: Days | None = None
    expire_after: Days | None = None
    erase_after: Days | None = None
