"""When facts begin and end. Each test says in its name what follows from what."""

from memos.graph.deriving.validity import Rules
from memos.types import Granularity
from tests.graph.said import HOME, LIKES, RULES, VISITED, keep_open, said, times

PORTO = said("p", "porto", "2020-01-01")
ROME = said("r", "rome", "2022-01-01")


def test_a_later_other_object_closes_the_earlier_of_a_functional_predicate():
    assert times(HOME, ROME, PORTO) == [
        "porto 2020-01-01..2022-01-01 superseded",
        "rome 2022-01-01..on",
    ]


def test_what_closed_a_fact_is_named():
    first, second = RULES.derive(HOME, [PORTO, ROME], [])
    assert (first.closed_by, second.closed_by) == ("r", None)
    assert first.assertions == ("p",)


def test_the_same_object_again_is_one_more_source():
    again = said("p2", "porto", "2021-01-01")
    (fact,) = RULES.derive(HOME, [again, PORTO], [])
    assert fact.assertions == ("p", "p2")
    assert fact.confidence == 0.96


def test_two_statements_of_one_memory_are_no_surer_than_one():
    again = said("p2", "porto", "2021-01-01", memory_id="m-p")
    (fact,) = RULES.derive(HOME, [again, PORTO], [])
    assert fact.confidence == 0.8


def test_who_comes_back_lives_there_a_second_time():
    back = said("p2", "porto", "2023-01-01")
    assert times(HOME, PORTO, ROME, back) == [
        "porto 2020-01-01..2022-01-01 superseded",
        "rome 2022-01-01..2023-01-01 superseded",
        "porto 2023-01-01..on",
    ]


def test_retroactive_news_finds_its_place_in_time():
    news = said("m", "milan", "2021-01-01", on="2023-01-01")
    assert times(HOME, PORTO, ROME, news) == [
        "porto 2020-01-01..2021-01-01 superseded",
        "milan 2021-01-01..2022-01-01 superseded",
        "rome 2022-01-01..on",
    ]


def test_objects_of_other_predicates_stand_side_by_side():
    tea = said("t", "tea", "2020-01-01", predicate="likes")
    figs = said("f", "figs", "2021-01-01", predicate="likes")
    assert times(LIKES, tea, figs) == ["tea 2020-01-01..on", "figs 2021-01-01..on"]


def test_a_denial_closes_its_object_alone_and_an_affirmation_the_denial():
    tea = said("t", "tea", "2020-01-01", predicate="likes")
    figs = said("f", "figs", "2020-01-01", predicate="likes")
    no_tea = said("n", "tea", "2021-01-01", predicate="likes", negated=True)
    tea_again = said("u", "tea", "2022-01-01", predicate="likes")
    assert times(LIKES, tea, figs, no_tea, tea_again) == [
        "figs 2020-01-01..on",
        "tea 2020-01-01..2021-01-01 negated",
        "not tea 2021-01-01..2022-01-01 affirmed",
        "tea 2022-01-01..on",
    ]


def test_a_denial_of_any_object_closes_them_all():
    tea = said("t", "tea", "2020-01-01", predicate="likes")
    figs = said("f", "figs", "2020-01-01", predicate="likes")
    nothing = said("n", None, "2021-01-01", predicate="likes", negated=True)
    assert times(LIKES, tea, figs, nothing) == [
        "figs 2020-01-01..2021-01-01 negated",
        "tea 2020-01-01..2021-01-01 negated",
        "not any 2021-01-01..on",
    ]


def test_a_denial_of_another_object_closes_nothing_of_a_functional_predicate():
    assert times(HOME, PORTO, said("n", "rome", "2021-01-01", negated=True)) == [
        "porto 2020-01-01..on",
        "not rome 2021-01-01..on",
    ]


def test_values_are_compared_folded():
    one = said("a", None, "2020-01-01", value="The  Blue one.")
    two = said("b", None, "2021-01-01", value="blue one")
    other = said("c", None, "2022-01-01", value="red one")
    assert times(HOME, one, two, other) == [
        "The  Blue one. 2020-01-01..2022-01-01 superseded",
        "red one 2022-01-01..on",
    ]


def test_numbers_that_differ_by_a_point_or_sign_are_different_values():
    values = ["3.5", "35", "-35", "3,5", "35%"]
    assert len({RULES.folded(value) for value in values}) == len(values)


def test_what_is_said_to_have_ended_ends_by_itself():
    assert times(HOME, said("p", "porto", "2020-01-01", until="2021-01-01")) == [
        "porto 2020-01-01..2021-01-01 ended"
    ]


