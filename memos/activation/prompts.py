"""What the local model may be asked: messages with roles it knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from memos.errors import InvalidInput
from memos.validation import check_text


def check_messages(messages: Sequence[Mapping[str, str]]) -> None:
    """InvalidInput for none, an empty one, or one that is no {role, content}."""
    if not messages:
        raise InvalidInput("there is no message; ask something", field="prompt")
    for message in messages:
        for name in ("role", "content"):
            if not isinstance(message.get(name), str):
                raise InvalidInput(
                    f"a message has no text as its {name}; give role and content", field="prompt"
                )
        check_text("prompt", message["content"])
        if message["role"] not in ("system", "user", "assistant"):
            raise InvalidInput(
                f"a message has the role {message['role']!r}; use system, user or assistant",
                field="prompt",
            )
    if not any(message["content"].strip() for message in messages):
        raise InvalidInput("the prompt is empty; ask something", field="prompt")
