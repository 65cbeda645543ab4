"""Whether a reload changes anything on a device: bits against the same split, tokens in float32."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import torch

from memos.benchmarks.activation.cuda_ttft import opened
from memos.benchmarks.activation.models import model_of, passages, random_tokens
from memos.benchmarks.kv_cuda import SMALL, folder_of
from memos.kvcache.generator.model import LocalModel
from memos.kvcache.generator.rows import Prefix
from memos.kvcache.generator.running import Running, running
from memos.kvcache.reuse.prefix import PrefixReuse
from memos.kvcache.store.store import BlockStore

_STORED = 512
_ANSWER = 32


def run(
    model: LocalModel, options: argparse.Namespace
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Logits after a reload from each tier and after the same states unsaved; for a small model
    greedy answers in float32 too. One raw row per comparison."""
    found: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    bits, error = _bits(model, options)
    found["difference_to_full_prefill"] = error
    for kind, same in bits.items():
        rows.append({"name": f"same bits, {kind}", "same": same})
        found[kind] = same
    if model.parameters < 1e9:
        exact = model if options.dtype == "float32" else _in_float32(options)
        equal = _greedy(exact, options)
        rows += [{"name": "greedy float32", "prompt": at, "same": e} for at, e in enumerate(equal)]
        found |= {"prompts": len(equal), "equal_answers": sum(equal), "answer_tokens": _ANSWER}
    return found, rows


def _bits(model: LocalModel, options: argparse.Namespace) -> tuple[dict[str, bool], float]:
    """By tier; and how far the logits of a split prefill are from those of a whole one, relative
    to their length, which is rounding."""
    tokens = random_tokens(model, _STORED + options.new, seed=options.seed)
    rows = running(model, 1)
    rows.advance([tokens[:_STORED]])
    states = rows.states(0, 0, _STORED)
    unsaved = running(model, 1, [Prefix(states, 0, _STORED, 0, 1)]).advance([tokens[_STORED:]])
    whole = PrefixReuse(model).begin([tokens]).logits
    found = {}
    with folder_of(options) as folder:
        with BlockStore(folder / "kv", budget_bytes=1 << 40) as store:
            root = PrefixReuse(model).root
            store.put(root, tokens[:_STORED], 0, states, layout=model.layout)
        for kind in ("disk", "ram", "device"):
            with opened(model, folder / "kv", kind) as (reuse, settle):
                same = []
                for _ in range(3):
                    begun = reuse.begin([tokens])
                    same.append(begun.cached == (_STORED,) and torch.equal(begun.logits, unsaved))
                    settle()
                found[kind] = all(same)
    return found, round(float((unsaved - whole).norm() / whole.norm()), 5)


def _in_float32(options: argparse.Namespace) -> LocalModel:
    return model_of(options, dtype="float32")


def _greedy(model: LocalModel, options: argparse.Namespace) -> list[bool]:
    if options.shape and options.shape != SMALL:
        texts = [
            random_tokens(model, 256 + options.new, seed=options.seed + at)
            for at in range(options.prompts)
        ]
    else:
        texts = passages(model, options.prompts, tokens=256 + options.new, seed=options.seed)
    plain = PrefixReuse(model)
    equal = []
    with folder_of(options) as folder:
        with BlockStore(folder / "kv", budget_bytes=1 << 40) as store:
            writer = PrefixReuse(model, store)
            for tokens in texts:
                writer.compile(tokens[:256])
        with opened(model, folder / "kv", "device") as (reuse, _):
            for tokens in texts:
                begun = reuse.begin([tokens], room=_ANSWER)
                assert begun.cached[0] >= 256, "what was stored is not found"
                whole = plain.begin([tokens], room=_ANSWER)
                equal.append(
                    _answer(begun.running, begun.logits) == _answer(whole.running, whole.logits)
                )
    return equal


def _answer(rows: Running, logits: torch.Tensor) -> Sequence[int]:
    answer = [int(logits.argmax())]
    while len(answer) < _ANSWER:
        answer.append(int(rows.advance([[answer[-1]]]).argmax()))
    return answer
