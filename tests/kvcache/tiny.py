"""Small models with random weights that are the same in every version of transformers."""

from __future__ import annotations

from typing import Any

import torch

TOKENS = 192


def llama(**changes: Any) -> Any:
    """Four layers, 8 query heads on 2 kv heads; weights large enough that attention is uneven."""
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = {
        "vocab_size": 128,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 4,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 2048,
    }
    return filled(LlamaForCausalLM(LlamaConfig(**{**shape, **changes})))


def filled(model: Any) -> Any:
    """The model in eval mode with weights by chance, drawn in the order of their names."""
    chance = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            if weight.dim() == 1:
                weight.fill_(1.0 if "norm" in name else 0.0)
                continue
            scale = 2.5 if "q_proj" in name or "k_proj" in name else 1.0
            weight.copy_(
                torch.randn(weight.shape, generator=chance) * scale * weight.shape[1] ** -0.5
            )
    return model.eval()


def tokens(count: int = TOKENS, *, seed: int = 1, vocabulary: int = 128) -> list[int]:
    chance = torch.Generator().manual_seed(seed)
    return torch.randint(0, vocabulary, (count,), generator=chance).tolist()


def gemma() -> Any:
    """Four layers, every second one with a window of 16 tokens; a rope base for each kind."""
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    config = Gemma3TextConfig(
        vocab_size=128,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        sliding_window=16,
        layer_types=["sliding_attention", "full_attention"] * 2,
        max_position_embeddings=2048,
    )
    return filled(Gemma3ForCausalLM(config))
