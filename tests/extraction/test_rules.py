"""The rule extractor on single turns and short talks: what is stated, by whom, and what is not."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from memos.errors import ExtractionFailed, MissingDependency
from memos.extraction.rules import RulesExtractor, extractor, language
from memos.graph.vocabulary import Vocabulary
from memos.types import Claim, Extraction, Granularity, Image, Kind, Memory, Provenance, State

AT = datetime(2023, 5, 8, 13, tzinfo=timezone.utc)
TEST = RulesExtractor()


def memory(
    text: str,
    speaker: str | None = "Nora",
    *,
    at: datetime = AT,
    number: int = 1,
    images: tuple[Image, ...] = (),
    place: str | None = None,
    session: str | None = "talk",
) -> Memory:
    return Memory(
        id=f"m{number}",
        cube_id="c",
        content=text,
        kind=Kind.EPISODIC,
        state=State.ACTIVATED,
        version=1,
        position=number,
        user_id=None,
        agent_id=None,
        session_id=session,
        speaker=speaker,
        occurred_at=at,
        place=place,
        images=images,
        metadata={},
        priority=0.5,
        expires_at=None,
        provenance=Provenance(),
        created_at=at,
        updated_at=at,
    )


def talk(*turns: tuple[str, str]) -> list[Memory]:
    return [
        memory(text, who, at=AT + timedelta(minutes=n), number=n)
        for n, (who, text) in enumerate(turns, 1)
    ]


def read(memories: Sequence[Memory], before: Sequence[Memory] = ()) -> list[Extraction]:
    found = TEST.extract(memories, before=before)
    assert len(found) == len(memories)
    for each in found:
        assert isinstance(each, Extraction), each
    return [each for each in found if isinstance(each, Extraction)]


def claims(text: str, speaker: str | None = "Nora") -> list[Claim]:
    return list(read([memory(text, speaker)])[0].claims)


def said(claim: Claim) -> str:
    thing = claim.object.name if claim.object is not None else claim.value or "*"
    return f"{'not ' if claim.negated else ''}{claim.subject.name} {claim.predicate} {thing}"


def says(text: str) -> set[str]:
    return {said(claim) for claim in claims(text)}


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("I live in Lisbon.", "Nora lives_in Lisbon"),
        ("we're living in Lisbon these days", "Nora lives_in Lisbon"),
        ("My sister Eva lives in Graz.", "Eva lives_in Graz"),
        ("My sister Eva lives in Graz.", "Nora has_sibling Eva"),
        ("Tom's wife Kate works at Bosch.", "Kate works_at Bosch"),
        ("Rosa is a dentist. She lives in Quito.", "Rosa lives_in Quito"),
        ("My mother was born in Kyoto and she lives in Osaka.", "Nora's mother lives_in Osaka"),
        ("I work as a welder at Siemens.", "Nora job_title welder"),
        ("I work as a welder at Siemens.", "Nora works_at Siemens"),
        ("I work with Anna at the library.", "Nora works_at library"),
        ("I work at Fiat, not as a cook but as a welder.", "Nora job_title welder"),
        ("I left Fiat and joined Vespa.", "Nora works_at Vespa"),
        ("I studied law at the University of Ghana.", "Nora studies_at University of Ghana"),
        ("I don't eat meat.", "not Nora eats meat"),
        ("I gave up coffee.", "not Nora drinks coffee"),
        ("I stopped smoking.", "not Nora practises smoking"),
        ("Our cat is called Minka.", "Nora has_pet Minka"),
        ("I'm allergic to peanuts.", "Nora allergic_to peanuts"),
        ("My favorite color is green.", "Nora favourite_colour green"),
        ("I quit my job at Nokia.", "not Nora works_at Nokia"),
        ("I was laid off.", "not Nora works_at *"),
        ("Moved into my new flat in Leipzig!", "Nora lives_in Leipzig"),
        ("Kenji and I broke up.", "not Nora partner_of Kenji"),
        ("I've been to Norway.", "Nora visited Norway"),
    ],
)
def test_what_is_stated_is_claimed(text: str, stated: str) -> None:
    assert stated in says(text)


@pytest.mark.parametrize(
    "text",
    [
        "Do you live in Rome?",
        "If I lived in Rome, I would learn Italian.",
        "I wish I lived in Rome.",
        "I might move to Rome.",
        "I'm thinking about moving to Rome.",
        "I almost moved to Rome.",
        "Imagine I lived in Rome!",
        "My mum wants me to move to Rome.",
        "We're moving to Rome next month.",
        "I'll work at Fiat one day.",
        'Uncle Joe said: "I live in Rome."',
        "I was offered a job at Fiat.",
        "I applied for a job at Fiat.",
        "Maybe I should quit my job at Fiat.",
        "I don't think I live in Rome.",
        "The office moved to Rome.",
        "I didn't go to work today.",
        "I left work early.",
        "I don't play chess with strangers.",
        "Move to Rome!",
        "When I moved to Rome as a student, I started at Fiat.",
        "I joined Greenpeace in 2019.",
        "I joined Sarah for lunch yesterday.",
        "I left Sarah at the airport.",
        "I moved on to Python.",
        "We moved to Plan B.",
        "I'm a doctor in the school play.",
        "I was a waitress in a film last night.",
        "You're a great teacher!",
        "In the novel, Anna lives in Moscow and works at Alfa.",
        "I feel like I live in Rome.",
        "I started at the bottom.",
        "We broke up the concrete.",
        "I'm 5 minutes away.",
    ],
)
def test_what_is_not_stated_changes_nothing(text: str) -> None:
    """No claim of a state: wishes, plans, kin and events aside."""
    vocabulary = Vocabulary()
    states = [claim for claim in claims(text) if not vocabulary.predicate(claim.predicate).event]
    assert [said(c) for c in states if c.predicate not in ("wants", "plans", "has_parent")] == []


def test_you_is_the_other_speaker() -> None:
    found = read(talk(("Ann", "I started at Adidas."), ("Bob", "So you work at Adidas now!")))
    mine, yours = found[0].claims, found[1].claims
    assert "Ann works_at Adidas" in {said(c) for c in mine}
    assert [said(c) for c in yours] == ["Ann works_at Adidas"]
    (told,) = yours
    assert told.confidence < max(c.confidence for c in mine)


def test_you_is_found_among_the_turns_before() -> None:
    before = talk(("Ann", "Hello!"))
    (found,) = read([memory("You work at Adidas.", "Bob", number=2)], before)
    assert "Ann works_at Adidas" in {said(c) for c in found.claims}
    (alone,) = read([memory("You work at Adidas.", "Bob", number=2)])
    assert alone.claims == ()


def test_a_pronoun_that_can_mean_two_means_nobody() -> None:
    assert "Anna" not in str(says("Anna met Maria. She lives in Rome.")).replace("Anna met", "")
    assert "Nora's sister lives_in Rome" in says("My brother met my sister. She lives in Rome.")


def test_times_are_those_of_the_zone_and_keep_their_grain() -> None:
    text = memory("I moved to Oakland yesterday.", at=datetime(2023, 3, 5, 4, tzinfo=timezone.utc))
    (found,) = RulesExtractor(zone=ZoneInfo("America/Los_Angeles")).extract([text])
    assert isinstance(found, Extraction)
    (home,) = [c for c in found.claims if c.predicate == "lives_in"]
    assert home.since is not None
    assert home.since.start == datetime(2023, 3, 3, 8, tzinfo=timezone.utc)
    assert home.since.granularity is Granularity.DAY
    (year,) = [c for c in claims("I visited Athens last year.") if c.predicate == "visited"]
    assert year.since is not None
    assert year.since.granularity is Granularity.YEAR


def test_used_to_ends_and_from_to_bounds() -> None:
    (former,) = [c for c in claims("I used to live in Berlin.") if c.predicate == "lives_in"]
    assert former.since is None
    assert former.until is not None
    assert former.until.start == AT
    (bounded,) = [
        c for c in claims("I lived in Vienna from 2010 to 2014.") if c.predicate == "lives_in"
    ]
    assert bounded.since is not None
    assert bounded.until is not None
    assert bounded.since.start is not None
    assert bounded.until.start is not None
    assert (bounded.since.start.year, bounded.until.start.year) == (2010, 2015)


def test_a_correction_names_what_it_replaces() -> None:
    found = read(talk(("Nora", "I live in Milan."), ("Nora", "Sorry, I meant Turin, not Milan.")))
    (again,) = found[1].claims
    assert said(again) == "Nora lives_in Turin"
    assert again.corrects
    assert again.replaces == "Milan"


def test_a_correction_reaches_the_turns_before() -> None:
    before = talk(("Nora", "I live in Milan."))
    (found,) = read([memory("Oh, I meant Turin.", number=2)], before)
    assert [(said(c), c.replaces) for c in found.claims] == [("Nora lives_in Turin", "Milan")]


@pytest.mark.parametrize(
    "text",
    [
        "Actually, I love the summer here.",
        "Sorry I missed your call!",
        "I meant to call you.",
        "Not bad, not bad at all.",
    ],
)
def test_what_only_sounds_like_a_correction_corrects_nothing(text: str) -> None:
    found = read(talk(("Nora", "I live in Milan."), ("Nora", text)))
    assert not any(claim.corrects for claim in found[1].claims)


def test_another_speakers_words_are_not_corrected() -> None:
    found = read(talk(("Nora", "I live in Milan."), ("Tom", "Oh, I meant Turin.")))
    assert found[1].claims == ()


def test_quantities_have_units() -> None:
    (age,) = [c for c in claims("I'm 34 years old.") if c.predicate == "age"]
    assert (age.value, age.quantity, age.unit) == ("34", 34.0, "years")
    (weight,) = [c for c in claims("I weigh 70 kg.") if c.predicate == "weight"]
    assert (weight.quantity, weight.unit) == (70.0, "kg")


def test_captions_are_shown_and_nothing_else() -> None:
    image = Image(caption="a man who lives in Rome holding a fish")
    (found,) = read([memory("Look at this!", images=(image,))])
    assert {c.predicate for c in found.claims} == {"showed"}
    assert "fish" in {c.object.name for c in found.claims if c.object}


def test_a_claim_is_made_once_and_stands_where_it_says() -> None:
    text = "Hello. I live in Rome. Yes, I live in Rome."
    (home,) = [c for c in claims(text) if c.predicate == "lives_in"]
    assert text[home.start : home.end] == "I live in Rome"


def test_mentions_stand_where_the_names_do() -> None:
    text = "Hey Tom! My sister Eva met Tom's boss at Siemens in Rome. " * 40
    (found,) = read([memory(text)])
    named = [m for m in found.mentions if m.end]
    assert len(text) > 2 * 1000
    assert {"Eva", "Siemens", "Rome"} <= {m.ref.name for m in named}
    assert max(m.start for m in named) > 2000
    for mention in named:
        assert text[mention.start : mention.end] == mention.ref.name


def test_a_slot_tells_the_type_of_a_name() -> None:
    (found,) = read([memory("My cousin Fabio moved to Jena.")])
    types = {m.ref.name: m.ref.type for m in found.mentions}
    assert types["Fabio"] == "person"
    assert types["Jena"] == "place"


def test_places_of_events_and_of_the_memory() -> None:
    (concert,) = [c for c in claims("I attended a concert in Vienna.") if c.predicate == "attended"]
    assert concert.place == "Vienna"
    (found,) = read([memory("Yesterday I bought a bike.", place="Delft")])
    (bought,) = [c for c in found.claims if c.predicate == "bought"]
    assert bought.place == "Delft"


def test_lower_case_names_are_read_where_nothing_is_capital() -> None:
    assert "Nora lives_in berlin" in says("i live in berlin")
    assert says("I live in fear") == set()


def test_without_a_speaker_i_is_the_user() -> None:
    assert [said(c) for c in claims("I live in Rome.", None)] == ["user lives_in Rome"]


def test_every_predicate_is_in_the_vocabulary_and_confident_enough() -> None:
    text = (
        "I'm a nurse and I live in Rome. I used to live in Bonn. My sister Eva got married to Max"
        " in June. I love jazz, I play chess, I speak Dutch. I bought a car yesterday and visited"
        " Pisa. I'm vegan. My dog Rex died. I'm 34. I quit smoking. I want to move to Oslo."
    )
    vocabulary = Vocabulary()
    found = claims(text)
    assert len(found) > 15
    for claim in found:
        assert vocabulary.knows(claim.predicate), claim
        assert 0.0 < claim.confidence <= 1.0
        assert claim.object is None or claim.value is None


def test_alone_or_together_it_reads_the_same() -> None:
    turns = talk(
        ("Ann", "I live in Rome and my brother Leo works at Fiat."),
        ("Bob", "Do you like it there?"),
        ("Ann", "Yes! Sorry, I meant Pisa, not Rome."),
        ("Bob", "You moved to Pisa last year, right? I work at Vespa."),
    )
    together = read(turns)
    alone = [read([turn], turns[:n])[0] for n, turn in enumerate(turns)]
    assert [e.claims for e in together] == [e.claims for e in alone]
    assert together == read(turns)


WEIRD = {
    "empty": "",
    "blank": " \n\t ",
    "nul": "I live in\x00Rome.",
    "surrogate": "I live in Rome \ud83d yes",
    "emoji": "🐶" * 300,
    "one word": "x" * 200_000,
    "one sentence": "and I live in Rome " * 3_000,
    "brackets": "([{" * 5_000,
    "digits": "1234567890." * 3_000,
    "right to left": "אני גר ברומא. " * 100,
    "quotes": "\"'“”’" * 2_000,
    "not": "not not but not Rome, not " * 800,
}


@pytest.mark.parametrize("name", WEIRD)
def test_no_text_breaks_it(name: str) -> None:
    found = TEST.extract([memory("I live in Oslo."), memory(WEIRD[name], number=2)])
    assert isinstance(found[0], Extraction)
    assert "Nora lives_in Oslo" in {said(c) for c in found[0].claims}
    assert isinstance(found[1], Extraction)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_megabyte_is_read_to_its_end() -> None:
    text = "This is a long letter about nothing. " * 28_000 + "I live in Rome."
    assert len(text) > 1_000_000
    (home,) = [c for c in claims(text) if c.predicate == "lives_in"]
    assert text[home.start : home.end] == "I live in Rome"


def test_what_breaks_on_one_text_fails_for_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(clause: object, draft: object) -> None:
        if "Milan" in clause.verb.doc.text:  # type: ignore[attr-defined]
            raise ValueError("a rule broke")

    monkeypatch.setattr(extractor, "_READERS", (*extractor._READERS, explode))
    good, bad = TEST.extract([memory("I live in Rome."), memory("I live in Milan.", number=2)])
    assert isinstance(good, Extraction)
    assert isinstance(bad, ExtractionFailed)
    assert "a rule broke" in bad.message
    assert bad.details["memory_id"] == "m2"
    assert isinstance(bad.__cause__, ValueError)


def test_a_missing_model_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: object, **named: object) -> object:
        if name.startswith("en_core_web_sm"):
            raise ImportError(name)
        return real(name, *rest, **named)  # type: ignore[arg-type]

    language.load.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependency, match="pip install"):
        TEST.extract([memory("I live in Rome.")])
    monkeypatch.undo()
    assert TEST.extract([memory("I live in Rome.")])


def test_nothing_is_loaded_for_nothing() -> None:
    language.load.cache_clear()
    assert RulesExtractor().extract([]) == []
    assert language.load.cache_info().currsize == 0


def test_sessions_read_together_are_read_as_they_are_apart() -> None:
    apart: list[tuple[list[Memory], list[Memory]]] = [
        (talk(("Nora", "I moved to Lisbon in 2021."), ("Ben", "I have a dog named Rex.")), []),
        ([], []),
        (
            talk(("Ben", "No, I meant Porto."), ("Nora", "She works at Metro.")),
            talk(("Ben", "I live in Lisbon."), ("Nora", "Ana is my sister.")),
        ),
        (talk(("Eva", "Lisbon is lovely."), ("Porto", "I like green tea.")), []),
    ]
    together = list(TEST.extract_runs(apart))
    assert together == [TEST.extract(turns, before=before) for turns, before in apart]
    assert [len(found) for found in together] == [2, 0, 2, 2]
