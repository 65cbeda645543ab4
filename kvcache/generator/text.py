"""Tokens of an answer to pieces of text, as they come: whole characters only, up to a stop string.

It does not run the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_HALF = "\ufffd"
"""What a decoder shows for bytes that are no whole character (yet)."""
_LONGEST_CHARACTER = 8
"""Tokens. A character takes at most 4 bytes, each at least one token; with room to spare."""


class TextStream:
    """One answer's text. `stopped` is set once a stop string was found; it and what follows it
    are not part of the text."""

    def __init__(self, tokenizer: Any, stop: Sequence[str] = ()) -> None:
        self._tokenizer = tokenizer
        self._stop = stop
        self._tokens: list[int] = []
        self._anchor = 0  # from where tokens are decoded together, for the spaces between them
        self._read = 0  # tokens whose text was taken
        self._held = ""  # text that may be the beginning of a stop string
        self.text = ""
        self.stopped = False

    def add(self, token: int) -> str:
        """The text that is certain now; may be empty."""
        self._tokens.append(token)
        return self._release(self._fresh(final=False), final=False)

    def finish(self) -> str:
        """The rest of the text, with half characters as the decoder shows them."""
        return "" if self.stopped else self._release(self._fresh(final=True), final=True)

    def _fresh(self, *, final: bool) -> str:
        """Text of the tokens that were not read, once their characters are whole."""
        before = self._decode(self._tokens[self._anchor : self._read])
        after = self._decode(self._tokens[self._anchor :])
        waiting = len(self._tokens) - self._read
        if after.endswith(_HALF) and not final and waiting < _LONGEST_CHARACTER:
            return ""
        self._anchor, self._read = self._read, len(self._tokens)
        return after[len(before) :]

    def _decode(self, tokens: Sequence[int]) -> str:
        return str(
            self._tokenizer.decode(
                tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )

    def _release(self, fresh: str, *, final: bool) -> str:
        if self.stopped:
            return ""
        self._held += fresh
        at = min((i for i in map(self._held.find, self._stop) if i >= 0), default=None)
        if at is not None:
            self.stopped = True
            piece, self._held = self._held[:at], ""
        else:
            keep = 0 if final else self._possible()
            cut = len(self._held) - keep
            piece, self._held = self._held[:cut], self._held[cut:]
        self.text += piece
        return piece

    def _possible(self) -> int:
        """Length of the longest end of the held text that begins a stop string."""
        longest = 0
        for stop in self._stop:
            for size in range(min(len(stop) - 1, len(self._held)), longest, -1):
                if self._held.endswith(stop[:size]):
                    longest = size
                    break
        return longest