def test_used_to_without_a_beginning_was_ever_so():
    assert times(HOME, said("p", "porto", None, until="2021-01-01")) == [
        "porto ever..2021-01-01 ended"
    ]


def test_used_to_ends_what_was_said_before():
    assert times(HOME, PORTO, said("u", "porto", None, until="2021-01-01")) == [
        "porto 2020-01-01..2021-01-01 ended"
    ]


def test_used_to_supports_what_has_ended_already():
    told = said("u", "porto", None, until="2023-01-01")
    first, second = RULES.derive(HOME, [PORTO, ROME, told], [])
    assert first.assertions == ("p", "u")
    assert first.invalid_at == ROME.valid_at
    assert second.invalid_at is None


def test_a_former_home_lies_before_the_present_one():
    assert times(HOME, ROME, said("u", "faro", None, until="2023-01-01")) == [
        "rome 2022-01-01..on",
        "faro ever..2022-01-01 superseded",
    ]


def test_the_later_statement_of_an_end_counts():
    may = said("a", "porto", "2020-01-01", on="2020-01-02", until="2020-05-01")
    june = said("b", "porto", "2020-02-01", on="2020-04-01", until="2020-06-01")
    assert times(HOME, june, may) == ["porto 2020-01-01..2020-06-01 ended"]


def test_an_event_stays_true_and_the_same_time_is_the_same_event():
    trips = [
        said("a", "rome", "2020-01-01", predicate="visited"),
        said("b", "rome", "2020-01-01", predicate="visited"),
        said("c", "rome", "2021-01-01", predicate="visited", until="2021-01-09"),
        said("d", "oslo", "2022-01-01", predicate="visited"),
    ]
    assert times(VISITED, *trips) == [
        "rome 2020-01-01..on",
        "rome 2021-01-01..on",
        "oslo 2022-01-01..on",
    ]
    assert RULES.derive(VISITED, trips, [])[0].assertions == ("a", "b")


def test_a_correction_annuls_what_was_current_and_takes_its_beginning():
    fix = said("x", "braga", None, on="2020-01-05", corrects=True)
    assert times(HOME, PORTO, fix) == ["braga 2020-01-01..on"]


def test_a_correction_annuls_all_that_had_said_the_same():
    again = said("p2", "porto", "2021-01-01")
    later = said("p3", "porto", "2023-01-01")
    fix = said("x", "braga", None, on="2022-01-05", corrects=True)
    assert times(HOME, PORTO, again, fix, later) == [
        "braga 2020-01-01..2023-01-01 superseded",
        "porto 2023-01-01..on",
    ]


def test_a_correction_of_what_is_named_leaves_the_rest():
    fix = said("x", "braga", None, on="2023-01-05", corrects=True, replaces="porto")
    assert times(HOME, PORTO, ROME, fix) == [
        "braga 2020-01-01..2022-01-01 superseded",
        "rome 2022-01-01..on",
    ]


def test_a_correction_of_a_value_is_matched_folded():
    wrong = said("a", None, "2020-01-01", value="Hanna")
    fix = said("x", None, None, on="2020-01-02", value="Anna", corrects=True, replaces="the hanna")
    assert times(LIKES, wrong, fix) == ["Anna 2020-01-01..on"]


def test_a_correction_without_a_named_object_touches_nothing_side_by_side():
    tea = said("t", "tea", "2020-01-01", predicate="likes")
    fix = said("x", "figs", None, on="2021-01-01", predicate="likes", corrects=True)
    assert times(LIKES, tea, fix) == ["tea 2020-01-01..on", "figs 2021-01-01..on"]


def test_a_correction_can_be_corrected():
    fix = said("x", "braga", None, on="2020-01-05", corrects=True)
    once_more = said("y", "faro", None, on="2020-01-06", corrects=True)
    assert times(HOME, once_more, fix, PORTO) == ["faro 2020-01-01..on"]


def test_a_correction_of_the_date_moves_the_beginning():
    fix = said("x", "porto", "2019-06-01", on="2020-01-05", corrects=True)
    assert times(HOME, PORTO, fix) == ["porto 2019-06-01..on"]


def test_who_never_lived_there_did_not():
    fix = said("x", "porto", None, on="2020-01-05", corrects=True, negated=True)
    assert times(HOME, PORTO, fix) == ["not porto 2020-01-01..on"]


