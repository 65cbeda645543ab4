"""What a prompt begins with: the text of an activation memory as messages and as tokens.

Knows the model's tokenizer and chat template, and nothing of states.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from memos.errors import InvalidInput
from memos.kvcache.generator.generator import Prompt
from memos.kvcache.generator.model import LocalModel

Messages = Sequence[Mapping[str, str]]


def prompt_of(model: LocalModel, text: str, messages: Messages) -> Prompt:
    """What the model is asked: the opening `text` as system message before the others, or what
    comes nearest to that for a model without one, or without a chat template."""
    if not model.tokenizer.chat_template:
        parts = [text, *(message["content"] for message in messages)]
        return "\n\n".join(part for part in parts if part) + "\n"
    if not text:
        return messages
    first, rest = messages[0], list(messages[1:])
    if first["role"] == "system":
        return [{"role": "system", "content": f"{text}\n\n{first['content']}"}, *rest]
    if _takes_system(model):
        return [{"role": "system", "content": text}, first, *rest]
    return [{**first, "content": f"{text}\n\n{first['content']}"}, *rest]


def opening_tokens(model: LocalModel, text: str) -> list[int]:
    """The tokens with which every prompt begins that has this opening, whatever is asked: those
    that two prompts with nothing else in common share."""
    one, other = (
        prompt_tokens(model, text, [{"role": "user", "content": content}])
        for content in ("x", "1 ?")
    )
    shared = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        shared += 1
    if not shared:
        raise InvalidInput("the text has no tokens of its own; give a longer one", field="text")
    return one[:shared]


def prompt_tokens(model: LocalModel, text: str, messages: Messages) -> list[int]:
    """The whole prompt as the model reads it."""
    prompt = prompt_of(model, text, messages)
    return model.tokens(prompt) if isinstance(prompt, str) else model.chat_tokens(prompt)


def guide_tokens(model: LocalModel, text: str, guide: str) -> list[int]:
    """What follows the opening where `guide` is what the user asks."""
    opening = opening_tokens(model, text)
    return prompt_tokens(model, text, [{"role": "user", "content": guide}])[len(opening) :]


def label_of(policy: str, guide: str | None) -> str:
    """The name that what a policy makes is stored under: other guides make other states."""
    if guide is None:
        return policy
    return f"{policy}#{hashlib.sha256(guide.encode()).hexdigest()[:16]}"


def _takes_system(model: LocalModel) -> bool:
    """Whether the chat template has a place for a system message; some refuse it."""
    try:
        model.chat([{"role": "system", "content": "s"}, {"role": "user", "content": "u"}])
    except InvalidInput:
        return False
    return True
