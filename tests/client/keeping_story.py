"""The verbs of keeping memories, told on every way into the service."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from memos.errors import InvalidInput, MemoryNotFound, PolicyContradiction, VersionConflict
from memos.types import (
    Audit,
    Context,
    ErasureReceipt,
    Job,
    KeepingPlan,
    Kind,
    Lineage,
    Policy,
    ReceiptCheck,
    Segment,
    Strength,
    Work,
)

CUBE = "kept"


def keeping_story(memory: Any, said: Any) -> None:
    """In a cube of its own."""
    note, refused = said.note, said.refused
    memory.create_cube(CUBE)
    texts = ["I love green tea.", "I really love green tea!", "Rex is our dog."]
    one, two, dog = memory.add(texts, cube=CUBE, session_id="s").memories

    policy = memory.policy(cube=CUBE)
    assert policy == Policy()
    changed = memory.set_policy(
        replace(policy, archive_below=0.01, half_life_days={Kind.EPISODIC: 10.0}), cube=CUBE
    )
    assert type(changed) is Policy
    assert changed.half_life_days[Kind.SEMANTIC] == 180.0
    note("set_policy", changed)
    refused(
        "a policy out of range",
        InvalidInput,
        lambda: memory.set_policy(replace(policy, archive_below=7.0), cube=CUBE),
    )
    pinned = memory.pin_memory(dog.id, cube=CUBE)
    assert type(pinned) is Strength
    note("pinned", pinned.pinned)
    refused(
        "a budget below what is pinned",
        PolicyContradiction,
        lambda: memory.set_policy(replace(policy, max_bytes=1), cube=CUBE),
    )
    assert not memory.unpin_memory(dog.id, cube=CUBE).pinned
    note("strength", memory.strength(dog.id, cube=CUBE).importance)
    refused("strength of none", MemoryNotFound, lambda: memory.strength("0" * 26, cube=CUBE))

    plan = memory.plan(cube=CUBE)
    assert type(plan) is KeepingPlan
    note("plan", plan)
    note("plan of a sweep", memory.plan(Work.SWEEP, cube=CUBE))
    refused("plan of nothing", InvalidInput, lambda: memory.plan("nap", cube=CUBE))
    audit = memory.audit(cube=CUBE)
    assert type(audit) is Audit
    note("audit", audit)
    for verb in (memory.consolidate, memory.sweep):
        job = verb(cube=CUBE)
        assert type(job) is Job
        memory.wait_for(job.id)
    [line] = memory.lineage(two.id, cube=CUBE)
    assert type(line) is Lineage
    assert line.source_id == one.id
    note("lineage", line)

    context = memory.context("What about tea?", cube=CUBE, session_id="s", token_budget=100)
    assert type(context) is Context
    note("context", context)
    refused("no budget", InvalidInput, lambda: memory.context(cube=CUBE, token_budget=0))
    segments = memory.segments("s", cube=CUBE)
    assert [type(one) for one in segments] == [Segment]
    note("segments", [memory.id for memory in segments[0].memories])

    refused(
        "erase of another version",
        VersionConflict,
        lambda: memory.erase(two.id, cube=CUBE, if_version=9),
    )
    receipt = memory.erase(two.id, cube=CUBE, reason="asked for")
    assert type(receipt) is ErasureReceipt
    assert receipt.memory_ids == (two.id, one.id)
    note("erased", [receipt.memory_ids, [one.store for one in receipt.stores]])
    check = memory.check_receipt(receipt, cube=CUBE)
    assert type(check) is ReceiptCheck
    assert check.valid
    forged = replace(receipt, memory_ids=(two.id,))
    assert not memory.check_receipt(forged, cube=CUBE).valid
    refused("erase of nothing", MemoryNotFound, lambda: memory.erase(two.id, cube=CUBE))
    again = memory.add("Rex is our dog.", cube=CUBE, session_id="s")
    note("not a loop", again.judged)
