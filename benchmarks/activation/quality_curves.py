"""What is measured for `kv_quality`: one row for each way to hold a text, and how much of it.

Knows policies, codecs and reuse by their registries; writes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import torch

from memos.benchmarks.texts.prose import sentences
from memos.kvcache.attention.rows import Held
from memos.kvcache.codecs.base import Codec
from memos.kvcache.codecs.registry import CODECS
from memos.kvcache.compression.base import Policy
from memos.kvcache.compression.kvzip import KVzip
from memos.kvcache.compression.registry import policy
from memos.kvcache.layout import CacheLayout
from memos.kvcache.quality.cases import Case, key_facts
from memos.kvcache.quality.harness import Harness, Quality, full
from memos.kvcache.reuse.chunks import Chunk, compiled, joined
from memos.kvcache.reuse.recompute import Selection, recomputed
from memos.kvcache.reuse.retrieval import nearest

Row = dict[str, Any]
REPEAT = "\n\nRepeat the previous context exactly."
"""What KVzip asks a model before it repeats the text."""


def cases(encode: Callable[[str], Sequence[int]], options: Any) -> list[Case]:
    """Texts of real prose with facts in them, each from another place."""
    prose = sentences()
    step = len(prose) // options.cases
    return [
        key_facts(
            encode,
            tokens=options.tokens,
            seed=options.seed + number,
            facts=options.facts,
            continuation=options.continuation,
            prose=[*prose[number * step :], *prose[: number * step]],
        )
        for number in range(options.cases)
    ]


def of_policies(model: Any, harness: Harness, options: Any, encode: Any) -> Iterator[Row]:
    """Each policy at each ratio; guided ones see each question before it is asked."""
    for name in options.policies:
        chosen = KVzip(tuple(encode(REPEAT))) if name == "kvzip" else policy(name)
        for ratio in options.ratios:
            yield _row(
                "policy",
                name,
                ratio,
                harness,
                _compressing(model, harness, chosen, ratio),
                guided=chosen.guided,
            )


def _compressing(
    model: Any, harness: Harness, chosen: Policy, ratio: float
) -> Callable[[Case, Sequence[int]], Held]:
    def hold(case: Case, prompt: Sequence[int]) -> Held:
        return chosen.compress(
            model, case.context, ratio=ratio, prompt=prompt, text=harness.held(case)
        )

    return hold


def of_codecs(harness: Harness, layout: CacheLayout) -> Iterator[Row]:
    """Each codec, all rows; full_bytes are those of the model's own dtype."""
    for name, codec in CODECS.items():
        begun = time.perf_counter()
        quality = harness.measure_states(
            lambda states, codec=codec: _through(codec, states, layout),  # type: ignore[misc]
            size_of=lambda states, codec=codec: _size(codec, states, layout),  # type: ignore[misc]
        )
        yield _described("codec", name, 0.0, quality, begun)


def _through(codec: Codec, states: Any, layout: CacheLayout) -> Any:
    encoded = codec.encode(states, layout)
    payload = encoded.payload.flatten().view(torch.uint8)
    return codec.decode(payload, encoded.records, layout)


def _size(codec: Codec, states: Any, layout: CacheLayout) -> int:
    return int(codec.encode(states, layout).payload.nbytes)


def of_reuse(model: Any, harness: Harness, options: Any) -> Iterator[Row]:
    """Chunks computed apart: naively joined, moved, and with a share of tokens read again."""
    chunks = {
        case.context: [compiled(model, part) for part in case.chunks(options.chunks)]
        for case in harness.cases
    }

    def naive(case: Case, _: Sequence[int]) -> Held:
        return joined(model, chunks[case.context], rotate=False)

    yield _row("reuse", "concatenated", 0.0, harness, naive)
    for selection in ("first", "deviation"):
        for ratio in options.recompute:
            yield _row("reuse", selection, ratio, harness, _again(model, chunks, ratio, selection))
    yield _found(model, harness, chunks)


def _again(
    model: Any,
    chunks: dict[tuple[int, ...], list[Chunk]],
    ratio: float,
    selection: Selection,
) -> Callable[[Case, Sequence[int]], Held]:
    def hold(case: Case, _: Sequence[int]) -> Held:
        return recomputed(model, chunks[case.context], ratio=ratio, selection=selection)

    return hold


def _found(model: Any, harness: Harness, chunks: dict[tuple[int, ...], list[Chunk]]) -> Row:
    """How often the chunk with the answer is the most relevant one, or among the first two; and how
    many questions are answered from these two alone, read together."""
    begun, first, two, right, asked = time.perf_counter(), 0, 0, 0.0, 0
    for case in harness.cases:
        parts = chunks[case.context]
        for question in case.questions:
            asked += 1
            told = next(i for i, part in enumerate(parts) if _tells(part.tokens, question.answer))
            best = nearest(model, parts, question.prompt, 2)
            first += nearest(model, parts, question.prompt, 1) == [told]
            two += told in best
            tokens = [token for index in best for token in parts[index].tokens]
            right += harness.answers(full(model, tokens), question)
    return {
        "kind": "retrieval",
        "name": "nearest",
        "hits_1": first / asked,
        "hits_2": two / asked,
        "accuracy": right / asked,
        "questions": asked,
        "seconds": round(time.perf_counter() - begun, 2),
    }


def _tells(tokens: Sequence[int], answer: Sequence[int]) -> bool:
    size = len(answer)
    return any(tuple(tokens[at : at + size]) == tuple(answer) for at in range(len(tokens)))


def _row(
    kind: str, name: str, ratio: float, harness: Harness, hold: Any, *, guided: bool = False
) -> Row:
    begun = time.perf_counter()
    return _described(kind, name, ratio, harness.measure(hold, guided=guided), begun) | {
        "guided": guided
    }


def _described(kind: str, name: str, ratio: float, quality: Quality, begun: float) -> Row:
    return {
        "kind": kind,
        "name": name,
        "ratio": ratio,
        **asdict(quality),
        "share": quality.share,
        "seconds": round(time.perf_counter() - begun, 2),
    }
