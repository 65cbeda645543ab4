"""The fuzzer passes on the store, and fails on one that is broken."""

import random
from pathlib import Path

import pytest

from memos.benchmarks import kv_fuzz
from memos.kvcache.blocks import file


def test_a_few_hundred_cases_of_every_kind_end_well() -> None:
    found = kv_fuzz.run(cases=400, seed=7)
    assert found["passed"], found
    assert found["cases"] >= 350
    assert all(sum(counts.values()) for counts in found["kinds"].values())


def test_a_store_that_does_not_verify_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memos.kvcache.store.opened.check_payload", lambda *_: None)
    outcomes = kv_fuzz.damaged(tmp_path, 60, random.Random(1))
    assert outcomes["wrong"]
    assert file.check_payload


def test_a_store_that_ignores_the_last_token_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from memos.kvcache.store import tree

    used = tree._used
    monkeypatch.setattr(
        tree, "_used", lambda header, matched, most, before: used(header, matched, most + 1, before)
    )
    assert kv_fuzz.prompts(tmp_path, 60, random.Random(1))["wrong"]
