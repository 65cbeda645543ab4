"""What a text only seems to state: contrast, denial in a list, hearsay, idioms, things that are no
places. Each wrong claim here would end a right one."""

from __future__ import annotations

import pytest

from tests.extraction.test_rules import read, said, says, talk


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("I like tea but not coffee.", {"Nora likes tea"}),
        ("I love tea and cake but not juice or soda.", {"Nora likes tea", "Nora likes cake"}),
        ("I've read Dune but not Emma.", {"Nora read Dune"}),
        ("I'm allergic to nuts but not eggs.", {"Nora allergic_to nuts"}),
        ("I own a bike but no car.", {"Nora owns bike"}),
        ("I like all fruit but bananas.", {"Nora likes fruit"}),
        ("Tom and not Ana works at Nokia.", {"Tom works_at Nokia"}),
        (
            "Neither Tom nor I work at Nokia.",
            {"not Tom works_at Nokia", "not Nora works_at Nokia"},
        ),
        (
            "I speak neither French nor German.",
            {"not Nora speaks French", "not Nora speaks German"},
        ),
        ("I don't like tea or coffee.", {"not Nora likes tea", "not Nora likes coffee"}),
        ("I eat no meat.", {"not Nora eats meat"}),
        ("I speak no German.", {"not Nora speaks German"}),
        ("I no longer like tea.", {"not Nora likes tea"}),
        ("I love tea but also coffee.", {"Nora likes tea", "Nora likes coffee"}),
        ("I like all kinds of music but especially jazz.", {"Nora likes jazz"}),
        ("I hardly like tea.", set()),
        ("I barely speak German.", set()),
    ],
)
def test_contrast_and_denial_in_a_list(text: str, stated: set[str]) -> None:
    assert says(text) == stated


@pytest.mark.parametrize(
    "text",
    [
        "We moved from Slack to Teams.",
        "I moved to Postgres.",
        "I live in Excel these days.",
        "We went from Jenkins to GitHub Actions.",
        "I was about to move to Rome.",
        "I was about to marry Sam.",
        "I was about to sell my car.",
        "I was planning to move to Rome.",
        "We were going to move to Leeds but didn't.",
        "I work out at Gold's Gym.",
        "I retired to bed early.",
        "I got fired up about the new project.",
        "I'm dating myself here, but I remember floppy disks.",
        "I'm married to my job.",
        "I married into money.",
    ],
)
def test_idioms_and_what_did_not_happen(text: str) -> None:
    assert says(text) == set()


@pytest.mark.parametrize(
    "text",
    [
        "I left Acme at six today.",
        "I left Starbucks with a coffee.",
        "I left Bristol this morning.",
    ],
)
def test_to_leave_a_building_is_not_to_leave_a_job(text: str) -> None:
    assert not any("works_at" in each for each in says(text))


@pytest.mark.parametrize(
    "text",
    [
        "HR wrongly believes I live in Cork.",
        "My old CV says I work at IBM.",
        "People think I'm a lawyer.",
        "It's a myth that I live in Rome.",
        "I lied and said I live in Chelsea.",
        "Karen works at Tesco, but that's not true.",
        "Bob says he's a doctor but he's lying.",
        "Eva works at Nokia. Just kidding.",
        "In Minecraft I married Bella Goth.",
        "My character Elara lives in Neverwinter.",
        "Translate to Spanish: My name is Peter and I live in London.",
        "Rewrite this: I work at Siemens as an engineer.",
        "Example: John works at Acme and lives in Rome.",
    ],
)
def test_what_is_said_by_others_or_for_a_task_is_no_statement(text: str) -> None:
    assert says(text) == set()


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("Tom's and Ana's son Max plays tennis.", {"Max plays tennis", "Ana has_child Max"}),
        ("I have two cats, Miso and Tofu.", {"Nora has_pet Miso", "Nora has_pet Tofu"}),
        (
            "I was promoted to senior engineer last week.",
            {"Nora promoted_to senior engineer", "Nora job_title senior engineer"},
        ),
        ("Eva works at Nokia or Ericsson.", set()),
        ("I live in Lisbon or Porto, I forget which.", set()),
    ],
)
def test_who_and_which(text: str, stated: set[str]) -> None:
    assert says(text) == stated


@pytest.mark.parametrize(
    "text",
    [
        "Answer to your question: I live in Hull.",
        "You complete me: I live in Hull.",
        "Translate to Spanish: My name is Peter.\n\nI live in Hull.",
    ],
)
def test_what_is_told_beside_a_task_is_read(text: str) -> None:
    assert says(text) == {"Nora lives_in Hull"}


def test_only_what_is_taken_back_is() -> None:
    assert says("I live in Rome. I like tea. It's not true that I hate cats.") == {
        "Nora lives_in Rome",
        "Nora likes tea",
    }
    assert says("Everyone thinks I'm from Spain, but I'm from Portugal.") == {
        "Nora comes_from Portugal"
    }


def test_who_knows_is_believed() -> None:
    assert says("My doctor says I'm allergic to nuts.") == {"Nora allergic_to nuts"}


def test_one_sister_is_not_the_other() -> None:
    homes = {
        each
        for text in (
            "My sister lives in Vienna.",
            "My other sister lives in Graz.",
            "My younger sister lives in Linz.",
        )
        for each in says(text)
        if "lives_in" in each
    }
    assert len({each.split(" lives_in")[0] for each in homes}) == 3
    assert "Nora's former partner lives_in Vienna" in says("My ex lives in Vienna.")


