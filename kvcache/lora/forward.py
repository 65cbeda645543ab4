"""A forward pass over packed rows, and what follows from its logits. Knows no adapter."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from memos.kvcache.lora.packing import NOTHING, Packed, Tokenised, packed, rows


def label_logits(module: Any, row: Packed) -> tuple[Tensor, Tensor]:
    """(logits (m, vocabulary) float32, labels (m,)) of those positions that predict a label: the
    head of a model is a fifth of its work, and most positions need none."""
    place = (row.labels[0] != NOTHING).nonzero()[:, 0]
    return run(module, row, place), row.labels[0, place]


def run(module: Any, row: Packed, places: Tensor) -> Tensor:
    """(m, vocabulary) float32 at these places (m,) of the row."""
    out = module(
        input_ids=row.ids,
        position_ids=row.positions,
        attention_mask=row.mask,
        use_cache=False,
        logits_to_keep=places,
    )
    logits: Tensor = out.logits[0].float()
    return logits


@torch.no_grad()
def right(
    module: Any, head: Sequence[int], asked: Sequence[Tokenised], *, tokens: int = 1024
) -> list[bool]:
    """Whether each answer is the one that greedy decoding would give: at every place of it the
    likeliest token is the answer's own."""
    found: list[bool] = []
    for part in rows(asked, head=len(head), tokens=tokens):
        row = packed(head, part, device=module.device, dtype=module.dtype)
        logits, labels = label_logits(module, row)
        owner = row.owner[(row.labels[0] != NOTHING)]
        found += all_likeliest(logits, labels, owner, len(part))
    return found


def all_likeliest(logits: Tensor, labels: Tensor, owner: Tensor, count: int) -> list[bool]:
    """Of `count` examples: whether the labels are the likeliest tokens at every place of each."""
    wrong = torch.zeros(count, dtype=torch.long, device=labels.device)
    wrong.index_add_(0, owner, (logits.argmax(-1) != labels).long())
    return [wrong_places == 0 for wrong_places in wrong.tolist()]


@torch.no_grad()
def surprise(module: Any, texts: Sequence[Sequence[int]]) -> list[tuple[float, int]]:
    """Of each running text (negative log-likelihood in nats, tokens), all but its first."""
    found = []
    for text in texts:
        whole = Tokenised(tokens=tuple(text), labels=tuple(text), headed=False)
        row = packed((), [whole], device=module.device, dtype=module.dtype)
        logits, labels = label_logits(module, row)
        nats = float(torch.nn.functional.cross_entropy(logits, labels, reduction="sum"))
        found.append((nats, len(labels)))
    return found


def perplexity(surprises: Iterable[tuple[float, int]]) -> float:
    """Over all tokens of these texts."""
    found = list(surprises)
    return math.exp(sum(nats for nats, _ in found) / max(sum(size for _, size in found), 1))
