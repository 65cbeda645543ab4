"""The same service on PostgreSQL, which is stricter than SQLite about what a text may hold."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.postgres import postgres_server, postgres_url  # noqa: F401  fixtures
from tests.server import Running, running_server


@pytest.fixture
def on_postgres(postgres_url: str) -> Iterator[Running]:  # noqa: F811
    with running_server(database_url=postgres_url, vector_index="none") as running:
        yield running


def test_the_way_through_and_no_text_breaks_it(on_postgres):
    with httpx.Client(base_url=on_postgres.url, headers=on_postgres.headers, timeout=120) as http:
        cube = "/v1/cubes/default"
        added = http.post(f"{cube}/memories", json={"content": "Ana moved to Lisbon."})
        memory = f"{cube}/memories/{added.json()['memories'][0]['id']}"
        hits = http.post(f"{cube}/search", json={"text": "Lisbon'; DROP TABLE memory; --"})
        assert len(hits.json()["hits"]) == 1
        headers = {"Idempotency-Key": "k", "If-Match": '"1"'}
        for _ in "12":
            changed = http.patch(memory, json={"place": "Porto"}, headers=headers)
            assert changed.headers["ETag"] == '"2"'
        for path in (
            "/v1/cubes/a%00b",
            f"{cube}/memories/a%00b",
            f"{cube}/memories/a%00b/history",
            f"{cube}/memories/a%00b/links",
            f"{cube}/memories?user_id=%00",
            "/v1/jobs/a%00b",
            "/v1/jobs?cube=%00",
            "/v1/cubes?cursor=%00",
        ):
            assert http.get(path).status_code in (404, 422), path
        for path in (f"{cube}/links/a%00b", "/v1/keys/a%00b", f"{cube}/memories/a%00b"):
            assert http.delete(path).status_code in (404, 422), path
        link = {"target_id": "\x00", "relation": "x"}
        assert http.post(f"{memory}/links", json=link).status_code in (404, 422)
        for body in ({"name": "\x00"}, {"name": "k", "cubes": ["\x00"]}):
            assert http.post("/v1/keys", json=body).status_code in (404, 422)
        assert http.delete(f"{memory}?reason=%00").status_code == 422


def test_duplicates_at_the_same_time_have_one_effect(on_postgres):
    def add(_: int) -> httpx.Response:
        return httpx.post(
            f"{on_postgres.url}/v1/cubes/default/memories",
            json={"content": "x"},
            headers={**on_postgres.headers, "Idempotency-Key": "same"},
        )

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(add, range(8)))
    assert {a.status_code for a in answers} == {201}
    assert len({a.content for a in answers}) == 1
