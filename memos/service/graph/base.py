"""What all verbs of the graph stand on: the stores, and how an entity or a predicate is found by
its name.

Knows no verb.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from memos.config import Settings
from memos.errors import EntityNotFound, InvalidInput
from memos.graph.network.projections import GraphProjections
from memos.graph.resolving.names import LONGEST, apart, normal, titled
from memos.graph.resolving.resolution import Resolver
from memos.graph.vocabulary import Vocabulary as Words
from memos.protocols import Clock, NewId, Stores
from memos.service.memories.adding import Adder
from memos.types import (
    Cube,
    Entity,
    Fact,
    RulingKind,
)
from memos.validation import (
    check_label,
    check_text,
)

_PAGE = 1000


class GraphBase:
    """Base of the groups of verbs that `memos.service.graph.graph.Graph` is made of."""

    def __init__(
        self,
        stores: Stores,
        adder: Adder,
        resolver: Resolver,
        settings: Settings,
        *,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._store = stores.graph
        self._adder = adder
        self._resolver = resolver
        self._settings = settings
        self._clock = clock
        self._new_id = new_id
        self.projections = GraphProjections(
            stores.graph,
            most_facts=settings.graph_facts,
            budget=settings.projection_bytes // 4,
        )

    def drop(self, cube_id: str) -> None:
        """Takes a deleted cube out of RAM."""
        self.projections.drop(cube_id)
        self._resolver.forget(cube_id)

    def forget_names(self, cube_id: str) -> None:
        """After an erase: no name is kept for comparison. The graph in RAM follows by itself."""
        self._resolver.forget(cube_id)

    def _words(self, cube: Cube) -> Words:
        return Words(*self._store.definitions(cube.id))

    def _all_facts(self, cube: Cube, **filters: Any) -> Iterator[Fact]:
        after = None
        while True:
            rows = self._store.facts(cube.id, **filters, after=after, limit=_PAGE)
            yield from rows
            if len(rows) < _PAGE:
                return
            after = rows[-1].id

    def _one(self, cube: Cube, name_or_id: str, known: datetime | None = None) -> Entity:
        """EntityNotFound if nothing goes by it; InvalidInput if several do."""
        check_label("entity", name_or_id)
        found = [
            entity
            for entity in self._named(cube, name_or_id, known)
            if not apart(name_or_id, entity.name)
        ]
        if not found:
            raise EntityNotFound(
                f"cube {cube.name!r} has no entity {name_or_id[:80]!r}"
                + (" that was known then" if known else ""),
                entity=name_or_id,
            )
        own = [entity for entity in found if normal(entity.name) == normal(name_or_id)]
        if len(own) > 1:
            own = [entity for entity in own if titled(entity.name) == titled(name_or_id)]
        if len(found) > 1 and len(own) != 1:
            kinds = ", ".join(f"{entity.id} ({entity.name}, {entity.type})" for entity in found)
            raise InvalidInput(
                f"several entities go by {name_or_id!r}: {kinds}; name one by its id",
                field="entity",
                entities=[entity.id for entity in found],
            )
        return found[0] if len(found) == 1 else own[0]

    def _named(self, cube: Cube, name_or_id: str, known: datetime | None) -> list[Entity]:
        """What goes by a name, or the entity of this id, or what stands for it."""
        if not name_or_id.strip() or len(name_or_id) > LONGEST:
            return []
        by_id = self._standing(cube, [name_or_id], known)
        if by_id:
            return by_id
        name = normal(name_or_id)
        ids = [entity.id for entity in self._store.by_alias(cube.id, [name]).get(name, ())]
        if known is not None:
            # What has been merged since went by its own name then.
            merged = [r for r in self._store.rulings(cube.id) if r.kind is RulingKind.MERGE]
            ids += [ruling.source_id for ruling in merged if ruling.created_at > known]
        return [one for one in self._standing(cube, ids, known) if name in one.aliases]

    def _standing(self, cube: Cube, ids: Sequence[str], known: datetime | None) -> list[Entity]:
        rows = self._store.entities(cube.id, ids, known_as_of=known) if ids else []
        roots = {row.merged_into: None for row in rows if row.merged_into is not None}
        if roots:
            rows = [row for row in rows if row.merged_into is None]
            rows += self._store.entities(cube.id, list(roots), known_as_of=known)
        return list({row.id: row for row in rows}.values())


def checked_name(field: str, name: str) -> str:
    check_text(field, name)
    text = name.strip()
    if not normal(text) or len(text) > LONGEST:
        raise InvalidInput(
            f"{field} is {name[:40]!r}, with {len(name)} characters; a name has 1 to {LONGEST}",
            field=field,
        )
    return text