@pytest.mark.parametrize(
    ("before", "text"),
    [
        ("I live in York.", "We drove to Hull, not York."),
        ("I work at Acme.", "The interview is at Globex, not Acme."),
        ("I work at Acme.", "We're using Globex, not Acme."),
        ("I like tea.", "I bought coffee, not tea."),
        ("I like coffee.", "I like tea but not coffee."),
        ("I speak German.", "I speak French but not German."),
    ],
)
def test_another_clause_with_the_same_word_takes_nothing_back(before: str, text: str) -> None:
    found = read(talk(("Nora", before), ("Nora", text)))[1]
    assert not any(claim.corrects for claim in found.claims)
    assert not any(claim.predicate in ("lives_in", "works_at") for claim in found.claims)


@pytest.mark.parametrize(
    "text",
    [
        "Turin, not Milan.",
        "It's Turin, not Milan.",
        "No, Turin, not Milan.",
        "Not Milan but Turin.",
    ],
)
def test_a_correction_that_says_nothing_else_does(text: str) -> None:
    found = read(talk(("Nora", "I live in Milan."), ("Nora", text)))[1]
    (claim,) = (claim for claim in found.claims if claim.corrects)
    assert (said(claim), claim.replaces) == ("Nora lives_in Turin", "Milan")


def test_i_meant_is_of_what_was_just_said_and_of_its_kind() -> None:
    far = read(
        talk(
            ("Nora", "I work at Acme."),
            ("Nora", "I had a great time in Leeds."),
            ("Nora", "I mean York."),
        )
    )
    assert far[2].claims == ()
    other = read(
        talk(
            ("Nora", "I live in Leeds."),
            ("Nora", "I work at Siemens."),
            ("Nora", "Sorry, I meant London."),
        )
    )
    assert other[2].claims == ()
    unknown = read(
        talk(
            ("Nora", "I live in Leeds."),
            ("Nora", "I work at Acme."),
            ("Nora", "Sorry, I meant Leicester."),
        )
    )
    assert unknown[2].claims == ()
    right = read(talk(("Nora", "I live in Leeds."), ("Nora", "Sorry, I meant London.")))[1]
    assert [said(claim) for claim in right.claims] == ["Nora lives_in London"]


@pytest.mark.parametrize(
    ("before", "text"),
    [
        ("I live in Leeds.", "Actually, I moved to York last week."),
        ("I work at Acme.", "Actually I work at Globex now."),
        ("I live in Leeds.", "Sorry for the late reply, I moved to York last week."),
        ("I live in Leeds.", "Oops, forgot to mention: we moved to York in November."),
    ],
)
def test_news_that_begins_like_a_correction_is_news(before: str, text: str) -> None:
    found = read(talk(("Nora", before), ("Nora", text)))[1]
    assert found.claims
    assert not any(claim.corrects for claim in found.claims)


@pytest.mark.parametrize(
    "text", ["Actually, I live in York.", "Sorry, I live in York.", "No wait, I live in York."]
)
def test_what_only_differs_after_an_announcement_corrects(text: str) -> None:
    found = read(talk(("Nora", "I live in Leeds."), ("Nora", text)))[1]
    assert [(said(claim), claim.replaces) for claim in found.claims] == [
        ("Nora lives_in York", "Leeds")
    ]


@pytest.mark.parametrize(
    "text",
    [
        "I don't eat meat at work.",
        "We don't speak Italian at home.",
        "I don't play guitar very well.",
        "I no longer play guitar in a band.",
        "I stopped speaking Italian to my kids.",
        "I stopped drinking coffee for a week.",
        "I'm working with Oracle on a migration.",
        "I work with Python and Django.",
        "I work with Pfizer as a client.",
        "I'm working at Starbucks today, the wifi is good.",
        "I work for Acme's CEO.",
        "My second favourite band is Blur.",
        "My least favourite band is Nickelback.",
        "My favourite colour for walls is grey.",
        "My favourite Dickens book is Emma.",
        "My work wife Sue is hilarious.",
        "I'm a terrible cook.",
        "I'm a good driver.",
        "I'm a nurse to my whole family.",
        "I'm a chef in my own kitchen.",
        "My old phone number was 555-9999.",
    ],
)
def test_what_is_less_than_the_whole_says_nothing_of_it(text: str) -> None:
    assert says(text) == set()


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("I don't eat meat at all.", {"not Nora eats meat"}),
        ("I stopped eating meat in 2020.", {"not Nora eats meat"}),
        ("I no longer speak German at all.", {"not Nora speaks German"}),
        ("I work with Pfizer as a chemist.", {"Nora works_at Pfizer", "Nora job_title chemist"}),
        ("I'm working at Bosch these days.", {"Nora works_at Bosch"}),
        ("I work at the post office.", {"Nora works_at post office"}),
        ("My all-time favourite movie is Alien.", {"Nora favourite_film Alien"}),
        ("My favourite movie of all time is Alien.", {"Nora favourite_film Alien"}),
        ("I'm a chef in Rome.", {"Nora job_title chef"}),
    ],
)
def test_and_the_whole_is_still_read(text: str, stated: set[str]) -> None:
    assert says(text) == stated


@pytest.mark.parametrize(
    "text",
    [
        "Years ago I moved to Paris for love.",
        "I had moved to London before that.",
        "I moved to London at 18.",
        "I got my first job at Lidl.",
        "I got a job at Globex but turned it down.",
        "When I was 20 I started working at Tesco.",
    ],
)
def test_what_was_long_ago_ends_nothing_of_today(text: str) -> None:
    assert not any(" lives_in " in each or " works_at " in each for each in says(text))


@pytest.mark.parametrize("text", ["My first wife Ann lives in Rome.", "My wife passed away."])
def test_a_spouse_of_the_past_makes_nobody_married(text: str) -> None:
    assert "Nora relationship_status married" not in says(text)
