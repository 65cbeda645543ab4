"""The single rules of resolving times, each where it could go wrong."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from memos.errors import InvalidInput
from memos.extraction.times import TimeMention, find_times
from memos.types import Granularity

TUESDAY = datetime(2023, 5, 16, 14, tzinfo=timezone.utc)


def _one(text: str, said_at: datetime = TUESDAY) -> TimeMention:
    (mention,) = find_times(text, said_at)
    return mention


def _days(text: str, said_at: datetime = TUESDAY) -> tuple[str, str]:
    period = _one(text, said_at).period
    assert period.start is not None
    assert period.end is not None
    return period.start.date().isoformat(), period.end.date().isoformat()


def test_the_mention_is_the_expression_without_its_preposition() -> None:
    mention = _one("I have lived in Rome since May 2019, happily.")
    assert (mention.text, mention.role, mention.exact) == ("May 2019", "since", True)
    assert mention.period.granularity is Granularity.MONTH


@pytest.mark.parametrize(
    ("text", "role"),
    [
        ("I moved in 2019", "at"),
        ("since 2019", "since"),
        ("starting tomorrow", "since"),
        ("as of last week", "since"),
        ("from next Monday on", "since"),
        ("until Friday", "until"),
        ("up to 2010", "until"),
        ("before 2019", "before"),
        ("prior to June 2020", "before"),
        ("by next week", "before"),
        ("after Easter", "after"),
        ("during May 2020", "during"),
        ("from 2018 to 2020", "during"),
        ("I have known her for two years", "for"),
        ("since about early June", "since"),
        ("come by tomorrow", "at"),
    ],
)
def test_the_preposition_gives_the_role(text: str, role: str) -> None:
    assert _one(text).role == role


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        # May 16th 2023 is a Tuesday; as exact as the smaller unit.
        ("two years and three months ago", "2021-02-01", "2021-03-01"),
        ("3 weeks and 2 days ago", "2023-04-23", "2023-04-24"),
        ("a year, two months ago", "2022-03-01", "2022-04-01"),
        ("one month and a week ago", "2023-04-03", "2023-04-10"),
        # Not one after the other: read by itself.
        ("three months ago", "2023-02-01", "2023-03-01"),
    ],
)
def test_counts_of_two_units_are_added(text: str, start: str, end: str) -> None:
    mention = _one(f"I moved here {text}.")
    assert (mention.text, _days(f"I moved here {text}.")) == (text, (start, end))


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("on 5 May 2023", True),
        ("on May 5", False),
        ("yesterday", False),
        ("in the 90s", True),
        ("the day after 5 May 2023", True),
        ("from May to July 2021", True),
        ("from May to July", False),
        ("on 5 May 2023 at 3pm", True),
        ("at 3pm", False),
        ("Christmas last year", False),
    ],
)
def test_exact_is_what_does_not_depend_on_the_moment(text: str, exact: bool) -> None:
    assert _one(text).exact is exact
    later = find_times(text, TUESDAY + timedelta(days=1500))
    assert (later[0].period == _one(text).period) is exact


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("We hiked on Friday", ("2023-05-12", "2023-05-13")),
        ("We will hike on Friday", ("2023-05-19", "2023-05-20")),
        ("On Friday we hiked, and we will rest", ("2023-05-12", "2023-05-13")),
        ("We're hiking on Friday", ("2023-05-19", "2023-05-20")),
        ("We were hiking on Friday", ("2023-05-12", "2023-05-13")),
        ("Dad is booked for Friday", ("2023-05-19", "2023-05-20")),
        ("It was in May", ("2023-05-01", "2023-06-01")),
        ("It was in June", ("2022-06-01", "2022-07-01")),
        ("It will be in June", ("2023-06-01", "2023-07-01")),
        ("It will be in April", ("2024-04-01", "2024-05-01")),
        ("I got it for Christmas", ("2022-12-25", "2022-12-26")),
    ],
)
def test_the_tense_tells_past_from_coming(text: str, days: tuple[str, str]) -> None:
    assert _days(text) == days


@pytest.mark.parametrize(
    ("said", "text", "days"),
    [
        ("2023-05-19", "last Friday", ("2023-05-12", "2023-05-13")),
        ("2023-05-19", "next Friday", ("2023-05-26", "2023-05-27")),
        ("2023-05-20", "last Friday", ("2023-05-19", "2023-05-20")),
        ("2023-05-21", "last week", ("2023-05-08", "2023-05-15")),
        ("2023-05-22", "last week", ("2023-05-15", "2023-05-22")),
        ("2023-05-21", "last weekend", ("2023-05-13", "2023-05-15")),
        ("2023-05-22", "last weekend", ("2023-05-20", "2023-05-22")),
        ("2023-05-21", "next weekend", ("2023-05-27", "2023-05-29")),
        ("2023-05-19", "next weekend", ("2023-05-20", "2023-05-22")),
    ],
)
def test_last_and_next_at_the_edges_of_the_week(
    said: str, text: str, days: tuple[str, str]
) -> None:
    assert _days(text, datetime.fromisoformat(f"{said}T12:00:00+00:00")) == days


@pytest.mark.parametrize("text", ["5000 years ago", "in 9999 years", "31/02/2023", "99/99/2023"])
def test_what_is_not_on_the_calendar_is_left_out(text: str) -> None:
    assert find_times(text, TUESDAY) == ()


@pytest.mark.parametrize(
    ("year", "easter"), [(1999, "1999-04-04"), (2000, "2000-04-23"), (2024, "2024-03-31"),
                         (2025, "2025-04-20"), (2038, "2038-04-25")]
)  # fmt: skip
def test_easter(year: int, easter: str) -> None:
    assert _days(f"Easter {year}")[0] == easter


def test_an_hour_that_a_change_of_clocks_skips_is_kept() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    (mention,) = find_times("on 31 March 2024 at 2am", TUESDAY, zone=berlin)
    assert mention.period.start is not None
    assert mention.period.end is not None
    assert mention.period.end - mention.period.start == timedelta(hours=1)


def test_an_hour_ago_in_the_hour_that_comes_twice() -> None:
    said_at = datetime(2023, 10, 29, 1, 30, tzinfo=timezone.utc)  # the second 2:30 in Berlin
    (mention,) = find_times("an hour ago", said_at, zone=ZoneInfo("Europe/Berlin"))
    assert mention.period.start == datetime(2023, 10, 29, 0, tzinfo=timezone.utc)


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(InvalidInput, match="time zone"):
        find_times("yesterday", datetime(2023, 5, 16))
