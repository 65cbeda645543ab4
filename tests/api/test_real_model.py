"""One way through with the default model: what is added over HTTP is found by its meaning."""

from __future__ import annotations

import json

import httpx

from memos import assembly, config
from memos.types import SearchResult
from memos.wire import from_json
from tests.server import running_server

SAID = [
    "I adopted a kitten from the shelter last week.",
    "My car broke down on the motorway.",
    "We had pasta with mushrooms for dinner.",
    "The quarterly report is due on Friday.",
    "She practises the violin every morning.",
]


def test_search_by_meaning_over_http(data_dir):
    settings = config.load(embedding_backend="torch", offline=True)
    with (
        running_server(embedder=assembly.make_embedder(settings), data_dir=data_dir) as server,
        httpx.Client(base_url=server.url, headers=server.headers, timeout=60) as http,
    ):
        cube = "/v1/cubes/default"
        lines = "\n".join(json.dumps({"role": "user", "content": text}) for text in SAID)
        sent = http.post(
            f"{cube}/memories/batch",
            content=lines,
            headers={"Content-Type": "application/x-ndjson"},
        )
        assert json.loads(sent.text.splitlines()[-1]) == {"done": 5, "complete": True}
        for question, answer in [
            ("Does the user have a pet?", SAID[0]),
            ("trouble with a vehicle", SAID[1]),
            ("Which instrument does she play?", SAID[4]),
        ]:
            found = http.post(f"{cube}/search", json={"text": question, "limit": 1})
            result = from_json(found.content, SearchResult)
            assert result.hits[0].memory.content == answer
        described = http.get(cube).json()["cube"]["embedding"]
        assert described["id"].endswith("all-MiniLM-L6-v2")
        assert described["dimensions"] == 384
