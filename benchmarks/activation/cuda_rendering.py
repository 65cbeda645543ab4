"""The report of activation memory on a device: targets, tables and the plot, from its data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memos.benchmarks import report

PINNED = {4096: 3.5, 16_384: 7.0, 32_768: 9.0}
"""Least ratio of full prefill to a hit in pinned RAM at Llama-3-8B's shape, by stored tokens."""
WARM_DISK = {32_768: 5.0}
SHARE = 0.8
SLOWER = 1.05
LARGE = "llama-3-8b"
BOTH = "from both ends"
"""The beginning is computed while the end is loaded."""
PLOTTED = (
    "device, raw",
    "pinned RAM, raw",
    "warm disk, raw",
    f"cold disk, int4, {BOTH}",
    "cold disk, int4",
    "cold disk, raw",
)


def targets(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each with what was asked, what was got and whether that is met."""
    found: list[dict[str, Any]] = []

    def least(what: str, got: float, asked: float) -> None:
        found.append({"target": f"{what} ≥ {asked}", "got": got, "met": got >= asked})

    for name, model in data["models"].items():
        for line in model["lengths"]:
            at = f"{name}, {line['stored']:,} stored"
            speedup, stored = line["speedup"], line["stored"]
            if name == LARGE and stored in PINNED:
                least(
                    f"{at}: full prefill ÷ hit in pinned RAM",
                    speedup["pinned RAM, raw"],
                    PINNED[stored],
                )
            if name == LARGE and stored in WARM_DISK:
                least(
                    f"{at}: full prefill ÷ hit on warm disk",
                    speedup["warm disk, raw"],
                    WARM_DISK[stored],
                )
            if name == LARGE and speedup["cold disk, raw"] < 1:
                # What a user gets: with the cost model on.
                way = f"cold disk, int4, {BOTH}"
                least(f"{at}: full prefill ÷ hit on {way}", speedup[way], 1.0)
            if line.get("bus"):
                got = line["bus"]["share_pinned"]
                least(f"{at}: copy to the device ÷ peak of the bus", got, SHARE)
        if "cost" in model:
            got = model["cost"]["worst"]
            what = f"{name}: time with the cost model ÷ without a cache, any length ≤ {SLOWER}"
            found.append({"target": what, "got": got, "met": got <= SLOWER})
        if "exact" in model:
            exact = model["exact"]
            same = all(exact[kind] for kind in ("disk", "ram", "device"))
            what = f"{name}: a reload is the same split prefill, bit for bit"
            found.append({"target": what, "got": "yes" if same else "no", "met": same})
            if "prompts" in exact:
                got, of = exact["equal_answers"], exact["prompts"]
                what = f"{name}: greedy answers in float32 equal to a full prefill's, of {of}"
                found.append({"target": what, "got": got, "met": got == of})
    return found


def markdown(data: Mapping[str, Any]) -> str:
    """All of it."""
    rows = [[t["target"], t["got"], "yes" if t["met"] else "no"] for t in data["targets"]]
    parts = [
        f"Time to the first of the new tokens, {data['new_tokens']} of which follow the stored "
        "prefix; medians in ms. `raw` blocks give back every bit, `int4` ones (4 bits and 5) are "
        "decoded on the device. Warm disk: the file is in the page cache and was verified by this "
        "process; first use: verified within the measurement; cold disk: dropped from the page "
        "cache, read and verified within it. From both ends: with the cost model on, which may "
        "compute the beginning of the stored tokens while the end is loaded, or all of them. Cold "
        "disk, first use and both ends: by a store just opened, after a full prefill.",
        "![Speed-up by stored tokens](kv_cuda.png)",
        f"## Targets\n\n{report.table(['target', 'got', 'met'], rows)}",
    ]
    for name, model in data["models"].items():
        parts.append(_model(name, model))
    if data["not_run"]:
        left = "\n".join(f"- {entry['what']}: {entry['why']}" for entry in data["not_run"])
        parts.append(f"## Not run\n\n{left}")
    return "\n\n".join(parts)


def _model(name: str, model: Mapping[str, Any]) -> str:
    lines = model["lengths"]
    text = (
        f"## {name}\n\n{model['id']}, {model['parameters']:,} parameters, "
        f"{model['bytes_per_token']:,} bytes per token."
    )
    if lines:
        names = list(dict.fromkeys(key for line in lines for key in line["ms"]))
        head = [
            "",
            *(f"{line['stored']:,}: ms" for line in lines),
            *(f"{line['stored']:,}: ×" for line in lines),
        ]
        body = [
            [
                key,
                *(line["ms"].get(key) for line in lines),
                *(line["speedup"].get(key) for line in lines),
            ]
            for key in names
        ]
        text += f"\n\n{report.table(head, body)}"
        buses = [[line["stored"], *line["bus"].values()] for line in lines if line.get("bus")]
        if buses:
            head = ["stored", *next(line["bus"] for line in lines if line.get("bus"))]
            title = "From the disk, and from the host to the device:"
            text += f"\n\n{title}\n\n{report.table(head, buses)}"
        loaded = [
            [line["stored"], name, *found]
            for line in lines
            for name, found in line["loaded"].items()
        ]
        if loaded:
            most = max(map(len, loaded))
            head = ["stored", "way", *(f"run {at}" for at in range(1, most - 1))]
            text += f"\n\nTokens that came from the disk:\n\n{report.table(head, loaded)}"
        for line in lines:
            for entry in line["not_run"]:
                text += f"\n\nNot run at {line['stored']:,}: {entry['what']}: {entry['why']}"
    if "cost" in model:
        cost = model["cost"]
        body = [list(line.values()) for line in cost["lengths"]]
        text += f"\n\nWith the cost model on; calibrated: {cost['calibration']}.\n\n"
        text += report.table([key.replace("_", " ") for key in cost["lengths"][0]], body)
    if "exact" in model:
        text += f"\n\nExactness: {model['exact']}."
    return text


def plot(data: Mapping[str, Any], path: Path) -> None:
    """Speed-up over a full prefill by stored tokens, a panel for each model."""
    models = {name: m["lengths"] for name, m in data["models"].items() if m["lengths"]}
    figure = report.figure(4.0 * max(1, len(models)), 4.2)
    for index, (name, lines) in enumerate(models.items(), 1):
        axes = figure.add_subplot(1, len(models), index)
        for way in PLOTTED:
            points = [
                (line["stored"], line["speedup"][way]) for line in lines if way in line["speedup"]
            ]
            axes.plot(*zip(*points, strict=True), marker="o", label=way)
        axes.axhline(1.0, color="grey", linewidth=0.8)
        axes.set(title=name, xlabel="stored tokens", yscale="log", xscale="log")
        axes.set_xticks(
            [line["stored"] for line in lines], [f"{line['stored']:,}" for line in lines]
        )
        axes.minorticks_off()
        if index == 1:
            axes.set_ylabel("full prefill ÷ hit")
            axes.legend(fontsize="small")
    figure.savefig(path, dpi=130)
