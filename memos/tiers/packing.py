"""A context out of the tiers, within a token budget, in an order that stays the same.

What changes least comes first, so that a model's states of the beginning can be used again: core
and procedural memories, then what is known long-term, then segments, then the last turns. Inside a
part memories stand by age, not by score. Each part may use its share of the budget; what one leaves
goes to those after it. Where turns have no room, their summary stands for them if there is one.
Knows texts and sizes; not where memories come from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from memos.activation.opening import canonical, line
from memos.types import Context, ContextPart, Memory, Summary

SHARES = {"profile": 0.2, "known": 0.3, "earlier": 0.25, "recent": 0.25}
"""Of the budget, in the order of the context."""
HEADINGS = {
    "profile": "About the user and how to act:",
    "known": "What is known:",
    "earlier": "From earlier conversations:",
    "recent": "The last turns:",
}
_MOST_OF_RECENT = 0.5
"""Of the tokens of the last turns, that the summary of their session may use."""

Count = Callable[[Sequence[str]], list[int]]


@dataclass(frozen=True, slots=True)
class Group:
    """Memories that are taken all or none; `summary` tells of them in less room."""

    memories: tuple[Memory, ...]
    summary: Summary | None = None


def packed(
    tiers: Mapping[str, Sequence[Group]],
    budget: int,
    count: Count,
    *,
    session: Group | None = None,
) -> Context:
    """`tiers` has for each part its groups, most wanted first; a group is taken whole, else by its
    summary, else not at all. A memory stands in the first part that has it, and not beside what
    was made of it. `session`: all turns of the one that goes on, the last of which are `recent`.
    `count` gives the tokens of texts."""
    last = {memory.id for group in tiers.get("recent", ()) for memory in group.memories}
    seen: set[str] = set(last)
    left_out: list[str] = []
    parts: list[ContextPart] = []
    spare, spent = 0.0, 0
    for name, share in SHARES.items():
        # A part must not depend on those after it, or its text would change with every turn.
        allowed = int(min(budget - spent, budget * share + spare))
        groups = tiers.get(name, ())
        if name == "recent":
            seen -= last
            filling = _recent(groups, session, seen, allowed, count)
        else:
            filling = _filled(name, groups, seen, allowed, count)
        left_out += filling.left
        seen |= filling.seen
        spare = allowed - (filling.used if filling.taken else 0)
        if filling.taken:
            parts.append(filling.part())
            spent += filling.used
    return Context(
        text="\n\n".join(part.text for part in parts),
        parts=tuple(parts),
        tokens=sum(part.tokens for part in parts),
        token_budget=budget,
        left_out=tuple(dict.fromkeys(id for id in left_out if id not in seen)),
    )


class _Filling:
    """A part while it is filled: the memories in it, and summaries, each with the turns it is
    for."""

    def __init__(self, name: str, seen: set[str], count: Count) -> None:
        self.name = name
        self.seen = set(seen)
        self.left: list[str] = []
        self._count = count
        self._memories: list[Memory] = []
        self._summaries: list[tuple[Summary, Memory]] = []
        [self.used] = count([f"{HEADINGS[name]}\n\n"])

    @property
    def taken(self) -> bool:
        return bool(self._memories or self._summaries)

    def new(self, group: Group) -> list[Memory]:
        return [memory for memory in group.memories if memory.id not in self.seen]

    def take(self, group: Group, budget: int) -> None:
        """The group, or what stands for it, if that has room."""
        new = self.new(group)
        if not self._fits([line(memory) for memory in new], budget):
            self.left += [memory.id for memory in new]
            self.take_summary(group, budget)
            return
        self._memories += new
        self.seen.update(id for memory in new for id in (memory.id, *memory.provenance.parents))

    def take_summary(self, group: Group, budget: int) -> None:
        """Only if it tells of something that does not stand here itself."""
        summary = group.summary
        if summary is None or self.seen.issuperset(summary.memory_ids):
            return
        if self._fits([_short(summary)], budget):
            self._summaries.append((summary, group.memories[0]))

    def _fits(self, lines: Sequence[str], budget: int) -> bool:
        size = sum(self._count([f"{text}\n" for text in lines])) if lines else 0
        if self.used + size > budget:
            return False
        self.used += size
        return True

    def part(self) -> ContextPart:
        texts = {memory.id: line(memory) for memory in self._memories}
        first = {memory.id: _short(summary) for summary, memory in self._summaries}
        stand = [*self._memories, *(memory for _, memory in self._summaries)]
        if self.name == "recent":
            ordered = sorted(self._memories, key=lambda memory: memory.position)
            lines = [*first.values(), *(texts[memory.id] for memory in ordered)]
        else:
            ordered = [memory for memory in canonical(stand) if memory.id in texts]
            shown = [(first.get(m.id), texts.get(m.id)) for m in canonical(stand)]
            lines = [text for both in shown for text in both if text is not None]
        return ContextPart(
            name=self.name,
            text="\n".join([HEADINGS[self.name], *lines]),
            memory_ids=tuple(memory.id for memory in ordered),
            tokens=self.used,
            summary_ids=tuple(summary.id for summary, _ in self._summaries),
        )


def _filled(
    name: str, groups: Sequence[Group], seen: set[str], budget: int, count: Count
) -> _Filling:
    filling = _Filling(name, seen, count)
    for group in groups:
        filling.take(group, budget)
    return filling


def _recent(
    groups: Sequence[Group], session: Group | None, seen: set[str], budget: int, count: Count
) -> _Filling:
    """The last turns; before them the summary of their session, if not all of it stands in the
    context as it is."""
    plain = _filled("recent", groups, seen, budget, count)
    if session is None or not plain.new(session):
        return plain
    filling = _Filling("recent", seen, count)
    filling.take_summary(session, int(budget * _MOST_OF_RECENT))
    if not filling.taken:
        return plain
    for group in groups:
        filling.take(group, budget)
    return filling


def _short(summary: Summary) -> str:
    """In one line: the days, then what was said."""
    return f"- In short, {'; '.join(summary.text.splitlines())}"
