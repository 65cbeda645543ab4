"""Sleep beyond merging: hot segments are promoted, sessions summarised; and what can go wrong."""

from __future__ import annotations

import pytest

from memos.errors import InvalidInput, PolicyContradiction, VersionConflict
from memos.service import MemoryOS, Service
from memos.types import JobState, Kind, Policy, Relation, State, SummaryKind
from tests.consolidation.test_consolidation import consolidated, everything, reader, said
from tests.service.conftest import Clock, clock, memos, postgres_server, postgres_url, service

__all__ = ["clock", "memos", "postgres_server", "postgres_url", "reader", "service"]

LIKES = ("I love green tea at dawn.", "I hate loud music on trains.", "I prefer window seats.")
BOILER = (
    "The boiler was serviced in May.",
    "The boiler got a valve from Porto.",
    "The boiler cost ninety euros in May.",
)
POTTERY = (
    "I joined a pottery class in the blue barn.",
    "The pottery class fired a first kiln of bowls.",
    "My sister bought a bowl of the pottery class.",
    "The pottery class in the barn sells bowls.",
)
TRAM = (
    "Rain flooded the tram line at the harbour.",
    "The tram line at the harbour stays closed.",
    "Buses replace the tram line at the harbour.",
    "The tram line opens again on Monday.",
)


def visited(service: Service, memos: MemoryOS, clock: Clock, ids: list[str]) -> None:
    cube = memos.cube("default")
    service.stores.keeping.use(cube.id, dict.fromkeys(ids, (4, clock.now)))


def test_a_hot_segment_becomes_long_term_memory_once(
    service: Service, memos: MemoryOS, clock: Clock
) -> None:
    likes = memos.add(said(*LIKES, days=0), session_id="likes").memories
    boiler = memos.add(said(*BOILER, days=0), session_id="boiler").memories
    memos.add(said(*TRAM, days=0), session_id="cold")
    visited(service, memos, clock, [m.id for m in (*likes, *boiler)])
    planned = [one for one in memos.plan().items if one.kind.value == "promote"]
    assert len(planned) == 2
    assert all(one.numbers["heat"] >= one.numbers["promote_heat"] == 2.0 for one in planned)
    consolidated(service, memos)

    [profile] = memos.memories(kinds=[Kind.CORE]).items
    [known] = memos.memories(kinds=[Kind.SEMANTIC]).items
    assert profile.content == f"Ana: {' … '.join(LIKES)}"
    for made, turns in ((profile, likes), (known, boiler)):
        lines = memos.lineage(made.id)
        assert {line.source_id for line in lines} == {memory.id for memory in turns}
        assert {line.relation for line in lines} == {Relation.MADE_FROM}
        assert any("is hot: 2.35, of 2 that lead" in line for line in memos.explain(made.id).text)
    assert memos.context(token_budget=300).parts[0].memory_ids == (profile.id,)
    assert memos.get(likes[0].id).state is State.ACTIVATED, "its turns stay where they are"
    assert "promote" not in memos.plan().actions

    [event] = [e for e in memos.events(kinds=["memory.promote"]).items if profile.id in e.subjects]
    memos.undo(event.id)
    assert memos.get(profile.id).state is State.ARCHIVED
    assert "promote" not in memos.plan().actions, "what somebody undid is not done again"
    assert memos.erase(boiler[2].id).recomputed_by == "remake"
    service.worker.drain()
    [again] = memos.memories(kinds=[Kind.SEMANTIC]).items
    assert "valve" in again.content
    assert "ninety" not in everything(service)
    memos.set_policy(Policy(promote_heat=0.1))
    assert "promote" in memos.plan().actions, "cold ones pass a low threshold"
    memos.set_policy(Policy(promote_heat=None))
    assert "promote" not in memos.plan().actions


def test_what_is_known_is_made_again_without_what_has_ended(reader: Service, clock: Clock) -> None:
    """A preference is part of a profile, then changes: the profile must not go on telling it."""
    memos = reader.tenant("default")
    told = memos.add(
        said("My favourite colour is pink.", *LIKES, days=0), session_id="likes"
    ).memories
    visited(reader, memos, clock, [memory.id for memory in told])
    clock.forward(minutes=10)  # what is said is read when nothing more comes
    consolidated(reader, memos)
    [before] = memos.memories(kinds=[Kind.CORE]).items
    assert "pink" in before.content

    memos.add(said("My favourite colour is black now.", days=0, begin=90), session_id="later")
    clock.forward(minutes=10)
    reader.worker.drain()
    planned = {one.kind.value: one for one in memos.plan().items}
    assert planned["promote"].reason == "made again of what goes on"
    consolidated(reader, memos)
    [after] = memos.memories(kinds=[Kind.CORE]).items
    assert after.content == f"Ana: {' … '.join(LIKES)}"
    assert set(after.provenance.parents) == {memory.id for memory in told[1:]}
    assert memos.get(before.id).state is State.MERGED
    assert any("some of what it was made of" in line for line in memos.explain(before.id).text)
    assert memos.plan().actions == {}, "it is done once"


