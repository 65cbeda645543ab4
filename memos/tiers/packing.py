"""A context out of the tiers, within a token budget, in an order that stays the same.

What changes least comes first, so that a model's states of the beginning can be used again: core
and procedural memories, then what is known long-term, then segments, then the last turns. Inside a
part memories stand by age, not by score. Each part may use its share of the budget; what one leaves
goes to those after it. Knows texts and sizes; not where memories come from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from memos.activation.opening import canonical, line
from memos.types import Context, ContextPart, Memory

SHARES = {"profile": 0.2, "known": 0.3, "earlier": 0.25, "recent": 0.25}
"""Of the budget, in the order of the context."""
HEADINGS = {
    "profile": "About the user and how to act:",
    "known": "What is known:",
    "earlier": "From earlier conversations:",
    "recent": "The last turns:",
}

Count = Callable[[Sequence[str]], list[int]]


def packed(tiers: dict[str, Sequence[Sequence[Memory]]], budget: int, count: Count) -> Context:
    """`tiers` has for each part its groups, most wanted first; a group is taken whole or not at
    all; a memory stands in the first part that has it, and not beside what was made of it.
    `count` gives the tokens of texts."""
    last = [memory.id for group in tiers.get("recent", ()) for memory in group]
    seen: set[str] = set(last)
    left_out: list[str] = []
    parts: dict[str, ContextPart] = {}
    spare, spent = 0.0, 0
    for name, share in SHARES.items():
        if name == "recent":
            seen -= set(last)
        # A part must not depend on those after it, or its text would change with every turn.
        allowed = int(min(budget - spent, budget * share + spare))
        part, gone = _part(name, tiers.get(name, ()), seen, allowed, count)
        left_out += gone
        spare = allowed - (part.tokens if part else 0)
        if part is not None:
            parts[name] = part
            spent += part.tokens
    ordered = tuple(parts[name] for name in SHARES if name in parts)
    return Context(
        text="\n\n".join(part.text for part in ordered),
        parts=ordered,
        tokens=sum(part.tokens for part in ordered),
        token_budget=budget,
        left_out=tuple(dict.fromkeys(id for id in left_out if id not in seen)),
    )


def _part(
    name: str, groups: Sequence[Sequence[Memory]], seen: set[str], budget: int, count: Count
) -> tuple[ContextPart | None, list[str]]:
    heading = HEADINGS[name]
    [used] = count([f"{heading}\n\n"])
    taken: list[Memory] = []
    left: list[str] = []
    for group in groups:
        new = [memory for memory in group if memory.id not in seen]
        size = sum(count([f"{line(memory)}\n" for memory in new])) if new else 0
        if used + size > budget:
            left += [memory.id for memory in new]
            continue
        used += size
        taken += new
        seen.update(id for memory in new for id in (memory.id, *memory.provenance.parents))
    if not taken:
        return None, left
    ordered = canonical(taken) if name != "recent" else sorted(taken, key=lambda m: m.position)
    text = "\n".join([heading, *map(line, ordered)])
    ids = tuple(memory.id for memory in ordered)
    return ContextPart(name=name, text=text, memory_ids=ids, tokens=used), left
