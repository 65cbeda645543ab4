"""The story of the graph: somebody moves house and changes jobs, and people change their minds.

Told to anything that has the verbs; what is answered is written down by a transcript.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from memos.errors import (
    Conflict,
    EntityNotFound,
    FactNotFound,
    InvalidCursor,
    InvalidInput,
    MemoryNotFound,
    NoteNotFound,
    RulingNotFound,
    StateConflict,
)
from memos.types import (
    AddedFacts,
    Entity,
    Fact,
    FactExplanation,
    GraphDiff,
    Job,
    JobState,
    Message,
    Neighbour,
    NewFact,
    Note,
    Page,
    Path,
    Ruling,
    SummaryKind,
    Vocabulary,
)

CUBE = "life"


def day(year: int, month: int = 1, date: int = 1) -> datetime:
    return datetime(year, month, date, tzinfo=timezone.utc)


def now() -> datetime:
    """A moment that surely lies between what came before and what comes after."""
    time.sleep(0.01)
    moment = datetime.now(timezone.utc)
    time.sleep(0.01)
    return moment


def settle(memory: Any) -> None:
    """Waits for the notes, which are drafted after the facts were read."""
    while True:
        jobs = [job for job in memory.jobs(cube=CUBE, limit=200).items if job.kind == "notes"]
        waiting = [job for job in jobs if job.state is not JobState.SUCCEEDED]
        if jobs and not waiting:
            return
        for job in waiting:
            memory.wait_for(job.id, timeout=120)


def named(facts: Sequence[Fact]) -> list[str]:
    """The objects of facts."""
    return [fact.object.name if fact.object else str(fact.value) for fact in facts]


def graph_story(memory: Any, said: Any) -> None:
    note, refused = said.note, said.refused
    memory.create_cube(CUBE)

    def tell(*turns: Message, session: str) -> Any:
        added = memory.add(list(turns), cube=CUBE, session_id=session)
        assert added.enriching
        for job in added.enriching:
            memory.wait_for(job, timeout=120)
        return added.memories

    def asked(**wanted: Any) -> list[Fact]:
        page = memory.facts(cube=CUBE, **wanted)
        assert type(page) is Page
        return list(page.items)

    def home(**view: Any) -> list[str]:
        return named(asked(subject="Ana", predicate="lives_in", **view))

    # Told in order: a home and a job, then others
    before = now()
    first = tell(
        Message(speaker="Ana", content="I live in Porto.", at=day(2022, 5, 1)),
        Message(speaker="Ana", content="I work at Metro.", at=day(2022, 5, 1)),
        Message(speaker="Ben", content="I work at Metro.", at=day(2022, 5, 1)),
        session="s1",
    )
    settled = now()
    second = tell(
        Message(speaker="Ana", content="I moved to Lisbon in March 2024.", at=day(2024, 4, 10)),
        Message(speaker="Ana", content="I work at Carris now.", at=day(2024, 4, 10)),
        Message(speaker="Ben", content="I bought a red bicycle.", at=day(2024, 4, 10)),
        session="s2",
    )
    moved = now()
    assert home(as_of=day(2023)) == ["Porto"]
    assert home(as_of=day(2024, 6)) == ["Lisbon"]
    assert home(as_of=day(2024, 6), known_as_of=settled) == ["Porto"]
    assert home(known_as_of=before) == []
    assert sorted(home()) == ["Lisbon", "Porto"]
    assert named(asked(subject="Ana", predicate="works_at", as_of=day(2024, 6))) == ["Carris"]
    assert named(asked(subject="Ben", predicate="works_at", as_of=day(2024, 6))) == ["Metro"]
    note("facts", memory.facts(cube=CUBE))
    note("facts of a triple", asked(predicate="works_at", object="metro"))
    note("facts as of", asked(as_of=day(2023)))
    page = memory.facts(cube=CUBE, limit=2)
    rest = memory.facts(cube=CUBE, limit=2, cursor=page.next_cursor)
    assert not {fact.id for fact in page.items} & {fact.id for fact in rest.items}
    refused("a made-up cursor", InvalidCursor, lambda: memory.facts(cube=CUBE, cursor="zzz"))
    note("sure facts", asked(min_confidence=1.0))

    [porto] = asked(subject="Ana", predicate="lives_in", object="Porto")
    [lisbon] = asked(subject="Ana", predicate="lives_in", object="Lisbon")
    assert (porto.valid_at, lisbon.valid_at) == (day(2022, 5, 1), day(2024, 3, 1))
    assert (porto.invalid_at, porto.closed_by) == (day(2024, 3, 1), lisbon.id)
    assert memory.fact(porto.id, cube=CUBE) == porto
    assert memory.fact(porto.id, cube=CUBE, known_as_of=settled).invalid_at is None
    refused(
        "a fact before it was known",
        FactNotFound,
        lambda: memory.fact(porto.id, cube=CUBE, known_as_of=before),
    )
    refused("no fact", FactNotFound, lambda: memory.fact("0" * 26, cube=CUBE))

    # Why
    why = memory.why(porto.id, cube=CUBE)
    assert type(why) is FactExplanation
    assert why.closed_by.id == lisbon.id
    assert [a.memory_id for a in why.assertions] == [first[0].id]
    assert [fact.invalid_at for fact in why.revisions] == [None, day(2024, 3, 1)]
    assert why.text
    note("why", why)
    note("why then", memory.why(porto.id, cube=CUBE, known_as_of=settled).closed_by)
    assert porto.id in {fact.id for fact in memory.why(lisbon.id, cube=CUBE).closes}

    # Entities and the ways between them
    ana = memory.entity("ana", cube=CUBE)
    assert type(ana) is Entity
    assert memory.entity(ana.id, cube=CUBE) == ana
    note("entity", ana)
    note("entities", sorted(e.name for e in memory.entities(cube=CUBE).items))
    note("entities of a type", memory.entities(cube=CUBE, type="person", text="An").items)
    refused("nobody", EntityNotFound, lambda: memory.entity("Nobody", cube=CUBE))
    refused(
        "somebody before",
        EntityNotFound,
        lambda: memory.entity("Ana", cube=CUBE, known_as_of=before),
    )
    timeline = memory.timeline("Ana", cube=CUBE)
    note("timeline", timeline)
    assert named(memory.timeline("Ana", predicate="lives_in", cube=CUBE)) == ["Porto", "Lisbon"]
    since = memory.timeline("Ana", predicate="lives_in", since=day(2024, 6), cube=CUBE)
    assert named(since) == ["Lisbon"]
    near = memory.neighbours("Ana", cube=CUBE, as_of=day(2024, 6))
    assert all(type(neighbour) is Neighbour for neighbour in near)
    assert {n.entity.name for n in near} >= {"Lisbon", "Carris"}
    assert "Porto" not in {n.entity.name for n in near}
    note("neighbours", near)
    note("neighbours then", memory.neighbours("Ana", hops=2, cube=CUBE, known_as_of=settled))
    paths = memory.paths("Ana", "Ben", cube=CUBE, as_of=day(2023))
    assert all(type(path) is Path for path in paths)
    assert [step.target.name for step in paths[0].steps] == ["Metro", "Ben"]
    assert paths[0].steps[0].fact.sources[0].memory_id == first[1].id
    note("paths", paths)
    assert memory.paths("Ana", "Ben", cube=CUBE, as_of=day(2024, 6)) == ()

    # Differences
    known = memory.diff(settled, moved, cube=CUBE)
    assert type(known) is GraphDiff
    assert lisbon.id in {fact.id for fact in known.appeared}
    assert porto.id in {after.id for _, after in known.changed}
    note("diff of what was known", known)
    true = memory.diff(day(2023), day(2024, 6), cube=CUBE, axis="valid")
    assert porto.id in {fact.id for fact in true.disappeared}
    note("diff of what was true", true)
    refused("a diff backwards", InvalidInput, lambda: memory.diff(moved, settled, cube=CUBE))
    refused(
        "a diff of nothing", InvalidInput, lambda: memory.diff(settled, moved, cube=CUBE, axis="x")
    )

    # A person's word against a rule
    settle(memory)  # what notes say must not depend on whether they are drafted by then
    ruling = memory.keep_open(porto.id, cube=CUBE, reason="she keeps both")
    assert type(ruling) is Ruling
    assert sorted(home(as_of=day(2024, 6))) == ["Lisbon", "Porto"]
    note("keep_open", ruling)
    note("revoke", memory.revoke(ruling.id, cube=CUBE))
    assert home(as_of=day(2024, 6)) == ["Lisbon"]
    refused("revoke again", StateConflict, lambda: memory.revoke(ruling.id, cube=CUBE))
    refused("revoke nothing", RulingNotFound, lambda: memory.revoke("0" * 26, cube=CUBE))
    refused("keep open what is not", FactNotFound, lambda: memory.keep_open("0" * 26, cube=CUBE))

    # Two names of one, and one name of two
    annie = memory.add_facts(
        [
            {"subject": "Annie", "subject_type": "person", "predicate": "likes", "object": "trams"},
        ],
        cube=CUBE,
    )
    assert type(annie) is AddedFacts
    assert len(annie.memory_ids) == 1
    note("add_facts", annie)
    merged = memory.merge_entities("Annie", "Ana", cube=CUBE, reason="her nickname")
    assert memory.entity("Annie", cube=CUBE).id == ana.id
    assert "trams" in named(asked(subject="Ana", predicate="likes"))
    note("merge_entities", merged)
    refused(
        "a merge with itself",
        Conflict,
        lambda: memory.merge_entities(ana.id, ana.id, cube=CUBE),
    )
    memory.revoke(merged.id, cube=CUBE)
    assert memory.entity("Annie", cube=CUBE).id != ana.id
    assert asked(subject="Ana", predicate="likes") == []
    split = memory.split_entity(
        "Ana", name="Ana P", memories=[second[1].id], cube=CUBE, reason="another Ana"
    )
    assert named(asked(subject="Ana P")) == ["Carris"]
    assert named(asked(subject="Ana", predicate="works_at", as_of=day(2024, 6))) == ["Metro"]
    note("split_entity", split)
    memory.revoke(split.id, cube=CUBE)
    assert named(asked(subject="Ana", predicate="works_at", as_of=day(2024, 6))) == ["Carris"]
    note("rulings", memory.rulings(cube=CUBE))

    # Given facts, and words of one's own
    keyed = [memory.add_facts([BERTH], cube=CUBE, idempotency_key="berth") for _ in "12"]
    assert keyed[0].memory_ids == keyed[1].memory_ids
    memory.add_facts([LATER], cube=CUBE, session_id="harbour")
    pier: dict[str, Any] = {
        "subject": "Kittiwake",
        "predicate": "moored_at",
        "as_of": day(2024, 6),
    }
    assert len(asked(**pier)) == 2  # of a predicate that nobody knows, several are true
    note(
        "define_predicate",
        memory.define_predicate("moored_at", functional=True, object_types=("place",), cube=CUBE),
    )
    assert len(asked(**pier)) == 1
    note(
        "define_type", memory.define_type("boat", parent="thing", description="it sails", cube=CUBE)
    )
    words = memory.vocabulary(cube=CUBE)
    assert type(words) is Vocabulary
    assert "moored_at" in {known.name for known in words.predicates}
    assert "boat" in {known.name for known in words.types}
    note("vocabulary", words)
    note(
        "add_records",
        memory.add_records(
            [{"name": "Eva", "lives_in": "Faro", "age": 34, "since": "2021-06"}],
            name_field="name",
            type="person",
            time_field="since",
            cube=CUBE,
        ),
    )
    assert named(asked(subject="Eva", predicate="lives_in", as_of=day(2022))) == ["Faro"]
    for what, facts in [
        ("no list", BERTH),
        ("no fact", [7]),
        ("a naive time", [replace(BERTH, valid_at=datetime(2024, 1, 1))]),
        ("a fact of nothing", [{"subject": "a", "predicate": "b"}]),
        ("a misspelt field", [{"subject": "a", "predicate": "b", "obejct": "c"}]),
        ("a name without end", [{"subject": "a" * 1_000_000, "predicate": "b", "object": "c"}]),
        ("a confidence of 2", [{"subject": "a", "predicate": "b", "object": "c", "confidence": 2}]),
        ("not a number", [{"subject": "a", "predicate": "b", "object": float("nan")}]),
    ]:  # fmt: skip
        refused(
            f"add_facts of {what}", InvalidInput, lambda f=facts: memory.add_facts(f, cube=CUBE)
        )

    # Notes and summaries
    settle(memory)
    about = memory.note(first[0].id, cube=CUBE)
    assert type(about) is Note
    assert about.keywords
    note("note", about)
    history = memory.note_history(first[0].id, cube=CUBE)
    assert history[-1] == about
    refused(
        "a note before it was",
        NoteNotFound,
        lambda: memory.note(first[0].id, cube=CUBE, known_as_of=settled - timedelta(days=1)),
    )
    if len(history) == 1:
        refused(
            "undo of a first note", StateConflict, lambda: memory.undo_note(first[0].id, cube=CUBE)
        )
    else:
        note("undo_note", memory.undo_note(first[0].id, cube=CUBE, reason="wrong"))
    job = memory.summarise(cube=CUBE)
    assert type(job) is Job
    memory.wait_for(job.id, timeout=120)
    sessions = memory.summaries(kind=SummaryKind.SESSION, cube=CUBE).items
    assert {"s1", "s2"} <= {summary.key for summary in sessions}
    note("summaries", sorted(summary.text for summary in sessions))
    again = memory.extract(cube=CUBE, again=True)
    memory.wait_for(again.id, timeout=120)
    assert home(as_of=day(2024, 6)) == ["Lisbon"]

    # Forgetting
    memory.forget(second[0].id, cube=CUBE)
    assert home(as_of=day(2024, 6)) == ["Porto"]
    assert home(as_of=day(2024, 6), known_as_of=moved) == ["Lisbon"]
    assert memory.fact(porto.id, cube=CUBE).closed_by is None
    note("a fact that is open again", memory.fact(porto.id, cube=CUBE))
    memory.restore(second[0].id, cube=CUBE)
    assert home(as_of=day(2024, 6)) == ["Lisbon"]
    memory.forget(second[0].id, cube=CUBE, erase=True)
    assert home() == ["Porto"]
    assert home(as_of=day(2024, 6), known_as_of=moved) == ["Porto"]
    refused("an erased fact", FactNotFound, lambda: memory.fact(lisbon.id, cube=CUBE))
    refused("an erased name", EntityNotFound, lambda: memory.entity("Lisbon", cube=CUBE))
    refused("an erased note", MemoryNotFound, lambda: memory.note(second[0].id, cube=CUBE))
    summaries = memory.summaries(cube=CUBE).items
    assert not any(second[0].id in summary.memory_ids for summary in summaries)
    assert not any("Lisbon" in summary.text for summary in summaries)
    hits = memory.search("Lisbon", cube=CUBE, known_as_of=moved).hits
    assert second[0].id not in {hit.memory.id for hit in hits}
    note("what is left", memory.facts(cube=CUBE))

    # Times of other reads
    met = first[0].id
    assert memory.get(met, cube=CUBE, as_of=day(2023)).id == met
    refused(
        "a memory too early", MemoryNotFound, lambda: memory.get(met, cube=CUBE, as_of=day(2020))
    )
    assert memory.memories(cube=CUBE, as_of=day(2022, 5, 2), known_as_of=moved).items
    assert memory.memories(cube=CUBE, known_as_of=before).items == ()
    early = memory.search("Where does Ana work?", cube=CUBE, as_of=day(2023))
    assert second[1].id not in {hit.memory.id for hit in early.hits}
    for what, times in [
        ("a naive time", {"as_of": datetime(2024, 1, 1)}),
        ("no time", {"as_of": "May"}),
        ("the future", {"known_as_of": now() + timedelta(days=1)}),
    ]:
        for verb in ("facts", "memories"):
            call = lambda v=verb, t=times: getattr(memory, v)(cube=CUBE, **t)  # noqa: E731
            refused(f"{verb} as of {what}", InvalidInput, call)
    memory.delete_cube(CUBE)


BERTH = NewFact(
    subject="Kittiwake",
    subject_type="boat",
    predicate="moored_at",
    object="Pier 3",
    object_type="place",
    valid_at=day(2024),
)
LATER = {
    "subject": "Kittiwake",
    "subject_type": "boat",
    "predicate": "moored_at",
    "object": "Pier 7",
    "object_type": "place",
    "valid_at": "2024-05",
    "confidence": 0.9,
}
