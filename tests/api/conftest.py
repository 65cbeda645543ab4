"""One server for the tests that don't change its settings."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.server import Running, running_server


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running_server() as running:
        yield running


@pytest.fixture
def http(server: Running) -> Iterator[httpx.Client]:
    """Signed in as admin."""
    with httpx.Client(base_url=server.url, headers=server.headers, timeout=120) as client:
        yield client


@pytest.fixture
def cube(http: httpx.Client, request: pytest.FixtureRequest) -> str:
    """The path of a fresh cube, named for the test."""
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)[:100]
    assert http.post("/v1/cubes", json={"name": name}).status_code == 201
    return f"/v1/cubes/{name}"


@pytest.fixture
def memory(http: httpx.Client, cube: str) -> str:
    """The path of a fresh memory."""
    answer = http.post(f"{cube}/memories", json={"content": "Ana moved to Lisbon."})
    return f"{cube}/memories/{answer.json()['memories'][0]['id']}"