def test_what_has_ended_is_not_promoted(reader: Service, clock: Clock) -> None:
    memos = reader.tenant("default")
    told = memos.add(
        said("My favourite colour is pink.", *LIKES, days=0), session_id="likes"
    ).memories
    memos.add(said("My favourite colour is black now.", days=0, begin=90), session_id="later")
    clock.forward(minutes=10)
    reader.worker.drain()
    visited(reader, memos, clock, [memory.id for memory in told])
    consolidated(reader, memos)
    assert memos.get(told[0].id).state is State.MERGED
    [profile] = memos.memories(kinds=[Kind.CORE]).items
    assert profile.content == f"Ana: {' … '.join(LIKES)}"


def test_turns_overflow_in_their_order(memos: MemoryOS) -> None:
    memos.set_policy(Policy(short_term_turns=3))
    turns = memos.add(said(*POTTERY, *TRAM, days=0), session_id="s").memories
    *_, earlier, recent = memos.context(session_id="s", token_budget=1000).parts
    assert (earlier.name, recent.name) == ("earlier", "recent")
    assert recent.memory_ids == tuple(memory.id for memory in turns[-3:])
    assert set(earlier.memory_ids) == {memory.id for memory in turns[:-3]}
    [new] = memos.add(said("Bye now."), session_id="s").memories
    *_, earlier, recent = memos.context(session_id="s", token_budget=1000).parts
    assert recent.memory_ids == (*(memory.id for memory in turns[-2:]), new.id)
    assert turns[-3].id in earlier.memory_ids, "first in, first out, into a segment"


def test_where_turns_have_no_room_their_summaries_stand_for_them(
    service: Service, memos: MemoryOS, clock: Clock
) -> None:
    turns = memos.add(said(*POTTERY, *TRAM, days=0), session_id="s").memories
    then = clock.now
    before = memos.context(session_id="s", token_budget=100, known_as_of=then)
    clock.forward(minutes=1)
    consolidated(service, memos)
    [session] = memos.summaries(kind=SummaryKind.SESSION).items
    segments = memos.summaries(kind=SummaryKind.SEGMENT).items

    [recent] = memos.context(session_id="s", token_budget=1000).parts
    assert (len(recent.memory_ids), recent.summary_ids) == (8, ()), "all of it has room"
    short = memos.context(session_id="s", token_budget=100)
    [recent] = short.parts
    assert recent.summary_ids == (session.id,)
    _, first, *rest = recent.text.splitlines()
    assert first.startswith("- In short, ")
    assert session.text.splitlines()[1] in first
    assert recent.memory_ids == tuple(m.id for m in turns[len(turns) - len(rest) :])
    assert 0 < len(rest) < 8
    assert short.tokens <= 100
    assert set(short.left_out) == {m.id for m in turns} - set(recent.memory_ids)
    earlier = memos.context(session_id="s", token_budget=100, known_as_of=then)
    assert earlier == before, "it was not made yet"

    memos.set_policy(Policy(short_term_turns=1))
    told = memos.context(session_id="s", token_budget=66).parts[0]
    assert told.name == "earlier"
    assert told.summary_ids
    assert set(told.summary_ids) <= {one.id for one in segments}
    of_another = memos.context(session_id="s", user_id="other", token_budget=100)
    assert of_another.parts == ()


def test_sessions_and_segments_are_summarised_in_sleep(
    service: Service, memos: MemoryOS, clock: Clock
) -> None:
    turns = memos.add(said(*POTTERY, *TRAM, days=0), session_id="s").memories
    planned = [one for one in memos.plan().items if one.kind.value == "summarise"]
    whole, *parts = [one.memory_ids for one in planned]
    assert whole == (*parts[0], *parts[1]) == tuple(memory.id for memory in turns)
    assert memos.summaries().items == (), "a plan changes nothing"
    consolidated(service, memos)
    [session] = memos.summaries(kind=SummaryKind.SESSION).items
    first, second = memos.summaries(kind=SummaryKind.SEGMENT).items
    assert session.text == planned[0].text
    assert set(first.memory_ids) <= set(parts[0])
    assert set(second.memory_ids) <= set(parts[1])
    assert memos.plan().actions == {}
    assert any("summary.make" in line for line in memos.explain(session.id).text)

    gone = memos.get(session.memory_ids[0])
    memos.erase(gone.id)
    assert memos.summaries(kind=SummaryKind.SESSION).items == (), "gone with its source"
    assert gone.content not in everything(service)
    consolidated(service, memos)
    [again] = memos.summaries(kind=SummaryKind.SESSION).items
    assert gone.id not in again.memory_ids

    [made] = [e for e in memos.events(kinds=["summary.make"]).items if again.id in e.subjects]
    assert made.numbers["turns"] == 7
    memos.undo(made.id)
    assert memos.summaries(kind=SummaryKind.SESSION).items == ()
    with pytest.raises(VersionConflict):
        memos.undo(made.id)
    consolidated(service, memos)
    assert memos.summaries(kind=SummaryKind.SESSION).items == (), "not made of the same again"
    memos.add(said("The tram line has new benches."), session_id="s")
    consolidated(service, memos)
    [newer] = memos.summaries(kind=SummaryKind.SESSION).items
    [event] = [e for e in memos.events(kinds=["summary.make"]).items if newer.id in e.subjects]
    assert event.numbers["turns"] == 8
    memos.set_policy(Policy(summarise=False))
    memos.add(said("The tram line has new lamps."), session_id="s")
    assert memos.plan().actions == {}


