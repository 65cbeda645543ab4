"""Prometheus metrics, one registry per application so that two in one process don't mix.

Knows names and labels. Counts of jobs are read from the service at each scrape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from memos.extraction.ledger import ModelUse
from memos.types import KindReport, SearchResult

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)

Snapshot = Callable[[], Mapping[str, Any]]
"""`Service.metrics_snapshot`: `jobs` by (kind, state), `model_use` by model, and further names with
a number each."""

_WAITING = {"queued", "failed"}


class Metrics:
    """What one application counts."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Present(snapshot))
        labels = ("method", "route")
        self._requests = Counter(
            "memos_http_requests", "Answers sent.", (*labels, "status"), registry=self._registry
        )
        self._latency = Histogram(
            "memos_http_request_seconds",
            "Time from a request's head to the end of its answer.",
            labels,
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._in_flight = Gauge(
            "memos_http_requests_in_flight", "Requests being answered.", registry=self._registry
        )
        self._search = Histogram(
            "memos_search_seconds",
            "Time of a search: embedding the query, all the rest, both.",
            ("part",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._added = Counter(
            "memos_memories_added", "Memories acknowledged.", registry=self._registry
        )

    @contextmanager
    def in_flight(self) -> Iterator[None]:
        with self._in_flight.track_inprogress():
            yield

    def request(self, method: str, route: Any, status: int | None, seconds: float) -> None:
        """`route` is the framework's; its template is the label, so that ids make no new series."""
        if method not in _METHODS:
            method = "other"
        template = getattr(route, "path", None) or "unmatched"
        self._requests.labels(method, template, str(status or "aborted")).inc()
        self._latency.labels(method, template).observe(seconds)

    def search(self, result: SearchResult) -> None:
        for part, milliseconds in result.timings_ms.items():
            self._search.labels(part).observe(milliseconds / 1000)

    def added(self, count: int) -> None:
        self._added.inc(count)

    def exposition(self) -> bytes:
        """The text that Prometheus scrapes. What the snapshot raises comes through."""
        return bytes(generate_latest(self._registry))


_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class _Present(Collector):
    """What the service holds now: jobs by kind and state, how many wait, and its other numbers; and
    what its language models were asked since the process began."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def describe(self) -> list[Any]:
        """Registering must not ask the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        snapshot = dict(self._snapshot())
        jobs = GaugeMetricFamily("memos_jobs", "Jobs, by kind and state.", labels=("kind", "state"))
        depth = 0
        for (kind, state), count in sorted(snapshot.pop("jobs").items()):
            jobs.add_metric((kind, state), count)
            depth += count if state in _WAITING else 0
        yield jobs
        yield GaugeMetricFamily(
            "memos_job_queue_depth", "Jobs that wait to be run, first time or again.", value=depth
        )
        yield from _runs(snapshot.pop("job_kinds"))
        yield from _model_use(snapshot.pop("model_use"))
        for name, value in snapshot.items():
            yield GaugeMetricFamily(f"memos_{name}", f"{name.replace('_', ' ')}.", value=value)


def _runs(kinds: Sequence[KindReport]) -> Iterator[Metric]:
    """What the queue knows of each kind, over all tenants and workers: it is the same whichever
    process is asked, so sums must not be added up over processes."""
    for field, meaning in _RUNS.items():
        counter = CounterMetricFamily(f"memos_job_{field}", meaning, labels=("kind",))
        for kind in kinds:
            counter.add_metric((kind.kind,), getattr(kind, field))
        yield counter
    for field, (name, meaning) in _NOW.items():
        gauge = GaugeMetricFamily(f"memos_job_{name}", meaning, labels=("kind",))
        for kind in kinds:
            gauge.add_metric((kind.kind,), getattr(kind, field))
        yield gauge


_RUNS = {
    "runs": "Runs of jobs that have ended.",
    "failures": "Those of them that failed.",
    "deaths": "Jobs that were given up.",
    "run_seconds": "How long runs took, all together.",
    "wait_seconds": "How long jobs waited after they were due, all together.",
}
_NOW = {
    "seconds": ("mean_seconds", "The moving mean of a run, by which the queue plans."),
    "oldest_wait": ("oldest_wait_seconds", "How long the first job in line has waited."),
}

_USE = {
    "requests": "Requests sent to a language model.",
    "failures": "Those of them that brought nothing of use.",
    "prompt_tokens": "Tokens sent to it, as its server counted them.",
    "completion_tokens": "Tokens that it answered with.",
    "cost_usd": "What that cost by litellm's price list, in US dollars.",
    "unpriced": "Requests without a price there.",
    "uncounted": "Answers that came without token counts.",
}


def _model_use(uses: Mapping[str, ModelUse]) -> Iterator[Metric]:
    for field, meaning in _USE.items():
        family = CounterMetricFamily(f"memos_model_{field}", meaning, labels=("model",))
        for model, use in sorted(uses.items()):
            family.add_metric((model,), getattr(use, field))
        yield family
