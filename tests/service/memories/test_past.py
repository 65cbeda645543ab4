"""What was known then: reads at past times against what was answered at those times."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from memos.errors import InvalidCursor, InvalidInput, MemoryNotFound
from memos.types import Kind, Message, State

WORDS = ("heron", "boat", "anchor", "harbour", "sail", "storm")
QUERIES = ("heron boat", "anchor in the harbour", "storm")
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)
EVERY = tuple(state for state in State if state is not State.ERASED)


def answers(memos, cube, **view):
    """All that can be read of a small cube: what is searched, and what is listed."""
    hits = {
        query: [
            (hit.memory, round(hit.score, 5))
            for hit in memos.search(query, cube=cube, limit=50, **view).hits
        ]
        for query in QUERIES
    }
    return hits, memos.memories(cube=cube, states=EVERY, limit=50, **view).items


def without(answered, erased):
    """The same as if some had never been; what is left of a search is only who was found."""
    hits, listed = answered
    found = {q: {m for m, _ in h if m.id not in erased} for q, h in _hashable(hits).items()}
    return found, tuple(memory for memory in listed if memory.id not in erased)


def _hashable(hits):
    return {query: [(_Same(memory), score) for memory, score in h] for query, h in hits.items()}


class _Same:
    """A memory to be put in a set."""

    def __init__(self, memory):
        self.memory, self.id = memory, memory.id

    def __eq__(self, other):
        return self.memory == other.memory

    def __hash__(self):
        return hash((self.id, self.memory.version))

    def __repr__(self):
        return repr(self.memory)


def machine(memos, clock):
    """A machine that does anything to a cube of its own, and looks back at every step."""

    class Past(RuleBasedStateMachine):
        def __init__(self):
            super().__init__()
            self.cube = memos.create_cube(f"c{memos._service.new_id()}").name
            self.erased = {}
            self.ids = []
            self.then = {}
            self.record()

        def record(self):
            """Of several changes in one moment the last one counts."""
            self.then[clock.now] = answers(memos, self.cube)

        def pick(self, data, *states):
            here = memos.memories(cube=self.cube, states=states or EVERY, limit=50).items
            return data.draw(st.sampled_from(sorted(here, key=lambda m: m.id))) if here else None

        @rule(
            text=texts,
            session=st.sampled_from((None, "s1", "s2")),
            ago=st.none() | st.integers(0, 30),
            lives=st.none() | st.integers(1, 4),
            still=st.booleans(),
        )
        def add(self, text, session, ago, lives, still):
            added = memos.add(
                Message(content=text, speaker="Ann"),
                cube=self.cube,
                session_id=session,
                occurred_at=None if ago is None else clock.now - timedelta(days=ago),
                expires_at=None if lives is None else clock.now + timedelta(minutes=lives),
            )
            self.ids.append(added.memories[0].id)
            self.tick(still)

        @rule(
            data=st.data(), text=texts, place=st.sampled_from((None, "Genoa")), still=st.booleans()
        )
        def update(self, data, text, place, still):
            memory = self.pick(data, State.ACTIVATED)
            if memory is not None:
                memos.update(memory.id, cube=self.cube, content=text, place=place)
                self.tick(still)

        @rule(data=st.data(), kind=st.sampled_from(Kind), still=st.booleans())
        def retouch(self, data, kind, still):
            memory = self.pick(data, State.ACTIVATED)
            if memory is not None:
                memos.update(memory.id, cube=self.cube, kind=kind, metadata={"kind": kind.value})
                self.tick(still)

        @rule(data=st.data(), still=st.booleans())
        def forget(self, data, still):
            memory = self.pick(data, State.ACTIVATED)
            if memory is not None:
                memos.forget(memory.id, cube=self.cube)
                self.tick(still)

        @rule(data=st.data(), still=st.booleans())
        def restore(self, data, still):
            memory = self.pick(data, State.ARCHIVED)
            if memory is not None:
                memos.restore(memory.id, cube=self.cube)
                self.tick(still)

        @rule(data=st.data(), still=st.booleans())
        def erase(self, data, still):
            memory = self.pick(data)
            if memory is not None:
                self.erased[memory.id] = clock.now
                memos.forget(memory.id, cube=self.cube, erase=True)
                self.tick(still)

        def tick(self, still):
            self.record()
            if not still:
                clock.forward(minutes=1)

        @rule(minutes=st.integers(1, 5))
        def wait(self, minutes):
            clock.forward(minutes=minutes)

        @precondition(lambda self: self.then)
        @rule(data=st.data(), later=st.integers(0, 59))
        def look_back(self, data, later):
            """Between two changes the last one holds; expiry comes by itself, so it is looked at
            where it was recorded."""
            at = data.draw(st.sampled_from(sorted(self.then)))
            recorded = self.then[at]
            seen = answers(memos, self.cube, known_as_of=at)
            if not any(gone >= at for gone in self.erased.values()):
                assert seen == recorded
            assert without(seen, self.erased) == without(recorded, self.erased)
            known = {memory.id: memory for memory in recorded[1] if memory.id not in self.erased}
            for id in self.ids:
                if id in known:
                    assert memos.get(id, cube=self.cube, known_as_of=at) == known[id]
                elif id in self.erased:
                    with pytest.raises(MemoryNotFound):
                        memos.get(id, cube=self.cube, known_as_of=at)

        @rule(days=st.integers(0, 31))
        def look_from_then(self, days):
            """as_of: only what had happened."""
            as_of = clock.now - timedelta(days=days)
            _, listed = answers(memos, self.cube)
            hits, seen = answers(memos, self.cube, as_of=as_of)
            assert seen == tuple(m for m in listed if (m.occurred_at or m.created_at) <= as_of)
            live = {m.id for m in seen if m.state is State.ACTIVATED}
            assert all({hit.id for hit, _ in found} <= live for found in hits.values())

        def teardown(self):
            if self.ids:
                hits, _ = answers(memos, self.cube)
                assert any(hits.values()) or not memos.memories(cube=self.cube).items
            memos.delete_cube(self.cube)

    return Past


def test_what_was_known_then_is_what_was_answered_then(memos, clock):
    run_state_machine_as_test(
        machine(memos, clock),
        settings=settings(
            max_examples=20,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_word_that_is_gone_weighs_as_if_it_had_never_been_there(memos, clock):
    memos.add("heron heron")
    other = memos.add("heron heron heron boat").memories[0]
    memos.search("boat")  # the present's searched form has met the word
    clock.forward(minutes=1)
    memos.update(other.id, content="sail")
    at, now = clock.now, answers(memos, "default")
    clock.forward(minutes=1)
    # The past is read anew, from texts that never had the word.
    assert answers(memos, "default", known_as_of=at)[0] == now[0]


@pytest.fixture
def boat(memos, clock):
    """A memory that was added, changed, forgotten and brought back, at full hours from noon."""
    made = memos.add("Our boat is called Heron.", place="Genoa").memories[0]
    clock.forward(hours=1)
    memos.update(made.id, content="Our boat is called Osprey.", reason="renamed")
    clock.forward(hours=1)
    memos.forget(made.id)
    clock.forward(hours=1)
    memos.restore(made.id)
    clock.forward(hours=1)
    return made


NOON = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)


def at(hour):
    return NOON + timedelta(hours=hour)


def contents(memos, text, **view):
    return [hit.memory.content for hit in memos.search(text, **view).hits]


def test_a_search_sees_the_versions_of_then(memos, boat):
    assert contents(memos, "boat", known_as_of=at(-1)) == []
    assert contents(memos, "boat", known_as_of=at(0.5)) == ["Our boat is called Heron."]
    assert contents(memos, "boat", known_as_of=at(1)) == ["Our boat is called Osprey."]
    assert contents(memos, "boat", known_as_of=at(2.5)) == []
    assert contents(memos, "boat", known_as_of=at(3)) == ["Our boat is called Osprey."]
    assert contents(memos, "boat") == ["Our boat is called Osprey."]


def test_get_history_and_pages_see_them_too(memos, boat):
    assert memos.get(boat.id, known_as_of=at(0)) == boat
    assert memos.get(boat.id, known_as_of=at(2)).state is State.ARCHIVED
    with pytest.raises(MemoryNotFound, match="as known at 2024-05-01T11"):
        memos.get(boat.id, known_as_of=at(-1))
    with pytest.raises(MemoryNotFound):
        memos.history(boat.id, known_as_of=at(-1))
    assert [v.operation for v in memos.history(boat.id, known_as_of=at(2))] == [
        *("add", "update", "forget")
    ]
    assert memos.memories(known_as_of=at(2)).items == ()
    assert [m.version for m in memos.memories(known_as_of=at(1)).items] == [2]
    archived = memos.memories(known_as_of=at(2), states=[State.ARCHIVED]).items
    assert [m.version for m in archived] == [3]


def test_erased_memories_never_come_back(memos, boat):
    assert contents(memos, "boat", known_as_of=at(0)) == ["Our boat is called Heron."]
    memos.forget(boat.id, erase=True)
    assert contents(memos, "boat", known_as_of=at(0)) == []
    assert memos.memories(known_as_of=at(0), states=list(State)).items == ()
    with pytest.raises(MemoryNotFound):
        memos.get(boat.id, known_as_of=at(0))
    assert [v.memory for v in memos.history(boat.id, known_as_of=at(0))] == [None]


def test_an_erase_takes_the_past_out_of_the_ram_too(memos, boat, service):
    contents(memos, "boat", known_as_of=at(0))
    assert service.metrics_snapshot()["past_projections"] == 1
    memos.forget(boat.id, erase=True)
    assert service.metrics_snapshot()["past_projections"] == 0


def test_the_past_is_loaded_once_and_held_within_bounds(memos, boat, service, monkeypatch):
    asked = []
    real = service.stores.feed.changes

    def counted(cube_id, *, after, limit=5000):
        asked.append(after)
        return real(cube_id, after=after, limit=limit)

    monkeypatch.setattr(service.stores.feed, "changes", counted)
    for _ in range(3):
        assert contents(memos, "boat", known_as_of=at(0.5))
    # Nothing was changed between: the same moment in other words.
    assert contents(memos, "boat", known_as_of=at(0.75)) == ["Our boat is called Heron."]
    assert asked == [0]
    for half in range(-2, 9):
        contents(memos, "boat", known_as_of=at(half / 2))
    assert service.metrics_snapshot()["past_projections"] <= 4


def test_equals_are_scored_alike_in_whatever_order_they_were_loaded(memos, clock):
    first = memos.add("The heron is back.").memories[0]
    memos.add("The heron is back.")
    then, before = clock.now, memos.search("heron").hits
    clock.forward(hours=1)
    memos.forget(first.id)
    assert memos.search("heron", known_as_of=then).hits == before


def test_links_as_they_were(memos, boat, clock):
    other = memos.add("Moored in Genoa.").memories[0]
    clock.forward(hours=1)
    link = memos.link(boat.id, other.id)
    before = link.created_at - timedelta(minutes=1)
    assert memos.links(other.id, known_as_of=before) == ()
    assert memos.links(other.id, known_as_of=link.created_at) == (link,)
    clock.forward(hours=1)
    memos.unlink(link.id)
    clock.forward(hours=1)
    again = memos.link(boat.id, other.id)
    assert memos.links(boat.id) == (again,)
    assert memos.links(other.id, known_as_of=link.created_at) == (link,)
    assert memos.links(other.id, known_as_of=again.created_at - timedelta(minutes=30)) == ()
    with pytest.raises(MemoryNotFound):
        memos.links(other.id, known_as_of=at(0))
    memos.forget(boat.id, erase=True)
    assert memos.links(other.id, known_as_of=link.created_at) == ()
    assert not memos.doctor()


def test_as_of_knows_only_what_had_happened(memos, clock):
    memos.add("Ann moved to Genoa.", occurred_at=at(-48))
    memos.add("Ann moved to Turin.", occurred_at=at(-24))
    memos.add("Ann likes sailing.")
    assert contents(memos, "Ann", as_of=at(-30)) == ["Ann moved to Genoa."]
    assert len(contents(memos, "Ann", as_of=at(-24))) == 2
    assert len(contents(memos, "Ann", as_of=at(0))) == 3
    page = memos.memories(as_of=at(-24), limit=1)
    rest = memos.memories(as_of=at(-24), limit=5, cursor=page.next_cursor)
    assert [m.content for m in (*page.items, *rest.items)] == [
        *("Ann moved to Genoa.", "Ann moved to Turin.")
    ]
    turin = rest.items[0]
    assert memos.get(turin.id, as_of=at(-24)) == turin
    with pytest.raises(MemoryNotFound, match="as of 2024-04-30T11"):
        memos.get(turin.id, as_of=at(-25))


def test_pages_of_the_past_go_on_where_they_ended(memos, clock):
    made = memos.add([f"note {n}" for n in range(20)]).memories
    clock.forward(hours=1)
    for memory in made[::2]:
        memos.forget(memory.id)
    memos.add("later")
    clock.forward(hours=1)
    found, cursor = [], None
    while True:
        page = memos.memories(known_as_of=at(0), limit=3, cursor=cursor)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    assert tuple(found) == made
    cursor = memos.memories(known_as_of=at(0), limit=3).next_cursor
    with pytest.raises(InvalidCursor):
        memos.memories(as_of=at(0), limit=3, cursor=cursor)


def test_expiry_is_that_of_the_time_looked_from(memos, clock):
    code = memos.add("The code is 4711.", expires_at=at(1)).memories[0]
    clock.forward(hours=2)
    assert contents(memos, "code") == []
    assert contents(memos, "code", known_as_of=at(0.5)) == ["The code is 4711."]
    assert contents(memos, "code", known_as_of=at(1)) == []
    assert memos.memories(known_as_of=at(0.5)).items == (code,)


def test_a_search_in_one_place(memos):
    memos.add("The regatta was cancelled.", place="Genoa")
    memos.add("The regatta took place.", place="La  Spezia")
    memos.add("The regatta is an old custom.")
    assert contents(memos, "regatta", place="genoa") == ["The regatta was cancelled."]
    assert contents(memos, "regatta", place="LA SPEZIA") == ["The regatta took place."]
    assert contents(memos, "regatta", place="Spezia") == []
    assert len(contents(memos, "regatta")) == 3
    with pytest.raises(InvalidInput, match="place"):
        memos.search("regatta", place="")


@pytest.mark.parametrize(
    "read",
    [
        lambda memos, id, **view: memos.get(id, **view),
        lambda memos, id, **view: memos.search("boat", **view),
        lambda memos, id, **view: memos.memories(**view),
        lambda memos, id, **view: memos.history(id, **view),
        lambda memos, id, **view: memos.links(id, **view),
    ],
)
def test_the_future_is_not_known_and_times_have_zones(memos, boat, clock, read):
    with pytest.raises(InvalidInput, match="nobody knows"):
        read(memos, boat.id, known_as_of=clock.now + timedelta(seconds=1))
    with pytest.raises(InvalidInput, match="time zone"):
        read(memos, boat.id, known_as_of=datetime(2024, 5, 1, 12))
    read(memos, boat.id, known_as_of=clock.now)


@pytest.mark.parametrize("verb", ["get", "search", "memories"])
def test_as_of_needs_a_zone_too(memos, boat, verb):
    given = () if verb == "memories" else (boat.id,)
    with pytest.raises(InvalidInput, match="as_of"):
        getattr(memos, verb)(*given, as_of=datetime(2024, 5, 1, 12))
