"""What is asked of the generator, and what it answers. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from memos.errors import InvalidInput

Finish = Literal["stop", "length"]
_LONGEST_STOP = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How an answer is chosen and where it ends.

    `temperature` 0 takes the likeliest token each time. Above 0 a token is drawn: of the `top_k`
    likeliest (0: of all), and of those the fewest whose probability reaches `top_p`. With the same
    `seed` the same prompt has the same answer, whatever other requests run beside it; None draws a
    seed. `stop` are texts before which the answer ends.

    InvalidInput for values out of their range.
    """

    max_new_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _within("max_new_tokens", self.max_new_tokens, 1, 1 << 20)
        _within("temperature", self.temperature, 0, 100)
        _within("top_k", self.top_k, 0, 1 << 20)
        _within("top_p", self.top_p, 0, 1)
        if self.top_p == 0:
            raise InvalidInput(
                "top_p is 0, which leaves no token; use temperature 0", field="top_p"
            )
        for text in self.stop:
            if not 0 < len(text) <= _LONGEST_STOP:
                raise InvalidInput(
                    f"a stop string of {len(text)} characters; use 1 to {_LONGEST_STOP}",
                    field="stop",
                )


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:  # also refuses NaN
        raise InvalidInput(f"{name} is {value}; use {low} to {high}", field=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One answer.

    `tokens` are its ids, with the one that ended it. `cached_tokens` of the prompt's
    `prompt_tokens` were loaded and not computed; `shared_tokens` were computed once for several
    requests; `computed_tokens` were run on account of this one: what several share is on the first
    one's. `finish`: "stop" at the end of the answer or a stop string, "length" at
    max_new_tokens. `ttft_s` is from the request to the first token, `total_s` to the last.
    """

    text: str
    tokens: tuple[int, ...]
    prompt_tokens: int
    cached_tokens: int
    shared_tokens: int
    computed_tokens: int
    finish: Finish
    ttft_s: float
    total_s: float
