"""Memories that are made of others, and the lines that say so. Knows no store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from memos.types import ActionKind, Cube, Kind, Lineage, Memory, Provenance, Relation, State

SOURCE = "consolidation"
"""`provenance.source` of what is made here."""
FEWEST_LEFT = 2
"""Of fewer sources nothing is made again."""
KINDS = {
    ActionKind.GENERALISE: Kind.SEMANTIC,
    ActionKind.PROCEDURE: Kind.PROCEDURAL,
    ActionKind.CORE: Kind.CORE,
}
"""What kind of memory each action makes, but for promotion, which makes two kinds."""
_ACTIONS = {kind: action for action, kind in KINDS.items()}


MADE_BY = "made_by"
"""In the metadata of a memory that was made: by which action."""


def is_made(memory: Memory) -> bool:
    """Whether consolidation made it of others, and it is no memory that somebody told."""
    return (
        memory.provenance.source == SOURCE
        and bool(memory.provenance.parents)
        and MADE_BY in memory.metadata
    )


def made_memory(
    cube: Cube,
    action: ActionKind,
    kind: Kind,
    text: str,
    sources: Sequence[Memory],
    *,
    id: str,
    now: datetime,
) -> Memory:
    """A memory of its own: of its sources' user, as new as the newest of them."""
    first = sources[0]
    times = [m.occurred_at for m in sources if m.occurred_at is not None]
    return Memory(
        id=id,
        cube_id=cube.id,
        content=text,
        kind=kind,
        state=State.ACTIVATED,
        version=1,
        position=0,
        user_id=first.user_id,
        agent_id=first.agent_id,
        session_id=None,
        speaker=None,
        occurred_at=max(times) if times else None,
        place=None,
        images=(),
        metadata={MADE_BY: action.value},
        priority=max(m.priority for m in sources),
        expires_at=None,
        provenance=Provenance(source=SOURCE, parents=tuple(m.id for m in sources)),
        created_at=now,
        updated_at=now,
    )


def made_from(made: Memory, sources: Sequence[Memory]) -> tuple[Lineage, ...]:
    """From which memories, as they are now, `made` comes."""
    return tuple(
        Lineage(
            derived_id=made.id,
            source_id=source.id,
            source_version=source.version,
            relation=Relation.MADE_FROM,
        )
        for source in sources
    )


def action_of(made: Memory) -> ActionKind:
    """By which action a memory was made, that has sources."""
    said = made.metadata.get(MADE_BY)
    return _ACTIONS[made.kind] if said is None else ActionKind(said)
