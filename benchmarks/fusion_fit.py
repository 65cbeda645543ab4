"""Fits the weights of the fusion and says how well they do on conversations they have not seen.

Reads conversations in LoCoMo's format, asks every question of the real service, and prints, under
leave-one-conversation-out, recall with all channels, with the plain sum, and without each channel.
With --write the weights fitted to all conversations become a file (the committed one is
`memos/data/fusion.json`); it says what it was made from and holds no text of the data.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memos.benchmarks import report
from memos.benchmarks.retrieval import evidence_metrics, fusion_trial, listwise
from memos.benchmarks.retrieval.fusion_examples import Example, examples
from memos.benchmarks.service.settling import settle
from memos.benchmarks.texts import locomo_data
from memos.errors import MemosError
from memos.retrieval.ranking import fit as fitted

if TYPE_CHECKING:
    from memos.service import Service

_SHOWN = ("recall@1", "recall@5", "recall@10", "recall@20", "ndcg@10")
_HEADERS = ("n", *_SHOWN, "R@10 1", "R@10 2", "R@10 3", "R@10 4")
_BATCH = 256
_PAGE = 1000


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table; writes the weights if asked. Exit code 1 for an error of ours."""
    parser = argparse.ArgumentParser(prog="memos bench fusion_fit", description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, default=locomo_data.SAMPLE, help="conversations in LoCoMo's format")
    add("--write", type=Path, metavar="FILE", help="put the weights fitted to all of them here")
    add("--limit-conversations", type=int, metavar="N", help="only the first N")
    options = parser.parse_args(argv)
    try:
        dataset = locomo_data.read(options.data, limit=options.limit_conversations)
        with service() as running:
            found = collect(running, dataset.conversations)
        if len(dataset.conversations) > 1:
            print(table(found))
        if options.write is not None:
            fitted.write(fusion_trial.fitted(found, made=_made(dataset, found)), options.write)
            print(f"weights: {options.write}")
    except MemosError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 1
    return 0


@contextmanager
def service() -> Iterator[Service]:
    """One in this process over a folder that goes when it ends; only the model is kept."""
    from memos import assembly, config

    folder = Path(tempfile.mkdtemp(prefix="memos-fusion-"))
    try:
        embedder = assembly.make_embedder(config.load())
        running = assembly.build(
            config.load(data_dir=folder, database_url="", notes=False, fusion="plain"),
            embedder=embedder,
        )
        running.worker.start()
        try:
            yield running
        finally:
            running.close()
    finally:
        shutil.rmtree(folder)


def collect(running: Service, conversations: Sequence[locomo_data.Conversation]) -> list[Example]:
    """The examples of all conversations, each in a cube of its own."""
    found: list[Example] = []
    memory = running.tenant()
    for conversation in conversations:
        name = f"fusion-{conversation.id}"
        memory.create_cube(name)
        turns = [turn.as_memory() for turn in conversation.turns]
        for _ in memory.add_batch(turns, cube=name, batch_size=_BATCH):
            pass
        settle(memory, name)
        found += examine(running, name, conversation)
    return found


def examine(
    running: Service, cube: str, conversation: locomo_data.Conversation
) -> Iterator[Example]:
    """The examples of a conversation that a cube of the default tenant holds."""
    from memos.service import DEFAULT_TENANT

    place = running.stores.cubes.get(DEFAULT_TENANT, cube)
    dia_ids = dict(_dia_ids(running, cube))
    yield from examples(running.searcher, place, conversation, dia_ids)


def _dia_ids(running: Service, cube: str) -> Iterator[tuple[str, str]]:
    cursor = None
    while True:
        page = running.tenant().memories(cube=cube, cursor=cursor, limit=_PAGE)
        for memory in page.items:
            yield memory.id, memory.provenance.external_id or ""
        cursor = page.next_cursor
        if cursor is None:
            return


def table(found: Sequence[Example]) -> str:
    """Leave-one-conversation-out: all, the plain sum, and all without each channel."""
    headers, rows = rows_of(fusion_trial.summary(found, seed=0))
    return report.table(headers, rows)


def rows_of(
    summary: Mapping[str, Mapping[str, Mapping[str, Any]]],
) -> tuple[list[str], list[list[str]]]:
    """Headers and cells for what `fusion_trial.summary` gives."""
    rows = []
    for name, groups in summary.items():
        total = groups["1-4"]
        values = [total[metric] for metric in _SHOWN]
        values += [groups[group]["recall@10"] for group in "1234"]
        rows.append([name, str(total["n"]), *("–" if v is None else f"{v:.1f}" for v in values)])
    return ["leave one conversation out", *_HEADERS], rows


def _made(dataset: locomo_data.Dataset, found: Sequence[Example]) -> dict[str, object]:
    scores = fusion_trial.judged(found, fusion_trial.left_out(found))
    groups = evidence_metrics.summarise(scores, fusion_trial.categories(found), seed=0)
    return {
        "by": "memos bench fusion_fit",
        "conversations": [each.id for each in dataset.conversations],
        "data_sha256": dataset.sha256,
        "questions": sum(bool(each.relevant.any()) for each in found),
        "l2": listwise.L2,
        "pull": listwise.PULL,
        "leave_one_conversation_out": {name: groups["1-4"][name] for name in _SHOWN},
    }


if __name__ == "__main__":
    raise SystemExit(main())
