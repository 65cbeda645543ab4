"""What Prometheus sees."""

from __future__ import annotations

import time

import httpx
from prometheus_client.parser import text_string_to_metric_families

from memos.types import NewJob
from tests.server import running_server


def samples(url: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """A request is counted when its answer is out, so perhaps after its client asks for this: the
    numbers are those of a moment at which nothing but the scrape is being answered."""
    deadline = time.monotonic() + 60
    while True:
        text = httpx.get(f"{url}/metrics").text
        found = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        if found[("memos_http_requests_in_flight", ())] == 1:
            return found
        assert time.monotonic() < deadline, text
        time.sleep(0.01)


def labels(**values: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(values.items()))


def test_requests_searches_memories_and_jobs_are_counted():
    with running_server(worker_in_process=False) as server:
        with httpx.Client(base_url=server.url, headers=server.headers, timeout=120) as http:
            for text in ("one", "two"):
                http.post("/v1/cubes/default/memories", json={"content": text})
            http.post("/v1/cubes/default/memories/batch", json=["three", "four"])
            http.post("/v1/cubes/default/search", json={"text": "one"})
            http.get("/v1/cubes/default/memories/none")
            http.get("/nowhere/at/all")
            http.post("/v1/cubes/default/memories?wait=false", json={"content": "five"})
        server.service.stores.jobs.enqueue(
            NewJob(tenant_id="default", cube_id=None, kind="vector_drop", payload={"cube_id": "x"})
        )
        found = samples(server.url)

        def requests(method: str, route: str, status: str) -> float:
            where = labels(method=method, route=route, status=status)
            return found[("memos_http_requests_total", where)]

        memories = "/v1/cubes/{cube}/memories"
        assert requests("POST", memories, "201") == 2
        assert requests("POST", memories, "202") == 1
        assert requests("POST", f"{memories}/batch", "200") == 1
        assert requests("GET", f"{memories}/{{id}}", "404") == 1
        assert requests("GET", "unmatched", "404") == 1
        latency = ("memos_http_request_seconds_count", labels(method="POST", route=memories))
        assert found[latency] == 3
        assert found[("memos_memories_added_total", ())] == 5
        for part in ("embed", "search", "total"):
            assert found[("memos_search_seconds_count", labels(part=part))] == 1
        assert found[("memos_jobs", labels(kind="index", state="queued"))] == 1
        assert found[("memos_jobs", labels(kind="vector_drop", state="queued"))] == 1
        assert found[("memos_jobs", labels(kind="extract", state="queued"))] == 1
        assert found[("memos_job_queue_depth", ())] == 3


def test_each_kind_of_job_is_measured():
    with running_server() as server:
        with httpx.Client(base_url=server.url, headers=server.headers, timeout=120) as http:
            added = http.post("/v1/cubes/default/memories?wait=false", json={"content": "five"})
            job = added.json()["jobs"][0]
            assert http.get(f"/v1/jobs/{job}", params={"wait": 60}).json()["state"] == "succeeded"
        found = samples(server.url)
        where = labels(kind="index")
        assert found[("memos_job_runs_total", where)] == 1
        assert found[("memos_job_failures_total", where)] == 0
        assert found[("memos_job_deaths_total", where)] == 0
        run = found[("memos_job_run_seconds_total", where)]
        assert run == found[("memos_job_mean_seconds", where)] > 0
        assert found[("memos_job_wait_seconds_total", where)] >= 0
        assert found[("memos_job_oldest_wait_seconds", where)] == 0


def test_two_servers_in_a_process_count_apart():
    with running_server() as one, running_server() as two:
        httpx.get(f"{one.url}/v1/cubes", headers=one.headers)
        where = labels(method="GET", route="/v1/cubes", status="200")
        assert ("memos_http_requests_total", where) in samples(one.url)
        assert ("memos_http_requests_total", where) not in samples(two.url)


def test_a_replayed_add_is_not_counted_again():
    with running_server() as server:
        headers = {**server.headers, "Idempotency-Key": "k"}
        for _ in range(3):
            httpx.post(
                f"{server.url}/v1/cubes/default/memories", json={"content": "x"}, headers=headers
            )
        assert samples(server.url)[("memos_memories_added_total", ())] == 1


def test_ids_never_become_labels():
    with running_server() as server:
        with httpx.Client(base_url=server.url, headers=server.headers, timeout=120) as http:
            for number in range(20):
                http.get(f"/v1/jobs/{number}")
                http.get(f"/random/{number}")
                http.request(f"METHOD{number}", "/health")
        series = [key for key in samples(server.url) if key[0] == "memos_http_requests_total"]
        assert len(series) <= 4
