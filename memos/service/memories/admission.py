"""Admission as the service does it: what comes in is judged before it is stored.

Knows where to look for what was recalled and stored; the rules are `memos.admission`'s.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from memos.admission.judging import JUNK, KNOWN, LOOP, QUARANTINED, judged
from memos.admission.recalls import Recalls, window
from memos.errors import InvalidInput
from memos.protocols import Clock, Stores
from memos.retrieval.reading.analysis import text_of
from memos.types import Cube, Judgement, Memory, NewEvent, Policy, State

_LAST = 200
"""Turns of a session among which one that comes again is looked for."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """`stored` go into the cube, in order; `places` has for each text the index in `stored`, or the
    id of the memory that stands for it. `policy` is the cube's."""

    policy: Policy
    stored: tuple[Memory, ...]
    places: tuple[int | str, ...]
    judged: tuple[Judgement, ...] = ()


class Admission:
    """For all tenants."""

    def __init__(self, stores: Stores, recalls: Recalls, *, clock: Clock) -> None:
        self._stores = stores
        self._recalls = recalls
        self._clock = clock

    def admit(self, cube: Cube, memories: Sequence[Memory]) -> Admitted:
        """InvalidInput if the cube's policy refuses junk and one of these is: nothing is stored."""
        policy = self._stores.keeping.policy(cube.id) or Policy()
        since = window(policy.loop_minutes, self._clock())

        def recalled(memory: Memory) -> Memory | None:
            text = text_of(memory)
            return self._recalls.repeated(cube.id, text, memory.speaker, since=since)

        verdicts = judged(
            memories,
            policy,
            recalled=recalled,
            stored=lambda turns: self._same(cube, turns),
        )
        if not verdicts:
            return Admitted(policy, tuple(memories), tuple(range(len(memories))))
        for verdict in verdicts:
            if verdict.verdict == JUNK:
                raise InvalidInput(
                    f"item {verdict.item} is junk: {'; '.join(verdict.reasons)}. Leave it out, or "
                    "raise junk_above in the cube's policy",
                    item=verdict.item,
                )
        return _sorted(policy, memories, verdicts)

    def record(self, cube: Cube, admitted: Admitted, *, actor: str | None) -> None:
        """Tells of each verdict in an event, after the commit of what was stored."""
        kinds = {KNOWN: "memory.refuse", LOOP: "memory.refuse", QUARANTINED: "memory.quarantine"}
        events = [
            NewEvent(
                kind=kinds[one.verdict],
                subjects=(one.memory_id,),
                reason=f"{one.verdict}: {'; '.join(one.reasons)}",
                actor=actor,
                cube_id=cube.id,
            )
            for one in admitted.judged
            if one.memory_id is not None
        ]
        if events:
            self._stores.events.append(cube.tenant_id, events)

    def _same(self, cube: Cube, turns: Sequence[Memory]) -> list[Memory]:
        sessions: dict[str, set[str]] = defaultdict(set)
        for turn in turns:
            if turn.session_id is not None:
                sessions[turn.session_id].add(turn.content)
        return self._stores.keeping.same_turns(cube.id, sessions, among=_LAST)


def _sorted(policy: Policy, memories: Sequence[Memory], verdicts: Sequence[Judgement]) -> Admitted:
    by_item = {verdict.item: verdict for verdict in verdicts}
    stored: list[Memory] = []
    inside: dict[str, int] = {}
    places: list[int | str] = []
    for item, memory in enumerate(memories):
        verdict = by_item.get(item)
        if verdict is not None and verdict.verdict in (KNOWN, LOOP):
            assert verdict.memory_id is not None
            places.append(inside.get(verdict.memory_id, verdict.memory_id))
            continue
        places.append(len(stored))
        inside[memory.id] = len(stored)
        aside = verdict is not None
        stored.append(replace(memory, state=State.GENERATED) if aside else memory)
    return Admitted(policy, tuple(stored), tuple(places), tuple(verdicts))
