"""What an adapter is asked before it may be used: what it learnt, and what it left alone."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from memos.kvcache.generator.generator import LocalGenerator, Prompt
from memos.kvcache.generator.model import LocalModel
from memos.kvcache.generator.request import Generation, Options
from memos.kvcache.lora import forward
from memos.kvcache.lora.packing import Tokenised, Tokeniser
from memos.kvcache.reuse.prefix import PrefixReuse
from memos.types import AdapterReport, Gate, InUse, Probe, TrainingSet

T = TypeVar("T")
Between = Callable[[], None]
ANSWER_TOKENS = 32
_ROWS = 16
_ROWS_ON_DEVICE = 128
"""Answered together: a device takes hardly longer for many."""
_WORDS = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Neutral:
    """Neutral texts, and questions with what the model answers without an adapter; of each whether
    the adapter will be at work with it."""

    texts: tuple[tuple[int, ...], ...]
    asked: tuple[Tokenised, ...]
    texts_at_work: tuple[bool, ...]
    asked_at_work: tuple[bool, ...]


def nothing() -> None:
    """Nobody is asked between two parts of the work."""


def answers(
    model: LocalModel,
    questions: Sequence[str],
    options: Options | None = None,
    *,
    between: Between = nothing,
) -> list[str]:
    """What the model says to each question by itself."""
    wanted = options or Options(max_new_tokens=ANSWER_TOKENS)
    return [answer.text for part in answered(model, questions, wanted, between) for answer in part]


def answered(
    model: LocalModel, questions: Sequence[str], options: Options, between: Between
) -> Iterator[list[Generation]]:
    """The answers to so many questions at a time as suit the device; `between` is called before
    each time and may raise to end it."""
    rows = _ROWS_ON_DEVICE if model.device.type == "cuda" else _ROWS
    generator = LocalGenerator(PrefixReuse(model, None, salt=b""), rows=rows)
    for at in range(0, len(questions), rows):
        between()
        part = [prompt(model, text) for text in questions[at : at + rows]]
        yield generator.generate_many(part, options)


def prompt(model: LocalModel, question: str) -> Prompt:
    """As the model is asked a question."""
    if model.tokenizer.chat_template:
        return [{"role": "user", "content": question}]
    return f"{question}\n"


def says(answer: str, wanted: str) -> bool:
    """Whether all words of `wanted` stand in the answer, in their order and side by side."""
    words, held = _words(wanted), _words(answer)
    return bool(words) and any(
        held[at : at + len(words)] == words for at in range(len(held) - len(words) + 1)
    )


def report(
    module: Any,
    bare: Callable[[], AbstractContextManager[None]],
    base: LocalModel,
    adapted: LocalModel,
    tokeniser: Tokeniser,
    wanted: TrainingSet,
    neutral: Neutral,
    gate: Gate,
    between: Between = nothing,
) -> AdapterReport:
    """`module` computes with the weights that `adapted` works with, but in `bare`. Probes are
    answered by greedy decoding; that an answer stayed the same is told place by place, which comes
    to the same. `between` is called now and then and may raise to end it."""
    held = [probe for probe in wanted.probes if not probe.trained]
    known = [probe for probe in wanted.probes if probe.trained]
    right, without = _right(adapted, held, between), _right(base, held, between)
    at_work = [probe.prompt not in wanted.idle for probe in held]
    between()
    with bare():
        before = forward.surprise(module, neutral.texts)
    between()
    after = forward.surprise(module, neutral.texts)
    between()
    same = forward.right(module, tokeniser.head, neutral.asked)
    found = AdapterReport(
        recall=share(right),
        base_recall=share(without),
        trained=share(_right(adapted, known, between)),
        perplexity=forward.perplexity(after),
        base_perplexity=forward.perplexity(before),
        unchanged=share(same),
        in_use=InUse(
            recall=share(_either(at_work, right, without)),
            perplexity=forward.perplexity(_either(neutral.texts_at_work, after, before)),
            unchanged=share(_either(neutral.asked_at_work, same, [True] * len(same))),
            named=share(at_work),
            others=share([*neutral.texts_at_work, *neutral.asked_at_work]),
        ),
        by_source=_by_source(held, right),
        probes=len(held),
    )
    return _judged(found, gate)


def _either(at_work: Sequence[bool], adapted: Sequence[T], base: Sequence[T]) -> list[T]:
    """What comes out where the adapter is at work with some only."""
    rows = zip(at_work, adapted, base, strict=True)
    return [with_it if works else without for works, with_it, without in rows]


def share(oks: Sequence[Any]) -> float:
    """Of those that are true; 1 of none."""
    return sum(map(bool, oks)) / len(oks) if oks else 1.0


def _right(model: LocalModel, probes: Sequence[Probe], between: Between) -> list[bool]:
    told = answers(model, [probe.prompt for probe in probes], between=between)
    return [says(answer, probe.answer) for answer, probe in zip(told, probes, strict=True)]


def _by_source(probes: Sequence[Probe], right: Sequence[bool]) -> dict[str, float]:
    found: dict[str, list[bool]] = defaultdict(list)
    for probe, ok in zip(probes, right, strict=True):
        if probe.source is not None:
            found[probe.source].append(ok)
    return {source: share(oks) for source, oks in sorted(found.items())}


def _judged(found: AdapterReport, gate: Gate) -> AdapterReport:
    faults, used = [], found.in_use
    if used.recall < gate.recall:
        faults.append(f"it recalls {used.recall:.0%} of its memories, {gate.recall:.0%} are wanted")
    grown = used.perplexity / found.base_perplexity - 1
    if grown > gate.perplexity:
        faults.append(
            f"the perplexity of neutral text grew by {grown:.1%}, at most {gate.perplexity:.1%} "
            "are wanted"
        )
    harm = found.perplexity / found.base_perplexity - 1
    if harm > gate.harm:
        faults.append(
            f"its weights raise the perplexity of neutral text by {harm:.1%} where they are at "
            f"work, at most {gate.harm:.1%} are wanted"
        )
    if used.unchanged < gate.unchanged:
        faults.append(
            f"{used.unchanged:.0%} of the answers to other questions stayed the same, "
            f"{gate.unchanged:.0%} are wanted"
        )
    return replace(found, refused="; ".join(faults) or None)


def _words(text: str) -> list[str]:
    return _WORDS.findall(text.casefold())
