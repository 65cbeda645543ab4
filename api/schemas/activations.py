"""Bodies of the requests about activation memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from memos.api.schemas.fields import AnyKind, Body, Label
from memos.types import JOIN_RATIOS, Recomputed

_MOST_TOKENS = 1 << 20


class CompileIn(Body):
    """What the local model shall read: memories by id, by a search, or all of a kind, with a system
    prompt before them and a text of one's own after."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"kind": "core", "system": "You are Ana's assistant.", "name": "core"}]
        }
    )

    memories: Annotated[list[Label], Field(default_factory=list)]
    query: str | None = None
    kind: AnyKind | None = None
    text: str | None = None
    system: str | None = None
    name: Annotated[str, Field(max_length=512)] = ""
    limit: Annotated[int, Field(ge=1)] = 100
    token_budget: Annotated[
        int | None, Field(ge=1, description="Most tokens of memories; the others are left out.")
    ] = None
    codec: Annotated[
        str | None,
        Field(description="raw, lossless, int8, k8v4, int4 or int2; left out: the service's."),
    ] = None
    policy: Annotated[
        str | None,
        Field(description="Leaves out a share of the states, such as keydiff:0.5; not exact."),
    ] = None
    guide: Annotated[
        str | None,
        Field(description="A prompt that tells a policy what will be asked; finch needs one."),
    ] = None
    pinned: Annotated[bool, Field(description="Its states are not evicted for others.")] = False

    def options(self) -> dict[str, Any]:
        """Keywords of the verb."""
        return {name: getattr(self, name) for name in type(self).model_fields}


class TurnIn(Body):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Answering(Body):
    """How answers are chosen, and where they end."""

    refresh: Annotated[
        bool, Field(description="Compile anew first what is stale or another model's.")
    ] = False
    adapter: Annotated[
        Label | None,
        Field(description="Id of the adapter to answer with, none for none; else the attached."),
    ] = None
    max_new_tokens: Annotated[int, Field(ge=1, le=_MOST_TOKENS)] = 256
    temperature: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] = 0.0
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 1.0
    top_k: Annotated[int, Field(ge=0, le=_MOST_TOKENS)] = 0
    seed: Annotated[int | None, Field(ge=0, lt=1 << 63)] = None
    stop: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=200)]], Field(default_factory=list)
    ]

    def options(self) -> dict[str, Any]:
        """The keywords of the verb, but for what is asked."""
        names = set(type(self).model_fields) - {"prompt", "prompts"}
        return {name: getattr(self, name) for name in names}


Asked = str | list[TurnIn]
"""A prompt as it stands, or messages."""


def _asked(prompt: Asked) -> str | Sequence[Mapping[str, str]]:
    if isinstance(prompt, str):
        return prompt
    return [{"role": turn.role, "content": turn.content} for turn in prompt]


class GenerateIn(Answering):
    """What the local model is asked: a prompt as it stands, or messages."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"prompt": "What does Ana like?", "max_new_tokens": 32, "stop": ["\n"]}]
        }
    )

    prompt: Asked
    activation: Annotated[
        Label | None, Field(description="Id of the activation memory to begin at.")
    ] = None

    def asked(self) -> str | Sequence[Mapping[str, str]]:
        """The prompt as the verb takes it."""
        return _asked(self.prompt)


class GenerateBatchIn(Answering):
    """Several prompts, answered at once."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"prompts": ["What does Ana like?", "Where?"], "max_new_tokens": 32}]
        }
    )

    prompts: Annotated[list[Asked], Field(min_length=1, max_length=64)]
    activation: Annotated[
        Label | None, Field(description="Id of the activation memory to begin at.")
    ] = None

    def asked(self) -> list[str | Sequence[Mapping[str, str]]]:
        """The prompts as the verb takes them."""
        return [_asked(prompt) for prompt in self.prompts]


class GenerateJoinedIn(Answering):
    """A prompt after several activation memories, one after another."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "prompt": "What does Ana like?",
                    "activations": ["01HXA8Q5T9V0J4M2K7N3P6R8SJ", "01HXA8Q5T9V0J4M2K7N3P6R8SK"],
                }
            ]
        }
    )

    prompt: Asked
    activations: Annotated[
        list[Label], Field(min_length=2, description="Ids of activation memories, in their order.")
    ]
    top: Annotated[
        int | None, Field(ge=1, description="Only so many, those that the prompt attends to most.")
    ] = None

    def asked(self) -> str | Sequence[Mapping[str, str]]:
        """The prompt as the verb takes it."""
        return _asked(self.prompt)


class MeasureJoiningIn(Body):
    """What joining is measured with: activation memories, and questions like those to come."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "questions": ["What does Ana like?"],
                    "activations": ["01HXA8Q5T9V0J4M2K7N3P6R8SJ", "01HXA8Q5T9V0J4M2K7N3P6R8SK"],
                }
            ]
        }
    )

    questions: Annotated[list[str], Field(min_length=1)]
    activations: Annotated[list[Label], Field(min_length=2)]
    ratios: Annotated[
        list[Annotated[float, Field(ge=0, lt=1)]],
        Field(
            min_length=1,
            default_factory=lambda: list(JOIN_RATIOS),
            description="Shares of tokens that are computed again.",
        ),
    ]
    selection: Annotated[
        Recomputed,
        Field(description="Which: the first of each text, or those whose keys are farthest off."),
    ] = "deviation"
    adapter: Annotated[
        Label | None, Field(description="Id of the adapter, none for none; else the attached.")
    ] = None

    def options(self) -> dict[str, Any]:
        """Keywords of the verb."""
        return {name: getattr(self, name) for name in type(self).model_fields}
