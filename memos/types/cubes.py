"""Cubes and the embedding model that their vectors come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingModel:
    """Identity of an embedder. Vectors with different digests are never compared."""

    id: str
    digest: str
    dimensions: int
    max_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cube:
    """The unit of ownership. `embedding` is the model its vectors come from (None while empty)."""

    id: str
    tenant_id: str
    name: str
    description: str
    metadata: Mapping[str, Any]
    embedding: EmbeddingModel | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeDescription:
    """A cube with what is in it. Bytes are those of the texts and vectors in SQL."""

    cube: Cube
    memories: int
    by_kind: Mapping[str, int]
    by_state: Mapping[str, int]
    sessions: int
    text_bytes: int
    vector_bytes: int
    earliest: datetime | None
    latest: datetime | None
