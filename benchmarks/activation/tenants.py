"""Whether one tenant can tell from times what another has compiled.

The owner compiles some texts. A stranger, another tenant of the same store, then asks about these
and about as many that nobody has compiled, in random order, and an attacker guesses from the time
to the first token which is which. What the guess is worth is the area under the ROC curve: 0.5 is a
coin, 1 a certainty. The owner's own requests show that the attack works where states are found.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from memos.benchmarks import report
from memos.benchmarks.activation.models import model_of, random_tokens
from memos.kvcache.reuse.prefix import PrefixReuse
from memos.kvcache.store.store import BlockStore
from memos.kvcache.tiers.ram import RamTier
from memos.kvcache.tiers.tiers import Tiers

RESAMPLES = 2000
WHO = ("owner", "stranger")


def run(options: argparse.Namespace) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The part's data, and one raw row per request."""
    model = model_of(options, dtype=options.dtype)
    length = options.opening + options.new
    texts = [
        random_tokens(model, length, seed=options.seed + place)
        for place in range(2 * options.pairs)
    ]
    dice = random.Random(options.seed)
    rows: list[dict[str, Any]] = []
    with (
        tempfile.TemporaryDirectory(prefix="memos-kv-", dir=options.store_dir) as folder,
        BlockStore(Path(folder) / "kv", budget_bytes=1 << 40) as store,
    ):
        tiers = Tiers(store, ram=RamTier(budget_bytes=1 << 40))
        owner, stranger = (PrefixReuse(model, tiers, salt=salt) for salt in (b"owner", b"stranger"))
        for text in texts[::2]:
            owner.compile(text[: options.opening])
        stranger.begin([texts[0]])  # the first pass of a model is slower
        for name, reuse in zip(WHO, (owner, stranger), strict=True):
            print(f"… {2 * options.pairs} requests of the {name}", file=sys.stderr, flush=True)
            order = list(range(len(texts)))
            dice.shuffle(order)
            for place in order:
                model.synchronize()
                began = time.perf_counter()
                begun = reuse.begin([texts[place]])
                model.synchronize()
                rows.append(
                    {
                        "who": name,
                        "text": place,
                        "compiled": place % 2 == 0,
                        "ms": round((time.perf_counter() - began) * 1e3, 3),
                        "reused": begun.cached[0],
                    }
                )
        tiers.close()
    lines = [_line(name, [row for row in rows if row["who"] == name], dice) for name in WHO]
    data = {"model": model.id, "dtype": options.dtype, "opening": options.opening}
    return {**data, "who": lines, "targets": _targets(*lines)}, rows


def _line(name: str, rows: Sequence[dict[str, Any]], dice: random.Random) -> dict[str, Any]:
    found = [row["ms"] for row in rows if row["compiled"]]
    other = [row["ms"] for row in rows if not row["compiled"]]
    drawn = sorted(
        _area(dice.choices(found, k=len(found)), dice.choices(other, k=len(other)))
        for _ in range(RESAMPLES)
    )
    return {
        "who": name,
        "n": len(rows),
        "compiled_ms": round(sorted(found)[len(found) // 2], 1),
        "other_ms": round(sorted(other)[len(other) // 2], 1),
        "reused": sum(row["reused"] for row in rows),
        "area": round(_area(found, other), 3),
        "low": round(drawn[int(0.025 * RESAMPLES)], 3),
        "high": round(drawn[int(0.975 * RESAMPLES)], 3),
    }


def _area(faster: Sequence[float], slower: Sequence[float]) -> float:
    """The chance that one of the first takes less than one of the second; Mann and Whitney's U."""
    wins = sum((a < b) + (a == b) / 2 for a in faster for b in slower)
    return wins / (len(faster) * len(slower))


def _targets(owner: dict[str, Any], stranger: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "target": "a stranger's guess is a coin: 0.5 within the 95 % interval of the area",
            "got": f"{stranger['area']} ({stranger['low']} to {stranger['high']})",
            "met": stranger["low"] <= 0.5 <= stranger["high"],
        },
        {
            "target": "tokens of the owner's states that a stranger used: 0",
            "got": stranger["reused"],
            "met": stranger["reused"] == 0,
        },
        {
            "target": "the same guess tells the owner's own hits: area ≥ 0.95",
            "got": owner["area"],
            "met": owner["area"] >= 0.95,
        },
    ]


def markdown(data: dict[str, Any]) -> str:
    """The part as Markdown."""
    head = ["who asks", "requests", "compiled by the owner, ms", "by nobody, ms"]
    head += ["stored tokens used", "area", "95 % from", "to"]
    targets = "\n".join(
        f"- {one['target']}: {one['got']}, {'met' if one['met'] else 'not met'}"
        for one in data["targets"]
    )
    return (
        f"## What times tell another tenant\n\n{data['model']}, {data['dtype']}; texts of "
        f"{data['opening']} tokens; medians of the time to the first token.\n\n"
        f"{report.table(head, [list(line.values()) for line in data['who']])}\n\n{targets}"
    )
