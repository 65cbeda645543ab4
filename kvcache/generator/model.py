"""A causal language model of transformers on one device: prefill, and its cache in and out.

It does not know where states are stored, nor how tokens are chosen.
"""

from __future__ import annotations

import copy
import hashlib
import inspect
import json
import threading
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from memos.errors import InvalidInput, ModelError
from memos.kvcache.blocks.block import States
from memos.kvcache.blocks.hashing import ids_of
from memos.kvcache.fingerprint import FORMAT_VERSION, Fingerprint
from memos.kvcache.generator import attention, cache
from memos.kvcache.generator.ending import Ending
from memos.kvcache.generator.joint import is_joint
from memos.kvcache.generator.norms import PLAIN, kind_of
from memos.kvcache.generator.rows import RowsCache
from memos.kvcache.layout import CacheLayout

if TYPE_CHECKING:
    from memos.kvcache.lora.applying import Applying, Rows
    from memos.kvcache.lora.weights import Weights


@dataclass(frozen=True)
class Identity:
    """What a model was made from: its name and digests (hex SHA-256), "base" without an adapter."""

    id: str
    config: str
    weights: str
    tokenizer: str
    adapter: str = "base"


@dataclass(frozen=True)
class Prefill:
    """`logits` (n or 1, vocabulary) float32 of the computed tokens; `cache` holds all tokens."""

    logits: Tensor
    cache: Any


