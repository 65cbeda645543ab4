"""The text that a model reads of memories: in an order and a form that stay the same.

What comes first is shared by what is compiled later, so what changes least comes first: the system
prompt, core memories, then the other kinds, each by age. A memory is one line or paragraph that
depends on nothing but itself. Knows no model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from memos.types import Kind, Memory

HEADING = "What you remember:"
_KINDS = (Kind.CORE, Kind.SEMANTIC, Kind.PROCEDURAL, Kind.RESOURCE, Kind.VAULT, Kind.EPISODIC)


def canonical(memories: Sequence[Memory]) -> list[Memory]:
    """Each once: by kind, what changes least first, then by when they were added."""
    once = {memory.id: memory for memory in memories}
    return sorted(once.values(), key=lambda m: (_KINDS.index(m.kind), m.position, m.id))


def assembled(system: str, memories: Sequence[Memory], own_text: str = "") -> str:
    """The whole opening; `memories` in the order given."""
    parts = [system] if system else []
    if memories:
        parts.append("\n".join([HEADING, *map(line, memories)]))
    if own_text:
        parts.append(own_text)
    return "\n\n".join(parts)


def line(memory: Memory) -> str:
    """One memory, with who said it and on which day where that is known."""
    said = [memory.occurred_at.date().isoformat()] if memory.occurred_at else []
    said += [memory.speaker] if memory.speaker else []
    shown = [memory.content, *(f"[{i.caption}]" for i in memory.images if i.caption)]
    text = " ".join(part for part in shown if part)
    return f"- {', '.join(said)}: {text}" if said else f"- {text}"


def within(
    memories: Sequence[Memory], budget: int, count: Callable[[Sequence[str]], list[int]]
) -> tuple[list[Memory], list[Memory]]:
    """(those that fit `budget` tokens, the others); of several, the ones given first."""
    sizes = count([f"{line(memory)}\n" for memory in memories])
    taken: list[Memory] = []
    left: list[Memory] = []
    for memory, size in zip(memories, sizes, strict=True):
        if size <= budget:
            budget -= size
            taken.append(memory)
        else:
            left.append(memory)
    return taken, left
