"""Golden readings of queries."""

from datetime import datetime, timezone

import pytest

from memos.retrieval.reading.query import has_phrases, read
from memos.retrieval.reading.speakers import Speakers

NOW = datetime(2024, 6, 15, 12, tzinfo=timezone.utc)  # a Saturday
KNOWN = Speakers(["Caroline", "Mel Brooks", "Anna Lee", "Anna Roe", "user", "Will", "Zoë"])


def reading(text, years=(2022, 2023)):
    return read(text, speakers=KNOWN, now=NOW, years=years)


def spans(text, years=(2022, 2023)):
    def day(moment):
        return None if moment is None else moment.strftime("%Y-%m-%d")

    return [(day(w.since), day(w.until)) for w in reading(text, years).windows]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What happened in May 2023?", [("2023-05-01", "2023-06-01")]),
        ("on 7 May 2023", [("2023-05-07", "2023-05-08")]),
        ("on the 7th of May, 2023", [("2023-05-07", "2023-05-08")]),
        ("May 7, 2023", [("2023-05-07", "2023-05-08")]),
        ("May I ask who came?", []),
        ("May we go in May 2023?", [("2023-05-01", "2023-06-01")]),
        ("May 2023, the party", [("2023-05-01", "2023-06-01")]),
        ("on May 7th", [("2022-05-07", "2022-05-08"), ("2023-05-07", "2023-05-08")]),
        ("in june", [("2022-06-01", "2022-07-01"), ("2023-06-01", "2023-07-01")]),
        ("in Sept 2022", [("2022-09-01", "2022-10-01")]),
        ("on 2023-05-07", [("2023-05-07", "2023-05-08")]),
        ("during 2023-05", [("2023-05-01", "2023-06-01")]),
        ("in 2022", [("2022-01-01", "2023-01-01")]),
        ("30 February 2023", []),
        ("February 29, 2024", [("2024-02-29", "2024-03-01")]),
        ("on 29 February", []),
        ("may I march on?", []),
        ("She bought 2023 candles", []),
        ("in the summer of 2022", [("2022-06-01", "2022-09-01")]),
        ("in winter 2022", [("2022-12-01", "2023-03-01")]),
        ("during the spring", [("2022-03-01", "2022-06-01"), ("2023-03-01", "2023-06-01")]),
        ("the hot spring", []),
        ("last summer", [("2023-06-01", "2023-09-01")]),
        ("since May 2023", [("2023-05-01", None)]),
        ("before 2023", [(None, "2023-01-01")]),
        ("before May 7, 2023", [(None, "2023-05-07")]),
        ("after 7 May 2023", [("2023-05-08", None)]),
        ("until the 7th of May 2023", [(None, "2023-05-08")]),
        ("between May 2023 and July 2023", [("2023-05-01", "2023-08-01")]),
        ("from 2022 to 2023", [("2022-01-01", "2024-01-01")]),
        ("between 3 May 2023 and 5 May 2023", [("2023-05-03", "2023-05-06")]),
        ("in May 2022 or June 2023", [("2022-05-01", "2022-06-01"), ("2023-06-01", "2023-07-01")]),
        ("last year", [("2023-01-01", "2024-01-01")]),
        ("this year", [("2024-01-01", "2025-01-01")]),
        ("last month", [("2024-05-01", "2024-06-01")]),
        ("this month", [("2024-06-01", "2024-07-01")]),
        ("last week", [("2024-06-03", "2024-06-10")]),
        ("last weekend", [("2024-06-08", "2024-06-10")]),
        ("yesterday", [("2024-06-14", "2024-06-15")]),
        ("today", [("2024-06-15", "2024-06-16")]),
        ("last Friday", [("2024-06-14", "2024-06-15")]),
        ("last Saturday", [("2024-06-08", "2024-06-09")]),
        ("last May", [("2024-05-01", "2024-06-01")]),
        ("last December", [("2023-12-01", "2024-01-01")]),
        ("three days ago", [("2024-06-12", "2024-06-13")]),
        ("two weeks ago", [("2024-05-29", "2024-06-05")]),
        ("in the last 10 days", [("2024-06-05", "2024-06-16")]),
        ("the past few weeks", [("2024-05-25", "2024-06-16")]),
        ("since yesterday", [("2024-06-14", None)]),
        ("no time at all", []),
        ("2 years ago", [("2021-12-16", "2022-12-16")]),
    ],
)
def test_time_windows(text, expected):
    assert spans(text) == expected


