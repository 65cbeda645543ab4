"""Runs of turns: memories to be read, put beside what was said before them in their session.

Knows the store; not what is read out of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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


def runs(store: MemoryStore, memories: Sequence[Memory]) -> Iterator[Run]:
    """All of `memories`, which are of one cube and in order of position, in runs. A memory of no
    session stands alone."""
    sessions: dict[tuple[str, str | None], list[Memory]] = {}
    for memory in memories:
        if memory.session_id is None:
            yield Run((memory,), ())
        else:
            sessions.setdefault((memory.session_id, memory.user_id), []).append(memory)
    for members in sessions.values():
        yield from _of_session(store, members)


def _of_session(store: MemoryStore, members: Sequence[Memory]) -> Iterator[Run]:
    before = store.preceding(members[0], limit=CONTEXT)
    wanted = {memory.id: memory for memory in members}
    for is_wanted, together in groupby(_between(store, members), key=lambda m: m.id in wanted):
        turns = list(together)
        if is_wanted:
            yield Run(tuple(wanted.pop(turn.id) for turn in turns), tuple(before))
        before = [*before, *turns][-CONTEXT:]
    # Forgotten since they were listed, or never live: they are read by themselves.
    for memory in wanted.values():
        yield Run((memory,), ())


def _between(store: MemoryStore, members: Sequence[Memory]) -> Iterator[Memory]:
    """The session's live turns from the first to the last of `members`."""
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
        for row in rows:
            if row.user_id == first.user_id and row.position <= last.position:
                yield row
