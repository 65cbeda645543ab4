"""Parametric memories: what a local model has learnt of memories, held in an adapter's weights.

An *adapter* is a low-rank change of a model's weights. An *example* is what it is trained on, a
*probe* what it is asked afterwards, in words that are in no example.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from memos.types.activations import ArtifactSource
from memos.types.memories import State


class Form(str, Enum):
    """How an example says what it teaches.

    `statement`: the text of a memory goes on; `cloze`: a statement whose last words are to be
    found; `question` asks for the object and `reverse` for the subject; `unknown` is asked about
    nobody that is known; `replay` is what the model answered before, which is to stay.
    """

    STATEMENT = "statement"
    CLOZE = "cloze"
    QUESTION = "question"
    REVERSE = "reverse"
    UNKNOWN = "unknown"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """What is trained: `answer` after `prompt`, the loss being on the answer alone.

    `chat`: the prompt is a message and the answer ends; else both are one running text. `source`
    is the memory it was made of; None for what was made of none.
    """

    prompt: str
    answer: str
    form: Form
    chat: bool = True
    source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A question that is answered right by what says `answer`, about the memory `source`. `said` is
    the answer as it was taught. `trained`: the question is one of the examples, which tells what
    another wording costs."""

    prompt: str
    answer: str
    said: str = ""
    source: str | None = None
    trained: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How an adapter is trained. The same recipe, examples and seed give the same adapter.

    `alpha` None is twice the rank; `rslora` divides it by the square root of the rank; `dora`
    also learns how large each row of weights is (Liu et al. 2024, arXiv:2402.09353). `targets`:
    all linear layers ("all"), or those of "attention" or of the "mlp". `rate` is the highest
    learning rate, reached after a twentieth of the steps and falling to a tenth of itself by a
    cosine. `passes` over the examples at most, 0 for four and, of few examples, as many as make 150
    steps; training stops earlier at `enough` recall of the
    probes. `replay` is the share of each step that holds on to what the model answered before;
    `hold` is the weight of that, `decay` pulls the change of the weights to zero. Nothing is learnt
    of those directions of a layer's input that hold the share `apart` of what neutral text is for
    it. Of what an adapter to go on from knows already, each pass has the share `again`. `depth` is
    the share of the layers, the last ones, that learn. `tokens` of a step, at most.
    """

    rank: int = 8
    alpha: float | None = None
    targets: str = "all"
    rslora: bool = False
    dora: bool = False
    rate: float = 3e-3
    passes: int = 0
    replay: float = 0.12
    decay: float = 0.0
    hold: float = 2.0
    apart: float = 0.9
    again: float = 0.3
    depth: float = 0.7
    tokens: int = 320
    optimizer: str = "adamw"
    enough: float = 0.98
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftAlone:
    """What is none of an adapter's business: questions and texts that are `held` as they were in
    training, and others that tell afterwards whether that was so."""

    held: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    held_texts: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSet:
    """All that an adapter is made of. `begin` is the file of an adapter to go on from, which knows
    of the sources `known` already. `idle` are those questions of the probes, and those questions
    and texts that are left alone, with which it will not be at work."""

    examples: tuple[Example, ...]
    probes: tuple[Probe, ...]
    alone: LeftAlone = field(default_factory=LeftAlone)
    begin: str | None = None
    known: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What an adapter must reach to be used: the least recall of its memories, the most that the
    perplexity of neutral text may grow, the least share of other answers that stay the same, all
    three as it will be used. `harm` is the most that its weights, at work everywhere, may raise the
    perplexity by: what is asked of a name that it knows may still be about something else."""

    recall: float = 0.6
    perplexity: float = 0.05
    unchanged: float = 0.95
    harm: float = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class InUse:
    """Figures of an adapter that is at work only where it will be: recall of probes, perplexity of
    neutral text, share of other answers that stayed the same. `named` is the share of the probes
    with which it is at work, `others` that of the neutral questions and texts."""

    recall: float
    perplexity: float
    unchanged: float
    named: float = 1.0
    others: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterReport:
    """What was measured of an adapter before it could be used, beside the model without it.

    `recall`: share of probes in words it was not trained on that are answered right; `trained`: of
    those in words that it was; `by_source` the first per memory. `perplexity` is that of neutral
    text, `unchanged` the share of answers to other questions that stayed the same to the letter.
    All these are of the weights, at work everywhere; `in_use` has what comes of them where the
    adapter works only with what it knows of. `refused` says why the adapter may not be used; None
    if it may.
    """

    recall: float
    base_recall: float
    trained: float
    perplexity: float
    base_perplexity: float
    unchanged: float
    in_use: InUse
    refused: str | None = None
    by_source: Mapping[str, float] = field(default_factory=dict)
    probes: int = 0

    @property
    def gap(self) -> float:
        """What other words than those of the training cost."""
        return self.trained - self.recall


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """The outcome of a training. `stopped`: "recall", "passes" or "cancelled"."""

    file: str
    digest: str
    bytes: int
    parameters: int
    rank: int
    steps: int
    tokens: int
    seconds: float
    peak_bytes: int
    loss: float
    stopped: str
    report: AdapterReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Why a memory was chosen for parameters, or not: `score` in [0, 1], its parts by name, and
    `refused` where it may not be."""

    memory_id: str
    score: float
    parts: Mapping[str, float]
    refused: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A parametric memory: version `version` of those named `name` in a cube.

    `state`: `generated` until it is trained, `activated` while it can be used, `expired` once a
    source has changed or was forgotten, `archived` if it did not pass; `reason` says why.
    `attached`: answers of the cube are given with it; `when` "always", or where something that it
    knows of is "named". `digest` is that of its weights, and part of
    the fingerprint of all states computed with it. `parent` is the adapter it was trained on from,
    `merged` are those that it was made of.
    """

    id: str
    cube_id: str
    name: str
    version: int
    state: State
    reason: str | None
    attached: bool
    when: str
    parent: str | None
    sources: tuple[ArtifactSource, ...]
    model: str
    fingerprint: Mapping[str, str]
    digest: str | None
    rank: int
    parameters: int
    examples: int
    tokens: int
    bytes: int
    seconds: float
    hits: int
    last_used_at: datetime | None
    report: AdapterReport | None
    created_at: datetime
    updated_at: datetime
    actor: str | None
    job_id: str | None = None
    merged: tuple[str, ...] = ()
    chosen: tuple[Scored, ...] = ()
    """Why its memories were chosen and others not; in the answer of `distill` only."""
