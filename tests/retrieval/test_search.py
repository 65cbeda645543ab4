"""What a search finds, in which order, and how it says so."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from memos.errors import EmbeddingModelChanged, InvalidInput, StorageUnavailable
from memos.retrieval.filtering.request import MAX_QUERY_CHARS
from memos.testing import HashEmbedder
from memos.types import Kind, State
from tests.retrieval.world import NOW, World


def test_reads_see_writes():
    world = World()
    assert world.ids("dogs") == []
    dog = world.add("Our dog barks at night")
    cat = world.add("The cat sleeps all day")
    assert world.ids("dogs barking") == [dog, cat]
    world.change(cat, content="The dog barks at the cat, the dog barks")
    assert world.ids("dog barks")[0] == cat
    world.forget(cat)
    assert world.ids("dog barks") == [dog]
    world.change(cat, state=State.ACTIVATED)
    assert set(world.ids("dog barks")) == {dog, cat}


def test_another_process_sees_them_too():
    world = World()
    other = world.new_searcher()
    dog = world.add("Our dog barks")
    assert world.ids("dog") == [dog]
    cat = world.add("The cat sleeps")
    first, world.searcher = world.searcher, other
    assert world.ids("cat")[0] == cat
    world.searcher = first
    assert world.ids("cat")[0] == cat


@pytest.mark.parametrize(
    "state", [state for state in State if state is not State.ACTIVATED], ids=lambda s: s.value
)
def test_only_activated_memories_are_found(state):
    world = World()
    world.add("dog", state=state)
    assert world.ids("dog") == []


def test_expired_memories_are_not_found():
    world = World()
    soon = world.add("dog", expires_at=NOW + timedelta(seconds=1))
    world.add("dog", expires_at=NOW)
    result = world.search("dog")
    assert [hit.memory.id for hit in result.hits] == [soon]
    assert result.considered == 1
    world.now = NOW + timedelta(seconds=1)
    assert world.ids("dog") == []


@pytest.mark.parametrize("field", ["user_id", "agent_id", "session_id"])
def test_scope(field):
    world = World()
    mine = world.add("dog", **{field: "a"})
    world.add("dog", **{field: "b"})
    world.add("dog")
    result = world.search("dog", **{field: "a"})
    assert [hit.memory.id for hit in result.hits] == [mine]
    assert result.considered == 1
    assert world.ids("dog", **{field: "unknown"}) == []


def test_kinds_time_and_filter():
    world = World()
    at = NOW - timedelta(days=10)
    fact = world.add("dog", kind=Kind.SEMANTIC, occurred_at=at, metadata={"n": 1})
    event = world.add("dog", occurred_at=at - timedelta(days=1), metadata={"n": 2})
    timeless = world.add("dog")
    assert world.ids("dog", kinds=(Kind.SEMANTIC,)) == [fact]
    assert set(world.ids("dog", kinds=(Kind.SEMANTIC, Kind.EPISODIC))) == {fact, event, timeless}
    assert world.ids("dog", since=at) == [fact]
    assert world.ids("dog", until=at) == [event]
    assert world.ids("dog", filter={"n": {"gt": 1}}) == [event]


def test_the_same_session_name_of_two_users_is_two_sessions():
    world = World()
    quiet = world.add("hm", session_id="1", user_id="a")
    world.add("zebra zebra", session_id="1", user_id="b")
    shares = {share.channel: share for share in world.hit("zebra", quiet).breakdown}
    assert shares["lexical"].raw == 0


def test_the_neighbours_of_a_match_are_found():
    world = World()
    for i in range(40):
        world.add(f"filler number {i} about nothing", session_id=f"s{i}")
    question = world.add("Which instrument do you play?", session_id="music")
    answer = world.add("Since childhood, the cello", session_id="music")
    assert world.ids("Which instrument", limit=2) == [question, answer] or world.ids(
        "Which instrument", limit=2
    ) == [answer, question]
    shares = {share.channel: share for share in world.hit("Which instrument", answer).breakdown}
    assert shares["lexical"].raw > 0
    assert "session" not in shares  # the best of a session stands for it
    plain = World(fusion="plain")
    plain.add("Which instrument do you play?", session_id="music")
    answer = plain.add("Since childhood, the cello", session_id="music")
    plain.add("filler", session_id="other")
    shares = {share.channel: share for share in plain.hit("Which instrument", answer).breakdown}
    assert shares["session"].raw > 0


def test_a_question_asserts_nothing():
    world = World()
    asked = world.add("Do you play the cello?")
    said = world.add("I do play the cello")
    assert world.ids("play cello") == [said, asked]


def test_the_speaker_who_is_named_is_preferred():
    world = World()
    texts = ["I adore hiking in the mountains"] * 2
    anna = world.add(texts[0], speaker="Anna Lee")
    bob = world.add(texts[1], speaker="Bob")
    assert world.ids("What does Bob adore?") == [bob, anna]
    assert world.ids("What does Anna adore?") == [anna, bob]
    assert world.search("What does Anna adore?").query.speakers == ("Anna Lee",)
    channels = {share.channel for share in world.hit("Anna and Bob adore", anna).breakdown}
    assert "speaker" not in channels


def test_a_time_that_is_named_is_preferred():
    world = World()
    march = world.add("We went sailing", occurred_at=NOW.replace(month=3))
    may = world.add("We went sailing", occurred_at=NOW.replace(month=5, day=20))
    world.add("We went sailing")
    assert world.ids("sailing in May 2024")[0] == may
    assert world.ids("sailing in March")[0] == march
    assert world.ids("sailing before 1 April 2024")[0] == march
    assert len(world.ids("sailing in May 2024")) == 3


def test_priority_moves_but_does_not_rule():
    world = World()
    usual = world.add("the dog barks")
    high = world.add("the dog barks", priority=1.0)
    low = world.add("the dog barks", priority=0.0)
    assert world.ids("dog") == [high, usual, low]


def test_a_phrase_alone_is_a_condition():
    world = World()
    exact = world.add("I finished Becoming Nicole yesterday")
    world.add("becoming is hard, Nicole")
    stems = world.add("I finished becoming nicoles yesterday")
    assert world.ids('"becoming nicole"') == [exact]
    assert world.ids('"Becoming  NICOLE"') == [exact]
    assert world.ids('"yesterday"') in ([exact, stems], [stems, exact])
    assert world.ids('"unheard of"') == []


def test_a_phrase_in_a_question_is_a_preference():
    world = World()
    for i in range(30):
        world.add(f"She read book {i}" if i % 2 else f"Nicole was becoming tired of it, {i}")
    exact = world.add("It is Becoming Nicole, as you know")
    found = world.ids('Which book did she read, "Becoming Nicole"?', limit=31)
    assert found[0] == exact
    assert len(found) == 31


def test_a_phrase_of_stop_words_is_looked_for_in_every_text():
    world = World()
    for i in range(40):
        world.add(f"number {i} is to be or to become")
    exact = world.add("whether to be or not to be", vector=False)
    assert world.ids('"to be or not to be"', limit=3) == [exact]


def test_captions_are_searched():
    world = World()
    world.add("Look at this!")
    seen = world.add("Look at this!", captions=("a heron on a frozen lake",))
    assert world.ids("frozen lake heron")[0] == seen


@pytest.mark.parametrize(
    "text",
    [
        "the of and",
        "???",
        "§ € 中",
        "' OR 1=1 --",
        "NEAR(a b) AND (",
        "*",
        '"',
        "a" * 9_000,
        "%_\\",
    ],
)
def test_any_text_can_be_searched(text):
    world = World()
    world.add("the dog barks")
    assert len(world.search(text).hits) == 1


def test_words_find_a_memory_without_a_vector():
    world = World()
    plain = world.add("a narwhal", vector=False)
    assert world.ids("narwhal") == [plain]
    world.add("a dog")
    assert world.ids("narwhal")[0] == plain


def test_mmr_spreads():
    world = World()
    twins = {world.add("red apple pie recipe") for _ in range(3)}
    other = world.add("red apple orchard in autumn with ladders")
    assert set(world.ids("red apple pie recipe", limit=2)) <= twins
    found = world.ids("red apple pie recipe", limit=2, mmr=0.3)
    assert found[0] in twins
    assert found[1] == other
    assert set(world.ids("red apple pie recipe", limit=2, mmr=1.0)) <= twins


def test_token_budget():
    world = World()
    long = world.add("dog " * 50)
    short = world.add("a dog barks")
    result = world.search("dog", token_budget=10)
    assert [hit.memory.id for hit in result.hits] == [short]
    assert result.tokens == 3
    assert {hit.memory.id for hit in world.search("dog", token_budget=53).hits} == {long, short}
    assert world.search("dog", token_budget=2).hits == ()


def test_the_breakdown_adds_up_and_explain_says_why():
    world = World()
    for i in range(12):
        world.add(f"the dog number {i} barks", session_id="s", speaker="Ann", priority=i / 12)
    result = world.search("Which dog does Ann like?", explain=True)
    for hit in result.hits:
        assert hit.score == pytest.approx(sum(share.weighted for share in hit.breakdown), abs=1e-4)
        assert len(hit.why) == len(hit.breakdown)
        assert any("lexical" in why and "dog" in why for why in hit.why)
        assert any("speaker: Ann" in why for why in hit.why)
    assert world.search("dog").hits[0].why == ()
    scores = [hit.score for hit in result.hits]
    assert scores == sorted(scores, reverse=True)


def test_timings_and_counts():
    world = World()
    for _ in range(5):
        world.add("dog")
    result = world.search("dog", limit=2)
    assert result.considered == 5
    assert len(result.hits) == 2
    assert set(result.timings_ms) == {"embed", "search", "total"}
    times = result.timings_ms
    assert times["total"] == pytest.approx(times["embed"] + times["search"])


def test_as_many_as_there_are():
    world = World()
    for i in range(300):
        world.add(f"dog {i}", session_id=f"s{i // 9}")
    assert len(set(world.ids("dog", limit=1000))) == 300
    assert len(world.ids("unrelated words", limit=1000)) == 300


def test_the_last_check_drops_what_the_truth_no_longer_allows():
    world = World()
    kept = world.add("dog one", user_id="a")
    moved = world.add("dog two", user_id="a")
    erased = world.add("dog three", user_id="a")

    def change_behind_the_back():
        # As if committed after the projection was read, and not yet in the feed.
        world.memories[moved] = replace(world.memories[moved], user_id="b")
        world.memories[erased] = replace(world.memories[erased], state=State.ERASED)

    world.before_get = change_behind_the_back
    assert world.ids("dog", user_id="a") == [kept]


def test_a_memory_changed_between_is_searched_again():
    world = World()
    dog = world.add("dog")
    left = [1]

    def change_once():
        if left:
            left.pop()
            world.change(dog, content="dog and cat")

    world.before_get = change_once
    assert world.search("dog").hits[0].memory.content == "dog and cat"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"text": ""}, "text"),
        ({"text": " \n"}, "text"),
        ({"text": "x" * (MAX_QUERY_CHARS + 1)}, "text"),
        ({"text": "a\x00b"}, "text"),
        ({"text": "\ud800"}, "text"),
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"limit": True}, "limit"),
        ({"limit": 1.5}, "limit"),
        ({"mmr": -0.1}, "mmr"),
        ({"mmr": 1.1}, "mmr"),
        ({"mmr": float("nan")}, "mmr"),
        ({"mmr": "1"}, "mmr"),
        ({"token_budget": 0}, "token_budget"),
        ({"kinds": ("dream",)}, "kinds"),
        ({"user_id": ""}, "user_id"),
        ({"since": NOW, "until": NOW}, "since"),
        ({"since": NOW.replace(tzinfo=None)}, "since"),
    ],
    ids=str,
)
def test_bad_requests_name_the_field(fields, field):
    world = World()
    world.add("dog")
    with pytest.raises(InvalidInput) as caught:
        world.search(**({"text": "dog"} | fields))
    assert caught.value.details["field"] == field


def test_vectors_of_another_model_are_not_compared():
    world = World()
    world.add("dog")
    cube = replace(world.cube, embedding=HashEmbedder(name="other").model)
    from memos.types import Search

    with pytest.raises(EmbeddingModelChanged, match="reindex --embed"):
        world.searcher.search(cube, Search(text="dog"))


def test_errors_are_errors():
    world = World()
    world.add("dog")

    def fail():
        raise StorageUnavailable("the database is away")

    world.before_get = fail
    with pytest.raises(StorageUnavailable):
        world.search("dog")
    world.last = lambda cube_id: fail()
    with pytest.raises(StorageUnavailable):
        world.search("dog")


def test_equal_scores_come_in_order_of_arrival():
    world = World()
    ids = [world.add("dog") for _ in range(8)]
    assert world.ids("dog") == ids


def test_usage_and_drop():
    world = World()
    world.add("dog")
    world.ids("dog")
    usage = world.searcher.usage()
    assert usage["projection_memories"] == 1
    assert usage["projection_bytes"] > 0
    world.searcher.drop("cube")
    assert world.searcher.usage()["projections"] == 0
    assert len(world.ids("dog")) == 1


def test_an_empty_cube_is_searched_without_the_model():
    world = World()
    world.embedder.embed = lambda texts: pytest.fail("nothing to compare with")
    assert world.search("dog").hits == ()
    assert np.isfinite(world.search("dog").timings_ms["total"])


def test_a_place_that_is_named_is_preferred():
    world = World()
    for i in range(20):
        world.add(f"we ate soup number {i}", place="Lisbon" if i % 2 else None)
    there = world.add("we ate soup with bread", place="São Miguel")
    found = world.search("What did we eat at são miguel?", limit=3, explain=True)
    assert found.hits[0].memory.id == there
    assert any("São Miguel" in why for why in found.hits[0].why)
    channels = {share.channel for share in world.search("What did we eat?").hits[0].breakdown}
    assert "place" not in channels
    assert "place" not in {s.channel for s in world.search("miguel soup").hits[0].breakdown}


def test_where_prefers_what_carries_a_place():
    world = World()
    vague = world.add("we ate soup together")
    placed = world.add("we ate soup together", place="Lisbon")
    assert world.ids("Where did we eat soup?") == [placed, vague]
    assert world.ids("Who ate soup?") == [vague, placed]
