"""The verbs of the graph on a real database."""

import itertools
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memos.assembly import build
from memos.config import load
from memos.errors import (
    Conflict,
    EntityNotFound,
    FactNotFound,
    InvalidCursor,
    InvalidInput,
    StateConflict,
)
from memos.graph.deriving.importing import memory_of
from memos.graph.vocabulary import Vocabulary
from memos.messages import Defaults
from memos.testing import HashEmbedder
from memos.types import Extraction, NewFact, NewMemory, Provenance
from tests.graph.said import day


def triple(subject, predicate, object=None, since=None, **more):
    fact = {"subject": subject, "predicate": predicate, "object": object, **more}
    return {**fact, "valid_at": since} if since else fact


def shown(facts):
    return [
        (f.predicate, f.object.name if f.object else f.value, f.valid_at and f.valid_at.year,
         f.invalid_at and f.invalid_at.year)
        for f in facts
    ]  # fmt: skip


MOVES = [
    triple("Ana", "lives_in", "Porto", "2020"),
    triple("Ana", "lives_in", "Lisbon", "2023"),
    triple("Ana", "works_at", "Metro", "2021"),
    triple("Ben", "works_at", "Metro", "2022", confidence=0.9),
    triple("Ben", "has_friend", "Cleo", "2022", confidence=0.5),
]


@pytest.fixture
def moves(memos):
    return memos.add_facts(MOVES)


def test_facts_come_in_the_order_given_each_with_its_memory(memos, moves):
    assert [f.predicate for f in moves.facts] == [m["predicate"] for m in MOVES]
    for fact, id in zip(moves.facts, moves.memory_ids, strict=True):
        assert [s.memory_id for s in fact.sources] == [id]
        memory = memos.get(id)
        assert (memory.kind.value, memory.provenance.source) == ("semantic", "import")
    found = memos.search("Where does Ana live? Lisbon")
    assert found.hits[0].memory.content == "Ana lives in Lisbon since 2023."


def test_triples_with_gaps(memos, moves):
    def asked(**wanted):
        return {f.id for f in memos.facts(**wanted).items}

    ids = [fact.id for fact in moves.facts]
    assert asked() == set(ids)
    assert asked(subject="ana", predicate="Lives in") == set(ids[:2])
    assert asked(predicate="employed_by", object="METRO") == {ids[2], ids[3]}
    assert asked(object="nowhere") == asked(subject="nobody") == asked(predicate="nothing") == set()
    assert asked(as_of=day("2021-06-01")) == {ids[0], ids[2]}
    assert asked(since=day("2024-01-01"), subject="Ana") == {ids[1], ids[2]}
    assert asked(min_confidence=0.8) == set(ids[:4])
    assert asked(subject=moves.facts[0].subject.id, object=moves.facts[0].object.id) == {ids[0]}


def test_an_object_can_be_an_entity_or_a_value(memos):
    memos.add_facts([triple("Tug", "tariff", "Winter"), triple("Ana", "likes", "winter")])
    found = memos.facts(object="winter").items
    assert sorted(fact.predicate for fact in found) == ["likes", "tariff"]
    pages = list(_pages(memos, object="winter", limit=1))
    assert [len(page.items) for page in pages] == [1, 1]


def _pages(memos, **wanted):
    cursor = None
    while True:
        page = memos.facts(cursor=cursor, **wanted)
        yield page
        cursor = page.next_cursor
        if cursor is None:
            return


def test_pages_go_on_and_cursors_belong_to_their_question(memos, moves):
    pages = list(_pages(memos, limit=2))
    assert [len(page.items) for page in pages] == [2, 2, 1]
    assert len({f.id for page in pages for f in page.items}) == 5
    with pytest.raises(InvalidCursor):
        memos.facts(cursor=pages[0].next_cursor, subject="Ana")
    with pytest.raises(InvalidCursor):
        memos.entities(cursor=pages[0].next_cursor)


