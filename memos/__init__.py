"""A memory operating system for LLM agents.

`memos.open()` gives a MemoryOS in this process; `memos.Client` and `memos.AsyncClient` reach one
over HTTP with the same verbs. Names are loaded when first used, so that the import is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memos.assembly import open
    from memos.client import AsyncClient, Client
    from memos.service import MemoryOS
    from memos.types import (
        UNSET,
        Hit,
        Image,
        Kind,
        Memory,
        Message,
        NewMemory,
        Provenance,
        SearchResult,
        State,
    )

__all__ = [
    "UNSET",
    "AsyncClient",
    "Client",
    "Hit",
    "Image",
    "Kind",
    "Memory",
    "MemoryOS",
    "Message",
    "NewMemory",
    "Provenance",
    "SearchResult",
    "State",
    "open",
]

_HOME = {
    "open": "memos.assembly",
    "AsyncClient": "memos.client",
    "Client": "memos.client",
    "MemoryOS": "memos.service",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        # Stated once, in pyproject.toml; asked for only here, since the look-up loads a lot.
        return import_module("importlib.metadata").version("memos-engine")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME.get(name, "memos.types")), name)


def __dir__() -> list[str]:
    return list(__all__)
