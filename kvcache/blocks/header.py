"""A block's header as JSON text and back.

Numbers of fixed size, token ids and links, are base64 of their bytes. It knows no files.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from memos.errors import BlockCorrupt, InvalidInput
from memos.kvcache.blocks.block import GRANULE, Header, LayerRecord, Piece, Source
from memos.kvcache.blocks.hashing import chain
from memos.kvcache.layout import CacheLayout

VERSION = 1
"""Of the file format; files of another version are not read."""

LINK = 32
"""Bytes of one chain hash."""


def to_text(header: Header) -> str:
    """The same text for equal headers."""
    content = {
        "version": VERSION,
        "root": header.root.hex(),
        "parent": header.parent.hex(),
        "start": header.start,
        "tokens": _encoded(header.tokens.tobytes()),
        "hashes": _encoded(b"".join(header.hashes)),
        "codec": header.codec,
        "policy": header.policy,
        "layout": header.layout.to_dict(),
        "sources": [[source.id, source.version] for source in header.sources],
        "flops": header.flops,
        "records": [_record(record) for record in header.records],
        "payload_dtype": header.payload_dtype,
        "payload_shape": list(header.payload_shape),
        "payload_bytes": header.payload_bytes,
        "checksum": header.checksum,
    }
    return json.dumps(content, separators=(",", ":"), sort_keys=True)


def from_text(text: str) -> Header:
    """BlockCorrupt if the text is no header, or its links are not those of its tokens."""
    try:
        content = json.loads(text)
        if content["version"] != VERSION:
            raise BlockCorrupt(
                f"the file has format version {content['version']}; this release reads {VERSION}"
            )
        header = _header(content)
    except (KeyError, TypeError, ValueError, InvalidInput) as error:
        raise BlockCorrupt(f"the header can't be read: {error!r}") from error
    if header.start % GRANULE or (header.start == 0) != (header.parent == header.root):
        raise BlockCorrupt(f"a block can't start at {header.start} under its parent")
    if list(header.hashes) != chain(header.parent, header.tokens):
        raise BlockCorrupt("the header's hashes are not those of its tokens")
    return header


def _header(content: Mapping[str, Any]) -> Header:
    links = base64.b64decode(content["hashes"], validate=True)
    tokens = np.frombuffer(base64.b64decode(content["tokens"], validate=True), dtype="<u4")
    return Header(
        root=bytes.fromhex(content["root"]),
        parent=bytes.fromhex(content["parent"]),
        start=int(content["start"]),
        tokens=tokens,
        hashes=tuple(links[at : at + LINK] for at in range(0, len(links), LINK)),
        codec=content["codec"],
        policy=content["policy"],
        layout=CacheLayout.from_dict(content["layout"]),
        sources=tuple(Source(str(name), int(version)) for name, version in content["sources"]),
        flops=float(content["flops"]),
        records=tuple(_record_of(record) for record in content["records"]),
        payload_dtype=content["payload_dtype"],
        payload_shape=tuple(content["payload_shape"]),
        payload_bytes=int(content["payload_bytes"]),
        checksum=content["checksum"],
    )


def _record(record: LayerRecord) -> list[Any]:
    pieces = {
        name: [piece.dtype, list(piece.shape), piece.offset]
        for name, piece in record.pieces.items()
    }
    return [record.start, record.rows, pieces]


def _record_of(content: Any) -> LayerRecord:
    start, rows, pieces = content
    found = {
        name: Piece(dtype, tuple(shape), offset) for name, (dtype, shape, offset) in pieces.items()
    }
    return LayerRecord(start, rows, found)


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()