class LocalModel:
    """Loaded weights with their tokenizer. Calls from many threads take turns.

    `module` is a transformers model in eval mode, on its device and in its dtype, and is only read.
    Once its `ending` is wanted passes end with ServiceUnavailable, at the next layer where
    `has_rows`.
    `layout` and `fingerprint` say what its cache looks like and which caches it may be given.
    """

    def __init__(self, identity: Identity, module: Any, tokenizer: Any) -> None:
        self.identity = identity
        self.module = module
        self.tokenizer = tokenizer
        self.device: torch.device = module.device
        self.dtype: torch.dtype = module.dtype
        self.config = module.config.get_text_config(decoder=True)
        self.attention = str(self.config._attn_implementation)
        self.norms = kind_of(module)
        self.joint = is_joint(module)
        # Models without attention have another name for it.
        named = inspect.signature(type(module).forward).parameters
        self._past = "past_key_values" if "past_key_values" in named else "cache_params"
        self._lock = threading.Lock()
        self.ending = Ending()
        self._one_by_one = False
        self._applying: Applying | None = None
        self._rows: Rows = ()
        self.layout = self._probe()
        if self.recurrent:
            self._one_by_one = not self._continues()
        self.fingerprint = Fingerprint(self._parts())

    @property
    def id(self) -> str:
        return self.identity.id

    def adapted(self, weights: Weights) -> LocalModel:
        """This model with an adapter: the same module, another fingerprint. AdapterMismatch."""
        self.applying.check(weights)
        found = copy.copy(self)
        found._rows = (weights,)
        found.identity = replace(self.identity, adapter=weights.digest)
        found.fingerprint = self.fingerprint.having(adapter=weights.digest)
        return found

    def mixed(self, rows: Rows) -> LocalModel:
        """This model with an adapter, or none, for each row of a batch. States that it computes
        must not be stored: they are of several fingerprints."""
        for weights in rows:
            if weights is not None:
                self.applying.check(weights)
        found = copy.copy(self)
        found._rows = tuple(rows)
        return found

    @property
    def applying(self) -> Applying:
        """What puts adapters to work in the module; shared by all views of it."""
        from memos.kvcache.lora.applying import Applying

        if self._applying is None:
            self._applying = Applying(self.module)
        return self._applying

    @property
    def context(self) -> int | None:
        """The longest sequence in tokens that the model was made for; None if it has no limit."""
        longest = getattr(self.config, "max_position_embeddings", None)
        return int(longest) if longest else None

    @property
    def parameters(self) -> int:
        """Numbers of the weights that each token is multiplied with."""
        return sum(weight.numel() for weight in self.module.parameters())

    @property
    def has_rows(self) -> bool:
        """Whether prefixes can be shared in place: attention layers only, run by our attention."""
        soft = getattr(self.config, "attn_logit_softcapping", None)
        return self.attention == attention.NAME and not soft and not self.recurrent

    @property
    def recurrent(self) -> bool:
        """Whether any layer mixes all that it has read into states of a fixed shape."""
        return any(layer.kind == "recurrent" for layer in self.layout.layers)

    @property
    def eos(self) -> frozenset[int]:
        """Ids of the tokens that end an answer."""
        ids = self.module.generation_config.eos_token_id
        ids = self.tokenizer.eos_token_id if ids is None else ids
        return frozenset([ids] if isinstance(ids, int) else ids or ())

    def tokens(self, text: str) -> list[int]:
        """Token ids with the special tokens that the tokenizer adds by itself."""
        if not isinstance(text, str):
            raise InvalidInput(f"a prompt is a text, not {type(text).__name__}")
        return list(self.tokenizer(text, verbose=False)["input_ids"])

    def chat(self, messages: Sequence[Mapping[str, str]], *, answer: bool = True) -> str:
        """The messages ({role, content}) in the form of the tokenizer's template, as a text that
        already has its special tokens. `answer`: ends where the model's answer begins."""
        if not self.tokenizer.chat_template:
            raise InvalidInput(f"model {self.id!r} has no chat template; give a prompt as text")
        try:
            rendered = self.tokenizer.apply_chat_template(
                [dict(message) for message in messages],
                tokenize=False,
                add_generation_prompt=answer,
            )
        except Exception as error:  # a template is a program and raises what it likes
            raise InvalidInput(
                f"the chat template of {self.id!r} refuses the messages: {error}"
            ) from error
        return str(rendered)

    def chat_tokens(
        self, messages: Sequence[Mapping[str, str]], *, answer: bool = True
    ) -> list[int]:
        """Token ids of `chat`, without further special tokens."""
        text = self.chat(messages, answer=answer)
        return list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def prefill(
        self,
        tokens: Sequence[int],
        past: Any = None,
        *,
        all_logits: bool = False,
        room: int = 0,
    ) -> Prefill:
        """Runs `tokens` after those of `past`, a transformers Cache, which grows in place.

        InvalidInput for no tokens, unknown ids or more than `context`; ModelError if torch fails,
        as it does when memory is short.
        """
        before = 0 if past is None else int(past.get_seq_length())
        known = self.check(tokens, before=before).to(self.device)
        grown = cache.empty_cache(self.config, room=room) if past is None else past
        size = 1 if self._one_by_one and before else len(tokens)
        found = []
        for at in range(0, len(tokens), size):
            ids = known[None, at : at + size]
            first = before + at
            positions = torch.arange(first, first + ids.shape[1], device=self.device)[None]
            found.append(self._forward(ids, positions, grown, keep=0 if all_logits else 1)[0])
            if isinstance(grown, cache.CountedCache):
                grown.read = first + ids.shape[1]
        return Prefill(torch.cat(found) if all_logits else found[-1], grown)

    def run_rows(self, rows: RowsCache, tokens: Tensor, positions: Tensor) -> Tensor:
        """Runs (rows, n) tokens at `positions`, -1 for padding on the left, which `rows` then
        holds. The logits (rows, vocabulary), float32, after each row's last token."""
        rows.extend(positions)
        logits = self._forward(tokens, positions.clamp(min=0), rows, keep=1)
        rows.check()
        return logits[:, -1]

    def check(self, tokens: Sequence[int], *, before: int = 0) -> Tensor:
        """The tokens as a tensor on the CPU; InvalidInput if they can't be run after `before`
        others."""
        if not len(tokens):
            raise InvalidInput("no tokens to run; a prompt has at least one")
        ids = ids_of(tokens)
        if ids.max() >= self.config.vocab_size:
            raise InvalidInput(
                f"token ids {ids.min()} to {ids.max()} for a vocabulary of "
                f"{self.config.vocab_size}; were they made by another tokenizer?"
            )
        if self.context and before + len(tokens) > self.context:
            raise InvalidInput(
                f"{before + len(tokens)} tokens for model {self.id!r}, which reads {self.context}; "
                "send fewer",
                tokens=before + len(tokens),
                limit=self.context,
            )
        return torch.from_numpy(ids.astype("int64"))

    def to_cache(self, states: States, *, tokens: int, room: int = 0) -> Any:
        """A transformers cache with a copy of the states after `tokens` tokens, and room for more.

        InvalidInput if they don't fit this model or miss rows.
        """
        return cache.to_cache(states, self.config, tokens=tokens, room=room, device=self.device)

    def from_cache(self, past: Any, *, start: int = 0, end: int | None = None) -> States:
        """Copies of the states of tokens [start, end), by default all. `end` before the last token
        is possible only if every layer is full attention."""
        last = int(past.get_seq_length()) if end is None else end
        return cache.from_cache(past, start=start, end=last)

    def rows(self, count: int, *, room: int = 0) -> RowsCache:
        """An empty cache for so many rows; only where `has_rows`."""
        return RowsCache(self.layout, count, self.device, room, self.ending.check)

    def idle(self, *, wait_s: float) -> bool:
        """Waits until no pass is under way; False if one still is after so many seconds."""
        if not self._lock.acquire(timeout=wait_s):
            return False
        self._lock.release()
        return True

    def synchronize(self) -> None:
        """Waits for what the device still has to do, so that a clock tells the truth."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _forward(self, ids: Tensor, positions: Tensor, past: Any, *, keep: int) -> Tensor:
        try:
            working = self.applying.at_work(self._rows) if self._rows else nullcontext()
            with self._lock, torch.inference_mode(), working:
                self.ending.check()
                out = self.module(
                    input_ids=ids,
                    position_ids=positions,
                    use_cache=True,
                    logits_to_keep=keep,
                    **{self._past: past},
                )
                logits: Tensor = out.logits.float()
                return logits
        except (RuntimeError, IndexError) as error:
            raise ModelError(
                f"torch failed on {ids.shape[1]} tokens of {ids.shape[0]} requests: {error}; if "
                "memory is short, send fewer or shorter ones",
                model=self.id,
            ) from error

    def _probe(self) -> CacheLayout:
        """What the cache of one token looks like is what no configuration tells reliably."""
        past = cache.empty_cache(self.config)
        zero = torch.zeros(1, 1, dtype=torch.long, device=self.device)
        self._forward(zero, zero, past, keep=1)
        return cache.layout_of(past, _rope_bases(self.config, len(past.layers)))

    def _continues(self) -> bool:
        """Whether several tokens at once are right after a cache. Some recurrent layers of
        transformers (Jamba's in 5.23) forget their state then, without a word."""
        generator = torch.Generator().manual_seed(0)
        tokens = torch.randint(self.config.vocab_size, (12,), generator=generator).tolist()
        whole = self.prefill(tokens, all_logits=True).logits[8:]
        split = self.prefill(tokens[8:], self.prefill(tokens[:8]).cache, all_logits=True).logits
        # float16's rounding through all layers stays far below a twentieth of the spread.
        return bool((whole - split).abs().max() <= 0.05 * whole.std())

    def _parts(self) -> dict[str, str]:
        layers = replace(self.layout, dtype=str(self.dtype).removeprefix("torch."))
        return {
            "format": str(FORMAT_VERSION),
            "config": self.identity.config,
            "weights": self.identity.weights,
            "tokenizer": self.identity.tokenizer,
            "template": _digest(self.tokenizer.chat_template),
            "adapter": self.identity.adapter,
            "dtype": layers.dtype,
            "layers": _digest(layers.to_dict()["layers"]),
            "rope": _digest(getattr(self.config, "rope_parameters", None)),
            "attention": self.attention
            + ("" if self.norms == PLAIN else f", {self.norms} norms")
            + (", joint" if self.joint else ""),
        }


def _rope_bases(config: Any, layers: int) -> list[float | None]:
    """The base of each layer's rotary positions; models like Gemma 3 have one per kind of layer."""
    parameters = getattr(config, "rope_parameters", None) or {}
    kinds = getattr(config, "layer_types", None) or [None] * layers
    found: list[float | None] = []
    for kind in kinds:
        own = parameters.get(kind, parameters)
        base = own.get("rope_theta") if isinstance(own, Mapping) else None
        found.append(None if base is None else float(base))
    return found


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