def test_the_past_is_answered_as_it_was_believed(memos, clock):
    memos.add_facts(MOVES[:1])
    then = clock.now
    clock.forward(days=1)
    memos.add_facts(MOVES[1:2])
    (porto,) = memos.facts(object="Porto").items
    assert porto.invalid_at == day("2023-01-01")
    (before,) = memos.facts(object="Porto", known_as_of=then).items
    assert (before.id, before.invalid_at, before.revision) == (porto.id, None, 1)
    assert memos.fact(porto.id, known_as_of=then) == before
    assert memos.facts(object="Lisbon", known_as_of=then).items == ()
    with pytest.raises(FactNotFound):
        memos.fact(porto.id, known_as_of=then - timedelta(days=1))
    with pytest.raises(EntityNotFound):
        memos.entity("Lisbon", known_as_of=then)
    assert memos.entity("Ana", known_as_of=then).facts == 1
    assert [n.entity.name for n in memos.neighbours("Ana", known_as_of=then)] == ["Porto"]


def test_why(memos, moves, clock):
    porto, lisbon = moves.facts[:2]
    why = memos.why(porto.id)
    assert why.closed_by.id == lisbon.id
    assert [a.memory_id for a in why.assertions] == [moves.memory_ids[0]]
    assert (
        "Closed in 2023 because lives_in takes one value at a time and memory "
        f"{moves.memory_ids[1]} says Lisbon since then." in why.text
    )
    assert [fact.id for fact in memos.why(lisbon.id).closes] == [porto.id]
    assert "Nothing that is known has ended it." in memos.why(lisbon.id).text
    clock.forward(days=1)
    memos.forget(moves.memory_ids[1])
    why = memos.why(porto.id)
    assert (why.closed_by, [r.invalid_at for r in why.revisions]) == (
        None,
        [porto.invalid_at, None],
    )
    with pytest.raises(FactNotFound):
        memos.why("nothing")


def test_why_of_each_way_to_end(memos):
    memos.add_facts(
        [
            triple("Ana", "likes", "tea", "2020"),
            triple("Ana", "likes", "tea", "2021", negated=True),
            triple("Ana", "likes", "tea", "2022"),
            {**triple("Ana", "eats", "fish", "2020"), "invalid_at": "2021"},
            triple("Ana", "visited", "Rome", "2020"),
        ]
    )
    texts = [" ".join(memos.why(fact.id).text) for fact in memos.timeline("Ana")]
    for words in (
        "denies it",
        "This denial was closed",
        "its own source says",
        "nothing ends what",
    ):
        assert sum(words in text for text in texts) == 1, words


def test_forgetting_a_source_opens_what_it_closed_and_restoring_closes_it(memos, moves):
    porto = moves.facts[0]
    memos.forget(moves.memory_ids[1])
    assert memos.fact(porto.id).invalid_at is None
    memos.restore(moves.memory_ids[1])
    assert memos.fact(porto.id).invalid_at == porto.invalid_at
    memos.forget(moves.memory_ids[1], erase=True)
    assert memos.fact(porto.id).closed_by is None
    with pytest.raises(EntityNotFound):
        memos.entity("Lisbon")
    assert {n.entity.name for n in memos.neighbours("Ana")} == {"Metro", "Porto"}


def test_keep_open_and_its_revocation(memos, moves):
    porto, lisbon = moves.facts[:2]
    ruling = memos.keep_open(porto.id, reason="both homes")
    assert (ruling.actor, ruling.reason) == ("tester", "both homes")
    assert memos.fact(porto.id).invalid_at is None
    assert memos.fact(lisbon.id).invalid_at is None
    assert [r.id for r in memos.why(porto.id).rulings] == [ruling.id]
    assert any("both homes" in line for line in memos.why(porto.id).text)
    with pytest.raises(StateConflict):
        memos.keep_open(lisbon.id)
    memos.revoke(ruling.id)
    assert memos.fact(porto.id).invalid_at == porto.invalid_at
    assert memos.why(porto.id).rulings == ()
    with pytest.raises(StateConflict):
        memos.revoke(ruling.id)
    assert len(memos.rulings()) == 1


