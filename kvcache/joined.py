"""Openings one after another, each from the states that it was compiled to by itself.

Only where that was measured to change next to nothing; what was measured is kept beside the states,
by scope and model. What can't be joined, and what is below the gate, is read in full, and the
answer says why.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from memos.errors import ActivationError, InvalidInput, ModelUnsupported, StateConflict
from memos.kvcache.answers import answer_of, named, options_of
from memos.kvcache.attention.rows import Held, from_states
from memos.kvcache.blocks.block import States
from memos.kvcache.compressed import begun_after
from memos.kvcache.generator.generator import LocalGenerator
from memos.kvcache.generator.model import LocalModel
from memos.kvcache.openings import Messages, opening_tokens, prompt_of, prompt_tokens
from memos.kvcache.reuse.begun import Begun
from memos.kvcache.reuse.chunks import Chunk, part
from memos.kvcache.reuse.gate import Comparison, closed, reported
from memos.kvcache.reuse.placing import aligned, repaired
from memos.kvcache.reuse.prefix import PrefixReuse
from memos.kvcache.reuse.recompute import Selection
from memos.kvcache.reuse.reports import Reports
from memos.kvcache.reuse.retrieval import SINKS, nearest
from memos.kvcache.reuse.rotation import verify
from memos.kvcache.reuse.tree import common
from memos.kvcache.tiers.tiers import Tiers
from memos.types import Joined, JoinReport, Opening, Prompting

BETWEEN = "\n\n"


class ReuseOf(Protocol):
    """The reuse of an opening's tenant, codec and adapter."""

    def __call__(self, opening: Opening, *, answering: bool = False) -> PrefixReuse: ...


@dataclass(frozen=True)
class _Stored:
    """An opening as it is stored: its text is tokens[first:last] of the chunk."""

    chunk: Chunk
    first: int
    last: int

    @property
    def text(self) -> Chunk:
        return part(self.chunk, self.first, self.last)


class LocalJoining:
    """`memos.protocols.Joining`. `folder` is for what was measured."""

    def __init__(self, reuse_of: ReuseOf, tiers: Tiers, folder: Path) -> None:
        self._reuse_of = reuse_of
        self._tiers = tiers
        self._reports = Reports(folder)
        self._lock = threading.Lock()
        self._counts = {"kv_joined": 0, "kv_not_joined": 0}

    def measure(
        self,
        openings: Sequence[Opening],
        questions: Sequence[str],
        *,
        scope: str,
        ratios: Sequence[float],
        selection: Selection,
        at: datetime,
    ) -> JoinReport:
        model = self._reuse_of(openings[0]).model
        _check_layers(model)
        verify(model.module)
        stored = self._all_stored(openings)
        text = BETWEEN.join(opening.text for opening in openings)
        prompts = [
            prompt_tokens(model, text, [{"role": "user", "content": question}])
            for question in questions
        ]
        compare = Comparison(model, prompts, _chunks(stored))
        found = {ratio: compare.at(ratio, selection) for ratio in sorted(set(ratios))}
        report = reported(
            found,
            model=named(model.id),
            selection=selection,
            activations=len(openings),
            questions=len(questions),
            at=at,
        )
        self._reports.put(scope, _key(model), report)
        return report

    def report(self, opening: Opening, *, scope: str) -> JoinReport | None:
        return self._reports.get(scope, _key(self._reuse_of(opening).model))

    def answer(
        self,
        openings: Sequence[Opening],
        messages: Messages,
        wanted: Prompting,
        *,
        scope: str,
        top: int | None = None,
    ) -> Joined:
        reuse = self._reuse_of(openings[0], answering=True)
        report = self._reports.get(scope, _key(reuse.model))
        chosen, reason = list(range(len(openings))), closed(report)
        reader: PrefixReuse | _JoinedReader = reuse
        try:
            if reason is None or top is not None:
                stored = self._all_stored(openings)
                if top is not None:
                    chosen = _nearest(reuse.model, stored, messages, top)
            if reason is None and report is not None:
                reader = _JoinedReader(reuse, [stored[index] for index in chosen], report)
        except (ActivationError, InvalidInput, ModelUnsupported, StateConflict) as error:
            reason = str(error)
        text = BETWEEN.join(openings[index].text for index in chosen)
        prompt = prompt_of(reuse.model, text, messages)
        done = LocalGenerator(reader).generate(prompt, options_of(wanted))
        joined = isinstance(reader, _JoinedReader) and reader.joined
        if reason is None and not joined:
            reason = "no text but the first was found again in the prompt's tokens"
        self._count("kv_joined" if joined else "kv_not_joined")
        answer = replace(answer_of(reuse.model, done), joined=joined, reason=reason)
        return Joined(answer=answer, chosen=tuple(chosen))

    def forget(self, scopes: Collection[str]) -> None:
        """What was measured for these."""
        self._reports.forget(scopes)

    def stats(self) -> Mapping[str, int]:
        with self._lock:
            return dict(self._counts)

    def _count(self, name: str) -> None:
        with self._lock:
            self._counts[name] += 1

    def _all_stored(self, openings: Sequence[Opening]) -> list[_Stored]:
        """StateConflict for one that is not stored whole, ModelUnsupported for a model whose
        layers don't keep all rows."""
        return [self._stored(opening) for opening in openings]

    def _stored(self, opening: Opening) -> _Stored:
        if opening.policy:
            raise StateConflict(
                f"policy {opening.policy} has left out states, and only whole ones can be joined; "
                "compile the text without a policy"
            )
        reuse = self._reuse_of(opening)
        tokens = opening_tokens(reuse.model, opening.text)
        hit = self._tiers.longest(reuse.root, [*tokens, tokens[-1]], codecs=reuse.codecs)
        if hit is None or hit.tokens < len(tokens):
            raise StateConflict(
                f"{hit.tokens if hit else 0} of {len(tokens)} tokens of a text are stored, and "
                "only whole ones can be joined; `warm` computes the rest"
            )
        held = _whole(reuse.model, self._tiers.load(hit), len(tokens))
        first, last = _text_of(reuse.model, tokens)
        return _Stored(Chunk(tuple(tokens), held), first, last)


