"""Local models for tests: small ones of many kinds with random weights, and the default one."""

import tempfile
from functools import cache
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from memos.kvcache.generator.cache import has_attention
from memos.kvcache.generator.loading import load_model, prepared
from memos.kvcache.generator.model import Identity, LocalModel

MODELS = Path(tempfile.gettempdir()) / "memos-tests-models"
"""Kept between runs: the conversion of the default model takes 15 s. Goes by its digest."""

TEMPLATE = (
    "{% for message in messages %}[{{ message.role }}] {{ message.content }}<eos>{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
WINDOW = 24
_SHAPE = {
    "vocab_size": 259,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    # Large enough that the likeliest token is so by more than rounding.
    "initializer_range": 0.3,
    "bos_token_id": 256,
    "eos_token_id": 257,
    "pad_token_id": 258,
    "max_position_embeddings": 4096,
}
_MAMBA = {"mamba_n_groups": 1, "mamba_d_state": 16, "mamba_chunk_size": 32}
_SLIDING = "sliding_attention"
KINDS = {
    "llama": ("LlamaConfig", {"head_dim": 16}),
    "qwen2": ("Qwen2Config", {}),
    "qwen3": ("Qwen3Config", {"head_dim": 16}),
    "mistral": ("MistralConfig", {"head_dim": 16, "sliding_window": WINDOW}),
    "gemma3": (
        "Gemma3TextConfig",
        {
            "head_dim": 16,
            "sliding_window": WINDOW,
            "layer_types": [_SLIDING, _SLIDING, "full_attention", _SLIDING],
        },
    ),
    "lfm2": ("Lfm2Config", {"layer_types": ["conv", "full_attention"] * 2}),
    "falcon_h1": (
        "FalconH1Config",
        {
            **_MAMBA,
            "head_dim": 16,
            "mamba_d_ssm": 64,
            "mamba_n_heads": 4,
            "mamba_d_head": 16,
        },
    ),
    "bamba": (
        "BambaConfig",
        {**_MAMBA, "attn_layer_indices": [1, 3], "mamba_n_heads": 4, "mamba_d_head": 32},
    ),
    "jamba": (
        "JambaConfig",
        {
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "expert_layer_period": 2,
            "expert_layer_offset": 1,
            "num_experts": 2,
            "num_experts_per_tok": 1,
            "mamba_d_state": 8,
        },
    ),
    "mamba2": (
        "Mamba2Config",
        {"num_heads": 8, "head_dim": 16, "state_size": 16, "n_groups": 1, "chunk_size": 32},
    ),
    "falcon_mamba": ("FalconMambaConfig", {"state_size": 8}),
}
MORE = {
    "qwen3_next": (
        "Qwen3NextConfig",
        {
            "head_dim": 16,
            "layer_types": ["linear_attention", "full_attention"] * 2,
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
            "linear_key_head_dim": 16,
            "linear_value_head_dim": 16,
            "num_experts": 2,
            "num_experts_per_tok": 1,
            "moe_intermediate_size": 32,
            "shared_expert_intermediate_size": 32,
        },
    ),
    "granitemoehybrid": (
        "GraniteMoeHybridConfig",
        {
            **_MAMBA,
            "layer_types": ["mamba", "attention"] * 2,
            "mamba_n_heads": 8,
            "mamba_d_head": 16,
            "num_local_experts": 0,
            "shared_intermediate_size": 64,
        },
    ),
    "mamba": ("MambaConfig", {"state_size": 8}),
}
"""Kinds of few tests: a gated delta rule, Mamba 2 beside attention, the first Mamba."""
FULL = ("llama", "qwen2", "qwen3")
SLIDING = ("mistral", "gemma3")
RECURRENT = ("lfm2", "falcon_h1", "bamba", "jamba", "mamba2", "falcon_mamba")


@cache
def byte_tokenizer():
    """One token per byte, so that most characters beyond ASCII take several."""
    vocabulary = {symbol: n for n, symbol in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        chat_template=TEMPLATE,
    )


def config(kind, **changes):
    name, values = {**KINDS, **MORE}[kind]
    return getattr(transformers, name)(**{**_SHAPE, **values, **changes})


@cache
def tiny(kind="llama", dtype="float32", attention="sdpa", adapter="base"):
    torch.manual_seed(0)
    wanted = config(kind)
    attention = attention if has_attention(wanted) else "eager"
    module = transformers.AutoModelForCausalLM.from_config(
        wanted, dtype=getattr(torch, dtype), attn_implementation=attention
    )
    identity = Identity(kind, "config", "weights", "tokenizer", adapter)
    return LocalModel(identity, prepared(module, attention=attention), byte_tokenizer())


@cache
def real(dtype="float32"):
    """SmolLM2-135M-Instruct from its carrier package."""
    return load_model(cache_dir=MODELS, dtype=dtype, offline=True)


def some_tokens(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count,), generator=generator).tolist()


def greedy(model, tokens, count):
    """The likeliest tokens after a full prefill, by transformers' own cache."""
    done = model.prefill(tokens)
    found = [int(done.logits[-1].argmax())]
    while len(found) < count:
        done = model.prefill(found[-1:], done.cache)
        found.append(int(done.logits[-1].argmax()))
    return found
