"""The weights that are learnt: peft's LoRA around a model's linear layers, and its optimizer.

Knows no examples. The state of a learner is a flat set of tensors, so that a checkpoint is a file
of tensors and never a pickle.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from memos.errors import InvalidInput, ModelUnsupported
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


class Learner:
    """A module with low-rank weights that learn. It changes `module`, which must be nobody else's.

    InvalidInput for a recipe that can't be; ModelUnsupported for a model without such layers.
    """

    def __init__(self, module: Any, recipe: Recipe, *, steps: int) -> None:
        check(recipe)
        self._recipe = recipe
        self._steps = max(steps, 1)
        self.module = _with_lora(module, recipe)
        self.weights: dict[str, Any] = {
            _plain(name): weight
            for name, weight in self.module.named_parameters()
            if weight.requires_grad
        }
        self._optimizer = _optimizer(list(self.weights.values()), recipe)

    @property
    def scale(self) -> float:
        """What B·A is multiplied with."""
        return scale(self._recipe)

    @property
    def parameters(self) -> int:
        return sum(weight.numel() for weight in self.weights.values())

    def learn(self, loss: Tensor, step: int) -> float:
        """One step down from `loss`; the norm of its gradient, inf or NaN if it was not taken."""
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = float(torch.nn.utils.clip_grad_norm_(list(self.weights.values()), 1.0))
        if math.isfinite(norm):
            for group in self._optimizer.param_groups:
                group["lr"] = self._recipe.rate * _share(step, self._steps)
            self._optimizer.step()
        return norm

    @contextmanager
    def without(self) -> Iterator[None]:
        """The module as it was before it learnt."""
        with self.module.disable_adapter():
            yield

    def lora(self) -> dict[str, Tensor]:
        """`<layer>.lora_A.weight` (rank, in) and `.lora_B.weight` (out, rank), float32 copies."""
        return {
            name: weight.detach().float().cpu().clone().contiguous()
            for name, weight in self.weights.items()
        }

    def begin(self, lora: Mapping[str, Tensor]) -> None:
        """Goes on from these weights. InvalidInput if they are of other layers or another rank."""
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

    def state(self) -> dict[str, Tensor]:
        """Weights and the optimizer's memory of them, as `w.<name>` and `o.<number>.<name>`."""
        found = {f"w.{name}": w.detach().cpu().clone() for name, w in self.weights.items()}
        for number, values in self._optimizer.state_dict()["state"].items():
            for name, value in values.items():
                if value is not None:
                    found[f"o.{number}.{name}"] = torch.as_tensor(value).detach().cpu().clone()
        return found

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`."""
        self.begin({name[2:]: value for name, value in state.items() if name.startswith("w.")})
        memory: dict[int, dict[str, Tensor]] = {}
        for name, value in state.items():
            if name.startswith("o."):
                _, number, key = name.split(".", 2)
                memory.setdefault(int(number), {})[key] = value
        whole = self._optimizer.state_dict()
        self._optimizer.load_state_dict({**whole, "state": memory})


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
        target_modules=found,
        lora_dropout=0.0,
        layers_to_transform=_last(module, recipe.depth),
        task_type="CAUSAL_LM",
    )
    # The weights begin at random numbers of torch's own generator, which others use too.
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        torch.manual_seed(recipe.seed)
        # peft asks a model for a name that transformers has given another one.
        warnings.simplefilter("ignore", FutureWarning)
        learning = get_peft_model(module, config)
    for weight in learning.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()
    return learning


def _last(module: Any, depth: float) -> list[int] | None:
    """Numbers of the last layers; None for all."""
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