def test_a_ruling_holds_when_memories_are_read_again(service, memos, moves):
    from memos.extraction.structured import given as given_fact
    from memos.extraction.structured import read

    ruling = memos.keep_open(moves.facts[0].id)
    cube = memos.cube("default")
    memories = [memos.get(id) for id in moves.memory_ids]
    found = [(m, read(given_fact(m), m.content)) for m in memories]
    entities, readings = service.resolver.resolve(cube, found, extractor="import")
    assert entities == []
    service.stores.graph.record(cube.id, entities, readings)
    assert memos.fact(moves.facts[0].id).invalid_at is None
    memos.revoke(ruling.id)
    assert memos.fact(moves.facts[0].id).closed_by == moves.facts[1].id


def test_merge_and_its_revocation(memos, moves, clock):
    ana, annie = memos.entity("Ana"), memos.add_facts([triple("Annie", "likes", "tea")])
    before = clock.now
    clock.forward(days=1)
    ruling = memos.merge_entities("Annie", "Ana")
    assert memos.entity("annie").id == ana.id
    assert memos.entity(annie.facts[0].subject.id).id == ana.id
    assert ("likes", "tea") in {row[:2] for row in shown(memos.timeline("Annie"))}
    assert memos.entity("Annie", known_as_of=before).name == "Annie"
    assert shown(memos.timeline("Annie", known_as_of=before))[0][:2] == ("likes", "tea")
    with pytest.raises(Conflict):
        memos.merge_entities("Annie", "Ana")
    with pytest.raises(InvalidInput, match="names of one entity"):
        memos.add_facts([triple("Annie", "knows", "Ana")])
    memos.revoke(ruling.id)
    assert memos.entity("Annie").id != ana.id
    assert len(memos.timeline("Ana")) == 3


def test_split_and_its_revocation(memos, moves):
    ruling = memos.split_entity("Ana", name="Ana P", facts=[moves.facts[2].id])
    assert shown(memos.timeline("Ana P"))[0][:2] == ("works_at", "Metro")
    assert len(memos.timeline("Ana")) == 2
    memos.revoke(ruling.id)
    assert len(memos.timeline("Ana")) == 3
    memos.split_entity("Ana", name="Ana Q", memories=[moves.memory_ids[0]])
    assert [row[1] for row in shown(memos.timeline("Ana Q"))] == ["Porto"]
    for wrong in ({"facts": [moves.facts[4].id]}, {"memories": ["nothing"]}, {}):
        with pytest.raises(InvalidInput, match="nothing of"):
            memos.split_entity("Ana", name="Ana R", **wrong)
    with pytest.raises(InvalidInput, match="already"):
        memos.split_entity("Ana", name="ana", facts=[moves.facts[2].id])
    with pytest.raises(FactNotFound):
        memos.split_entity("Ana", name="Ana R", facts=["nothing"])


def test_entities_are_found_by_part_of_a_name(memos, moves):
    assert {e.name for e in memos.entities().items} == {
        "Ana",
        "Ben",
        "Cleo",
        "Porto",
        "Lisbon",
        "Metro",
    }
    assert [e.name for e in memos.entities(text="POR").items] == ["Porto"]
    assert [e.name for e in memos.entities(type="organisation").items] == ["Metro"]
    first = memos.entities(limit=4)
    rest = memos.entities(limit=4, cursor=first.next_cursor)
    assert (len(first.items), len(rest.items), rest.next_cursor) == (4, 2, None)
    both = memos.entities(text="e", limit=1)
    assert len(both.items) == 1
    assert memos.entities(text="e", limit=9, cursor=both.next_cursor).items


def test_a_name_of_several_is_refused_with_their_ids(memos):
    added = memos.add_facts(
        [
            triple("Jordan", "likes", "tea", subject_type="person"),
            triple("Jordan", "likes", "salt", subject_type="country"),
        ]
    )
    with pytest.raises(InvalidInput) as caught:
        memos.entity("Jordan")
    for fact in added.facts:
        assert fact.subject.id in caught.value.message
        assert memos.entity(fact.subject.id).name == "Jordan"
    assert len(memos.facts(subject="Jordan").items) == 2


