"""What libraries offer for a saved prefix, with transformers' own attention: rows beside ours."""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from memos.benchmarks.activation.timing import Timings
from memos.kvcache.generator.model import LocalModel


def libraries(
    model: LocalModel,
    tokens: Sequence[int],
    stored: int,
    folder: Path,
    timings: Timings,
    options: argparse.Namespace,
) -> list[dict[str, str]]:
    """Times each way; answers those that failed, with the reason."""
    ids = torch.tensor([list(tokens)], device=model.device)
    missing: list[dict[str, str]] = []
    model.module.set_attn_implementation("sdpa")
    try:
        ways = _Ways(model, ids, stored, folder)
        for name, repeats, act in ways.all(options):
            try:
                act()  # kernels, allocators and page caches are warm for everybody
                timings.time(name, act, repeats=repeats)
            except Exception as error:  # a library's own failure is a result here
                missing.append({"what": name, "why": f"{error!r}"[:300]})
    finally:
        model.module.set_attn_implementation(model.attention)
    return missing


class _Ways:
    def __init__(self, model: LocalModel, ids: Any, stored: int, folder: Path) -> None:
        self._model, self._ids, self._stored, self._folder = model, ids, stored, folder
        self._cache = self._filled()
        self._offloaded: Any = None

    def all(self, options: argparse.Namespace) -> list[tuple[str, int, Callable[[], Any]]]:
        """(name, repeats, what is timed)."""
        pairs = [(layer.keys, layer.values) for layer in self._cache.layers]
        torch.save(pairs, self._folder / "cache.pt")
        self._write_safetensors(pairs)
        slow, fast = options.cold_repeats, options.repeats
        return [
            ("transformers: full prefill", slow, self._prefilled),
            ("transformers: torch.load of a cache, warm", slow, self._torch_load),
            ("transformers: load_file().cuda(), warm", slow, self._safetensors),
            ("transformers: cache on the device, deep copy", fast, self._copied),
            ("transformers: offloaded cache", slow, self._from_offloaded),
        ]

    def _filled(self, **how: Any) -> Any:
        from transformers import DynamicCache

        cache: Any = DynamicCache(config=self._model.config, **how)
        with torch.inference_mode():
            prefix = self._ids[:, : self._stored]
            self._model.module(prefix, past_key_values=cache, logits_to_keep=1)
        return cache

    def _after(self, past: Any) -> int:
        with torch.inference_mode():
            rest = self._ids[:, self._stored :]
            out = self._model.module(rest, past_key_values=past, logits_to_keep=1)
        return int(out.logits[0, -1].argmax())

    def _prefilled(self) -> int:
        from transformers import DynamicCache

        cache: Any = DynamicCache(config=self._model.config)
        with torch.inference_mode():
            out = self._model.module(self._ids, past_key_values=cache, logits_to_keep=1)
        return int(out.logits[0, -1].argmax())

    def _torch_load(self) -> int:
        place = self._model.device
        return self._of(
            torch.load(self._folder / "cache.pt", map_location=place, weights_only=True)
        )

    def _write_safetensors(self, pairs: Any) -> None:
        from safetensors.torch import save_file

        named = {
            f"{kind}.{at}": tensor.contiguous()
            for at, pair in enumerate(pairs)
            for kind, tensor in zip("kv", pair, strict=True)
        }
        save_file(named, self._folder / "cache.safetensors")

    def _safetensors(self) -> int:
        from safetensors.torch import load_file

        read = load_file(self._folder / "cache.safetensors")
        moved = {name: tensor.to(self._model.device) for name, tensor in read.items()}
        return self._of([(moved[f"k.{at}"], moved[f"v.{at}"]) for at in range(len(moved) // 2)])

    def _of(self, pairs: Any) -> int:
        from transformers import DynamicCache

        return self._after(DynamicCache(ddp_cache_data=pairs, config=self._model.config))

    def _copied(self) -> int:
        return self._after(copy.deepcopy(self._cache))

    def _from_offloaded(self) -> int:
        """It grows with each use; the new tokens are taken off again, which is cheap."""
        if self._offloaded is None:
            self._cache = None
            self._offloaded = self._filled(offloading=True)
        token = self._after(self._offloaded)
        self._offloaded.crop(self._stored - self._ids.shape[1])
        return token
