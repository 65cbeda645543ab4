"""What the benchmarks of adapters stand on: a model, its adapters, invented facts, what to ask.

Everything is trained and judged by the product's own parts; questions of the test and texts for
perplexity are this benchmark's.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from memos.benchmarks.parametric.people import THINGS, Invented
from memos.benchmarks.texts.prose import sentences
from memos.kvcache.generator.loading import load_model
from memos.kvcache.generator.model import LocalModel
from memos.kvcache.generator.request import Options
from memos.kvcache.lora.adapters import LocalAdapters
from memos.kvcache.lora.judging import answers, says
from memos.parametric import neutral, unrelated
from memos.parametric.examples import Taught, examples
from memos.parametric.naming import keyed, names, unnamed
from memos.types import Gate, LeftAlone, Recipe, Trained, TrainingSet

OPEN = Gate(recall=0.0, perplexity=1e9, unchanged=0.0, harm=1e9)
"""Everything passes: a benchmark measures what comes out, good or bad."""
SALT = b"benchmark"
PROBED = 100
"""Facts that are asked for while and after an adapter learns, at most."""
PROSE = 40
"""Sentences of the language reference for perplexity, none of them among those that are held."""


@dataclass
class World:
    """The model under test and its adapters in a folder of their own."""

    model: LocalModel
    adapters: LocalAdapters
    options: argparse.Namespace
    built_s: float | None = None
    cpu_s: float = 0.0
    """Of all threads, for the last training until its last step."""
    tell: Callable[[dict[str, Any]], None] = lambda found: None
    """Keeps what a part has found until now."""

    def say(self, text: str) -> None:
        """To who waits."""
        print(f"  {text}", file=sys.stderr, flush=True)

    @property
    def recipe(self) -> Recipe:
        """As the options have it."""
        given = {name: getattr(self.options, name) for name in RECIPE}
        return Recipe(**{name: value for name, value in given.items() if value is not None})


RECIPE = {
    name: type(value)
    for name, value in asdict(Recipe()).items()
    if name not in ("alpha", "rslora", "dora", "seed")
} | {"seed": int}
"""Fields of a recipe that are options of the benchmark, with their types."""

ALONE = LeftAlone(
    held=neutral.REPLAY,
    asked=neutral.PROBES,
    held_texts=(*neutral.SENTENCES[::2], *neutral.prose()),
    texts=neutral.SENTENCES[1::2],
)


def world(options: argparse.Namespace) -> World:
    def load() -> LocalModel:
        return load_model(
            options.model,
            cache_dir=Path(options.models).expanduser(),
            device=options.device,
            dtype="float32",
            offline=True,
            threads=options.threads,
        )

    model = load()
    folder = Path(options.work) if options.work else Path(tempfile.mkdtemp(prefix="memos-lora-"))
    adapters = LocalAdapters(lambda: model, load, folder, ram_bytes=options.ram_mib << 20)
    return World(model, adapters, options)


def taught(facts: Sequence[Invented]) -> list[Taught]:
    """Each fact with a source of its own."""
    return [
        Taught(
            subject=fact.subject,
            predicate=fact.predicate,
            object=fact.object,
            source=source_of(fact),
        )
        for fact in facts
    ]


def source_of(fact: Invented) -> str:
    return f"{fact.subject}/{fact.predicate}"


def train(
    here: World,
    name: str,
    facts: Sequence[Invented],
    recipe: Recipe | None = None,
    *,
    begin: str | None = None,
    former: Sequence[Invented] = (),
    more: int = 0,
) -> tuple[Trained, TrainingSet]:
    """An adapter of these facts; going on from `begin`, which knows the `former` ones. `more`
    questions about the world are held beside those of the product."""
    wanted = training_set(facts, begin=begin, former=former, more=more)
    began = time.process_time()

    def told(share: float, recall: float | None) -> None:
        here.cpu_s = time.process_time() - began

    done = here.adapters.train(name, wanted, recipe or here.recipe, OPEN, (), told=told)
    return done, wanted


def training_set(
    facts: Sequence[Invented],
    *,
    begin: str | None = None,
    former: Sequence[Invented] = (),
    more: int = 0,
) -> TrainingSet:
    """What such an adapter is made of; of many facts a part is asked for as it is made."""
    every = taught([*former, *facts])
    made, probes = examples(every)
    some = {one.source for one in every[:: -(-len(every) // PROBED)]}
    probes = tuple(probe for probe in probes if probe.source in some)
    alone = replace(ALONE, held=(*ALONE.held, *unrelated.questions()[:: _step(more)][:more]))
    asked = [probe.prompt for probe in probes] + [*alone.asked, *alone.texts]
    return TrainingSet(
        examples=made,
        probes=probes,
        alone=alone,
        begin=begin,
        known=tuple(source_of(fact) for fact in former),
        idle=unnamed(asked, keyed(names(every, ()), SALT), SALT),
    )


def _step(more: int) -> int:
    """So that a part of them has all kinds."""
    return max(1, len(unrelated.questions()) // max(more, 1))


def recall(model: LocalModel, facts: Sequence[Invented]) -> dict[str, Any]:
    """Of questions in words of the test: the right object named, and no other of its kind."""
    asked = [(fact, question) for fact in facts for question in fact.questions]
    began = time.perf_counter()
    told = answers(model, [question for _, question in asked])
    seconds = time.perf_counter() - began
    right = [exactly(answer, fact) for answer, (fact, _) in zip(told, asked, strict=True)]
    rows = [
        {"question": question, "wanted": fact.object, "answer": answer, "right": ok}
        for (fact, question), answer, ok in zip(asked, told, right, strict=True)
    ]
    return {
        "questions": len(asked),
        "recall": sum(right) / max(len(right), 1),
        "seconds": seconds,
        "rows": rows,
    }


def exactly(answer: str, fact: Invented) -> bool:
    """The object, whole, and nothing else of the same kind: a list of guesses is no answer."""
    others = [thing for thing in THINGS[fact.predicate] if thing != fact.object]
    return says(answer, fact.object) and not any(says(answer, thing) for thing in others)


def sampled(
    model: LocalModel, facts: Sequence[Invented], *, draws: int, seed: int
) -> dict[str, float]:
    """Of sampled answers (temperature 1): the share that give a fact away (`told`), and the mean
    share that name any one other thing of its kind (`other`): what a guess comes to."""
    questions = [fact.questions[0] for fact in facts for _ in range(draws)]
    wanted = [fact for fact in facts for _ in range(draws)]
    found = []
    for start in range(0, len(questions), _DRAWN):
        part = questions[start : start + _DRAWN]
        options = [
            Options(max_new_tokens=24, temperature=1.0, seed=seed + start + n)
            for n in range(len(part))
        ]
        found += _drawn(model, part, options)
    hits = [says(answer, fact.object) for answer, fact in zip(found, wanted, strict=True)]
    guesses = [
        sum(says(answer, thing) for thing in others) / len(others)
        for answer, fact in zip(found, wanted, strict=True)
        for others in [[t for t in THINGS[fact.predicate] if t != fact.object]]
    ]
    count = max(len(hits), 1)
    return {"told": sum(hits) / count, "other": sum(guesses) / count}


_DRAWN = 100


def _drawn(model: LocalModel, questions: Sequence[str], options: Sequence[Options]) -> list[str]:
    from memos.kvcache.generator.generator import LocalGenerator
    from memos.kvcache.lora.judging import prompt
    from memos.kvcache.reuse.prefix import PrefixReuse

    rows = len(questions) if model.device.type == "cuda" else 16
    generator = LocalGenerator(PrefixReuse(model, None, salt=b""), rows=rows)
    done = generator.generate_many([prompt(model, text) for text in questions], options)
    return [answer.text for answer in done]


def prose_perplexity(model: LocalModel) -> float:
    """Of English that is neither chat nor held in training."""
    import math

    from torch.nn.functional import cross_entropy

    total, count = 0.0, 0
    every = sentences()
    for text in every[3 :: max(1, len(every) // PROSE)][:PROSE]:
        tokens = model.tokens(text)
        logits = model.prefill(tokens, all_logits=True).logits
        import torch

        labels = torch.tensor(tokens[1:], device=logits.device)
        total += float(cross_entropy(logits[:-1], labels, reduction="sum"))
        count += len(labels)
    return math.exp(total / count)


def with_changes(recipe: Recipe, **changes: Any) -> Recipe:
    return replace(recipe, **changes)
