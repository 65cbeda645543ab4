"""What may be sent about keeping memories: a policy, a receipt to check, what a context is for.

As strict as all of `memos.api.schemas`; what a policy means is the core's.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from memos.api.schemas.fields import AnyKind, Body, Label, Time
from memos.types import ErasureReceipt, Kind, Policy
from memos.wire import from_builtins

_DEFAULT = Policy()
Days = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=2**53)]


class PolicyIn(Body):
    """A cube's policy; what is left out is as by default."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"half_life_days": {"episodic": 14}, "archive_below": 0.05, "max_memories": 100000}
            ]
        }
    )

    half_life_days: Annotated[
        dict[AnyKind, Days | None],
        Field(default_factory=dict, description="By kind; null: strength does not decay."),
    ]
    archive_below: Annotated[
        Share | None, Field(description="Archive what is weaker than this.")
    ] = None
    max_memories: Count | None = None
    max_bytes: Count | None = None
    consolidate_after: Annotated[
        int, Field(ge=0, le=2**53, description="New memories; 0: not by their number.")
    ] = _DEFAULT.consolidate_after
    consolidate_idle_minutes: Annotated[
        float | None,
        Field(gt=0, le=1e6, allow_inf_nan=False, description="Without anything new; null: never."),
    ] = _DEFAULT.consolidate_idle_minutes
    retire: bool = _DEFAULT.retire
    generalise: bool = _DEFAULT.generalise
    promote_heat: Annotated[
        float | None,
        Field(gt=0, le=1000, allow_inf_nan=False, description="null: segments stay segments."),
    ] = _DEFAULT.promote_heat
    summarise: bool = _DEFAULT.summarise
    loop_minutes: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] = _DEFAULT.loop_minutes
    junk_above: Share | None = None
    untrusted_sources: Annotated[
        list[Label], Field(default_factory=lambda: list(_DEFAULT.untrusted_sources))
    ]
    quarantine_above: Share = _DEFAULT.quarantine_above
    short_term_turns: Annotated[int, Field(ge=0, le=10_000)] = _DEFAULT.short_term_turns

    kv_codec: Annotated[
        str | None,
        Field(max_length=32, description="Of states; null: as the service stores them."),
    ] = None

    def core(self) -> Policy:
        given = {name: getattr(self, name) for name in type(self).model_fields}
        half_lives: dict[Kind, float | None] = given["half_life_days"]
        return Policy(
            **{
                **given,
                "half_life_days": half_lives,
                "untrusted_sources": tuple(self.untrusted_sources),
            }
        )


class ReceiptIn(Body):
    """A receipt as `erase` answered it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "receipt": {
                        "id": "01HXA8Q5T9V0J4M2K7N3P6R8SM",
                        "cube_id": "01HXA8Q5T9V0J4M2K7N3P6R8SB",
                        "memory_ids": ["01HXA8Q5T9V0J4M2K7N3P6R8SD"],
                        "stores": [{"store": "texts", "removed": 1, "done": True}],
                        "recomputed_by": None,
                        "erased_at": "2024-05-01T18:30:00Z",
                        "key_id": "0123456789abcdef",
                        "signature": "00",
                    }
                }
            ]
        }
    )

    receipt: dict[str, Any]

    def core(self) -> ErasureReceipt:
        """InvalidInput if it has not a receipt's form."""
        return from_builtins(self.receipt, ErasureReceipt)


class ContextIn(Body):
    """What a context is for, and how long it may be."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"query": "Where does Ana live?", "session_id": "2024-05-01", "token_budget": 800}
            ]
        }
    )

    query: Annotated[str | None, Field(description="The question; without one, no search.")] = None
    user_id: Label | None = None
    agent_id: Label | None = None
    session_id: Annotated[
        Label | None, Field(description="The session whose last turns are given.")
    ] = None
    token_budget: Annotated[int, Field(ge=1, le=2**31)] = 2000
    as_of: Time | None = None
    known_as_of: Time | None = None
