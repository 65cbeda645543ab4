"""The weights that are learnt: peft's LoRA around a model's linear layers, and its optimizer.

Knows no examples. The state of a learner is a flat set of tensors, so that a checkpoint is a file
of tensors and never a pickle.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from memos.errors import InvalidInput, ModelUnsupported
from memos.kvcache.lora.apart import Apart
from memos.types import Recipe

TARGETS = {
    "all": ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    "attention": ("q_proj", "k_proj", "v_proj", "o_proj"),
    "mlp": ("gate_proj", "up_proj", "down_proj"),
}
OPTIMIZERS = ("adamw", "adafactor")
_WARMUP = 0.05
_FLOOR = 0.1
_PREFIX = "base_model.model."
_SIZE = ".lora_magnitude_vector.weight"
_MORE = ".lora_more.weight"


class Learner:
    """A module with low-rank weights that learn. It changes `module`, which must be nobody else's.

    InvalidInput for a recipe that can't be; ModelUnsupported for a model without such layers.
    """

    def __init__(self, module: Any, recipe: Recipe, *, steps: int) -> None:
        check(recipe)
        self._recipe = recipe
        self.module = _with_lora(module, recipe)
        self.first = min(_learning(module, recipe.depth) or [0])
        """The number of the first layer that learns."""
        self.weights: dict[str, Any] = {
            _plain(name): weight
            for name, weight in self.module.named_parameters()
            if weight.requires_grad
        }
        self._downhill = Downhill(list(self.weights.values()), recipe, steps=steps)
        self._apart: list[Apart] = []
        self._begun = False

    @property
    def scale(self) -> float:
        """What B·A is multiplied with."""
        return scale(self._recipe)

    @property
    def parameters(self) -> int:
        return sum(weight.numel() for weight in self.weights.values())

    def learn(self, loss: Tensor, step: int) -> float:
        """One step down from `loss`; the norm of its gradient, inf or NaN if it was not taken."""
        norm = self._downhill.step(loss, step)
        if math.isfinite(norm):
            self._part()
        return norm

    @property
    def layers(self) -> dict[str, Any]:
        """Those that learn, by their name in the model."""
        return {
            _plain(name): part
            for name, part in self.module.named_modules()
            if hasattr(part, "lora_A")
        }

    def keep_apart(self, directions: Mapping[str, Tensor]) -> None:
        """From here on nothing is learnt of inputs in these directions (in, k), by layer. What
        weights to go on from (`begin`) say of them already stays."""
        weights = {name: self.weights[f"{name}.lora_A.weight"] for name in directions}
        with torch.no_grad():
            self._apart = [
                Apart(weights[name], found, weights[name] @ found if self._begun else None)
                for name, found in directions.items()
            ]
        self._part()

    def _part(self) -> None:
        with torch.no_grad():
            for apart in self._apart:
                apart.restore()

    @contextmanager
    def without(self) -> Iterator[None]:
        """The module as it was before it learnt."""
        with self.module.disable_adapter():
            yield

    def lora(self) -> dict[str, Tensor]:
        """`<layer>.lora_A.weight` (rank, in) and `.lora_B.weight` (out, rank), and of DoRA
        `.lora_more.weight` (out,), float32 copies."""
        found = {
            name: weight.detach().float().cpu().clone().contiguous()
            for name, weight in self.weights.items()
        }
        for name in self._sizes():
            size = found.pop(f"{name}{_SIZE}")
            found[f"{name}{_MORE}"] = size / self._norm(name).cpu() - 1
        return found

    def begin(self, lora: Mapping[str, Tensor]) -> None:
        """Goes on from these weights. InvalidInput if they are of other layers or another rank."""
        plain = {name: value for name, value in lora.items() if not name.endswith(_MORE)}
        # How large a row becomes follows from A and B, so they come first.
        sizes = {f"{name}{_SIZE}": self.weights[f"{name}{_SIZE}"] for name in self._sizes()}
        self._set({**plain, **sizes})
        with torch.no_grad():
            for name in self._sizes():
                more = lora.get(f"{name}{_MORE}")
                grown = 1.0 if more is None else 1 + more.to(self.module.device)
                self.weights[f"{name}{_SIZE}"].copy_(self._norm(name) * grown)

    def _sizes(self) -> list[str]:
        """Layers whose rows have a size that is learnt: those of DoRA."""
        return [name.removesuffix(_SIZE) for name in self.weights if name.endswith(_SIZE)]

    def _norm(self, name: str) -> Tensor:
        """(out,) of the rows of a layer's weights together with what was learnt."""
        layer = self.layers[name]
        a, b = (self.weights[f"{name}.lora_{part}.weight"] for part in "AB")
        whole = layer.get_base_layer().weight.float() + self.scale * (b @ a)
        norm: Tensor = whole.detach().norm(dim=1)
        return norm

    def _set(self, lora: Mapping[str, Tensor]) -> None:
        if set(lora) != set(self.weights):
            raise InvalidInput(
                "the adapter to go on from has other layers than this recipe trains; use its "
                "targets, or begin anew"
            )
        with torch.no_grad():
            for name, weight in self.weights.items():
                if lora[name].shape != weight.shape:
                    raise InvalidInput(
                        f"the adapter to go on from has the shape {tuple(lora[name].shape)} for "
                        f"{name}, and this recipe {tuple(weight.shape)}; use its rank"
                    )
                weight.copy_(lora[name])
        self._begun = True

    def state(self) -> dict[str, Tensor]:
        """Weights and the optimizer's memory of them, as `w.<name>` and `o.<number>.<name>`."""
        found = {f"w.{name}": w.detach().cpu().clone() for name, w in self.weights.items()}
        for number, values in self._downhill.optimizer.state_dict()["state"].items():
            for name, value in values.items():
                if value is not None:
                    found[f"o.{number}.{name}"] = torch.as_tensor(value).detach().cpu().clone()
        return found

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`."""
        self._set({name[2:]: value for name, value in state.items() if name.startswith("w.")})
        memory: dict[int, dict[str, Tensor]] = {}
        for name, value in state.items():
            if name.startswith("o."):
                _, number, key = name.split(".", 2)
                memory.setdefault(int(number), {})[key] = value
        optimizer = self._downhill.optimizer
        optimizer.load_state_dict({**optimizer.state_dict(), "state": memory})


class Downhill:
    """Steps of an optimizer for `weights` at the rates that a recipe has for so many `steps`."""

    def __init__(self, weights: Sequence[Any], recipe: Recipe, *, steps: int) -> None:
        self._weights = list(weights)
        self._rate = recipe.rate
        self._steps = max(steps, 1)
        self.optimizer = _optimizer(self._weights, recipe)

    def step(self, loss: Tensor, step: int) -> float:
        """One step down from `loss`; the norm of its gradient, inf or NaN if it was not taken."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = float(torch.nn.utils.clip_grad_norm_(self._weights, 1.0))
        if math.isfinite(norm):
            for group in self.optimizer.param_groups:
                group["lr"] = self._rate * _share(step, self._steps)
            self.optimizer.step()
        return norm


def scale(recipe: Recipe) -> float:
    """alpha / rank, or alpha / √rank for rsLoRA (Kalajdzievski 2023, arXiv:2312.03732)."""
    alpha = 2.0 * recipe.rank if recipe.alpha is None else recipe.alpha
    return alpha / (math.sqrt(recipe.rank) if recipe.rslora else recipe.rank)


def check(recipe: Recipe) -> None:
    """InvalidInput for values that are out of their range."""
    ranges = {
        "rank": (1, 512),
        "rate": (1e-7, 1.0),
        "passes": (1, 1000),
        "replay": (0.0, 0.9),
        "decay": (0.0, 1.0),
        "hold": (0.0, 1000.0),
        "apart": (0.0, 0.999),
        "again": (0.0, 1.0),
        "depth": (0.01, 1.0),
        "tokens": (16, 1 << 16),
        "enough": (0.0, 1.0),
    }
    for name, (low, high) in ranges.items():
        value = getattr(recipe, name)
        if not low <= value <= high:
            raise InvalidInput(f"{name} is {value}; use {low} to {high}", field=name)
    for name, known in (("targets", tuple(TARGETS)), ("optimizer", OPTIMIZERS)):
        if getattr(recipe, name) not in known:
            raise InvalidInput(
                f"{name} is {getattr(recipe, name)!r}; use one of {', '.join(known)}", field=name
            )


def _with_lora(module: Any, recipe: Recipe) -> Any:
    from peft import LoraConfig, get_peft_model

    wanted = TARGETS[recipe.targets]
    names = {name.rpartition(".")[2] for name, part in module.named_modules() if _linear(part)}
    found = [name for name in wanted if name in names]
    if not found:
        raise ModelUnsupported(
            f"the model has none of the layers {', '.join(wanted)}; adapters can't be trained for "
            "it yet"
        )
    config = LoraConfig(
        r=recipe.rank,
        lora_alpha=2 * recipe.rank if recipe.alpha is None else recipe.alpha,  # type: ignore[arg-type]
        use_rslora=recipe.rslora,
        use_dora=recipe.dora,
        target_modules=found,
        lora_dropout=0.0,
        layers_to_transform=_learning(module, recipe.depth),
        task_type="CAUSAL_LM",
    )
    # The weights begin at random numbers of torch's own generators, which others use too.
    devices = [module.device] if module.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), warnings.catch_warnings():
        torch.manual_seed(recipe.seed)
        # peft asks a model for a name that transformers has given another one.
        warnings.simplefilter("ignore", FutureWarning)
        learning = get_peft_model(module, config)
    for weight in learning.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()
    return learning


def _learning(module: Any, depth: float) -> list[int] | None:
    """Numbers of the layers that learn, the last ones; None for all."""
    count = int(module.config.get_text_config(decoder=True).num_hidden_layers)
    return None if depth >= 1 else list(range(count - max(1, round(depth * count)), count))


def _linear(part: Any) -> bool:
    return isinstance(part, torch.nn.Linear)


def _plain(name: str) -> str:
    """peft's name of a weight without what it puts around it."""
    return name.removeprefix(_PREFIX).replace(".default.weight", ".weight")


def _optimizer(weights: list[Any], recipe: Recipe) -> Any:
    if recipe.optimizer == "adafactor":
        # Keeps a row and a column where Adam keeps two matrices (Shazeer and Stern 2018).
        return torch.optim.Adafactor(weights, lr=recipe.rate, weight_decay=recipe.decay)
    return torch.optim.AdamW(weights, lr=recipe.rate, weight_decay=recipe.decay)


def _share(step: int, steps: int) -> float:
    """The share of the highest rate that a step has."""
    warm = max(1, round(_WARMUP * steps))
    if step < warm:
        return (step + 1) / warm
    done = (step - warm) / max(1, steps - warm)
    return _FLOOR + (1 - _FLOOR) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
