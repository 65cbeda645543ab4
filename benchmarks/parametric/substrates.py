"""The part of `memos bench lora` that compares: the same facts learnt, read, and reloaded.

Learnt: an adapter, nothing in the prompt. Read: the five sentences that share most words with the
question, in the prompt. Reloaded: all sentences compiled once, their states loaded for each
question. The model, the questions and the judging are the same.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from memos.activation.opening import HEADING
from memos.benchmarks import report
from memos.benchmarks.parametric.people import Invented, facts
from memos.benchmarks.parametric.world import World, exactly
from memos.kvcache.generator.generator import LocalGenerator
from memos.kvcache.generator.model import LocalModel
from memos.kvcache.generator.request import Generation, Options
from memos.kvcache.openings import opening_tokens, prompt_of
from memos.kvcache.reuse.prefix import PrefixReuse
from memos.kvcache.store.store import BlockStore
from memos.kvcache.tiers.ram import RamTier
from memos.kvcache.tiers.tiers import Tiers
from memos.parametric.phrasing import phrasing

FOUND = 5
ASKED = 24
"""Questions, of as many facts; all facts are learnt, read and reloaded."""
_WORD = re.compile(r"\w+")


def substrates(here: World) -> dict[str, Any]:
    """One line for each way; times of the first token in ms."""
    chosen = facts(here.options.facts, here.options.seed)
    some = chosen[:: -(-len(chosen) // ASKED)]
    asked = [(fact, fact.questions[0]) for fact in some]
    sentences = [sentence(fact) for fact in chosen]
    learnt = here.adapters.adapted("first")
    options = Options(max_new_tokens=24)

    def plain(model: LocalModel, text: Callable[[str], str]) -> Callable[[str], Generation]:
        generator = LocalGenerator(PrefixReuse(model, None, salt=b""))

        def ask(question: str) -> Generation:
            told = [{"role": "user", "content": question}]
            return generator.generate(prompt_of(model, text(question), told), options)

        return ask

    nothing = plain(here.model, lambda _: "")
    lines = [
        {"way": "the model alone", **_asked(nothing, asked), "bytes": 0, "build_s": 0.0},
        {
            "way": "adapter",
            **_asked(plain(learnt, lambda _: ""), asked),
            "bytes": _size(here, "first"),
            "build_s": here.built_s,
        },
        {
            "way": f"{FOUND} sentences in the prompt",
            **_asked(plain(here.model, lambda q: opening(found(sentences, q))), asked),
            "bytes": sum(len(text.encode()) for text in sentences),
            "build_s": 0.0,
        },
    ]
    lines.append(_reloaded(here, sentences, asked, options))
    return {"questions": len(asked), "lines": lines}


def sentence(fact: Invented) -> str:
    form = phrasing(fact.predicate).statements[0]
    return f"{form.format(s=fact.subject, o=fact.object)}."


def opening(sentences: Sequence[str]) -> str:
    return "\n".join([HEADING, *(f"- {text}" for text in sentences)])


def found(sentences: Sequence[str], question: str) -> list[str]:
    """Those with most of the question's words, rarer words counting more."""
    seen = Counter(word for text in sentences for word in set(_WORD.findall(text.lower())))
    wanted = set(_WORD.findall(question.lower()))

    def score(text: str) -> float:
        return sum(1 / seen[word] for word in wanted & set(_WORD.findall(text.lower())))

    return sorted(sentences, key=score, reverse=True)[:FOUND]


def _reloaded(
    here: World,
    sentences: Sequence[str],
    asked: Sequence[tuple[Invented, str]],
    options: Options,
) -> dict[str, Any]:
    text = opening(sentences)
    with tempfile.TemporaryDirectory() as folder:
        store = BlockStore(Path(folder), budget_bytes=4 << 30)
        tiers = Tiers(store, ram=RamTier(budget_bytes=2 << 30))
        reuse = PrefixReuse(here.model, tiers, salt=b"benchmark")
        began = time.perf_counter()
        reuse.compile(opening_tokens(here.model, text), sources=[])
        built = time.perf_counter() - began
        generator = LocalGenerator(reuse)

        def ask(question: str) -> Generation:
            told = [{"role": "user", "content": question}]
            return generator.generate(prompt_of(here.model, text, told), options)

        line = {
            "way": "all sentences as stored states",
            **_asked(ask, asked),
            "bytes": store.stats().bytes,
            "build_s": built,
        }
        tiers.close()
        store.close()
    return line


def _asked(
    ask: Callable[[str], Generation], asked: Sequence[tuple[Invented, str]]
) -> dict[str, Any]:
    ask(asked[0][1])  # warm
    done = [(fact, ask(question)) for fact, question in asked]
    return {
        "recall": sum(exactly(answer.text, fact) for fact, answer in done) / len(done),
        "prompt_tokens": sum(answer.prompt_tokens for _, answer in done) / len(done),
        "computed_tokens": sum(a.prompt_tokens - a.cached_tokens for _, a in done) / len(done),
        "ttft_ms": report.percentiles([answer.ttft_s * 1000 for _, answer in done])["p50"],
    }


def _size(here: World, name: str) -> int:
    from memos.kvcache.lora.weights import dumps

    return len(dumps(here.adapters.weights(name)))
