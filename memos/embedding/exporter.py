"""The child process of `memos.embedding.export`: reads an order from stdin, writes the files.

    {"transformer", "pooling", "dimensions", "max_tokens", "precision", "folder"} as JSON

It writes model.onnx and export.json to `folder`. It does not make them last, nor name them.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

# The graph's size does not need more, and other processes may be at work.
os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np
import torch
from torch import Tensor, nn

from memos.embedding.export import INPUTS, OUTPUT, TOLERANCE, Exported
from memos.embedding.files import sha256


class Sentence(nn.Module):
    """Transformer, pooling over the tokens that the mask keeps, length 1.

    Takes int64 ids and mask (batch, tokens), gives float32 (batch, dimensions). The formulas are
    those of sentence-transformers' Pooling and Normalize.
    """

    def __init__(self, transformer: nn.Module, pooling: str) -> None:
        super().__init__()
        self.transformer = transformer
        self.pooling = pooling

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        output = self.transformer(
            input_ids=input_ids, attention_mask=attention_mask, return_dict=False
        )
        return nn.functional.normalize(self.pooled(output[0], attention_mask), p=2.0, dim=1)

    def pooled(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """tokens (batch, tokens, dimensions) → (batch, dimensions)"""
        if self.pooling == "cls":
            return tokens[:, 0]
        kept = mask.unsqueeze(-1).to(tokens.dtype)
        if self.pooling == "max":
            return (tokens * kept + (kept - 1.0) * 1e9).amax(1)
        return (tokens * kept).sum(1) / kept.sum(1).clamp(min=1e-9)


def main() -> None:
    order = json.load(sys.stdin)
    warnings.simplefilter("ignore")  # the exporter's, about its own internals
    torch.manual_seed(0)
    folder = Path(order["folder"])
    model = _load(order["transformer"], order["pooling"])
    full = folder / "full.onnx"
    _export(model, full)
    path = folder / "model.onnx"
    if order["precision"] == "int8":
        _quantize(full, path)
        full.unlink()
    else:
        full.rename(path)
    _compare(model, path, order["max_tokens"], TOLERANCE[order["precision"]])
    known = Exported(sha256=sha256(path), size=path.stat().st_size)
    (folder / "export.json").write_text(json.dumps(asdict(known)))


def _load(folder: str, pooling: str) -> Sentence:
    from transformers import AutoModel

    # "eager" writes attention as plain matrix products, which onnxruntime runs fastest on CPUs.
    transformer = AutoModel.from_pretrained(
        folder, attn_implementation="eager", dtype=torch.float32, local_files_only=True
    )
    return Sentence(transformer, pooling).eval()


def _example(rows: int, tokens: int) -> tuple[Tensor, Tensor]:
    """Ids and a mask whose rows have different lengths."""
    ids = torch.randint(5, 1000, (rows, tokens))
    mask = torch.ones_like(ids)
    for row in range(1, rows):
        mask[row, max(1, tokens - 3 * row) :] = 0
    return ids, mask


def _export(model: Sentence, path: Path) -> None:
    batch, tokens = torch.export.Dim("batch"), torch.export.Dim("tokens", min=2)
    shape = {0: batch, 1: tokens}
    with torch.no_grad():
        torch.onnx.export(
            model,
            _example(2, 9),
            path,
            input_names=INPUTS,
            output_names=[OUTPUT],
            dynamic_shapes=dict.fromkeys(INPUTS, shape),
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _quantize(full: Path, path: Path) -> None:
    """int8 weights by channel, activations quantized as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(full, path, per_channel=True, weight_type=QuantType.QInt8)


def _compare(model: Sentence, path: Path, max_tokens: int, tolerance: float) -> None:
    """Stops the export unless it gives what torch gives, at lengths it was not traced with."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for rows, tokens in ((1, 2), (1, 12), (5, 33), (2, max_tokens)):
        inputs = _example(rows, tokens)
        feed = {name: value.numpy() for name, value in zip(INPUTS, inputs, strict=True)}
        actual: Any = session.run([OUTPUT], feed)[0]
        with torch.no_grad():
            expected = model(*inputs).numpy()
        worst = float(np.abs(actual - expected).max())
        if not worst <= tolerance:  # also for NaN
            sys.exit(
                f"the exported graph differs from torch by {worst:.2g} for {rows} × {tokens} "
                f"tokens; allowed are {tolerance}"
            )


if __name__ == "__main__":
    main()