def test_one_window_is_reported_and_several_are_not():
    assert reading("in May 2023").query.since == datetime(2023, 5, 1, tzinfo=timezone.utc)
    assert reading("in May").query.since is None
    assert spans("in May", years=()) == []


@pytest.mark.parametrize(
    ("text", "preferred", "dense"),
    [
        ("What did Caroline say?", {"Caroline"}, "What did say?"),
        ("What is caroline's job?", {"Caroline"}, "What is job?"),
        ("What is Caroline’s job?", {"Caroline"}, "What is job?"),
        ("Where did Mel go?", {"Mel Brooks"}, "Where did go?"),
        ("Where did Mel Brooks go?", {"Mel Brooks"}, "Where did go?"),
        ("Anna's plans", {"Anna Lee", "Anna Roe"}, "plans"),
        ("Anna Roe's plans", {"Anna Roe"}, "plans"),
        ("Did Caroline meet Mel?", {"Caroline"}, "Did meet ?"),
        ("Did Caroline and Mel meet?", set(), "Did and meet?"),
        ("Did Caroline, Mel or Zoë come?", set(), "Did , or come?"),
        ("According to Zoë, who is Caroline?", {"Zoë"}, "According to , who is ?"),
        ("What does Caro do?", {"Caroline"}, "What does do?"),
        ("What does caro mean?", set(), "What does caro mean?"),
        ("Caro's job", {"Caroline"}, "job"),
        ("Car repairs", set(), "Car repairs"),
        ("the CAR of Zoë", {"Zoë"}, "the CAR of"),
        ("Did Ann come?", set(), "Did Ann come?"),
        ("Carolines neighbour", set(), "Carolines neighbour"),
        ("What did the user ask?", {"user"}, "What did the ask?"),
        ("What is the user's budget?", {"user"}, "What is the budget?"),
        ("user’s budget", {"user"}, "budget"),
        ("the name of the user?", {"user"}, "the name of the ?"),
        ("advice the user, Tom, got", {"user"}, "advice the , Tom, got"),
        ("what the user has said", {"user"}, "what the has said"),
        ("How are user accounts stored?", set(), "How are user accounts stored?"),
        ("the user table", set(), "the user table"),
        ("user", set(), "user"),
        ("Where will Caroline be?", {"Caroline"}, "Where will be?"),
        ("What did Will cook?", {"Will"}, "What did cook?"),
        ("Will it rain?", set(), "Will it rain?"),
        ("what about ZOË", {"Zoë"}, "what about"),
        ("Caroline", {"Caroline"}, "Caroline"),
        ("Caroline?", {"Caroline"}, "Caroline?"),
    ],
)
def test_speakers(text, preferred, dense):
    found = reading(text)
    assert found.preferred == preferred
    assert found.query.dense_text == dense


def test_all_named_are_reported():
    assert reading("Did Caroline meet Mel?").query.speakers == ("Caroline", "Mel Brooks")


@pytest.mark.parametrize(
    ("text", "phrases", "exact"),
    [
        ('"Becoming Nicole"', ("becoming nicole",), True),
        ("“Becoming  Nicole” and «other»", ("becoming nicole", "other"), True),
        ('Who read "Becoming Nicole" aloud?', ("becoming nicole",), False),
        ('5" pipe', (), False),
        ('"" "  " "!!"', (), False),
        ('"a" "a"', ("a",), True),
        ("nothing quoted", (), False),
    ],
)
def test_phrases(text, phrases, exact):
    found = reading(text)
    assert found.query.phrases == phrases
    assert found.exact is exact


def test_terms_are_distinct_and_unmarked():
    assert reading("When did the dogs run, dog?").query.terms == ("dog", "run")


def test_asking_itself():
    assert reading("What did Mel ask about?").about_questions
    assert not reading("What did Mel say about the task?").about_questions


@pytest.mark.parametrize("text", ["?", "!!!", "''", "  \t ", "\u200b", "日本", "a" * 9999])
def test_any_text_is_legal(text):
    assert reading(text).query.text == text


@pytest.mark.parametrize(
    ("text", "phrase", "holds"),
    [
        ("I read Becoming\nNicole.", "becoming nicole", True),
        ("Becoming Nicoles", "becoming nicole", False),
        ("unbecoming nicole", "becoming nicole", False),
        ("c++ is (not) fun", "c++ is (not)", True),
    ],
)
def test_has_phrases(text, phrase, holds):
    assert has_phrases(text, (phrase,)) is holds
