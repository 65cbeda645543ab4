"""Openings of which a policy kept a part: stored as blocks that say so, and answers from there.

A compressed block is found by its policy's label alone and used whole. Where it can't be used the
prompt is read as if there were none: slower, and exact.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence

from torch import Tensor

from memos.errors import ActivationError, InvalidInput
from memos.kvcache.attention.continuation import Continuation
from memos.kvcache.attention.rows import Held, from_states, to_states
from memos.kvcache.blocks.block import Source, States
from memos.kvcache.codecs.registry import CODECS
from memos.kvcache.compression.registry import policy
from memos.kvcache.generator.generator import ReadPrompts
from memos.kvcache.generator.model import LocalModel
from memos.kvcache.reuse.begun import Begun
from memos.kvcache.reuse.prefix import PrefixReuse
from memos.kvcache.store.hit import Hit
from memos.kvcache.tiers.tiers import Tiers

log = logging.getLogger(__name__)


def parsed(label: str) -> tuple[str, float]:
    """(policy, share of rows to remove) of a label such as `keydiff:0.5`, or `snapkv:0.5#…` of what
    a prompt has guided."""
    name, _, share = label.partition("#")[0].partition(":")
    try:
        ratio = float(share)
    except ValueError:
        ratio = -1.0
    if not 0 < ratio < 1:
        raise InvalidInput(
            f"policy is {label!r}; write its name and the share of rows to remove, between 0 and "
            "1, such as keydiff:0.5",
            field="policy",
        )
    return name, ratio


def compress(
    reuse: PrefixReuse,
    tiers: Tiers,
    tokens: Sequence[int],
    label: str,
    *,
    codec: str,
    sources: Collection[Source],
    prompt: Sequence[int] = (),
) -> None:
    """Stores what the policy keeps of `tokens`, if it is not stored; `prompt` guides it.
    InvalidInput for a policy that is unknown, ModelUnsupported for one that can't do this model."""
    name, ratio = parsed(label)
    chosen = policy(name)
    if found(reuse, tiers, tokens, label):
        return
    model, born = reuse.model, tiers.generation
    held = chosen.compress(model.module, tokens, ratio=ratio, prompt=prompt)
    tiers.put(
        reuse.root,
        tokens,
        0,
        to_states(held),
        layout=model.layout,
        sources=tuple(sources),
        codec=codec,
        policy=label,
        born=born,
    )


def found(reuse: PrefixReuse, tiers: Tiers, tokens: Sequence[int], label: str) -> Hit | None:
    """The compressed block of exactly these tokens, in any codec."""
    hit = tiers.find(reuse.root, [*tokens, tokens[-1]], codecs=tuple(CODECS), policy=label)
    return hit if hit and hit.tokens == len(tokens) else None


class CompressedReader:
    """Reads prompts from a compressed opening where there is one, else as `reuse` does."""

    def __init__(self, reuse: PrefixReuse, tiers: Tiers, label: str) -> None:
        self._reuse = reuse
        self._tiers = tiers
        self._label = label

    @property
    def model(self) -> LocalModel:
        return self._reuse.model

    def begin(self, prompts: Sequence[Sequence[int]], *, room: int, remember: bool) -> ReadPrompts:
        [prompt] = prompts
        held = self._held(prompt)
        if held is None:
            return self._reuse.begin(prompts, room=room, remember=False)
        self._reuse.count(
            hits=1,
            prompt_tokens=len(prompt),
            cached_tokens=held.length,
            computed_tokens=len(prompt) - held.length,
        )
        return begun_after(self.model, held, prompt, cached=held.length)

    def remember(self, tokens: Sequence[int], states: Callable[[int, int], States]) -> object:
        return None

    def _held(self, prompt: Sequence[int]) -> Held | None:
        hit = self._tiers.longest(
            self._reuse.root, prompt, codecs=tuple(CODECS), policy=self._label
        )
        if hit is None:
            return None
        try:
            states = self._tiers.load(hit)
            widths = [layer.head_dim for layer in self.model.layout.layers]
            return from_states(states, length=hit.tokens, key_dim=widths)
        except ActivationError as error:
            log.warning("a compressed opening can't be used and is read again: %s", error)
            self._reuse.counters.recomputed += 1
            return None


def begun_after(model: LocalModel, held: Held, prompt: Sequence[int], *, cached: int) -> Begun:
    """One prompt, read on from what is held of its beginning, `cached` tokens of which were not
    computed for it."""
    running = _Alone(model, held)
    logits = running.advance([prompt[held.length :]])
    return Begun(running, logits, (0,), (cached,), (0,), (len(prompt) - cached,))


class _Alone:
    """`memos.kvcache.generator.running.Running` for one request after what is held."""

    def __init__(self, model: LocalModel, held: Held) -> None:
        self._model = model
        self._run = Continuation(model.module, held)
        self.lengths = [held.length]

    def advance(self, tokens: Sequence[Sequence[int]]) -> Tensor:
        [own] = tokens
        self._model.check(own, before=self.lengths[0])
        logits = self._run.feed(own)[-1:]
        self.lengths[0] += len(own)
        return logits

    def keep(self, rows: Sequence[int]) -> None:
        """There is only one."""

    def states(self, row: int, start: int, end: int) -> States:
        raise InvalidInput(
            "states after what is not a full cache are not stored: they are not exact"
        )
