"""The mechanics that all policies share; a policy adds a formula.

A text is run once, with hooks that show each full-attention layer to the policy. The policy scores
the rows of each kv head; the best of each are kept, at their original positions. Layers with a
sliding window that is shorter than the text hold little anyway: they keep their window, whole.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from memos.errors import InvalidInput
from memos.kvcache.attention.continuation import Continuation
from memos.kvcache.attention.hooks import of_this_thread
from memos.kvcache.attention.modules import attentions, windows
from memos.kvcache.attention.rows import Held, Parameter, Rows, plain
from memos.kvcache.compression.selection import LayerScore, Selected, best, kept, taken, top
from memos.kvcache.compression.view import LayerView

if TYPE_CHECKING:
    import torch


class Policy(ABC):
    """Makes a Held of part of a text's rows. Its numbers are the fields of its dataclass."""

    name: ClassVar[str]
    guided: ClassVar[bool] = False
    """Whether it makes use of a prompt that is known when the text is compressed."""

    @abstractmethod
    def compress(
        self,
        model: Any,
        tokens: Sequence[int],
        *,
        ratio: float,
        prompt: Sequence[int] = (),
        text: Held | None = None,
    ) -> Held:
        """What is left of `tokens` when a share of `ratio` is removed; 0 is the cache itself.

        `text` is what is held of all tokens, every row, if that is at hand: policies that need no
        queries of the text's own don't run it again then. A text so short that no row would go is
        held whole. `prompt` are tokens that will follow; they guide, and are not held.

        InvalidInput for a ratio outside [0, 1), no tokens, a `text` of other length, or a prompt
        for a policy that would ignore it.
        """

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        own = getattr(type(self), "__dataclass_fields__", {})
        return {name: getattr(self, name) for name in own}

    def check(
        self, tokens: Sequence[int], ratio: float, prompt: Sequence[int], text: Held | None
    ) -> None:
        if not 0 <= ratio < 1:
            raise InvalidInput(f"ratio {ratio} is not in [0, 1): it is the share that is removed")
        if not tokens:
            raise InvalidInput("no tokens to compress: give the text's")
        if text is not None and any(rows.count != len(tokens) for rows in text.layers):
            raise InvalidInput(
                f"what is held of the text is not of {len(tokens)} rows in each layer"
            )
        if prompt and not self.guided:
            raise InvalidInput(f"{self.name} is guided by no prompt: give none, or another policy")


