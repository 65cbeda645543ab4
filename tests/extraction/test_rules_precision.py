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