def test_a_correction_with_nothing_to_correct_is_a_statement():
    assert times(HOME, said("x", "porto", None, on="2020-01-05", corrects=True)) == [
        "porto 2020-01-05..on"
    ]


def test_a_correction_of_an_event_annuls_the_one_named():
    trips = [
        said("a", "rome", "2020-01-01", predicate="visited"),
        said("b", "rome", "2021-01-01", predicate="visited"),
        said(
            "x", "milan", None, on="2021-02-01", predicate="visited", corrects=True, replaces="rome"
        ),
    ]
    assert times(VISITED, *trips) == ["rome 2020-01-01..on", "milan 2021-01-01..on"]


def test_news_of_a_vague_time_comes_after_what_was_said_within_it():
    rome = said("r", "rome", "2023-05-15")
    moved = said("p", "paris", "2023-05-01", on="2023-06-10", grain=Granularity.MONTH)
    assert times(HOME, rome, moved) == [
        "rome 2023-05-15..2023-06-01 superseded",
        "paris 2023-06-01..on",
    ]


def test_a_vague_time_counts_from_its_start_where_nothing_contradicts():
    rome = said("r", "rome", "2023-04-15")
    moved = said("p", "paris", "2023-05-01", on="2023-06-10", grain=Granularity.MONTH)
    same = said("s", "paris", "2023-05-20")
    assert times(HOME, rome, moved, same) == [
        "rome 2023-04-15..2023-05-01 superseded",
        "paris 2023-05-01..on",
    ]


def test_who_stopped_last_month_had_not_by_mid_month():
    yoga = said("a", "yoga", "2023-05-15", predicate="likes")
    stopped = said(
        "b", "yoga", "2023-05-01", on="2023-06-10", grain=Granularity.MONTH, predicate="likes",
        negated=True,
    )  # fmt: skip
    assert times(LIKES, yoga, stopped)[0] == "yoga 2023-05-15..2023-06-01 negated"


def test_what_is_kept_open_is_not_closed_by_those_assertions():
    kept = keep_open("p", "r")
    assert times(HOME, PORTO, ROME, rulings=[kept]) == [
        "porto 2020-01-01..on",
        "rome 2022-01-01..on",
    ]


def test_what_is_kept_open_is_closed_by_others():
    oslo = said("o", "oslo", "2023-01-01")
    assert times(HOME, PORTO, ROME, oslo, rulings=[keep_open("p", "r")]) == [
        "porto 2020-01-01..2023-01-01 superseded",
        "rome 2022-01-01..2023-01-01 superseded",
        "oslo 2023-01-01..on",
    ]


def test_keeping_open_holds_for_whatever_else_says_the_same():
    earlier = said("r0", "rome", "2021-06-01")
    assert times(HOME, PORTO, earlier, ROME, rulings=[keep_open("p", "r")]) == [
        "porto 2020-01-01..on",
        "rome 2021-06-01..on",
    ]


def test_a_revoked_ruling_counts_no_more():
    revoked = keep_open("p", "r", revoked=True)
    assert (
        times(HOME, PORTO, ROME, rulings=[revoked])[0] == "porto 2020-01-01..2022-01-01 superseded"
    )


def test_an_inactive_assertion_counts_not():
    gone = said("r", "rome", "2022-01-01", active=False)
    assert times(HOME, PORTO, gone) == ["porto 2020-01-01..on"]


def test_no_assertions_no_facts():
    assert Rules().derive(HOME, [], []) == ()


def test_unknown_predicates_stand_side_by_side():
    assert not Rules().predicate("sails_with").functional
    assert Rules().predicate("favourite_colour").functional


def test_of_two_statements_about_one_day_the_later_stated_counts():
    first = said("b", "porto", "2020-01-01", on="2021-01-01", created_at=ROME.stated_at)
    later = said("a", "rome", "2020-01-01", on="2021-01-02", created_at=PORTO.stated_at)
    assert times(HOME, later, first) == [
        "porto 2020-01-01..2020-01-01 superseded",
        "rome 2020-01-01..on",
    ]


def test_what_is_said_again_when_it_had_ended_is_a_second_time():
    stay = said("p", "porto", "2020-01-01", until="2021-01-01")
    assert times(HOME, stay, said("q", "porto", "2021-01-01")) == [
        "porto 2020-01-01..2021-01-01 ended",
        "porto 2021-01-01..on",
    ]
    assert times(HOME, stay, said("q", "porto", "2020-12-31")) == [
        "porto 2020-01-01..2021-01-01 ended"
    ]
