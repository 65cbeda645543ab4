"""The file of a block: a safetensors file of one tensor, its header in the metadata.

    8 bytes     length of the JSON text, little-endian
    JSON text   {"__metadata__": {"format", "header", "header_xxh3"}, "states": {…}}, then spaces
                up to a multiple of 4,096, so that the payload can be mapped
    payload     the bytes of the tensor

safetensors finds truncation but no flipped bits, so there are two checksums (xxh3_128): one of the
header, looked at whenever a file is listed, and within the header one of the payload, looked at
when it is opened. What neither covers is compared byte for byte with what would be written for that
header. Never pickle. It does not know folders, locks or when a file was verified before.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import xxhash
from torch import Tensor

from memos.errors import BlockCorrupt
from memos.kvcache.blocks.block import Encoded, Header
from memos.kvcache.blocks.header import from_text, to_text

FORMAT = "memos-kv"
PAGE = 4096
LONGEST_HEAD = 1 << 28
"""Bytes; no header of a real block comes near. A flipped bit must not make us read gigabytes."""

_NAMES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "uint8": "U8"}


@dataclass(frozen=True)
class Head:
    """What stands before a payload: the header, and where in the file the payload begins."""

    header: Header
    offset: int

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return self.offset + self.header.payload_bytes


def sealed(header: Header, encoded: Encoded) -> tuple[Header, memoryview]:
    """The header with all that depends on the payload, and the payload's bytes, not copied."""
    payload = encoded.payload
    content = bytes_of(payload)
    whole = replace(
        header,
        records=encoded.records,
        payload_dtype=str(payload.dtype).removeprefix("torch."),
        payload_shape=tuple(payload.shape),
        payload_bytes=len(content),
        checksum=checksum(content),
    )
    return whole, content


def head_bytes(header: Header) -> bytes:
    """All that stands before the payload."""
    text = to_text(header)
    content = {
        "__metadata__": {
            "format": FORMAT,
            "header": text,
            "header_xxh3": checksum(text.encode()),
        },
        "states": {
            "dtype": _NAMES[header.payload_dtype],
            "shape": list(header.payload_shape),
            "data_offsets": [0, header.payload_bytes],
        },
    }
    head = json.dumps(content, separators=(",", ":")).encode()
    head += b" " * (-(len(head) + 8) % PAGE)
    return len(head).to_bytes(8, "little") + head


def opened(path: Path) -> int:
    """A descriptor for reading. BlockCorrupt for what is no regular file; FileNotFoundError."""
    # Opening a pipe would wait for somebody who writes.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BlockCorrupt(f"{path.name} is no file")
    return descriptor


def read_head(descriptor: int) -> Head:
    """The head of an open file; BlockCorrupt with the reason. The payload is not read."""
    size = os.fstat(descriptor).st_size
    length = int.from_bytes(os.pread(descriptor, 8, 0), "little")
    if size < 8 or not 0 < length <= min(size - 8, LONGEST_HEAD):
        raise BlockCorrupt(f"a file of {size} bytes can't have a head of {length}: truncated?")
    head = Head(_parsed(_pread(descriptor, 8 + length)), 8 + length)
    if size != head.size:
        raise BlockCorrupt(f"the file has {size} bytes and should have {head.size}")
    return head


def parsed_head(content: bytes) -> Head:
    """The same from the first bytes of a file that is elsewhere, among them all of the head."""
    length = int.from_bytes(content[:8], "little")
    if not 0 < length <= min(len(content) - 8, LONGEST_HEAD):
        raise BlockCorrupt(f"{len(content)} bytes can't have a head of {length}")
    return Head(_parsed(content[: 8 + length]), 8 + length)


def check_payload(header: Header, payload: Tensor | memoryview | bytes) -> None:
    """BlockCorrupt unless the bytes are those that were written."""
    content = bytes_of(payload) if isinstance(payload, Tensor) else payload
    found = checksum(content)
    if found != header.checksum:
        raise BlockCorrupt(f"the payload's checksum is {found} and should be {header.checksum}")


def checksum(content: bytes | memoryview) -> str:
    return xxhash.xxh3_128_hexdigest(content)


def bytes_of(payload: Tensor) -> memoryview:
    """The tensor's memory; it must be contiguous and on the CPU."""
    content: memoryview = payload.reshape(-1).view(torch.uint8).numpy().data
    return content


def _parsed(head: bytes) -> Header:
    try:
        metadata = json.loads(head[8:])["__metadata__"]
        text, stated = metadata["header"], metadata["header_xxh3"]
        if checksum(text.encode()) != stated:
            raise BlockCorrupt("the header's checksum is wrong")
        header = from_text(text)
        whole = head_bytes(header)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise BlockCorrupt(f"the head is not that of a block: {error!r}") from error
    if whole != head:
        raise BlockCorrupt("the head differs from what is written for its header")
    return header


def _pread(descriptor: int, size: int) -> bytes:
    content = os.pread(descriptor, size, 0)
    if len(content) != size:
        raise BlockCorrupt(f"{len(content)} bytes could be read of a head of {size}")
    return content
