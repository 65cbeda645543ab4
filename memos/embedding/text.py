"""The check that what is to be embedded is Unicode text. It does not know any tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from memos.errors import InvalidInput

T = TypeVar("T")


def encode(encoder: Callable[[list[str]], T], texts: Sequence[str]) -> T:
    """`encoder` of the texts; InvalidInput names the first that is no Unicode text.

    The texts are looked at only when the encoder fails: tokenizers refuse both kinds of bad input.
    """
    if isinstance(texts, str):
        raise InvalidInput("got one text where a list of texts is needed; put it in a list")
    try:
        return encoder(list(texts))
    except (AttributeError, TypeError, ValueError) as error:  # UnicodeError is a ValueError
        for index, text in enumerate(texts):
            why = _why_not_text(text)
            if why:
                raise InvalidInput(f"text {index} can't be embedded: {why}", index=index) from error
        raise


def _why_not_text(text: object) -> str:
    if not isinstance(text, str):
        return f"it is {type(text).__name__}, not str"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return (
            f"it has a lone surrogate at {error.start}; decode bytes as UTF-8 with errors='replace'"
        )
    return ""