def test_timeline(memos, moves):
    memos.add_facts([{**triple("Ana", "lives_in", "Faro"), "invalid_at": "2019"}])
    assert shown(memos.timeline("Ana", predicate="lives_in")) == [
        ("lives_in", "Faro", None, 2019),
        ("lives_in", "Porto", 2020, 2023),
        ("lives_in", "Lisbon", 2023, None),
    ]
    assert len(memos.timeline("Ana", limit=2)) == 2
    late = memos.timeline("Ana", predicate="lives_in", since=day("2023-06-01"))
    assert [row[1] for row in shown(late)] == ["Lisbon"]
    assert [row[1] for row in shown(memos.timeline("Metro"))] == ["Metro", "Metro"]


@pytest.fixture(params=["in RAM", "in SQL"])
def walked(request, tmp_path, clock):
    most = 200_000 if request.param == "in RAM" else 0
    given = load({}, data_dir=tmp_path, extraction="none", vector_index="none", graph_facts=most)
    made = build(given, embedder=HashEmbedder(), clock=clock)
    memos = made.tenant("default")
    yield memos
    with made.graph.projections.fresh(memos.cube("default").id) as projection:
        assert (projection is None) == (request.param == "in SQL")
    made.close()


def test_neighbours(walked):
    walked.add_facts(MOVES)
    near = walked.neighbours("Ana", hops=3)
    assert {(n.entity.name, n.distance) for n in near[:3]} == {
        ("Lisbon", 1),
        ("Metro", 1),
        ("Porto", 1),
    }
    assert [(n.entity.name, n.distance) for n in near[3:]] == [("Ben", 2), ("Cleo", 3)]
    assert near[4].facts[0].sources
    then = walked.neighbours("Ana", as_of=day("2021-06-01"))
    assert {n.entity.name for n in then} == {"Porto", "Metro"}
    assert len(walked.neighbours("Ana", limit=1)) == 1
    walked.add_facts([triple("Ana", "has_friend", "Dan", "2022", negated=True)])
    assert "Dan" not in {n.entity.name for n in walked.neighbours("Ana")}


def test_paths(walked):
    added = walked.add_facts([*MOVES, triple("Cleo", "has_friend", "Ana", "2024", confidence=0.6)])
    ways = walked.paths("Ana", "Ben")
    assert [round(way.confidence, 3) for way in ways] == [0.9, 0.3]
    first = ways[0].steps
    assert [(s.source.name, s.target.name, s.forward) for s in first] == [
        ("Ana", "Metro", True),
        ("Metro", "Ben", False),
    ]
    assert first[0].fact.sources[0].memory_id == added.memory_ids[2]
    assert [len(way.steps) for way in walked.paths("Ana", "Ben", as_of=day("2023-06-01"))] == [2]
    assert walked.paths("Ana", "Ben", as_of=day("2021-06-01")) == ()
    assert walked.paths("Ana", "Ben", max_hops=1) == ()
    assert walked.paths("Ana", "Ana") == ()


def test_diff_of_what_was_true(memos, moves):
    diff = memos.diff(day("2021-06-01"), day("2023-06-01"), axis="valid")
    assert {f.id for f in diff.appeared} == {moves.facts[i].id for i in (1, 3, 4)}
    assert [f.id for f in diff.disappeared] == [moves.facts[0].id]
    assert diff.changed == ()


def test_diff_of_what_was_believed(memos, clock):
    first = memos.add_facts([MOVES[0], MOVES[2]])
    then = clock.now
    clock.forward(days=1)
    second = memos.add_facts([MOVES[1]])
    memos.forget(first.memory_ids[1])
    clock.forward(seconds=1)
    diff = memos.diff(then, clock.now)
    assert [f.id for f in diff.appeared] == [second.facts[0].id]
    assert [f.id for f in diff.disappeared] == [first.facts[1].id]
    ((old, new),) = diff.changed
    assert (old.invalid_at, new.invalid_at) == (None, day("2023-01-01"))
    empty = memos.diff(then, then)
    assert (empty.appeared, empty.disappeared, empty.changed) == ((), (), ())


