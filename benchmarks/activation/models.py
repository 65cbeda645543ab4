"""What the benchmarks of activation memory run: models, and prompts for them.

Random weights of a given shape take the time and the bytes of the real model, though they say
nothing sensible; texts are the shipped sample conversation's.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from typing import Any

from memos.benchmarks.texts import locomo_data
from memos.errors import InvalidSetting
from memos.kvcache.generator.known import DEFAULT_MODEL
from memos.kvcache.generator.loading import load_model, prepared
from memos.kvcache.generator.model import Identity, LocalModel
from memos.kvcache.generator.weights import resolve

_ROPE = {"rope_type": "default", "rope_theta": 500_000.0}
SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama-3-8b": (
        "LlamaConfig",
        {
            "vocab_size": 128_256,
            "hidden_size": 4096,
            "intermediate_size": 14_336,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "max_position_embeddings": 131_072,
            "rope_parameters": _ROPE,
        },
    ),
    "qwen2.5-7b": (
        "Qwen2Config",
        {
            "vocab_size": 152_064,
            "hidden_size": 3584,
            "intermediate_size": 18_944,
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "max_position_embeddings": 131_072,
            "rope_parameters": {**_ROPE, "rope_theta": 1_000_000.0},
        },
    ),
    # Small enough for any machine: to try out a benchmark.
    "tiny": (
        "LlamaConfig",
        {
            "vocab_size": 49_152,
            "hidden_size": 128,
            "intermediate_size": 256,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 64,
            "initializer_range": 0.2,
            "max_position_embeddings": 131_072,
            "rope_parameters": _ROPE,
        },
    ),
    # Five layers that see 127 tokens back for each that sees all, as in Gemma 3.
    "sliding-window": (
        "Gemma3TextConfig",
        {
            "vocab_size": 49_152,
            "hidden_size": 128,
            "intermediate_size": 256,
            "num_hidden_layers": 6,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 32,
            "sliding_window": 128,
            "max_position_embeddings": 8192,
            "initializer_range": 0.2,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "pad_token_id": 2,
        },
    ),
}


def model_of(options: argparse.Namespace, *, dtype: str) -> LocalModel:
    """The model that the options name, on their device."""
    if options.shape:
        return shaped(
            options.shape,
            cache_dir=options.cache_dir,
            device=options.device,
            dtype=dtype,
            seed=options.seed,
            tokenizer=getattr(options, "tokenizer", None),
        )
    return load_model(
        options.model,
        cache_dir=options.cache_dir,
        device=options.device,
        dtype=dtype,
        threads=options.threads,
    )


def shaped(
    name: str,
    *,
    cache_dir: Path,
    device: str,
    dtype: str,
    seed: int,
    tokenizer: Path | None = None,
) -> LocalModel:
    """Random weights of a shape, with the default model's tokenizer or that of a folder.

    InvalidSetting for other shapes.
    """
    import torch
    import transformers

    if name not in SHAPES:
        raise InvalidSetting(f"no shape {name!r}; there are {', '.join(SHAPES)}", setting="shape")
    kind, values = SHAPES[name]
    folder, digest = tokenizer, "of a folder"
    if folder is None:
        files = resolve(DEFAULT_MODEL, cache_dir=cache_dir, offline=False)
        folder, digest = files.folder, files.tokenizer
    reader: Any = transformers.AutoTokenizer
    words = reader.from_pretrained(folder, local_files_only=True)
    torch.manual_seed(seed)
    config = getattr(transformers, kind)(**values)
    with torch.device(device):
        maker: Any = transformers.AutoModelForCausalLM
        module = maker.from_config(config, dtype=getattr(torch, dtype))
    identity = Identity(f"random-{name}", name, f"seed {seed}", digest)
    return LocalModel(identity, prepared(module), words)


def random_tokens(model: LocalModel, count: int, *, seed: int) -> list[int]:
    """Ids by chance; the time of a forward pass doesn't depend on which they are."""
    chance = random.Random(seed)
    most = min(model.config.vocab_size, len(model.tokenizer))
    return [chance.randrange(100, most) for _ in range(count)]


def passages(model: LocalModel, count: int, *, tokens: int, seed: int) -> list[list[int]]:
    """Token ids of `count` runs of a real conversation, from places by chance."""
    talk = locomo_data.read(locomo_data.SAMPLE).conversations[0]
    text = "\n".join(f"{turn.speaker}: {turn.text}" for turn in talk.turns)
    ids = model.tokens(text)
    chance = random.Random(seed)
    starts = [chance.randrange(0, len(ids) - tokens) for _ in range(count)]
    return [ids[start : start + tokens] for start in starts]
