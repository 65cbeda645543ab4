"""Memories, forms and a clock for the storage tests."""

from __future__ import annotations

import hashlib
import itertools
from datetime import datetime, timedelta, timezone

import numpy as np

from memos.protocols import Indexed
from memos.types import Cube, EmbeddingModel, Kind, Memory, Provenance, State

MODEL = EmbeddingModel(id="m", digest="m1", dimensions=4, max_tokens=16)
ANALYZER = "a1"

_numbers = itertools.count(1)


class Clock:
    """A clock that tests turn by hand."""

    def __init__(self) -> None:
        self.now = datetime(2024, 5, 1, 12, 0, 0, 123456, tzinfo=timezone.utc)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now


def new_id() -> str:
    """Ids that grow, as the service's do."""
    return f"{next(_numbers):026d}"


def cube(clock: Clock, *, name: str = "default", tenant: str = "t1", **fields: object) -> Cube:
    values = {
        "id": new_id(),
        "tenant_id": tenant,
        "name": name,
        "description": "",
        "metadata": {},
        "embedding": None,
        "created_at": clock(),
    }
    return Cube(**{**values, **fields})


def memory(clock: Clock, cube_id: str, content: str = "hello", **fields: object) -> Memory:
    values = {
        "id": new_id(),
        "cube_id": cube_id,
        "content": content,
        "kind": Kind.EPISODIC,
        "state": State.ACTIVATED,
        "version": 1,
        "position": 0,
        "user_id": None,
        "agent_id": None,
        "session_id": None,
        "speaker": None,
        "occurred_at": None,
        "place": None,
        "images": (),
        "metadata": {},
        "priority": 0.5,
        "expires_at": None,
        "provenance": Provenance(),
        "created_at": clock(),
        "updated_at": clock(),
    }
    return Memory(**{**values, **fields})


def sha(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def form(text: str = "hello", *, analyzer: str = ANALYZER, model: str = MODEL.digest) -> Indexed:
    seed = int(sha(text)[:8], 16)
    vector = np.random.default_rng(seed).standard_normal(4).astype(np.float32)
    return Indexed(text.lower(), analyzer, vector, model, sha(text))


NOTHING = Indexed(None, None, None, None)