@pytest.mark.parametrize(
    "ask",
    [
        lambda m: m.diff(day("2023-01-01"), day("2022-01-01")),
        lambda m: m.diff(day("2023-01-01"), day("2033-01-01")),
        lambda m: m.diff(datetime(2023, 1, 1), day("2024-01-01")),
        lambda m: m.diff(day("2023-01-01"), day("2024-01-01"), axis="sideways"),
        lambda m: m.facts(as_of=datetime(2023, 1, 1)),
        lambda m: m.facts(known_as_of=day("2033-01-01")),
        lambda m: m.facts(limit=0),
        lambda m: m.facts(min_confidence=2),
        lambda m: m.facts(subject=""),
        lambda m: m.entity(""),
        lambda m: m.entity("x" * 1_000_000),
        lambda m: m.neighbours("Ana", hops=0),
        lambda m: m.neighbours("Ana", hops=9),
        lambda m: m.paths("Ana", "Ben", max_hops=100),
        lambda m: m.timeline("Ana", limit=0),
        lambda m: m.define_predicate("!!"),
        lambda m: m.define_predicate("p", functional=True, event=True),
        lambda m: m.define_predicate("x" * 1000),
        lambda m: m.define_type("place", parent="city"),
        lambda m: m.define_type("boat", parent="boat"),
        lambda m: m.merge_entities("Ana", "Ben", reason="\x00"),
        lambda m: m.split_entity("Ana", name=" ", facts=["x"]),
        lambda m: m.add_facts([]),
        lambda m: m.add_facts([triple("Ana", "knows", "Ana")]),
    ],
)
def test_bad_questions_are_refused(memos, moves, ask):
    with pytest.raises(InvalidInput):
        ask(memos)


@pytest.mark.parametrize("verb", ["entity", "timeline", "neighbours"])
def test_nobody_is_not_found(memos, moves, verb):
    with pytest.raises(EntityNotFound, match="nobody"):
        getattr(memos, verb)("nobody")


def test_bad_facts_leave_nothing(memos):
    for wrong in (
        triple("", "likes", "tea"),
        triple("Ana", "likes"),
        triple("x" * 10**6, "is", "y"),
    ):
        with pytest.raises(InvalidInput, match="fact 1"):
            memos.add_facts([triple("Ana", "likes", "tea"), wrong])
    assert memos.memories().items == ()
    assert memos.facts().items == ()


def test_own_predicates_and_types(memos):
    berths = [triple("Kittiwake", "moored_at", f"Pier {n}", f"{2020 + n}") for n in (1, 2)]
    memos.add_facts(berths)
    assert len(memos.facts(as_of=day("2023-01-01")).items) == 2
    memos.define_predicate("Moored at", functional=True, subject_types=["boat"])
    assert [f.value for f in memos.facts(as_of=day("2023-01-01")).items] == ["Pier 2"]
    memos.define_predicate("moored_at")
    assert len(memos.facts(as_of=day("2023-01-01")).items) == 2
    assert memos.define_type("boat", parent="thing").parent == "thing"
    words = memos.vocabulary()
    assert "boat" in {kind.name for kind in words.types}
    assert {"moored_at", "lives_in"} <= {kind.name for kind in words.predicates}
    memos.create_cube("other")
    assert "boat" not in {kind.name for kind in memos.vocabulary(cube="other").types}


def test_a_key_makes_the_same_facts_once(memos):
    first, again = (memos.add_facts(MOVES, idempotency_key="k") for _ in "12")
    assert first == again
    assert len(memos.memories().items) == len(MOVES)


class _Stern:
    """An extractor that no text may reach."""

    name = "stern-1"

    def extract(self, memories, *, before=()):
        assert not memories, "a memory made from a fact needs no reading"
        return [Extraction() for _ in memories]


