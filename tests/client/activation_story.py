"""Activation memory in the story that every way into the service tells."""

from __future__ import annotations

from typing import Any

from memos.errors import ActivationNotFound, InvalidInput, MemoryNotFound, NotFound, StateConflict
from memos.types import (
    Activation,
    ActivationStats,
    Answers,
    Generated,
    JoinReport,
    Kind,
    Page,
    Piece,
    State,
)

_TEA = "Ana likes green tea, long walks by the river and the smell of rain in the old town."
_TIMES = {"ttft_s", "total_s"}


def answered(done: Generated) -> dict[str, Any]:
    """An answer without what takes its time."""
    return {
        name: getattr(done, name) for name in Generated.__dataclass_fields__ if name not in _TIMES
    }


def activation_story(memory: Any, said: Any) -> None:
    note, refused = said.note, said.refused
    memory.create_cube("mind")
    tea = memory.add(_TEA, cube="mind", kind=Kind.CORE).memories[0]
    made = memory.compile(
        memories=[tea.id], system="Be brief.", name="core", cube="mind", codec="lossless"
    )
    assert type(made) is Activation
    note("compile", made)
    note("compile a kind", memory.compile(kind=Kind.CORE, cube="mind", token_budget=500))
    note("compile a text", memory.compile(text="A plain text.", cube="mind", pinned=True))
    later = memory.compile(query="green tea", limit=3, cube="mind", wait=False)
    memory.wait_for(later.job_id, timeout=120)
    note("compile by a job", memory.activation(later.id, cube="mind"))
    for what, kind, wanted in [
        ("nothing", InvalidInput, {}),
        ("no memory", MemoryNotFound, {"memories": ["0" * 26]}),
        ("an unknown codec", InvalidInput, {"text": "x", "codec": "zip"}),
        ("too much", InvalidInput, {"memories": ["x"], "query": "y"}),
    ]:
        refused(
            f"compile {what}", kind, lambda wanted=wanted: memory.compile(cube="mind", **wanted)
        )
    page = memory.activations(cube="mind", limit=2)
    assert type(page) is Page
    note("activations", page)
    note("the rest", memory.activations(cube="mind", limit=5, cursor=page.next_cursor))
    note("activation", memory.activation(made.id, cube="mind"))
    refused("activation elsewhere", ActivationNotFound, lambda: memory.activation(made.id))
    for step in ("warm", "pin", "unpin"):
        note(step, getattr(memory, step)(made.id, cube="mind"))
    done = memory.generate("Tea?", activation=made.id, cube="mind", max_new_tokens=6)
    assert type(done) is Generated
    assert done.reused_tokens == made.tokens
    note("generate", answered(done))
    options = {"temperature": 0.9, "top_p": 0.9, "top_k": 40, "seed": 3, "stop": ["\n"]}
    turns = [{"role": "user", "content": "Tea?"}]
    drawn = memory.generate(turns, cube="mind", max_new_tokens=6, **options)
    note("generate with everything", answered(drawn))
    pieces = list(memory.generate_stream("Tea?", activation=made.id, cube="mind", max_new_tokens=6))
    assert all(type(piece) is Piece for piece in pieces)
    note("generate_stream", [piece.text for piece in pieces])
    note("its end", answered(pieces[-1].done))
    refused("ask nothing", InvalidInput, lambda: memory.generate(" ", cube="mind"))
    refused(
        "stream from nowhere",
        ActivationNotFound,
        lambda: list(memory.generate_stream("x", activation="0" * 26, cube="mind")),
    )
    many = memory.generate_batch(["Tea?", turns], activation=made.id, cube="mind", max_new_tokens=6)
    assert type(many) is Answers
    assert many.items[0].text == done.text
    note("generate_batch", [answered(one) for one in many.items])
    refused("ask nothing at once", InvalidInput, lambda: memory.generate_batch([], cube="mind"))
    joined_story(memory, said)
    stats = memory.activation_stats(cube="mind")
    assert type(stats) is ActivationStats
    note("activation_stats", stats)
    memory.update(tea.id, cube="mind", content="Ana prefers coffee now, and walks by the sea.")
    stale = memory.activation(made.id, cube="mind")
    assert stale.state is State.EXPIRED
    note("a stale one", stale)
    ask = {"activation": made.id, "cube": "mind", "max_new_tokens": 4}
    refused("ask a stale one", StateConflict, lambda: memory.generate("Tea?", **ask))
    note("refresh", answered(memory.generate("Tea?", refresh=True, **ask)))
    guided = {"text": _TEA, "policy": "finch:0.5", "cube": "mind"}
    note("compile with a guide", memory.compile(guide="Which tea?", **guided))
    refused("compile without one", InvalidInput, lambda: memory.compile(**guided))
    note("drop", memory.drop(made.id, cube="mind"))
    refused("drop again", ActivationNotFound, lambda: memory.drop(made.id, cube="mind"))


def joined_story(memory: Any, said: Any) -> None:
    """Answers from several activation memories, before and after that is measured."""
    note, refused = said.note, said.refused
    two = [memory.compile(text=_TEA[at:], cube="mind").id for at in (10, 20)]
    refused("joining before it is measured", NotFound, lambda: memory.joining(cube="mind"))
    ask = {"activations": two, "cube": "mind", "max_new_tokens": 4}
    note("not joined", answered(memory.generate_joined("Tea?", **ask)))
    report = memory.measure_joining(
        ["Tea?"], activations=two, ratios=[0.999], selection="first", cube="mind"
    )
    assert type(report) is JoinReport
    assert memory.joining(cube="mind") == report
    note("measure_joining", [point.top1 for point in report.curve])
    joined = memory.generate_joined("Tea?", top=2, **ask)
    assert joined.joined is True
    note("joined", answered(joined))
    refused(
        "join one",
        InvalidInput,
        lambda: memory.generate_joined("Tea?", **{**ask, "activations": two[:1]}),
    )
    refused(
        "measure nothing",
        InvalidInput,
        lambda: memory.measure_joining([], activations=two, cube="mind"),
    )
