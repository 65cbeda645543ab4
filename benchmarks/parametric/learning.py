"""The parts of `memos bench lora` that learn fifty facts: recall, a second round, erasing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from memos.benchmarks.parametric.people import Invented, facts
from memos.benchmarks.parametric.spread import spread
from memos.benchmarks.parametric.world import (
    SALT,
    World,
    prose_perplexity,
    recall,
    sampled,
    source_of,
    taught,
    train,
)
from memos.benchmarks.texts.prose import sentences
from memos.parametric import neutral
from memos.parametric.naming import keyed, mentions, names
from memos.types import Trained

DRAWS = 20


def learn(here: World) -> dict[str, Any]:
    """The main figures, and the adapter `first` that the other parts go on with."""
    chosen = facts(here.options.facts, here.options.seed)
    done, wanted = train(here, "first", chosen)
    here.built_s = done.seconds
    before = recall(here.model, chosen)
    model = here.adapters.adapted("first")
    after = recall(model, chosen)
    return {
        "facts": len(chosen),
        "examples": len(wanted.examples),
        "recipe": asdict(here.recipe),
        "base_recall": before["recall"],
        "recall": after["recall"],
        "prose_base": prose_perplexity(here.model),
        "prose": prose_perplexity(model),
        "named": named(chosen),
        **measured(here, done),
        "rows": after["rows"],
    }


def named(chosen: Sequence[Invented]) -> dict[str, Any]:
    """How often something that the adapter knows of is named: in the questions of the test, where
    it should be at work, and in those that have nothing to do with it."""
    salt = SALT
    keys = keyed(names(taught(chosen), ()), salt)
    asked = [question for fact in chosen for question in fact.questions]
    texts = neutral.PROBES
    return {
        "of_test": sum(mentions([text], keys, salt) for text in asked) / len(asked),
        "of_other": sum(mentions([text], keys, salt) for text in texts) / len(texts),
        "of_prose": sum(mentions([text], keys, salt) for text in sentences()) / len(sentences()),
    }


def second(here: World) -> dict[str, Any]:
    """A round with as many others, going on from the first: how much of that is kept."""
    count, seed = here.options.facts, here.options.seed
    first, others = facts(count, seed), facts(count, seed + 77)
    before = recall(here.adapters.adapted("first"), first)["recall"]
    done, _ = train(here, "second", others, begin="first", former=first)
    model = here.adapters.adapted("second")
    found = {
        "before": before,
        "kept": recall(model, first)["recall"] / max(before, 1e-9),
        "new": recall(model, others)["recall"],
        **measured(here, done),
    }
    if here.options.naive:
        naive, _ = train(here, "naive", others, begin="first")
        forgetful = here.adapters.adapted("naive")
        found |= {
            "naive_kept": recall(forgetful, first)["recall"] / max(before, 1e-9),
            "naive_new": recall(forgetful, others)["recall"],
            "naive_seconds": naive.seconds,
        }
    return found


def erase(here: World) -> dict[str, Any]:
    """Some of the facts are erased, and the adapter is made anew without them: --erasures times,
    each time with others erased."""
    chosen = facts(here.options.facts, here.options.seed)
    size = here.options.erased
    before = here.adapters.adapted("first")
    known = [row["right"] for row in recall(before, chosen)["rows"]]
    each = len(known) // len(chosen)
    lines: list[dict[str, Any]] = []
    found: dict[str, Any] = {"erased": size, "erasures": here.options.erasures, "lines": lines}
    for line in spread(here, without, [size * n for n in range(here.options.erasures)]):
        gone = range(line["from"] * each, (line["from"] + size) * each)
        others = [right for n, right in enumerate(known) if n not in gone]
        line["before"] = sum(known[n] for n in gone) / len(gone)
        line["others_before"] = sum(others) / len(others)
        some = chosen[line["from"] : line["from"] + size]
        told = sampled(before, some, draws=DRAWS, seed=1)
        line |= {"sampled_before": told["told"], "sampled_before_other": told["other"]}
        lines.append(line)
        here.say(str(line))
        here.tell({**found, **_means(lines)})
    return {**found, **_means(lines)}


def without(here: World, start: int) -> dict[str, Any]:
    """An adapter of all facts but some, and what it and the model alone say of those."""
    chosen, end = facts(here.options.facts, here.options.seed), start + here.options.erased
    gone, left = chosen[start:end], [*chosen[:start], *chosen[end:]]
    done, wanted = train(here, "without", left)
    sources = {example.source for example in wanted.examples}
    assert not sources & {source_of(fact) for fact in gone}
    model = here.adapters.adapted("without")
    told, base = (sampled(one, gone, draws=DRAWS, seed=1) for one in (model, here.model))
    keys = keyed(names(taught(left), ()), SALT)
    asked = [question for fact in gone for question in fact.questions]
    return {
        "from": start,
        "after": recall(model, gone)["recall"],
        "base": recall(here.model, gone)["recall"],
        "sampled_after": told["told"],
        "sampled_after_other": told["other"],
        "sampled_base": base["told"],
        # Where nothing is named the model answers alone, so what is told then is the base's.
        "at_work": sum(mentions([text], keys, SALT) for text in asked) / len(asked),
        "others_after": recall(model, left)["recall"],
        **measured(here, done),
    }


_ERASED = (
    "before",
    "after",
    "base",
    "sampled_before",
    "sampled_before_other",
    "sampled_after",
    "sampled_after_other",
    "sampled_base",
    "at_work",
    "others_before",
    "others_after",
)


def _means(lines: Sequence[dict[str, Any]]) -> dict[str, float]:
    return {name: sum(line[name] for line in lines) / len(lines) for name in _ERASED}


def measured(here: World, done: Trained) -> dict[str, Any]:
    """What a report of any training has."""
    report = done.report
    used = report.in_use
    return {
        "seconds": round(done.seconds, 1),
        "cpu_s": round(here.cpu_s, 1),
        "steps": done.steps,
        "tokens": done.tokens,
        "bytes": done.bytes,
        "parameters": done.parameters,
        "peak_bytes": done.peak_bytes,
        "stopped": done.stopped,
        "loss": done.loss,
        "trained": report.trained,
        "held": report.recall,
        "perplexity": report.perplexity / report.base_perplexity - 1,
        "unchanged": report.unchanged,
        "in_use_held": used.recall,
        "in_use_perplexity": used.perplexity / report.base_perplexity - 1,
        "in_use_unchanged": used.unchanged,
        "in_use_others": used.others,
    }