def test_summaries_are_found_by_a_search_that_asks_for_them(
    service: Service, memos: MemoryOS, clock: Clock
) -> None:
    turns = memos.add(said(*POTTERY, *TRAM, days=1), session_id="s").memories
    memos.add(said(*BOILER, days=0), session_id="b", user_id="ana")
    then = clock.now
    clock.forward(minutes=1)
    consolidated(service, memos)
    question = "Who opened the tram line at the harbour?"
    plain = memos.search(question, limit=3)
    found = memos.search(question, limit=3, summaries=2)
    assert plain.summaries == ()
    assert found.hits == plain.hits
    segments = memos.summaries(kind=SummaryKind.SEGMENT).items
    [told] = [one for one in segments if turns[-1].id in one.memory_ids or "tram" in one.text]
    assert told.id in {one.summary.id for one in found.summaries}
    assert len(found.summaries) == 2
    assert found.summaries[0].score >= found.summaries[1].score
    ids = {turn.id for turn in turns}
    assert all(ids.issuperset(one.memory_ids) for one in found.summaries)

    [whole] = [o for o in memos.summaries(kind=SummaryKind.SESSION).items if o.key == "s"]
    last = memos.get(whole.memory_ids[-1]).occurred_at
    before = memos.search(question, until=last, limit=20, summaries=9)
    assert {hit.memory.id for hit in before.hits} & set(whole.memory_ids)
    given = {one.summary.id for one in before.summaries}
    assert whole.id not in given, "it tells of what the search may not give"

    of_ana = memos.search("boiler valve", user_id="ana", summaries=9).summaries
    assert {one.summary.key for one in of_ana} == {"b"}
    for hidden in ({"user_id": "tom"}, {"kinds": [Kind.CORE]}, {"known_as_of": then}):
        assert memos.search(question, summaries=9, **hidden).summaries == ()
    with pytest.raises(InvalidInput, match="summaries is -1"):
        memos.search(question, summaries=-1)


@pytest.mark.parametrize("step", ["apply", "replace"])
def test_a_cube_deleted_while_it_is_consolidated_ends_the_job(
    service: Service, memos: MemoryOS, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    memos.create_cube("short")
    texts = ("I love green tea.", "I really love green tea!", *TRAM)
    memos.add(said(*texts, days=0), session_id="s", cube="short")
    cube = memos.cube("short")
    stores = service.stores
    store = stores.keeping if step == "apply" else stores.summaries
    real = getattr(store, step)

    def late(*args: object, **how: object) -> object:
        monkeypatch.setattr(store, step, real)
        memos.delete_cube("short")
        return real(*args, **how)

    monkeypatch.setattr(store, step, late)
    job = memos.consolidate(cube="short")
    service.worker.drain()
    assert memos.job(job.id).state is JobState.SUCCEEDED, "there is nothing left to do"
    assert stores.memories.page(cube.id, limit=9) == []
    assert stores.summaries.page(cube.id) == []
    assert memos.doctor() == ()


def test_a_budget_that_can_no_longer_hold_is_a_dead_job_and_loses_nothing(
    service: Service, memos: MemoryOS, clock: Clock
) -> None:
    ids = [memory.id for memory in memos.add(["one thing", "two things", "three"]).memories]
    memos.set_policy(Policy(max_memories=2))
    for id in ids:
        memos.freeze(id)
    job = memos.sweep()
    for _ in range(service.settings.job_attempts):
        service.worker.drain()
        clock.forward(hours=1)
    dead = memos.job(job.id)
    assert dead.state is JobState.DEAD
    assert dead.error is not None
    assert dead.error.startswith(PolicyContradiction.__name__)
    assert {memos.get(id).state for id in ids} == {State.FROZEN}
    memos.thaw(ids[0])
    memos.retry_job(job.id)
    service.worker.drain()
    assert memos.get(ids[0]).state is State.ARCHIVED
