"""Codecs by name. A new one: its file, its line here."""

from __future__ import annotations

from memos.errors import InvalidInput
from memos.kvcache.codecs.base import Codec
from memos.kvcache.codecs.int2 import Int2
from memos.kvcache.codecs.int4 import Int4
from memos.kvcache.codecs.int8 import Int8
from memos.kvcache.codecs.k8v4 import K8V4
from memos.kvcache.codecs.lossless import Lossless
from memos.kvcache.codecs.raw import Raw

CODECS: dict[str, Codec] = {
    codec.name: codec for codec in (Raw(), Lossless(), Int8(), K8V4(), Int4(), Int2())
}
"""The most exact first."""


def codec_named(name: str) -> Codec:
    """InvalidInput if there is none of that name."""
    try:
        return CODECS[name]
    except KeyError:
        raise InvalidInput(f"no codec {name!r}; there are {', '.join(CODECS)}") from None
