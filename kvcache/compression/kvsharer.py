"""KVSharer: Yang et al. 2024, https://arxiv.org/abs/2410.18517."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memos.errors import ModelUnsupported
from memos.kvcache.attention.continuation import Continuation
from memos.kvcache.attention.hooks import of_this_thread
from memos.kvcache.attention.modules import decoder, windows
from memos.kvcache.attention.rows import Held, Rows
from memos.kvcache.compression.base import Policy
from memos.kvcache.compression.selection import kept
from memos.kvcache.quality.harness import full

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class KVSharer(Policy):
    """Layers use the rows of an earlier layer that are least like their own.

    Pairs of layers are tried from the greatest distance on (Euclidean, of keys and values, the mean
    over rows); the later one of a pair gives its rows up if the model's last hidden states keep a
    cosine above `threshold` to those without any sharing. It stops at a share of `ratio` of the
    layers, or when no pair is left. The paper calibrates once on other texts; `calibration` are
    the tokens at the text's begin that stand for these.
    """

    name = "kvsharer"

    threshold: float = 0.5
    calibration: int = 64

    def compress(
        self,
        model: Any,
        tokens: Sequence[int],
        *,
        ratio: float,
        prompt: Sequence[int] = (),
        text: Held | None = None,
    ) -> Held:
        import torch

        self.check(tokens, ratio, prompt, text)
        if any(window is not None and window <= len(tokens) for window in windows(model)):
            raise ModelUnsupported(
                "layers with a window hold other rows than layers without: they "
                "can't share; use another policy for this model"
            )
        with torch.inference_mode():
            text = full(model, tokens) if text is None else text
            if not ratio:
                return text
            sample = tokens[: self.calibration]
            wanted = len(text.layers) - kept(len(text.layers), ratio)
            shared = self._shared(model, full(model, sample), sample, wanted)
            run = Continuation(model, _empty(text, shared))
            run.feed(tokens)
            layers = [
                _rows(text.layers[index], *run.rows_of(index), source=shared.get(index))
                for index in range(len(text.layers))
            ]
        return Held(tuple(layers), text.length, self.name, ratio, self.parameters)

    def _shared(self, model: Any, text: Held, tokens: Sequence[int], wanted: int) -> dict[int, int]:
        """From a layer that shares to the one whose rows it uses, at most `wanted`."""
        expected = _last_hidden(model, text, {}, tokens)
        shared: dict[int, int] = {}
        for later, earlier in _pairs(text):
            if len(shared) == wanted:
                break
            if later in shared:
                continue
            trial = _resolved({**shared, later: earlier})
            if _cosine(expected, _last_hidden(model, text, trial, tokens)) > self.threshold:
                shared = trial
        return shared


def _pairs(text: Held) -> list[tuple[int, int]]:
    """(later, earlier) layers, the least alike first."""
    import torch

    keys, values = (
        torch.stack([part.flatten() for part in parts]).float()
        for parts in ([r.keys for r in text.layers], [r.values for r in text.layers])
    )
    distance = torch.cdist(keys, keys) + torch.cdist(values, values)
    count = len(text.layers)
    pairs = [(later, earlier) for later in range(count) for earlier in range(later)]
    return sorted(pairs, key=lambda pair: -float(distance[pair]))


def _resolved(shared: dict[int, int]) -> dict[int, int]:
    """Sharing from a layer that itself shares is sharing from that one's source."""
    found: dict[int, int] = {}
    for later in sorted(shared):
        found[later] = found.get(shared[later], shared[later])
    return found


def _last_hidden(
    model: Any, text: Held, shared: dict[int, int], tokens: Sequence[int]
) -> torch.Tensor:
    found: list[torch.Tensor] = []
    with _watched(decoder(model).norm, found):
        Continuation(model, _empty(text, shared)).feed(tokens)
    return found[0].float().flatten()


@contextmanager
def _watched(module: Any, found: list[torch.Tensor]) -> Iterator[None]:
    hook = module.register_forward_hook(
        of_this_thread(lambda _module, _args, output: found.append(output))
    )
    try:
        yield
    finally:
        hook.remove()


def _cosine(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one @ other) / (one.norm() * other.norm()))


def _empty(text: Held, shared: dict[int, int]) -> Held:
    """No rows at all, and who will use whose."""
    layers = [
        _rows(rows, rows.keys[:, :0], rows.values[:, :0], source=shared.get(index))
        for index, rows in enumerate(text.layers)
    ]
    return Held(tuple(layers), 0)


def _rows(like: Rows, keys: torch.Tensor, values: torch.Tensor, *, source: int | None) -> Rows:
    """These rows from position 0 on; none if they are another layer's."""
    count = 0 if source is not None else keys.shape[1]
    return Rows(keys[:, :count], values[:, :count], like.positions[:, :count], source=source)
