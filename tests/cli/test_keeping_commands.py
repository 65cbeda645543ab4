"""The commands of keeping memories over HTTP: what they print, and how they end."""

from __future__ import annotations

from typing import Any

import msgspec

from memos.types import Audit, Context, ErasureReceipt, KeepingPlan, Memory, Policy, Strength
from tests.cli.test_graph_commands import Run, run, server

__all__ = ["run", "server"]


def test_a_cube_is_kept_from_the_command_line(run: Run, tmp_path: Any) -> None:
    assert run("cube", "create", "kept").code == 0
    first, second = (
        run("add", text, "-c", "kept", "--session", "s", "-q").out.strip()
        for text in ("I love green tea.", "Well, I love green tea!")
    )
    dry = run("consolidate", "--dry-run", "-c", "kept")
    assert [word in dry.out for word in ("merge", "Well, I love green tea!", "say the same")] == [
        True
    ] * 3
    assert "Nothing was changed" in dry.err
    plan = run("consolidate", "--dry-run", "-c", "kept", "--json").json(KeepingPlan)
    assert dict(plan.actions) == {"merge": 1}
    assert run("audit", "-c", "kept", "--json").json(Audit).duplicate.count == 1
    assert run("consolidate", "-c", "kept", "-q").out == "succeeded\n"
    assert run("get", first, "-c", "kept", "--json").json(Memory).state.value == "merged"
    assert run("lineage", second, "-c", "kept", "-q").out.split() == [first]
    assert "memos undo" in run("why", first, "-c", "kept").out

    assert run("strength", second, "--pin", "-c", "kept", "--json").json(Strength).pinned
    shown = run("policy", "--set", '{"archive_below": 0.1}', "-c", "kept", "--json").json(Policy)
    assert shown.archive_below == 0.1
    assert run("policy", "--set", '{"archive_below": 7}', "-c", "kept").code == 2
    assert "never fades" in run("policy", "-c", "kept").out
    assert run("sweep", "--dry-run", "-c", "kept").code == 0
    found = run("context", "tea", "-c", "kept", "--token-budget", "60", "--json").json(Context)
    assert second in found.parts[0].memory_ids
    assert "I love green tea." in run("segments", "s", "-c", "kept").out

    assert run("erase", second, "-c", "kept").code == 2, "nobody was there to say yes"
    ended = run("erase", second, "--yes", "-c", "kept", "--json")
    receipt = ended.json(ErasureReceipt)
    assert receipt.memory_ids == (second, first)
    assert run("erase", second, "--check", "-c", "kept", input=ended.out).code == 0
    forged = msgspec.json.encode({**msgspec.json.decode(ended.out), "memory_ids": [second]})
    refused = run("erase", second, "--check", "-c", "kept", input=forged)
    assert (refused.code, "not valid" in refused.out) == (1, True)
