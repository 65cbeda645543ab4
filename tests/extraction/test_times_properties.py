"""What holds for every text and every moment."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta, timezone, tzinfo
from types import FrameType
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memos.extraction.times import find_times
from memos.extraction.times.resolver import _STARTERS

ZONES: st.SearchStrategy[tzinfo] = st.sampled_from(
    ["UTC", "America/New_York", "Asia/Kolkata", "Pacific/Apia", "Europe/Berlin", "Asia/Kathmandu"]
).map(ZoneInfo)
ANY_MOMENT = st.datetimes(timezones=st.just(timezone.utc))
MOMENTS = st.datetimes(datetime(1950, 1, 1), datetime(2090, 1, 1), timezones=st.just(timezone.utc))
# Words that begin or continue expressions, in any order: nonsense that reaches every rule.
OTHERS = """
    0 1 2 3 5 9 12 29 31 99 1999 2024 9999 12345 ago back from now in on at for the of before after
    to and between until since - – , . / : 's am pm st th s UTC PST o clock weeks years months days
    hours week was will been every Fri May 2023-05-07 5/7/2023 5pm 8:30
"""
PIECES = st.sampled_from([*sorted(_STARTERS), *OTHERS.split()])
NONSENSE = st.lists(PIECES, max_size=12).map(" ".join)


@settings(max_examples=400, deadline=None)
@given(text=NONSENSE | st.text(max_size=80), said_at=MOMENTS | ANY_MOMENT, zone=ZONES)
def test_any_text_gives_well_formed_mentions(text: str, said_at: datetime, zone: tzinfo) -> None:
    last = 0
    for mention in find_times(text, said_at, zone=zone):
        assert mention.start >= last
        assert text[mention.start : mention.end] == mention.text != ""
        last = mention.end
        start, end = mention.period.start, mention.period.end
        assert start is not None
        assert end is not None
        assert start < end
        assert start.utcoffset() == end.utcoffset() == timedelta(0)
        assert mention.role in {"at", "since", "until", "before", "after", "during", "for"}


@settings(max_examples=150, deadline=None)
@given(said_at=MOMENTS, zone=ZONES, days=st.integers(1, 400))
def test_days_are_those_of_the_zone(said_at: datetime, zone: tzinfo, days: int) -> None:
    local = said_at.astimezone(zone)
    for text, shift in (("yesterday", -1), ("tomorrow", 1), (f"{days} days ago", -days)):
        (mention,) = find_times(text, said_at, zone=zone)
        noon = (local.replace(tzinfo=None) + timedelta(days=shift)).replace(hour=12, minute=0)
        instant = noon.replace(tzinfo=zone).astimezone(timezone.utc)
        if instant.astimezone(zone).replace(tzinfo=None) != noon:  # Apia left out a whole day
            continue
        assert mention.period.start is not None
        assert mention.period.end is not None
        assert mention.period.start <= instant < mention.period.end


@settings(max_examples=150, deadline=None)
@given(said_at=MOMENTS)
def test_units_follow_each_other_without_a_gap(said_at: datetime) -> None:
    for unit in ("week", "month", "year", "decade", "quarter", "weekend"):
        last, this, following = (
            find_times(f"{word} {unit}", said_at)[0].period for word in ("last", "this", "next")
        )
        assert last.start is not None
        assert last.start < said_at
        assert following.end is not None
        assert following.end > said_at
        if unit != "weekend":
            assert (last.end, this.end) == (this.start, following.start)
            assert this.start is not None
            assert this.end is not None
            assert this.start <= said_at < this.end


@settings(max_examples=150, deadline=None)
@given(said_at=MOMENTS, name=st.sampled_from(["Monday", "Thursday", "Sunday"]))
def test_last_and_next_weekday_enclose_today(said_at: datetime, name: str) -> None:
    before = find_times(f"last {name}", said_at)[0].period
    after = find_times(f"next {name}", said_at)[0].period
    assert before.start is not None
    assert before.end is not None
    assert after.start is not None
    assert before.start.strftime("%A") == after.start.strftime("%A") == name
    assert before.end <= said_at < after.start
    assert after.start - before.start in {timedelta(days=7), timedelta(days=14)}


@pytest.mark.parametrize(
    "piece",
    [
        "word ", "1 ", "a few ", "last ", "may ", "between 2018 and ", "from May to ", "5 to ",
        "Friday before ", "the week before ", "early ", "a year from ", "at 5 ", "' ", "    ",
        "end of ", "1", "x", "2-", "first week of ", "in the ", "yesterday ", "day after ",
        "tomorrow at 5 on ", "5pm, ", "last year in ",
    ],
)  # fmt: skip
def test_the_work_is_linear_in_the_text(piece: str) -> None:
    """Counted in calls, which no other load on the machine changes."""
    small, large = (_calls((piece * 2000)[:length]) for length in (1_000, 8_000))
    assert large <= 8 * small * 1.2 + 200


def _calls(text: str) -> int:
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    said_at = datetime(2023, 5, 16, 14, tzinfo=timezone.utc)
    previous = sys.getprofile()
    sys.setprofile(count)
    try:
        find_times(text, said_at)
    finally:
        sys.setprofile(previous)
    return calls
