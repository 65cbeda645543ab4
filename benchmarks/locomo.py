"""LoCoMo: how well a search with only the question finds the turns that the answer stands in.

Each conversation goes turn by turn into a cube of its own, through the service's public verbs, in
this process or over HTTP; each question is one plain search. Beside it, in the same run and on the
same questions, stand baselines that share nothing with the engine but the embedder's weights. Knows
nothing of how the service ranks, and gives it nothing but what an agent would: turns with speaker,
time and captions, and then the question's text.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from memos.benchmarks import evidence_metrics, locomo_data, locomo_report, report
from memos.benchmarks.locomo_result import DEPTH, OURS, Answer, Ingest, Result
from memos.errors import MemosError, ServiceUnavailable
from memos.types import SearchResult

if TYPE_CHECKING:
    from memos.client import Client
    from memos.protocols import Embedder
    from memos.service import MemoryOS

    Service = MemoryOS | Client

BATCH = 256


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark, writes the report and prints it. Exit code 1 for an error of ours."""
    options = _options(argv)
    try:
        result = run(options)
    except MemosError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 1
    locomo_report.show(result)
    if options.out is not None:
        print(f"report: {locomo_report.write(result, options.out)}")
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="memos bench locomo", description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, default=locomo_data.SAMPLE, help="conversations in LoCoMo's format")
    add("--out", type=Path, help="folder for report.json, report.md, plot and raw rows")
    add("--seed", type=int, default=0, help="of the bootstrap intervals")
    add("--limit-conversations", type=int, metavar="N", help="only the first N")
    add("--no-baselines", action="store_true", help="measure the service alone")
    add("--url", help="measure a running server instead of a service in this process")
    add("--api-key", help="for --url; an admin's, since cubes are made and deleted")
    add("--data-dir", type=Path, help="keep the cubes here; default: a temporary folder")
    add("--database-url", help="for a service in this process; default: SQLite")
    return parser.parse_args(argv)


def run(options: argparse.Namespace) -> Result:
    """The whole measurement, before anything is written."""
    environment = report.environment(seed=options.seed, over="HTTP" if options.url else "process")
    dataset = locomo_data.read(options.data, limit=options.limit_conversations)
    embedder = None if options.url and options.no_baselines else _embedder()
    ingests: list[Ingest] = []
    answers: list[Answer] = []
    with _service(options, embedder) as service:
        for conversation in dataset.conversations:
            with _cube(service, conversation, keep=not options.url) as cube:
                ingests.append(ingest(service, conversation, cube))
                answers += ask(service, conversation, cube)
    # Afterwards, so that no baseline has warmed the embedder's cache for a timed search.
    if not options.no_baselines:
        assert embedder is not None
        for conversation in dataset.conversations:
            answers += compare(conversation, embedder)
    return Result(
        dataset=dataset,
        answers=answers,
        ingests=ingests,
        environment=environment,
        seed=options.seed,
    )


def _embedder() -> Embedder:
    """The default one. Its cached export lies in the default data folder, not in the run's."""
    from memos import assembly, config

    return assembly.make_embedder(config.load())


@contextmanager
def _service(options: argparse.Namespace, embedder: Embedder | None) -> Iterator[Service]:
    if options.url:
        from memos.client import Client

        with Client(options.url, api_key=options.api_key) as client:
            yield client
        return
    from memos import assembly, config
    from memos.service import DEFAULT_TENANT

    folder = options.data_dir or Path(tempfile.mkdtemp(prefix="memos-locomo-"))
    try:
        settings = config.load(data_dir=folder, database_url=options.database_url)
        service = assembly.build(settings, embedder=embedder)
        service.worker.start()
        try:
            yield service.tenant(DEFAULT_TENANT)
        finally:
            service.close()
    finally:
        if options.data_dir is None:
            shutil.rmtree(folder)


@contextmanager
def _cube(service: Service, conversation: locomo_data.Conversation, *, keep: bool) -> Iterator[str]:
    """A new cube for one conversation; the suffix keeps runs on the same server apart."""
    name = f"locomo-{conversation.id}-{secrets.token_hex(4)}"
    service.create_cube(name, description=f"LoCoMo benchmark, {conversation.id}")
    try:
        yield name
    finally:
        if not keep:
            service.delete_cube(name)


def ingest(service: Service, conversation: locomo_data.Conversation, cube: str) -> Ingest:
    """Adds every turn, in order; timed until the last is durable and searchable."""
    memories = [turn.as_memory() for turn in conversation.turns]
    start = time.perf_counter()
    done = 0
    for progress in service.add_batch(memories, cube=cube, batch_size=BATCH):
        done = progress.done
    seconds = time.perf_counter() - start
    if done != len(memories):
        raise ServiceUnavailable(
            f"{done} of {len(memories)} turns of {conversation.id} were stored"
        )
    return Ingest(conversation=conversation.id, turns=done, seconds=seconds)


def ask(service: Service, conversation: locomo_data.Conversation, cube: str) -> Iterator[Answer]:
    """One search per question, with its text alone."""
    for question in conversation.questions:
        start = time.perf_counter()
        result = service.search(question.text, cube=cube, limit=DEPTH)
        total = 1000 * (time.perf_counter() - start)
        yield _answer(question, result, total)


def _answer(question: locomo_data.Question, result: SearchResult, total: float) -> Answer:
    ranked = [hit.memory.provenance.external_id or "" for hit in result.hits]
    return Answer(
        system=OURS,
        question=question,
        ranked=tuple(ranked),
        scores=evidence_metrics.score(ranked, question.evidence),
        milliseconds={
            "total": total,
            "embed": result.timings_ms["embed"],
            "search": result.timings_ms["search"],
        },
        tokens={
            "10": sum(hit.tokens for hit in result.hits[:10]),
            str(DEPTH): result.tokens,
        },
    )


def compare(conversation: locomo_data.Conversation, embedder: Embedder) -> Iterator[Answer]:
    """The baselines' answers to the same questions."""
    from memos.benchmarks import baselines

    for name, ranker in baselines.rankers(conversation.turns, embedder).items():
        for question in conversation.questions:
            ranked = ranker(question.text)[:DEPTH]
            yield Answer(
                system=name,
                question=question,
                ranked=tuple(ranked),
                scores=evidence_metrics.score(ranked, question.evidence),
            )


if __name__ == "__main__":
    raise SystemExit(main())
