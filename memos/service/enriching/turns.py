"""Runs of turns: memories to be read, put beside what was said before them in their session.

Knows the store; not what is read out of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from memos.protocols import MemoryStore
from memos.types import Memory

CONTEXT = 6
"""Turns before a run that help to understand it."""

_PAGE = 256


@dataclass(frozen=True, slots=True)
class Run:
    """Memories that follow each other in one session, and the last turns before the first."""

    turns: tuple[Memory, ...]
    before: tuple[Memory, ...]

    def cut(self, size: int) -> tuple[Run, Run | None]:
        """Its first turns, at most `size`, and the rest of it."""
        head, tail = self.turns[:size], self.turns[size:]
        rest = Run(tail, (*self.before, *head)[-CONTEXT:]) if tail else None
        return Run(head, self.before), rest


def cut(runs: Sequence[Run], size: int) -> tuple[list[Run], list[Run]]:
    """The first of `runs`, of at most `size` turns together, and the others."""
    head: list[Run] = []
    for number, run in enumerate(runs):
        room = size - sum(len(one.turns) for one in head)
        if room <= 0:
            return head, list(runs[number:])
        first, rest = run.cut(room)
        head.append(first)
        if rest is not None:
            return head, [rest, *runs[number + 1 :]]
    return head, []


def runs(store: MemoryStore, memories: Sequence[Memory]) -> Iterator[Run]:
    """All of `memories`, which are of one cube and in order of position, in runs. A memory of no
    session stands alone."""
    sessions: dict[_Name, list[Memory]] = {}
    for memory in memories:
        if memory.session_id is None:
            yield Run((memory,), ())
        else:
            sessions.setdefault(_name(memory), []).append(memory)
    before = store.preceding([members[0] for members in sessions.values()], limit=CONTEXT)
    near = _near(store, memories)
    for members, past in zip(sessions.values(), before, strict=True):
        between = _between(store, members) if near is None else near[_name(members[0])]
        yield from _of_session(members, past, between)


_Name = tuple[str | None, str | None]
"""A session is of one user: another user's of the same name is another."""


def _name(memory: Memory) -> _Name:
    return memory.session_id, memory.user_id


def _of_session(
    members: Sequence[Memory], before: Sequence[Memory], between: Iterable[Memory]
) -> Iterator[Run]:
    """`between`: the session's live turns from the first to the last of `members`."""
    first, last = members[0].position, members[-1].position
    wanted = {memory.id: memory for memory in members}
    together = (turn for turn in between if first <= turn.position <= last)
    for is_wanted, group in groupby(together, key=lambda m: m.id in wanted):
        turns = list(group)
        if is_wanted:
            yield Run(tuple(wanted.pop(turn.id) for turn in turns), tuple(before))
        before = [*before, *turns][-CONTEXT:]
    # Forgotten since they were listed, or never live: they are read by themselves.
    for memory in wanted.values():
        yield Run((memory,), ())


def _near(store: MemoryStore, memories: Sequence[Memory]) -> dict[_Name, list[Memory]] | None:
    """All live turns between the first and the last of `memories`, by session; None if they are
    far apart."""
    found: defaultdict[_Name, list[Memory]] = defaultdict(list)
    if memories:
        first, last = memories[0].position, memories[-1].position
        if last - first >= _PAGE:
            return None
        # Each position is taken once at most, so that the page reaches to the last one.
        for row in store.page(memories[0].cube_id, after=first - 1, limit=last - first + 1):
            found[_name(row)].append(row)
    return found


def _between(store: MemoryStore, members: Sequence[Memory]) -> Iterator[Memory]:
    first, last = members[0], members[-1]
    if len(members) == 1:
        yield first
        return
    after = first.position - 1
    while after < last.position:
        rows = store.page(
            first.cube_id,
            after=after,
            limit=min(_PAGE, last.position - after),
            session_id=first.session_id,
        )
        if not rows:
            return
        after = rows[-1].position
        yield from (row for row in rows if row.user_id == first.user_id)
