"""Files of facts, row by row: what each format holds, and by which line a fault is told."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import click
import pytest

from memos.cli.fact_files import at_line, cell, form_of, items
from memos.errors import InvalidInput, PayloadTooLarge
from memos.messages import as_fact
from memos.types import Granularity, NewFact

ANA = {"subject": "Ana", "predicate": "lives_in", "object": "Lisbon", "valid_at": "2024-03"}
BEN = {"subject": "Ben", "predicate": "age", "object": 34}


def read(data: bytes | str, form: str, **how: Any) -> list[tuple[int, Any]]:
    raw = data.encode() if isinstance(data, str) else data
    how = {"records": False, "advance": lambda count: None, **how}
    return list(items(io.BytesIO(raw), form, **how))


class Dripping(io.RawIOBase):
    """Gives one byte at a time, and counts how many were asked for."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.given = 0

    def read(self, size: int = -1) -> bytes:
        self.given += 1
        return self._data[self.given - 1 : self.given]


@pytest.mark.parametrize(
    ("form", "text", "lines"),
    [
        ("jsonl", f"{json.dumps(ANA)}\n\n{json.dumps(BEN)}", [1, 3]),
        ("json", f"[\n{json.dumps(ANA)},\n\n {json.dumps(BEN)} ]\n", [2, 4]),
        ("json", f"[{json.dumps(ANA, indent=1)},{json.dumps(BEN)}]", [1, 6]),
        (
            "csv",
            "subject,predicate,object,valid_at\nAna,lives_in,Lisbon,2024-03\n\nBen,age,34,\n",
            [2, 4],
        ),
        ("csv", 'object , subject,predicate,valid_at\nLisbon,"Ana",lives_in,2024-03\n34,Ben,age,',
         [2, 3]),
        ("jsonl", '["Ana", "lives_in", "Lisbon", "2024-03"]\r\n["Ben", "age", 34]', [1, 2]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("mark", [b"", "\N{BYTE ORDER MARK}".encode()], ids=["", "bom"])
def test_the_same_facts_in_every_format(
    form: str, text: str, lines: list[int], mark: bytes
) -> None:
    found = read(mark + text.encode(), form)
    assert found == list(zip(lines, [as_fact(ANA), as_fact(BEN)], strict=True))
    assert found[0][1].granularity is Granularity.MONTH


def test_an_array_is_read_in_pieces_of_any_size() -> None:
    rows = [{**ANA, "object": f'é {number} \\ " ] }} {{'} for number in range(40)]
    stream = Dripping(json.dumps(rows, ensure_ascii=False, indent=2).encode())
    given: Iterator[Any] = items(stream, "json", records=True, advance=lambda count: None)
    assert next(given) == (2, rows[0])
    assert stream.given < 200
    assert [row for _, row in given] == rows[1:]


def test_all_bytes_are_told_to_the_progress_bar() -> None:
    for form, text in (
        ("json", json.dumps([ANA])),
        ("jsonl", json.dumps(ANA)),
        ("csv", "a,b\n1,2"),
    ):
        seen: list[int] = []
        read(text, form, records=True, advance=seen.append)
        assert sum(seen) == len(text)


def test_records_keep_their_fields() -> None:
    record = {"name": "Ana", "city": "Lisbon", "pets": ["cat", 2], "since": 2023}
    assert read(json.dumps([record]), "json", records=True) == [(1, record)]
    assert read(json.dumps(record), "json", records=True) == [(1, record)]
    table = "name,age,zip,since,note\n7,34,01234,2023,\n"
    [(_, row)] = read(table, "csv", records=True, texts=["name", "since"])
    assert row == {"name": "7", "age": 34, "zip": "01234", "since": "2023"}


def test_cells_of_facts() -> None:
    table = (
        "subject,predicate,object,negated,confidence,invalid_at,unit\n"
        "Ana,weight,61.5,FALSE,1,2024,kg\n"
        '"Ben, the ""other""\nBen",smokes,,true,0.5,,\n'
        "7,is,-0,,,,\n"
    )
    [first, second, third] = read(table, "csv")
    assert first[1].object == 61.5
    assert (first[1].negated, first[1].invalid_at.year) == (False, 2024)
    assert (second[0], second[1].subject) == (3, 'Ben, the "other"\nBen')
    assert (second[1].negated, second[1].object, second[1].confidence) == (True, None, 0.5)
    assert (third[0], third[1].subject, third[1].object) == (5, "7", 0)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("7", 7), ("-1.50", -1.5), ("007", "007"), ("1e3", "1e3"), ("", ""), ("٣", "٣")),
        *(("12345678901234567", "12345678901234567"), ("NaN", "NaN"), ("true", "true")),
    ],
)
def test_what_is_written_like_a_number_is_one(text: str, value: Any) -> None:
    assert cell(text) == value
    assert type(cell(text)) is type(value)


