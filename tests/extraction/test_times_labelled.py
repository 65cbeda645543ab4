"""Dates resolved against a labelled set of chat sentences, whose expectations come from a calendar.

`data/relative_times.json`: the text, when and in which zone it was said, and the periods that it
names, in order; none for sentences whose words only look like times.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from memos.extraction.times import find_times

CASES = json.loads(
    (Path(__file__).parent / "data" / "relative_times.json").read_text(encoding="utf-8")
)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _found(case: dict[str, Any]) -> list[tuple[datetime | None, datetime | None, str, str]]:
    zone = ZoneInfo(case["zone"])
    mentions = find_times(case["text"], _moment(case["said_at"]), zone=zone)
    return [(m.period.start, m.period.end, m.period.granularity.value, m.role) for m in mentions]


def _expected(case: dict[str, Any]) -> list[tuple[datetime, datetime, str, str]]:
    return [
        (_moment(e["start"]), _moment(e["end"]), e["granularity"], e["role"])
        for e in case["expected"]
    ]


def test_at_least_95_percent_are_exact() -> None:
    missed = [case for case in CASES if _found(case) != _expected(case)]
    for case in missed:
        print(f"{case['said_at']} {case['zone']}: {case['text']}")
        print(f"    expected {_expected(case)}\n    found    {_found(case)}")
    exact = 1 - len(missed) / len(CASES)
    print(f"{len(CASES) - len(missed)} of {len(CASES)} exact: {exact:.3f}")
    assert exact >= 0.95


def test_nothing_is_found_where_no_time_is_named() -> None:
    silent = [case for case in CASES if not case["expected"]]
    spurious = {case["text"]: found for case in silent if (found := _found(case))}
    print(spurious)
    assert len(silent) >= 30
    assert len(spurious) / len(silent) <= 0.05


def test_the_set_is_large_and_varied() -> None:
    assert len(CASES) >= 230
    assert len({(c["text"], c["said_at"], c["zone"]) for c in CASES}) == len(CASES)
    zoned = [case for case in CASES if case["zone"] != "UTC"]
    leap = [case for case in CASES if case["said_at"].startswith("2024-02-29")]
    assert len(zoned) + len(leap) >= 20
