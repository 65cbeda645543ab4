"""LoCoMo's format with its flaws, and that the image search words never get in."""

import json
import re
from datetime import datetime, timezone
from pathlib import Path

import pytest

from memos.benchmarks.texts import locomo_data
from memos.benchmarks.texts.locomo_data import evidence_ids, said_at
from memos.errors import InvalidInput


@pytest.mark.parametrize(
    ("found", "meant"),
    [
        ("D8:6", ("D8:6",)),
        ("D8:6; D9:17", ("D8:6", "D9:17")),
        ("D9:1 D4:4 D4:6", ("D9:1", "D4:4", "D4:6")),
        ("D:11:26", ("D11:26",)),
        ("D30:05", ("D30:5",)),
        ("D", ()),
        ("", ()),
        ("session 3", ()),
    ],
)
def test_evidence_ids_as_found_in_the_wild(found: str, meant: tuple[str, ...]):
    assert evidence_ids(found) == meant


def test_session_times():
    assert said_at("1:56 pm on 8 May, 2023") == datetime(2023, 5, 8, 13, 56, tzinfo=timezone.utc)
    assert said_at("12:09 am on 13 September, 2023").hour == 0
    with pytest.raises(InvalidInput, match="8th of May"):
        said_at("the 8th of May")


def conversation(**changes: object) -> dict[str, object]:
    talk = {
        "speaker_a": "Ada",
        "speaker_b": "Bo",
        "session_2_date_time": "9:00 am on 2 March, 2024",
        "session_2": [{"speaker": "Bo", "dia_id": "D2:1", "text": "later"}],
        "session_1_date_time": "9:00 am on 1 March, 2024",
        "session_1": [
            {
                "speaker": "Ada",
                "dia_id": "D1:1",
                "text": "look",
                "img_url": ["https://example.net/1.jpg"],
                "blip_caption": "a red kite",
                "query": "secret words",
            },
            {"speaker": "Bo", "dia_id": "D1:2", "text": ""},
        ],
        "session_3_date_time": "9:00 am on 3 March, 2024",  # a time without a session is common
    }
    qa = [
        {"question": "one?", "evidence": ["D1:1", "D7:7"], "category": 1},
        {"question": "none?", "evidence": [], "category": 3},
        {"question": "lost?", "evidence": ["D7:7"], "category": 4},
        {"question": "odd?", "evidence": ["D"], "category": 2},
        {"question": "twice?", "evidence": ["D2:1", "D2:1"], "category": 5},
    ]
    return {"sample_id": "x-1", "conversation": talk, "qa": qa, **changes}


def read(folder: Path, *samples: object) -> locomo_data.Dataset:
    file = folder / "data.json"
    file.write_text(json.dumps(samples), encoding="utf-8")
    return locomo_data.read(file)


def test_turns_come_in_order_of_sessions_with_time_caption_and_urls(tmp_path: Path):
    (found,) = read(tmp_path, conversation()).conversations
    assert [turn.dia_id for turn in found.turns] == ["D1:1", "D2:1"]  # D1:2 holds nothing
    first = found.turns[0].as_memory()
    assert first.content == "look"
    assert first.speaker == "Ada"
    assert first.session_id == "session-1"
    assert first.occurred_at == datetime(2024, 3, 1, 9, tzinfo=timezone.utc)
    assert first.provenance.external_id == "D1:1"
    assert [(image.url, image.caption) for image in first.images] == [
        ("https://example.net/1.jpg", "a red kite")
    ]
    assert "secret" not in repr(found.turns) + repr(first)


def test_questions_without_a_turn_to_find_are_left_out_with_the_reason(tmp_path: Path):
    (found,) = read(tmp_path, conversation()).conversations
    assert [(question.number, question.evidence) for question in found.questions] == [
        (0, ("D1:1",)),
        (4, ("D2:1",)),
    ]
    assert [(one.number, one.reason) for one in found.excluded] == [
        (1, "no evidence given"),
        (2, "evidence names no turn"),
        (3, "evidence id can't be read"),
    ]
    assert found.repaired == 1


def test_the_digest_is_of_the_file(tmp_path: Path):
    import hashlib

    found = read(tmp_path, conversation())
    assert found.sha256 == hashlib.sha256((tmp_path / "data.json").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("{}", "must hold a list"),
        ("[]", "must hold a list"),
        ('[{"qa": []}]', "conversation 0 .* KeyError 'conversation'"),
        ('[{"conversation": {}, "qa": [3]}]', "conversation 0"),
    ],
)
def test_other_files_are_refused_with_what_is_wrong(tmp_path: Path, text: str, message: str):
    file = tmp_path / "data.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput, match=message):
        locomo_data.read(file)
    with pytest.raises(InvalidInput, match="can't read"):
        locomo_data.read(tmp_path / "missing.json")


def test_the_shipped_sample_has_all_that_the_format_knows():
    dataset = locomo_data.read(locomo_data.SAMPLE)
    (sample,) = dataset.conversations
    assert len(sample.turns) > 100
    assert len({turn.session for turn in sample.turns}) >= 6
    assert len({turn.speaker for turn in sample.turns}) == 2
    assert {question.category for question in sample.questions} == set(locomo_data.CATEGORIES)
    assert len(sample.questions) >= 30
    assert sample.repaired == 2
    assert [one.reason for one in sample.excluded] == ["evidence id can't be read"]
    assert sum(turn.caption is not None for turn in sample.turns) >= 5


def test_a_query_field_of_the_sample_would_leak_an_answer():
    """Otherwise the test that nothing leaks would prove nothing."""
    (raw,) = json.loads(locomo_data.SAMPLE.read_text(encoding="utf-8"))
    turns = [
        t for k, v in raw["conversation"].items() if re.fullmatch(r"session_\d+", k) for t in v
    ]
    said = " ".join(f"{turn['text']} {turn.get('blip_caption', '')}" for turn in turns).lower()
    words = {word for turn in turns for word in turn.get("query", "").split()}
    assert "tarifa" in words
    assert "tarifa" not in said
