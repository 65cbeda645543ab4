"""Parametric memory in the story that every way into the service tells."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from memos.errors import AdapterNotFound, AdapterRefused, InvalidInput, MemoryNotFound
from memos.types import Adapter, LeftAlone, Page, State

SHORT = LeftAlone(held=("What is one?",), asked=("What is two?",), texts=("The sea is calm.",))
_LASTS = {"seconds": 0.0}
"""What takes its time, or depends on what else this process did."""


def adapter_story(memory: Any, said: Any) -> None:
    note, refused = said.note, said.refused
    memory.create_cube("school")
    facts = [{"subject": "Tava Oskeld", "predicate": "lives_in", "object": "Porto"}]
    ids = memory.add_facts(facts, cube="school").memory_ids
    quick = {"cube": "school", "passes": 1, "rank": 2}
    # Nothing passes the usual gate with a model that says nothing: what a job made is told.
    queued = memory.distill(memories=ids, name="people", seed=3, **quick)
    assert type(queued) is Adapter
    assert queued.state is State.GENERATED
    memory.wait_for(queued.job_id, timeout=120)
    made = memory.adapter(queued.id, cube="school")
    note("distill", replace(made, **_LASTS))
    assert made.state is State.ARCHIVED
    page = memory.adapters(cube="school", limit=1)
    assert type(page) is Page
    note("adapters", [adapter.id for adapter in page.items] == [made.id])
    for step in ("attach", "evaluate"):
        refused(
            step, AdapterRefused, lambda step=step: getattr(memory, step)(made.id, cube="school")
        )
    note("detach", replace(memory.detach(made.id, cube="school"), **_LASTS))
    for what, kind, wanted in [
        ("no memory", MemoryNotFound, {"memories": ["0" * 26]}),
        ("an unknown time", InvalidInput, {"memories": ids, "when": "never"}),
        ("too much", InvalidInput, {"memories": ids, "query": "y"}),
        ("from nowhere", AdapterNotFound, {"memories": ids, "begin": "0" * 26}),
    ]:
        refused(
            f"distill {what}", kind, lambda wanted=wanted: memory.distill(**{**quick, **wanted})
        )
    for what, kind, ids in [
        ("one", InvalidInput, [made.id]),
        ("one twice", InvalidInput, [made.id, made.id]),
        ("none that may be used", AdapterRefused, [made.id, "0" * 26]),
        ("what is not there", AdapterNotFound, ["0" * 26, made.id]),
    ]:
        refused(
            f"merge {what}",
            kind,
            lambda ids=ids: memory.merge_adapters(ids, cube="school", shares=[]),
        )
    refused("adapter elsewhere", AdapterNotFound, lambda: memory.adapter(made.id))
    ask = {"cube": "school", "max_new_tokens": 2}
    refused("ask it", AdapterRefused, lambda: memory.generate("Tava?", adapter=made.id, **ask))
    note("ask without", memory.generate("Tava?", adapter="none", **ask).adapter)
    note("drop", memory.drop_adapter(made.id, cube="school"))
    refused(
        "roll back what is gone",
        AdapterNotFound,
        lambda: memory.rollback_adapter(made.id, cube="school"),
    )