class _JoinedReader:
    """Reads one prompt from stored texts put together; `joined` tells afterwards whether any was
    in another place than where it was computed."""

    def __init__(self, reuse: PrefixReuse, stored: Sequence[_Stored], report: JoinReport) -> None:
        self._reuse = reuse
        self._stored = stored
        self._report = report
        self.joined = False

    @property
    def model(self) -> LocalModel:
        return self._reuse.model

    def begin(self, prompts: Sequence[Sequence[int]], *, room: int, remember: bool) -> Begun:
        [prompt] = prompts
        placed = aligned(prompt, _chunks(self._stored))
        self.joined = any(place.moved for place in placed)
        if not self.joined:
            return self._reuse.begin(prompts, room=room, remember=False)
        assert self._report.ratio is not None
        held, computed = repaired(
            self.model.module,
            prompt,
            placed,
            ratio=self._report.ratio,
            selection=self._report.selection,
        )
        cached = held.length - computed
        self._reuse.count(
            hits=1,
            prompt_tokens=len(prompt),
            cached_tokens=cached,
            computed_tokens=len(prompt) - cached,
        )
        return begun_after(self.model, held, prompt, cached=cached)

    def remember(self, tokens: Sequence[int], states: Callable[[int, int], States]) -> object:
        return None


def _chunks(stored: Sequence[_Stored]) -> list[Chunk]:
    """The first with what the template puts before it, the others as texts."""
    first, *others = stored
    return [part(first.chunk, 0, first.last), *(one.text for one in others)]


def _nearest(
    model: LocalModel, stored: Sequence[_Stored], messages: Messages, top: int
) -> list[int]:
    """The texts that the last message attends to most."""
    question = model.tokenizer(messages[-1]["content"], add_special_tokens=False)["input_ids"]
    texts = [one.text for one in stored]
    able = [index for index, text in enumerate(texts) if len(text.tokens) > SINKS]
    if top >= len(able):
        return list(range(len(texts))) if top >= len(texts) else able
    return [able[at] for at in nearest(model.module, [texts[i] for i in able], question, top)]


def _text_of(model: LocalModel, tokens: Sequence[int]) -> tuple[int, int]:
    """Where the text itself begins and ends among the tokens of its opening."""
    one, other = (opening_tokens(model, text) for text in ("x", "1 ?"))
    before = min(common(one, other), common(one, tokens))
    after = min(common(one[::-1], other[::-1]), common(one[::-1], tokens[::-1]))
    return before, max(before, len(tokens) - after)


def _check_layers(model: LocalModel) -> None:
    if not model.has_rows:
        raise ModelUnsupported(
            "the model has recurrent layers, whose states can't be moved; only prefixes can be "
            "reused with it"
        )


def _whole(model: LocalModel, states: States, tokens: int) -> Held:
    """What is held of all tokens in all layers."""
    _check_layers(model)
    held = from_states(states, length=tokens)
    if any(rows.count != tokens for rows in held.layers):
        raise StateConflict(
            f"a text of {tokens} tokens is longer than a sliding window of the model, which has "
            "dropped its beginning; join shorter ones"
        )
    return held


def _key(model: LocalModel) -> str:
    return model.fingerprint.root(b"").hex()
