"""LoCoMo: how well a search with only the question finds the turns that the answer stands in.

Each conversation goes turn by turn into a cube of its own, through the service's public verbs, in
this process or over HTTP; each question is one plain search. Beside it, in the same run and on the
same questions, stand baselines that share nothing with the engine but the embedder's weights. Knows
nothing of how the service ranks, and gives it nothing but what an agent would: turns with speaker,
time and captions, and then the question's text. With --leave-one-out the fusion's weights are
fitted anew for each conversation, to all the others, and each channel's worth is shown.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memos.benchmarks import report
from memos.benchmarks.retrieval import evidence_metrics, fusion_trial, rendering
from memos.benchmarks.retrieval.result import DEPTH, OURS, Answer, Ingest, Result
from memos.benchmarks.retrieval.unseen import each_unseen, examined
from memos.benchmarks.service.settling import settle
from memos.benchmarks.texts import locomo_data
from memos.errors import InvalidInput, MemosError, ServiceUnavailable
from memos.retrieval.ranking import fit
from memos.types import SearchResult

if TYPE_CHECKING:
    from memos.client import Client
    from memos.protocols import Embedder
    from memos.service import MemoryOS, Service

    Verbs = MemoryOS | Client

BATCH = 256


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark, writes the report and prints it. Exit code 1 for an error of ours."""
    options = _options(argv)
    try:
        result = run(options)
    except MemosError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 1
    rendering.show(result)
    if options.out is not None:
        print(f"report: {rendering.write(result, options.out)}")
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="memos bench locomo", description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, default=locomo_data.SAMPLE, help="conversations in LoCoMo's format")
    add("--out", type=Path, help="folder for report.json, report.md, plot and raw rows")
    add("--seed", type=int, default=0, help="of the bootstrap intervals")
    add("--limit-conversations", type=int, metavar="N", help="only the first N")
    add("--no-baselines", action="store_true", help="measure the service alone")
    add(
        "--leave-one-out",
        action="store_true",
        help="rank each conversation by weights fitted to the others, and leave each channel out",
    )
    add("--url", help="measure a running server instead of a service in this process")
    add("--api-key", help="for --url; an admin's, since cubes are made and deleted")
    add("--data-dir", type=Path, help="keep the cubes here; default: a temporary folder")
    add("--database-url", help="for a service in this process; default: SQLite")
    return parser.parse_args(argv)


def run(options: argparse.Namespace) -> Result:
    """The whole measurement, before anything is written."""
    if options.leave_one_out and options.url:
        raise InvalidInput("--leave-one-out fits weights in this process; leave --url out")
    environment = report.environment(seed=options.seed, over="HTTP" if options.url else "process")
    dataset = locomo_data.read(options.data, limit=options.limit_conversations)
    if options.leave_one_out and len(dataset.conversations) < 2:
        raise InvalidInput("--leave-one-out takes two conversations at least")
    embedder = None if options.url and options.no_baselines else _embedder()
    ingests: list[Ingest] = []
    answers: list[Answer] = []
    ablation: dict[str, Any] = {}
    with _service(options, embedder) as (service, running), ExitStack() as cubes:
        names = {}
        for conversation in dataset.conversations:
            cube = cubes.enter_context(_cube(service, conversation, keep=not options.url))
            names[conversation.id] = cube
            ingests.append(ingest(service, conversation, cube))
            settle(service, cube)
            if not options.leave_one_out:
                answers += ask(service, conversation, cube)
        if options.leave_one_out:
            assert running is not None
            unseen = examined(running, dataset, names)
            ablation = fusion_trial.summary(unseen, seed=options.seed)
            for conversation in each_unseen(running, dataset, unseen):
                answers += ask(service, conversation, names[conversation.id])
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
        weights=_weights(options, dataset),
        ablation=ablation,
    )


def _weights(options: argparse.Namespace, dataset: locomo_data.Dataset) -> str:
    """Which weights ranked, and whether they have seen what they are measured on."""
    from memos import config

    if options.url:
        return "the server's"
    if options.leave_one_out:
        return "of each conversation fitted to the others"
    if config.load().fusion == "plain":
        return "plain"
    seen = set(fit.default().made["conversations"])
    known = [each.id for each in dataset.conversations if each.id in seen]
    return "fitted to " + (f"{', '.join(known)} among others" if known else "other conversations")


def _embedder() -> Embedder:
    """The default one. Its cached export lies in the default data folder, not in the run's."""
    from memos import assembly, config

    return assembly.make_embedder(config.load())


@contextmanager
def _service(
    options: argparse.Namespace, embedder: Embedder | None
) -> Iterator[tuple[Verbs, Service | None]]:
    """The verbs, and the service behind them where it runs in this process."""
    if options.url:
        from memos.client import Client

        with Client(options.url, api_key=options.api_key) as client:
            yield client, None
        return
    from memos import assembly, config
    from memos.service import DEFAULT_TENANT

    folder = options.data_dir or Path(tempfile.mkdtemp(prefix="memos-locomo-"))
    try:
        settings = config.load(data_dir=folder, database_url=options.database_url)
        service = assembly.build(settings, embedder=embedder)
        service.worker.start()
        try:
            yield service.tenant(DEFAULT_TENANT), service
        finally:
            service.close()
    finally:
        if options.data_dir is None:
            shutil.rmtree(folder)


@contextmanager
def _cube(service: Verbs, conversation: locomo_data.Conversation, *, keep: bool) -> Iterator[str]:
    """A new cube for one conversation; the suffix keeps runs on the same server apart."""
    name = f"locomo-{conversation.id}-{secrets.token_hex(4)}"
    service.create_cube(name, description=f"LoCoMo benchmark, {conversation.id}")
    try:
        yield name
    finally:
        if not keep:
            service.delete_cube(name)


def ingest(service: Verbs, conversation: locomo_data.Conversation, cube: str) -> Ingest:
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


def ask(service: Verbs, conversation: locomo_data.Conversation, cube: str) -> Iterator[Answer]:
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
    from memos.benchmarks.retrieval import baselines

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