@pytest.mark.parametrize("how", ["by the job", "by the same call"])
def test_facts_whose_process_ended_after_the_memories_are_completed(tmp_path, clock, how):
    service = build(
        load({}, data_dir=tmp_path, vector_index="none", notes=False),
        embedder=HashEmbedder(),
        extractor=_Stern(),
        clock=clock,
    )
    memos = service.tenant("default")
    fact = NewFact(
        subject="Ana", predicate="lives_in", object="Porto", subject_type="person",
        object_type="place", valid_at=day("2020-01-01"),
    )  # fmt: skip
    # What is stored before the process ends.
    service.adder.add(
        memos.cube("default"),
        [memory_of(fact, Vocabulary(), None)],
        Defaults(),
        wait=True,
        idempotency_key="k",
        actor=None,
    )
    assert memos.facts().items == ()
    if how == "by the job":
        clock.forward(seconds=5)
        service.worker.drain()
    else:
        assert len(memos.add_facts([fact], idempotency_key="k").facts) == 1
    (made,) = memos.facts().items
    assert (made.subject.type, made.object.name, made.sources[0].extractor) == (
        "person", "Porto", "import",
    )  # fmt: skip
    clock.forward(seconds=5)
    service.worker.drain()
    assert memos.facts().items == (made,)
    assert [job.state.value for job in memos.jobs().items if job.kind == "extract"] == ["succeeded"]
    service.close()


@pytest.mark.parametrize(
    "kept",
    [
        {"subject": 7, "predicate": "likes", "object": "tea"},
        {"subject": "Ana"},
        {"subject": "Ana", "predicate": "likes", "object": "tea", "confidence": "sure"},
        {
            "subject": "Ana",
            "predicate": "likes",
            "object": "tea",
            "valid_at": "2020-01-01T00:00:00",
        },
        {"subject": "Ana", "predicate": "likes", "object": "tea", "granularity": "eon"},
    ],
)
def test_a_memory_that_keeps_what_is_no_fact_is_a_failed_reading(tmp_path, clock, kept):
    service = build(
        load({}, data_dir=tmp_path, vector_index="none", notes=False, job_attempts=1),
        embedder=HashEmbedder(),
        extractor=_Stern(),
        clock=clock,
    )
    memos = service.tenant("default")
    new = NewMemory(
        content="Ana likes tea.",
        metadata={"imported_fact": kept},
        provenance=Provenance(source="import"),
    )
    (memory,) = memos.add(new).memories
    clock.forward(seconds=5)
    service.worker.drain()
    clock.forward(hours=5)
    service.worker.drain()
    (job,) = (job for job in memos.jobs().items if job.kind == "extract_one")
    assert job.state.value == "dead"
    assert "imported_fact" in job.error
    assert memos.get(memory.id) == memory
    service.close()


CITIES = ("Porto", "Rome", "Oslo")
NUMBERS = itertools.count()


@given(
    drawn=st.lists(
        st.tuples(
            st.sampled_from(["lives_in", "likes"]),
            st.sampled_from(CITIES),
            st.integers(2018, 2022),
            st.sampled_from([None, None, 2021, 2023]),
            st.booleans(),
            st.sampled_from([0.5, 1.0]),
        ),
        min_size=2,
        max_size=5,
    ),
    data=st.data(),
)
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_the_order_of_arrival_does_not_matter(memos, drawn, data):
    facts = [
        triple(
            "Ana", predicate, city, str(since), negated=negated, confidence=confidence,
            invalid_at=str(until) if until and until > since else None,
        )
        for predicate, city, since, until, negated, confidence in drawn
    ]  # fmt: skip
    orders = [facts, data.draw(st.permutations(facts))]
    views = []
    for order in orders:
        cube = f"order-{next(NUMBERS)}"
        memos.create_cube(cube)
        for fact in order:
            memos.add_facts([fact], cube=cube)
        views.append(
            [
                sorted(
                    (f.predicate, f.object.name, f.negated, f.valid_at, str(f.invalid_at), f.rule)
                    for f in memos.facts(cube=cube, as_of=as_of).items
                )
                for as_of in (None, *(day(f"{year}-06-01") for year in range(2017, 2025)))
            ]
        )
    assert views[0] == views[1]


def test_mr_and_mrs_are_asked_for_by_their_titles(memos):
    memos.add_facts(
        [
            {"subject": "Mr. Patel", "predicate": "lives_in", "object": "York"},
            {"subject": "Mrs. Patel", "predicate": "lives_in", "object": "Leeds"},
        ]
    )
    for name in ("Mr. Patel", "Mrs. Patel"):
        assert memos.entity(name).name == name
    with pytest.raises(InvalidInput, match="several entities"):
        memos.entity("Patel")
