"""The names of a cube's entities, found by likeness: what may be misspelt, shortened, or said in
other words.

A sample of the truth for candidates only: it is filled up as entities are made, and never looked at
again, so that what it finds must be looked up before it is believed. Thread-safe.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from memos.graph.resolving.likeness import misspelt, same_meaning, same_plural, short_for
from memos.graph.resolving.names import normal
from memos.graph.resolving.nicknames import full_forms
from memos.protocols import GraphStore, NewEntity

if TYPE_CHECKING:
    from memos.protocols.models import Vector

MOST = 50_000
"""Names of a cube that are compared; of a larger cube the first so many."""

_PAGE = 1000
_OF = re.compile("['\u2019]s?$")
_CUBES = 8

Bucket = tuple[str, int]


class Known:
    """The names of one cube."""

    def __init__(self, store: GraphStore, cube_id: str) -> None:
        self._store = store
        self._cube_id = cube_id
        self._last: str | None = None
        self._seen: set[tuple[str, str]] = set()
        self._alike: dict[Bucket, list[tuple[str, str]]] = defaultdict(list)
        """By first letter and length: (folded name, entity id)."""
        self._people: dict[str, set[tuple[str, str]]] = defaultdict(set)
        """By the full forms that a person's first name may have."""
        self._vectors: dict[str, tuple[list[str], list[str], Vector]] = {}
        """By type: ids, folded names, vectors."""
        self._lock = threading.Lock()

    def refresh(self) -> None:
        """Takes in entities made since, by whomever."""
        with self._lock:
            more = True
            while more and len(self._seen) < MOST:
                rows = self._store.entities(self._cube_id, after=self._last, limit=_PAGE)
                for row in rows:
                    self._add(row.id, row.type, row.name, row.aliases[:_PAGE])
                    self._last = row.id
                more = len(rows) == _PAGE

    def add(self, new: NewEntity) -> None:
        """An entity that is about to be made."""
        with self._lock:
            self._add(new.id, new.type, new.name, ())
            if new.vector is not None:
                self._vectored(new.type)
                ids, names, vectors = self._vectors[new.type]
                stacked = np.concatenate([vectors, new.vector[None]]) if ids else new.vector[None]
                self._vectors[new.type] = ([*ids, new.id], [*names, new.normal], stacked)

    def _add(self, entity_id: str, type: str, name: str, aliases: Iterable[str]) -> None:
        own = normal(name)
        for alias in (own, *aliases):
            if alias and (alias, entity_id) not in self._seen:
                self._seen.add((alias, entity_id))
                self._alike[alias[0], len(alias)].append((alias, entity_id))
        if type == "person" and own and _is_full_name(name):
            for full in full_forms(own.split()[0]):
                self._people[full].add((own, entity_id))

    def misspelt(self, name: str, *, person: bool) -> list[str]:
        """Ids of entities of whose names `name` may be a misspelling."""
        with self._lock:
            return self._found(name, lambda other: misspelt(name, other, person=person))

    def plural(self, name: str) -> list[str]:
        """Ids of entities that `name` is the plural or singular of."""
        with self._lock:
            return self._found(name, lambda other: same_plural(name, other))

    def short(self, name: str) -> list[str]:
        """Ids of people of whose names `name`, as written, may be a short or longer form."""
        if not _is_full_name(name):
            return []
        own = normal(name)
        with self._lock:
            close = {pair for full in full_forms(own.split()[0]) for pair in self._people[full]}
        return sorted({id for other, id in close if other != own and short_for(own, other)})

    def meaning(self, name: str, type: str, vector: Vector) -> list[str]:
        """Ids of entities of a type whose names mean the same, the nearest first."""
        with self._lock:
            ids, names, vectors = self._vectored(type)
        if not ids or vectors.shape[1] != len(vector):
            return []
        cosines = vectors @ vector
        best = np.argsort(-cosines, kind="stable")[:3]
        return [ids[i] for i in best if same_meaning(name, names[i], float(cosines[i]))]

    def _found(self, name: str, fits: Callable[[str], bool]) -> list[str]:
        found: dict[str, None] = {}
        for length in range(len(name) - 3, len(name) + 4):
            for other, id in self._alike.get((name[0], length), ()):
                if id not in found and other != name and fits(other):
                    found[id] = None
        return sorted(found)

    def _vectored(self, type: str) -> tuple[list[str], list[str], Vector]:
        if type not in self._vectors:
            ids, vectors = self._store.entity_vectors(self._cube_id, type)
            ids, vectors = ids[:MOST], vectors[:MOST]
            rows = {row.id: row.name for row in self._store.entities(self._cube_id, ids)}
            self._vectors[type] = (ids, [normal(rows.get(id, "")) for id in ids], vectors)
        return self._vectors[type]


def _is_full_name(name: str) -> bool:
    """Not "Anna's friend", nor "Anna from work"."""
    return all(word[0].isupper() and not _OF.search(word) for word in name.split())


class KnownNames:
    """Those of the cubes used last."""

    def __init__(self, store: GraphStore) -> None:
        self._store = store
        self._held: OrderedDict[str, Known] = OrderedDict()
        self._lock = threading.Lock()

    def drop(self, cube_id: str) -> None:
        with self._lock:
            self._held.pop(cube_id, None)

    def of(self, cube_id: str) -> Known:
        with self._lock:
            known = self._held.pop(cube_id, None) or Known(self._store, cube_id)
            self._held[cube_id] = known
            while len(self._held) > _CUBES:
                self._held.popitem(last=False)
        known.refresh()
        return known
