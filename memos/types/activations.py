"""Activation memories: what a local model has read, kept; and what it answers from there.

An *artifact* is the row of a file that was made of memories: states of a model (activation) or an
adapter (parametric). An *activation memory* is such an artifact as callers see it, with its text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Literal

from memos.types.memories import State


class Substrate(str, Enum):
    """How a memory is held."""

    PLAINTEXT = "plaintext"
    ACTIVATION = "activation"
    PARAMETRIC = "parametric"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactSource:
    """A memory that an artifact was made of, in the version that was read."""

    memory_id: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """The row of a file of states or of an adapter.

    `state`: `generated` until it is computed, `activated` while it can be used, `expired` once a
    source has changed or was forgotten; `reason` says which, or why it could not be computed.
    `own_text` is text that was given and is in no memory. `file` is the last block or the file's
    name; `root` (hex) the key that the blocks are found by; `tokens` and `bytes` what it holds.
    `policy`: what left a part of it out, as `<name>:<share removed>`; None if nothing did. `detail`
    says how it was made. Of an adapter, `attached` says whether it is at work in its cube.
    """

    id: str
    cube_id: str
    substrate: Substrate
    name: str
    state: State
    reason: str | None
    sources: tuple[ArtifactSource, ...]
    system: str
    own_text: str
    model: str
    fingerprint: Mapping[str, str]
    root: str | None
    file: str | None
    tokens: int
    bytes: int
    codec: str
    policy: str | None
    pinned: bool
    hits: int
    last_used_at: datetime | None
    created_at: datetime
    updated_at: datetime
    actor: str | None
    job_id: str | None = None
    attached: bool = False
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """An activation memory: text that a model has read, and what was kept of that.

    `text` is the plaintext again, system prompt included; None in lists, and where a source was
    erased. `fingerprint` names what its states depend on, by part; `guide` is the prompt that its
    policy was guided by. Fields as those of an Artifact.
    """

    id: str
    cube_id: str
    name: str
    state: State
    reason: str | None
    sources: tuple[ArtifactSource, ...]
    text: str | None
    model: str
    fingerprint: Mapping[str, str]
    tokens: int
    bytes: int
    codec: str
    policy: str | None
    guide: str | None = None
    pinned: bool
    hits: int
    last_used_at: datetime | None
    created_at: datetime
    updated_at: datetime
    actor: str | None
    job_id: str | None = None
    left_out: tuple[str, ...] = ()
    """Ids of memories that the token budget had no room for; in the answer of `compile` only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivationStats:
    """Of the activation memories of a cube. `hits` are uses in which stored states were read."""

    activations: int
    by_state: Mapping[str, int]
    pinned: int
    tokens: int
    bytes: int
    hits: int


# What the local model is asked and answers.


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What a prompt begins with, and whose it is.

    `salt` keeps tenants apart; `codec` is how states are stored; `policy` what leaves a part of
    them out, as `<name>:<share>`, None for nothing; `guide` the prompt that it is guided by.
    `adapter` is the file of the one at work.
    """

    text: str
    salt: bytes = field(repr=False)
    codec: str
    policy: str | None = None
    guide: str | None = field(default=None, repr=False)
    adapter: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompting:
    """How an answer is chosen and where it ends: `temperature` 0 takes the likeliest token, `seed`
    makes a draw repeatable, `stop` are texts before which the answer ends."""

    max_new_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageModel:
    """A loaded model. `fingerprint`: what its states depend on, by part. `context` in tokens."""

    id: str
    fingerprint: Mapping[str, str]
    context: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is stored of an opening: so many of its `tokens`, in so many bytes, up to a block."""

    root: str
    tokens: int
    stored: int
    bytes: int
    block: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What a store of states holds: its blocks, and blocks by the source that they carry."""

    blocks: frozenset[str]
    sources: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """An answer of the local model.

    `states`: "loaded" if it began at stored states (`reused_tokens` of its `prompt_tokens`), else
    "recomputed". `finish`: "stop" at its end or a stop text, "length" at max_new_tokens. Times are
    from the request to the first token, and to the last. `activation` and `adapter` are the ids of
    those it was given with; None without one. Of a batch, `shared_tokens` of the prompt were
    computed once for several. Of an answer from several activation memories, `activations` are
    those whose text was in the prompt; `joined` says whether the states that each was compiled to
    were put together, and `reason` why not.
    """

    text: str
    finish: Literal["stop", "length"]
    prompt_tokens: int
    reused_tokens: int
    new_tokens: int
    states: Literal["loaded", "recomputed"]
    ttft_s: float
    total_s: float
    model: str
    activation: str | None = None
    adapter: str | None = None
    shared_tokens: int = 0
    activations: tuple[str, ...] = ()
    joined: bool | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Of a batch, in the order of its prompts. `computed_tokens` of all `prompt_tokens` were run:
    what several have in common once."""

    items: tuple[Generated, ...]
    prompt_tokens: int
    computed_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A piece of an answer as it comes; the last one has `done`."""

    text: str
    done: Generated | None = None


# Activation memories one after another, each computed by itself: reuse out of place.

Recomputed = Literal["first", "deviation"]
"""Which tokens are computed again: the first of each text, or those whose keys are farthest from
what they would be."""


JOIN_RATIOS = (0.15, 0.3, 0.5, 0.7, 0.9)
"""Shares of tokens computed again that are measured unless others are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinPoint:
    """Answers after a share of `ratio` of the moved tokens was computed again, beside those after a
    full prefill: how often the likeliest token is the same (`top1`), and the KL divergence in
    nats."""

    ratio: float
    top1: float
    kl: float


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinReport:
    """What was measured in a cube, with one model, over `tokens` tokens of answers.

    `ratio` is the least share whose `top1` reached the `threshold`: joining does that. None if none
    did; then all is read in full. `activations` and `questions` count what it was measured with.
    """

    model: str
    selection: Recomputed
    curve: tuple[JoinPoint, ...]
    threshold: float
    ratio: float | None
    tokens: int
    activations: int
    questions: int
    measured_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """An answer from several openings, and which of them were chosen for it."""

    answer: Generated
    chosen: tuple[int, ...]
