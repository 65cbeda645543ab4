"""Answers of a model are read strictly: what breaks the schema is refused, with the reason."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memos.errors import ExtractorAnswer
from memos.extraction.llm.answer import read_answer, schema
from memos.extraction.llm.dates import period_of
from memos.types import Extraction, Granularity

TEXT = "I moved to Bern in May 2023, not Basel."
BERN = {"name": "Bern", "type": "city"}
ANNA = {"name": "Anna", "type": "person"}


def claim(**fields):
    return {"subject": ANNA, "predicate": "lives_in", "object": BERN, **fields}


def answer(*claims, mentions=(), id="t1"):
    return json.dumps({"turns": [{"id": id, "mentions": list(mentions), "claims": list(claims)}]})


def read(text, contents=None, zone=timezone.utc):
    return read_answer(text, contents or {"t1": TEXT}, zone=zone)


def utc(*when):
    return datetime(*when, tzinfo=timezone.utc)


def test_all_of_a_claim_is_read():
    said = claim(
        since={"at": "2023-05", "granularity": "month"},
        corrects=True,
        replaces="Basel",
        place="home",
        confidence=0.7,
        text="moved to Bern",
    )
    found = read(answer(said, mentions=[{"name": "Bern", "type": "city", "text": "bern"}]))["t1"]
    (one,) = found.claims
    assert (one.subject.name, one.predicate, one.object.name) == ("Anna", "lives_in", "Bern")
    assert (one.since.start, one.since.end) == (utc(2023, 5, 1), utc(2023, 6, 1))
    assert one.since.granularity is Granularity.MONTH
    assert (one.corrects, one.replaces, one.place, one.confidence) == (True, "Basel", "home", 0.7)
    assert TEXT[one.start : one.end] == "moved to Bern"
    (mention,) = found.mentions
    assert TEXT[mention.start : mention.end] == "Bern"


def test_what_is_not_in_the_text_has_no_place_in_it():
    found = read(answer(claim(text="relocated"), mentions=[{"name": "Anna", "type": "person"}]))
    assert (found["t1"].claims[0].start, found["t1"].claims[0].end) == (0, 0)
    assert (found["t1"].mentions[0].start, found["t1"].mentions[0].end) == (0, 0)


def test_an_unknown_predicate_and_type_are_kept():
    thing = {"name": "Rex", "type": "robot"}
    (one,) = read(answer(claim(predicate="repairs", object=thing)))["t1"].claims
    assert (one.predicate, one.object.type) == ("repairs", "robot")


def test_json_in_a_fence_is_read():
    assert read(f"```json\n{answer(claim())}\n```")["t1"].claims[0].object.name == "Bern"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Anna lives in Bern.", "not JSON"),
        ("", "not JSON"),
        (answer(claim())[:-3], "not JSON"),
        ("[]", "schema"),
        ('{"facts": []}', "schema"),
        ('{"turns": [], "note": "x"}', "unknown field"),
        ('{"turns": [7]}', "no id"),
        (answer(claim(), id="t9"), "'t9' that was not asked for"),
        (f"Here you are: {answer(claim())}", "not JSON"),
    ],
)
def test_an_answer_that_is_none_is_refused_as_a_whole(text, reason):
    with pytest.raises(ExtractorAnswer, match=reason):
        read(text)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"object": None}, "neither `object` nor `value`"),
        ({"value": "Bern"}, "both given"),
        ({"confidence": 1.2}, "from 0 to 1"),
        ({"confidence": "high"}, "Expected `float`"),
        ({"predicate": " "}, "`predicate` is ''"),
        ({"predicate": "x" * 200}, "1 to 128"),
        ({"subject": {"name": "", "type": "person"}}, "`name` is ''"),
        ({"subject": {"name": "x" * 1_000_000, "type": "person"}}, "1 to 512"),
        ({"subject": "Anna"}, "Expected `object`"),
        ({"negated": "no"}, "Expected `bool`"),
        ({"mood": "happy"}, "unknown field `mood`"),
        ({"since": {"at": "May", "granularity": "month"}}, "no ISO 8601 date"),
        ({"since": {"at": "2023", "granularity": "day"}}, "no day"),
        ({"since": {"at": "2023-02-30", "granularity": "day"}}, "no date of the calendar"),
        ({"since": {"at": "2023", "granularity": "aeon"}}, "Invalid enum value"),
        (
            {
                "since": {"at": "2023", "granularity": "year"},
                "until": {"at": "2021", "granularity": "year"},
            },
            "`until` is before `since`",
        ),
    ],
)
def test_a_claim_that_breaks_the_rules_is_refused_with_the_reason(fields, reason):
    found = read(answer(claim(**fields)))["t1"]
    assert isinstance(found, ExtractorAnswer)
    assert reason in found.message
    assert len(found.message) < 400


def test_one_bad_turn_costs_the_others_nothing():
    turns = [
        {"id": "t1", "mentions": [], "claims": [claim()]},
        {"id": "t2", "mentions": [], "claims": [claim(confidence=7)]},
        {"id": "t3", "mentions": [], "claims": []},
        {"id": "t3", "mentions": [], "claims": []},
    ]
    contents = {"t1": TEXT, "t2": "b", "t3": "c", "t4": "d"}
    found = read(json.dumps({"turns": turns}), contents)
    assert isinstance(found["t1"], Extraction)
    assert "confidence" in found["t2"].message
    assert "more than once" in found["t3"].message
    assert "missing" in found["t4"].message


def test_negation_of_anything_needs_no_object():
    (one,) = read(answer(claim(object=None, predicate="works_at", negated=True)))["t1"].claims
    assert (one.negated, one.object, one.value) == (True, None, None)


def test_a_model_that_runs_on_is_refused():
    found = read(answer(*[claim()] * 300))["t1"]
    assert isinstance(found, ExtractorAnswer)
    assert "more than 200" in found.message


@pytest.mark.parametrize(
    ("at", "granularity", "start", "end"),
    [
        ("2020", "decade", utc(2020, 1, 1), utc(2030, 1, 1)),
        ("2023", "year", utc(2023, 1, 1), utc(2024, 1, 1)),
        ("2023-06", "season", utc(2023, 6, 1), utc(2023, 9, 1)),
        ("2024-01", "season", utc(2023, 12, 1), utc(2024, 3, 1)),
        ("2024-02", "month", utc(2024, 2, 1), utc(2024, 3, 1)),
        ("2024-05-01", "week", utc(2024, 4, 29), utc(2024, 5, 6)),
        ("2024-02-29", "day", utc(2024, 2, 29), utc(2024, 3, 1)),
        ("2024-02-29T18:30", "hour", utc(2024, 2, 29, 18), utc(2024, 2, 29, 19)),
        ("2024-02-29T18:30", "minute", utc(2024, 2, 29, 18, 30), utc(2024, 2, 29, 18, 31)),
        (
            "2024-02-29T18:30:05Z",
            "second",
            utc(2024, 2, 29, 18, 30, 5),
            utc(2024, 2, 29, 18, 30, 6),
        ),
        ("2024-05-07T23:30:00-05:00", "day", utc(2024, 5, 8), utc(2024, 5, 9)),
    ],
)
def test_dates_are_whole_periods(at, granularity, start, end):
    period = period_of(at, Granularity(granularity), timezone.utc)
    assert (period.start, period.end) == (start, end)


def test_days_begin_in_the_speakers_zone():
    period = period_of("2024-05-07", Granularity.DAY, ZoneInfo("America/New_York"))
    assert period.start == utc(2024, 5, 7, 4)


@given(
    st.datetimes(min_value=datetime(20, 1, 1), max_value=datetime(9980, 1, 1)),
    st.sampled_from(list(Granularity)),
)
def test_a_period_holds_its_moment(moment, granularity):
    period = period_of(moment.isoformat(timespec="seconds"), granularity, timezone.utc)
    assert period.start <= moment.replace(tzinfo=timezone.utc, microsecond=0) < period.end
    assert period.end - period.start <= timedelta(days=3653)


def test_the_schema_is_one_that_strict_providers_take():
    def check(node):
        if node.get("type") == "object":
            assert node["required"] == list(node["properties"])
            assert node["additionalProperties"] is False
        for child in [*node.get("properties", {}).values(), *node.get("anyOf", [])]:
            check(child)
        if "items" in node:
            check(node["items"])

    made = schema(["person", "city"])
    check(made)
    claims = made["properties"]["turns"]["items"]["properties"]["claims"]
    assert claims["items"]["properties"]["subject"]["properties"]["type"]["enum"] == [
        "person",
        "city",
    ]


@given(st.text(max_size=200) | st.binary(max_size=100).map(lambda raw: raw.decode("latin-1")))
def test_whatever_a_model_writes_is_an_extraction_or_a_typed_error(text):
    try:
        found = read(text)
    except ExtractorAnswer:
        return
    assert isinstance(found["t1"], Extraction | ExtractorAnswer)
