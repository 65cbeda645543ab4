"""A language model for tests of everything around it: tiny, random, the same each time, and made
without a model library, so that a test that never asks it pays nothing."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

CONTEXT = 4096
_SHAPE = {"hidden_size": 32, "intermediate_size": 48, "head_dim": 8}
_LAYERS, _HEADS, _KV_HEADS = 2, 4, 2
_TEMPLATE = (
    "{% for message in messages %}[{{ message.role }}] {{ message.content }}<eos>{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)


@cache
def tiny_model(seed: int = 0, *, context: int = CONTEXT) -> str:
    """The folder of a model with weights of its own for each seed; one token per byte."""
    name = f"tiny-{seed}" if context == CONTEXT else f"tiny-{seed}-{context}"
    folder = Path(tempfile.gettempdir()) / "memos-tests-models" / name
    if not (folder / "config.json").exists():
        folder.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as draft:
            _write(Path(draft) / "model", seed, context)
            with contextlib.suppress(OSError):  # another process was faster
                os.rename(Path(draft) / "model", folder)
    return str(folder)


def _write(folder: Path, seed: int, context: int) -> None:
    from safetensors.numpy import save_file

    folder.mkdir()
    tokenizer, size = _tokenizer()
    save_file(_weights(size, seed), folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "tokenizer.json").write_text(tokenizer)
    about = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<bos>",
        "eos_token": "<eos>",
        "chat_template": _TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(about))
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": size,
        "num_hidden_layers": _LAYERS,
        "num_attention_heads": _HEADS,
        "num_key_value_heads": _KV_HEADS,
        "max_position_embeddings": context,
        "bos_token_id": size - 2,
        "eos_token_id": size - 1,
        "tie_word_embeddings": False,
        "dtype": "float32",
        **_SHAPE,
    }
    (folder / "config.json").write_text(json.dumps(config))


def _weights(vocabulary: int, seed: int) -> dict[str, np.ndarray]:
    chance = np.random.default_rng(seed)
    hidden, inner, head = (_SHAPE[n] for n in ("hidden_size", "intermediate_size", "head_dim"))

    def draw(*shape: int) -> np.ndarray:
        return (chance.standard_normal(shape) * 0.5).astype(np.float32)

    found = {
        "model.embed_tokens.weight": draw(vocabulary, hidden),
        "lm_head.weight": draw(vocabulary, hidden),
        "model.norm.weight": np.ones(hidden, np.float32),
    }
    shapes = {
        "self_attn.q_proj": (_HEADS * head, hidden),
        "self_attn.k_proj": (_KV_HEADS * head, hidden),
        "self_attn.v_proj": (_KV_HEADS * head, hidden),
        "self_attn.o_proj": (hidden, _HEADS * head),
        "mlp.gate_proj": (inner, hidden),
        "mlp.up_proj": (inner, hidden),
        "mlp.down_proj": (hidden, inner),
    }
    for layer in range(_LAYERS):
        for name, shape in shapes.items():
            found[f"model.layers.{layer}.{name}.weight"] = draw(*shape)
        for name in ("input_layernorm", "post_attention_layernorm"):
            found[f"model.layers.{layer}.{name}.weight"] = np.ones(hidden, np.float32)
    return found


def _tokenizer() -> tuple[str, int]:
    """(tokenizer.json, vocabulary)."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={s: n for n, s in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken("<bos>", special=True), AddedToken("<eos>")])
    return tokenizer.to_str(), len(alphabet) + 2
