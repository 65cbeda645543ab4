"""The same bits in fewer bytes: planes of bytes, each through zstandard.

Exponents of states are few and alike, mantissas are noise; DFloat11 (Zhang et al. 2025,
https://arxiv.org/abs/2504.11651) codes exponents of weights alone by Huffman's method, and so does
this for states. A number is rotated left by one bit, so that the whole exponent of a bfloat16 is
one byte and its sign stands with the mantissa; each byte is then a plane. Within a plane a
channel's bytes follow each other token by token. A plane that does not shrink is stored as it is.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
import zstandard
from numpy.typing import NDArray
from torch import Tensor

from memos.errors import BlockCorrupt
from memos.kvcache.codecs.base import RAW, Codec, Parts, Role

LEVEL = 3
"""zstandard's; higher ones gain under 1 % here and take many times as long."""

_SIGNED = {2: torch.int16, 4: torch.int32}
_UNSIGNED: dict[int, Any] = {2: np.uint16, 4: np.uint32}


class Lossless(Codec):
    name: ClassVar[str] = "lossless"
    exact: ClassVar[bool] = True

    def pack(self, role: Role, tensor: Tensor, start: int) -> Parts:
        width = tensor.element_size()
        if width not in _SIGNED or not tensor.numel():
            return {RAW: tensor}
        numbers = tensor.detach().cpu().contiguous().view(_SIGNED[width]).numpy()
        rotated = _rotated(numbers.view(_UNSIGNED[width]).transpose(0, 2, 1), 1)
        parts = {"shape": torch.tensor(tensor.shape, dtype=torch.int32)}
        for at in range(width):
            name, plane = _shrunk((rotated >> (8 * at)).astype(np.uint8))
            parts[f"{name}{at}"] = torch.from_numpy(plane)
        return parts

    def unpack(self, role: Role, parts: Parts, rows: int, dim: int, dtype: torch.dtype) -> Tensor:
        heads, count, channels = (int(size) for size in parts["shape"])
        width = dtype.itemsize
        whole = np.zeros((heads, channels, count), dtype=_UNSIGNED[width])
        for at in range(width):
            plane = _plane(parts, at, whole.size).reshape(whole.shape)
            whole |= plane.astype(whole.dtype) << (8 * at)
        numbers = np.ascontiguousarray(_rotated(whole, 8 * width - 1).transpose(0, 2, 1)[:, :rows])
        device = parts["shape"].device
        return torch.from_numpy(numbers.view(f"i{width}")).view(dtype).to(device)


def _rotated(numbers: NDArray[Any], left: int) -> NDArray[Any]:
    bits = 8 * numbers.dtype.itemsize
    rotated: NDArray[Any] = (numbers << left) | (numbers >> (bits - left))
    return rotated


def _shrunk(plane: NDArray[np.uint8]) -> tuple[str, NDArray[np.uint8]]:
    """(zstd, its frame) or (plane, the bytes) if that is no more."""
    frame = zstandard.ZstdCompressor(level=LEVEL, write_checksum=False).compress(plane.tobytes())
    if len(frame) < plane.size:
        return "zstd", np.frombuffer(bytearray(frame), dtype=np.uint8)
    return "plane", plane.reshape(-1)


def _plane(parts: Parts, at: int, size: int) -> NDArray[np.uint8]:
    if f"plane{at}" in parts:
        return parts[f"plane{at}"].cpu().numpy()
    frame = parts[f"zstd{at}"].cpu().numpy().tobytes()
    try:
        content = zstandard.ZstdDecompressor().decompress(frame, max_output_size=size)
    except zstandard.ZstdError as error:
        raise BlockCorrupt(
            f"plane {at} of a losslessly coded block can't be read: {error}"
        ) from error
    return np.frombuffer(content, dtype=np.uint8)
