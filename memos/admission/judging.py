"""The verdict over each text that comes in: stored, known, put aside, or refused.

Ordinary turns are always stored. What is not is answered with the memory that it repeats, so that
whoever adds has an id for each text. Knows the rules; not what was stored before.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from memos.admission.injection import injection
from memos.admission.junk import junk
from memos.consolidation.wording import wording
from memos.retrieval.reading.analysis import text_of
from memos.types import Judgement, Memory, Policy

KNOWN, LOOP, QUARANTINED, JUNK = "duplicate", "loop", "quarantined", "junk"
_FEWEST_WORDS = 3

Recalled = Callable[[Memory], Memory | None]
_Turn = tuple[Hashable, ...]


def judged(
    memories: Sequence[Memory],
    policy: Policy,
    *,
    recalled: Recalled,
    stored: Callable[[Sequence[Memory]], Sequence[Memory]],
) -> list[Judgement]:
    """Of those that are not stored like any other, by their place in `memories`.

    `recalled` gives the memory that a text only repeats; `stored` live memories with the same text
    as one of these.
    """
    found: dict[int, Judgement] = {}
    for item, memory in enumerate(memories):
        verdict = _alone(item, memory, policy, recalled)
        if verdict is not None:
            found[item] = verdict
    turns = [m for i, m in enumerate(memories) if i not in found and may_repeat(m)]
    former: dict[_Turn, Memory] = {}
    for memory in stored(turns) if turns else ():
        former.setdefault(_turn(memory), memory)
    for item, memory in enumerate(memories):
        if item in found or not may_repeat(memory):
            continue
        same = former.setdefault(_turn(memory), memory)
        if same is not memory:
            reasons = ("the same turn is stored already",)
            found[item] = Judgement(item=item, verdict=KNOWN, reasons=reasons, memory_id=same.id)
    return [found[item] for item in sorted(found)]


def _alone(item: int, memory: Memory, policy: Policy, recalled: Recalled) -> Judgement | None:
    again = recalled(memory) if policy.loop_minutes else None
    if again is not None:
        reasons = ("it says again what a search has just given out",)
        return Judgement(item=item, verdict=LOOP, reasons=reasons, memory_id=again.id)
    if memory.provenance.source in policy.untrusted_sources:
        score, signs = injection(text_of(memory))
        if score >= policy.quarantine_above:
            where = f"it comes from {memory.provenance.source}, score {score:.2f}"
            return Judgement(
                item=item, verdict=QUARANTINED, reasons=(where, *signs), memory_id=memory.id
            )
    if policy.junk_above is not None:
        score, signs = junk(text_of(memory))
        if score > policy.junk_above:
            return Judgement(item=item, verdict=JUNK, reasons=(f"score {score:.2f}", *signs))
    return None


def may_repeat(memory: Memory) -> bool:
    """Whether it is a turn that can be told from another with the same words: in a session, and
    with the caller's own id or a time."""
    if memory.session_id is None:
        return False
    if memory.provenance.external_id is not None:
        return True
    return memory.occurred_at is not None and len(wording(memory.content).words) >= _FEWEST_WORDS


def _turn(memory: Memory) -> _Turn:
    """The same for two memories that are one turn that came twice."""
    return (
        text_of(memory),
        memory.provenance.source,
        memory.provenance.external_id,
        memory.user_id,
        memory.agent_id,
        memory.session_id,
        memory.speaker,
        memory.occurred_at,
        memory.kind,
    )