class Scored(Policy):
    """A policy that scores rows. Only `score` must be given."""

    from_rows: ClassVar[bool] = False
    """Whether keys and values are all that `score` looks at."""

    @abstractmethod
    def score(self, view: LayerView) -> torch.Tensor:
        """(kv_heads, n) float32; the higher, the sooner a row is kept."""

    def preference(self, view: LayerView) -> float:
        """How much of the budget a layer should have, by any unit, for `budgets`."""
        return 1.0

    def probes(
        self,
        model: Any,
        tokens: Sequence[int],
        prompt: Sequence[int],
        ratio: float,
        text: Held | None,
    ) -> list[list[int]]:
        """Token sequences that are run after the text, each alone, to observe it; the scores of a
        row are the highest that any gives. None: the text observes itself. `text` is as it was
        given to `compress`."""
        return [list(prompt)] if prompt else []

    def budgets(self, keep: int, rows: int, scores: Sequence[LayerScore]) -> list[int]:
        """Rows to keep in each scored layer, `keep` on average."""
        return [keep] * len(scores)

    def select(
        self, layer: LayerScore, keys: torch.Tensor, values: torch.Tensor, keep: int
    ) -> Selected:
        """The rows with the highest scores."""
        index = top(layer.scores, keep)
        return Selected(index, taken(keys, index), taken(values, index))

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
        removes = kept(len(tokens), ratio) < len(tokens)
        with torch.inference_mode():
            probes = self.probes(model, tokens, prompt, ratio, text) if removes else []
            scores: dict[int, LayerScore] = {}
            observe = removes and not probes
            if text is None or (observe and not self.from_rows):
                text, scores = self._run_text(model, tokens, observe=observe)
            elif observe:
                scores = self._score_rows(model, text)
            for probe in probes:
                scores = best(scores, self._run_probe(model, text, probe))
            text = _windowed(model, text)
            return self._held(text, scores, ratio) if removes else text

    def _score_rows(self, model: Any, text: Held) -> dict[int, LayerScore]:
        modules, scores = attentions(model), {}
        for index, rows in enumerate(text.layers):
            if _sees_all(model, index, text.length):
                view = LayerView(
                    model,
                    modules[index],
                    index,
                    hidden=None,
                    rotary=None,
                    keys=rows.keys,
                    values=rows.values,
                    length=text.length,
                )
                scores[index] = LayerScore(index, self.score(view), self.preference(view))
        return scores

    def _run_text(
        self, model: Any, tokens: Sequence[int], *, observe: bool
    ) -> tuple[Held, dict[int, LayerScore]]:
        import torch
        from transformers import DynamicCache

        cache: Any = DynamicCache()  # without the config, so that windows keep all rows for now
        ids = torch.tensor([list(tokens)], device=model.device)
        scores: dict[int, LayerScore] = {}

        def rows_of(index: int) -> tuple[torch.Tensor, torch.Tensor]:
            return cache.layers[index].keys[0], cache.layers[index].values[0]

        with self._observed(model, rows_of, len(tokens), scores if observe else None):
            model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        text = plain([rows_of(index) for index in range(len(cache.layers))])
        return text, scores

    def _run_probe(self, model: Any, text: Held, probe: Sequence[int]) -> dict[int, LayerScore]:
        scores: dict[int, LayerScore] = {}
        run = Continuation(model, text)
        with self._observed(model, run.rows_of, text.length, scores):
            run.feed(probe)
        return scores

    @contextmanager
    def _observed(
        self,
        model: Any,
        rows_of: Callable[[int], tuple[torch.Tensor, torch.Tensor]],
        length: int,
        scores: dict[int, LayerScore] | None,
    ) -> Iterator[None]:
        """While this is open, each full layer is shown to the policy right after it has run."""
        modules, hooks = attentions(model), []

        def hook_for(index: int) -> Callable[..., None]:
            def observe(module: Any, args: Any, kwargs: dict[str, Any], output: Any) -> None:
                hidden = kwargs["hidden_states"] if "hidden_states" in kwargs else args[0]
                cos, sin = kwargs["position_embeddings"]
                keys, values = rows_of(index)
                view = LayerView(
                    model,
                    module,
                    index,
                    hidden=hidden[0],
                    rotary=(cos[0], sin[0]),
                    keys=keys,
                    values=values,
                    length=length,
                )
                assert scores is not None
                scores[index] = LayerScore(index, self.score(view), self.preference(view))

            return observe

        try:
            if scores is not None:
                for index, module in enumerate(modules):
                    if _sees_all(model, index, length):
                        hook = of_this_thread(hook_for(index))
                        hooks.append(module.register_forward_hook(hook, with_kwargs=True))
            yield
        finally:
            for registered in hooks:
                registered.remove()

    def _held(self, text: Held, scores: dict[int, LayerScore], ratio: float) -> Held:
        keep = kept(text.length, ratio)
        ordered = [scores[index] for index in sorted(scores)]
        budgets = self.budgets(keep, text.length, ordered)
        layers = list(text.layers)
        for layer, budget in zip(ordered, budgets, strict=True):
            rows = layers[layer.index]
            chosen = self.select(layer, rows.keys, rows.values, budget)
            positions = rows.positions.gather(1, chosen.index)
            layers[layer.index] = Rows(
                chosen.keys,
                chosen.values,
                positions,
                bias=chosen.bias,
                channels=chosen.channels,
                key_dim=int(rows.keys.shape[2]),
            )
        return Held(tuple(layers), text.length, self.name, ratio, self.parameters)


def _sees_all(model: Any, index: int, length: int) -> bool:
    """Whether a layer's window, if it has one, is wider than the text: none of its rows is out of
    sight yet, and it is compressed as a full layer is."""
    window = windows(model)[index]
    return window is None or window > length


def _windowed(model: Any, text: Held) -> Held:
    """Layers with a window cut to what a cache keeps of them."""
    layers = []
    for rows, window in zip(text.layers, windows(model), strict=True):
        last = rows.count if window is None else window - 1
        if last >= rows.count:
            layers.append(rows)
            continue
        keys, values, at = (
            part[:, -last:].clone() for part in (rows.keys, rows.values, rows.positions)
        )
        layers.append(Rows(keys, values, at))
    return Held(tuple(layers), text.length)