@pytest.mark.parametrize(
    ("form", "text", "line", "complaint"),
    [
        ("jsonl", '{"subject": "a", "predicate": "b"}\n{', 2, "no JSON"),
        ("jsonl", '{"subject": "a", "predicate": "b"}\n"text"', 2, "no object and no array"),
        ("jsonl", '["a"]', 1, "no array of subject"),
        ("jsonl", '["a", "b", NaN]', 1, "NaN is no JSON number"),
        ("jsonl", "[" * 100_000, 1, "nested too deeply"),
        ("jsonl", '{"subject": "a"}', 1, "no predicate"),
        ("jsonl", '\n\n{"subject": "a", "predicate": "b", "when": 1}', 3, "unknown field when"),
        ("jsonl", '{"subject": "a", "predicate": "b", "valid_at": "soon"}', 1, "is 'soon'"),
        ("json", '[\n["a", "b"],\n["a" "b"]\n]', 3, "no JSON"),
        ("json", '[\n["a", "b"]\n["a", "b"]\n]', 3, "neither a comma"),
        ("json", '[["a", "b"],\n]', 2, "neither a comma"),
        ("json", '[["a", "b"],\n7]', 2, "an object or an array"),
        ("json", '[["a", "b"]', 1, "neither a comma"),
        ("json", '[["a", "b"]]\n\n[]', 3, "something follows"),
        ("json", '[["a", "b", \n', 2, "no JSON"),
        ("json", "subject,predicate", 1, "must hold an array"),
        ("json", "[" * 100_000, 1, "nested too deeply"),
        ("csv", "subject,predicate\na,b\na,b,c\n", 3, "3 cells"),
        ("csv", "subject,subject\na,b\n", 1, "none twice"),
        ("csv", "subject,,predicate\n", 1, "name each column"),
        ("csv", 'subject,predicate\na,b\na,"b"c\n', 3, "no CSV"),
        ("csv", f"subject,predicate\n{'a' * 200_000},b\n", 2, "no CSV"),
        ("csv", "subject,predicate,negated\na,b,maybe\n", None, None),
    ],
)  # fmt: skip
def test_a_fault_is_told_by_its_line(
    form: str, text: str, line: int | None, complaint: str | None
) -> None:
    if line is None:
        assert read(text, form)[0][1].negated == "maybe"  # refused where all facts are
        return
    with pytest.raises(InvalidInput, match=complaint) as caught:
        read(text, form)
    assert caught.value.details["line"] == line
    assert caught.value.message.startswith(f"line {line}: ")


@pytest.mark.parametrize("form", ["json", "jsonl", "csv"])
def test_what_is_no_utf_8_is_told_by_its_line(form: str) -> None:
    start = {"json": b'[["a", "b"],\n', "jsonl": b'["a", "b"]\n', "csv": b"subject,predicate\n"}
    with pytest.raises(InvalidInput, match="no UTF-8"):
        read(start[form] + b'["caf\xe9", "b"]', form)


def test_a_row_without_end_is_given_up_before_the_memory_is_full() -> None:
    class Endless(io.RawIOBase):
        total = 0

        def read(self, size: int = -1) -> bytes:
            self.total += size
            return b'"a",' * (size // 4)

    stream = Endless()
    stream.total = 0
    opened = io.BytesIO(b"[[")

    class Joined(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            return opened.read(size) or stream.read(size)

    with pytest.raises(InvalidInput, match="line 1"):
        next(items(Joined(), "json", records=False, advance=lambda count: None))
    assert stream.total < 20_000_000


def test_the_format_is_known_by_the_name() -> None:
    assert [form_of(f"a.b.{end}") for end in ("JSON", "jsonl", "ndjson", "csv")] == [
        *("json", "jsonl", "jsonl", "csv")
    ]
    for name in ("<stdin>", "facts", "facts.txt"):
        with pytest.raises(click.UsageError, match="--format"):
            form_of(name)


@pytest.mark.parametrize(
    "error",
    [
        InvalidInput("fact 1: object is missing", field="fact 1: object"),
        InvalidInput("object is missing", fact=1),
        InvalidInput("object is missing", record=1),
        InvalidInput("facts.1.object: too long", field="facts.1.object"),
        PayloadTooLarge("record 1: object has 9 characters"),
    ],
)
def test_a_fault_of_a_part_is_told_by_the_line_of_its_row(error: Any) -> None:
    told = at_line(error, [10, 20, 30])
    assert type(told) is type(error)
    assert told.details["line"] == 20
    assert told.message.startswith("line 20: ")


def test_a_fault_of_no_row_stays_as_it_is() -> None:
    for error in (InvalidInput("no such cube"), InvalidInput("fact 7: x")):
        assert at_line(error, [10, 20]) is error


def test_a_fact_without_object_is_left_to_the_service() -> None:
    assert read('["a", "b"]', "jsonl") == [(1, NewFact(subject="a", predicate="b"))]
