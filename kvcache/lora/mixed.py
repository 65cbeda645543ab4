"""Requests of several adapters in one batch.

Every row is computed with the adapter of its own request, and the base once for all. Prompts are
read whole: stored states are of one adapter each, so there is nothing that such rows could share.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from memos.errors import InvalidInput, ModelUnsupported
from memos.kvcache.generator.generator import Answer, Prompt, chosen, generation_of
from memos.kvcache.generator.model import LocalModel
from memos.kvcache.generator.request import Generation, Options
from memos.kvcache.generator.running import Together
from memos.kvcache.lora.weights import Weights


def generate_mixed(
    model: LocalModel,
    prompts: Sequence[Prompt],
    adapters: Sequence[Weights | None],
    options: Options | None = None,
) -> list[Generation]:
    """The answers in the order of the prompts, each as it would be alone up to rounding.

    InvalidInput for a prompt that can't be run; ModelUnsupported if the model's layers can't run
    several rows at once; AdapterMismatch.
    """
    if len(adapters) != len(prompts):
        raise InvalidInput(
            f"{len(adapters)} adapters for {len(prompts)} prompts; give one for each"
        )
    if not model.has_rows:
        raise ModelUnsupported(f"model {model.id!r} can't run several requests in one batch")
    wanted = options or Options()
    tokens = [
        model.tokens(prompt) if isinstance(prompt, str) else model.chat_tokens(prompt)
        for prompt in prompts
    ]
    answers = [Answer(n, prompt, wanted, model) for n, prompt in enumerate(tokens)]
    for answer in answers:
        model.check(answer.prompt)
    return _run(model, answers, list(adapters))


def _run(
    model: LocalModel, answers: list[Answer], adapters: list[Weights | None]
) -> list[Generation]:
    began = time.perf_counter()
    rows = Together(model.mixed(adapters), len(answers), room=64)
    logits = rows.advance([answer.prompt for answer in answers])
    first = time.perf_counter() - began
    live, found = list(answers), {}
    while live:
        left = []
        tokens = chosen(logits, [answer.sampler for answer in live])
        for place, (token, answer) in enumerate(zip(tokens, live, strict=True)):
            answer.take(token)
            if answer.finish is None:
                left.append(place)
            else:
                now = time.perf_counter() - began
                counts = (0, 0, len(answer.prompt))
                found[answer.index] = generation_of(answer, counts, first, now)
        if left and len(left) < len(live):
            rows.keep(left)
            adapters = [adapters[place] for place in left]
            rows.use(model.mixed(adapters))
        live = [live[place] for place in left]
        if live:
            logits = rows.advance([[answer.tokens[-1]] for answer in live])
    return [found[number] for number in range(len(answers))]
