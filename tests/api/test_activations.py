"""Activation memory over the wire, on a tiny model: statuses, streams, repetitions, refusals."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from memos.kvcache.grouping.group import Group
from memos.types import Role
from tests.api.test_problems import problem
from tests.server import Running

TEXT = "Ana likes green tea and long walks by the river, and the smell of rain in the old town."


@pytest.fixture
def http(server: Running) -> Iterator[httpx.Client]:
    """Signed in as admin, and patient: the first use loads torch and the model."""
    with httpx.Client(base_url=server.url, headers=server.headers, timeout=120) as client:
        yield client


@pytest.fixture
def made(http: httpx.Client, cube: str) -> str:
    """The path of an activation memory."""
    answer = http.post(f"{cube}/activations", json={"text": TEXT, "name": "tea"})
    assert answer.status_code == 201, answer.text
    return f"{cube}/activations/{answer.json()['id']}"


def test_from_compile_to_drop(http, cube, made):
    seen = http.get(made).json()
    assert (seen["text"], seen["state"], seen["name"]) == (TEXT, "activated", "tea")
    body = {"prompt": "Tea?", "activation": seen["id"], "max_new_tokens": 4}
    answer = http.post(f"{cube}/generate", json=body).json()
    assert (answer["states"], answer["reused_tokens"]) == ("loaded", seen["tokens"])
    assert http.post(f"{made}/pin").json()["pinned"] is True
    assert http.post(f"{made}/unpin").json()["pinned"] is False
    assert http.post(f"{made}/warm").json()["hits"] == 1
    [listed] = http.get(f"{cube}/activations").json()["items"]
    assert (listed["id"], listed["text"]) == (seen["id"], None)
    stats = http.get(f"{cube}/activation-stats").json()
    assert (stats["activations"], stats["hits"], stats["by_state"]) == (1, 1, {"activated": 1})
    metrics = http.get("/metrics").text
    for name in ("blocks", "bytes", "hits", "misses", "recomputed", "quarantined_files"):
        assert f"\nmemos_kv_{name} " in metrics
    assert http.delete(made).status_code == 204
    assert problem(http.get(made), 404, "activation-not-found")


def test_an_answer_comes_in_pieces(http, cube, made):
    body = {"prompt": "Tea?", "activation": made.rpartition("/")[2], "max_new_tokens": 12}
    whole = http.post(f"{cube}/generate", json=body).json()
    with http.stream("POST", f"{cube}/generate/stream", json=body) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("application/x-ndjson")
        lines = [json.loads(line) for line in answer.iter_lines()]
    assert "".join(line["text"] for line in lines) == whole["text"]
    assert [bool(line.get("done")) for line in lines] == [False] * (len(lines) - 1) + [True]
    assert lines[-1]["done"]["reused_tokens"] == whole["reused_tokens"]


def test_several_are_asked_at_once_and_joined(http, cube, made):
    first = made.rpartition("/")[2]
    body = {"prompts": ["Tea?", "Rain?"], "activation": first, "max_new_tokens": 4}
    answers = http.post(f"{cube}/generate/batch", json=body).json()
    assert [one["states"] for one in answers["items"]] == ["loaded", "loaded"]
    assert answers["computed_tokens"] < answers["prompt_tokens"]
    nobody = http.post(f"{cube}/generate/batch", json={**body, "prompts": []})
    assert problem(nobody, 422, "invalid-input")
    other = http.post(f"{cube}/activations", json={"text": TEXT[20:]}).json()["id"]
    ask = {"prompt": "Tea?", "activations": [first, other], "max_new_tokens": 4}
    answer = http.post(f"{cube}/generate/joined", json=ask).json()
    assert answer["joined"] is False
    assert "never measured" in answer["reason"]
    assert problem(http.get(f"{cube}/joining"), 404, "not-found")
    wanted = {"questions": ["Tea?"], "activations": [first, other], "ratios": [0.999]}
    report = http.post(f"{cube}/joining", json={**wanted, "selection": "first"}).json()
    assert http.get(f"{cube}/joining").json() == report
    assert report["ratio"] == 0.999
    assert http.post(f"{cube}/generate/joined", json=ask).json()["joined"] is True
    metrics = http.get("/metrics").text
    for name in ("computed_tokens", "shared_tokens", "joined", "not_joined"):
        assert f"\nmemos_kv_{name} " in metrics


def test_requests_at_once_go_on_together_but_not_with_another_tenants(
    http, cube, made, server, monkeypatch
):
    ask = {"activation": made.rpartition("/")[2], "max_new_tokens": 24}
    bodies = [{**ask, "prompt": prompt} for prompt in ("Tea?", "Rain?", "Which walks?")]
    alone = [http.post(f"{cube}/generate", json=body).json()["text"] for body in bodies]
    stranger = server.key(tenant="stranger")
    url = "/v1/cubes/default/generate"
    other = {"prompt": "Tea?", "max_new_tokens": 24}
    assert http.post(url, json=other, headers=stranger).status_code == 200
    before, step = server.service.metrics_snapshot(), Group.step

    def held(group: Group) -> int:
        while not come and server.service.metrics_snapshot()["kv_answering"] < 4:
            time.sleep(0.005)
        come.add(True)
        return step(group)

    come: set[bool] = set()
    monkeypatch.setattr(Group, "step", held)
    with ThreadPoolExecutor(4) as pool:
        strange = pool.submit(http.post, url, json=other, headers=stranger)
        answers = list(pool.map(lambda body: http.post(f"{cube}/generate", json=body), bodies))
    assert [answer.json()["text"] for answer in answers] == alone
    assert {answer.json()["states"] for answer in answers} == {"loaded"}
    assert strange.result().status_code == 200
    after = server.service.metrics_snapshot()
    assert after["kv_grouped"] - before["kv_grouped"] == 3
    assert "\nmemos_kv_grouped " in http.get("/metrics").text


def test_a_client_that_goes_away_frees_its_place(http, cube, server, monkeypatch):
    body = {"prompt": "Walks?", "max_new_tokens": 3500}
    before, step = server.service.metrics_snapshot().get("kv_pass_rows", 0.0), Group.step
    steps, gone = itertools.count(), threading.Event()

    def slowly(group: Group) -> int:
        """The answer does not come to its end before the client has left, nor much sooner than the
        server can notice that."""
        if next(steps) > 200:
            gone.wait(60)
            time.sleep(0.05)
        return step(group)

    monkeypatch.setattr(Group, "step", slowly)
    with http.stream("POST", f"{cube}/generate/stream", json=body) as answer:
        assert next(answer.iter_lines())
    gone.set()
    end = time.monotonic() + 100
    while (numbers := server.service.metrics_snapshot())["kv_answering"]:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert numbers["kv_pass_rows"] - before < 1000  # by itself it ends after 2124


def test_what_is_wrong_is_told_before_the_stream_begins(http, cube):
    body = {"prompt": "Tea?", "activation": "nobody"}
    answer = http.post(f"{cube}/generate/stream", json=body)
    assert problem(answer, 404, "activation-not-found")


def test_a_conversation_can_be_sent(http, cube):
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Tea?"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "Sure?"},
    ]
    answer = http.post(f"{cube}/generate", json={"prompt": turns, "max_new_tokens": 2})
    assert answer.json()["new_tokens"] <= 2
    bad = http.post(f"{cube}/generate", json={"prompt": [{"role": "king", "content": "x"}]})
    assert problem(bad, 422, "invalid-input")


def test_a_stale_one_is_refused_with_its_reason(http, cube, memory):
    id = memory.rpartition("/")[2]
    made = http.post(f"{cube}/activations", json={"memories": [id]}).json()
    http.patch(memory, json={"content": "Ana moved to Porto."})
    body = {"prompt": "Where?", "activation": made["id"], "max_new_tokens": 2}
    refused = problem(http.post(f"{cube}/generate", json=body), 409, "state-conflict")
    assert id in refused["reason"]
    again = http.post(f"{cube}/generate", json={**body, "refresh": True})
    assert again.json()["activation"] == made["id"]
    assert "Porto" in http.get(f"{cube}/activations/{made['id']}").json()["text"]


def test_a_repetition_compiles_once(http, cube):
    headers = {"Idempotency-Key": f"once {cube}"}
    first = http.post(f"{cube}/activations", json={"text": TEXT}, headers=headers)
    second = http.post(f"{cube}/activations", json={"text": TEXT}, headers=headers)
    assert second.headers["Idempotency-Replayed"] == "true"
    assert second.json() == first.json()
    assert len(http.get(f"{cube}/activations").json()["items"]) == 1


def test_a_job_compiles_without_wait(http, cube):
    answer = http.post(f"{cube}/activations?wait=false", json={"text": TEXT})
    assert answer.status_code == 202
    assert answer.json()["state"] == "generated"
    job = http.get(f"/v1/jobs/{answer.json()['job_id']}", params={"wait": 60}).json()
    assert job["state"] == "succeeded"
    done = http.get(f"{cube}/activations/{answer.json()['id']}").json()
    assert done["state"] == "activated"


@pytest.mark.parametrize(
    ("body", "status", "code", "word"),
    [
        ({}, 422, "invalid-input", "nothing to compile"),
        ({"memories": ["nobody"]}, 404, "memory-not-found", "nobody"),
        ({"kind": "vault"}, 422, "invalid-input", "no memory"),
        ({"text": "x", "codec": "zip"}, 422, "invalid-input", "zip"),
        ({"text": "x", "policy": "h2o"}, 422, "invalid-input", "h2o"),
        ({"text": "x", "policy": "finch:0.5"}, 422, "invalid-input", "guide"),
        ({"text": "x", "policy": "magic:0.5"}, 422, "invalid-input", "magic"),
        ({"text": "x" * 5000}, 422, "invalid-input", "4096"),
        ({"text": "x", "memories": "all"}, 422, "invalid-input", "memories"),
    ],
)
def test_what_can_not_be_compiled(http, cube, body, status, code, word):
    refused = problem(http.post(f"{cube}/activations", json=body), status, code)
    assert word in refused["detail"]


def test_one_of_another_cube_is_not_there(http, made):
    assert http.post("/v1/cubes", json={"name": "elsewhere"}).status_code in (201, 409)
    id = made.rpartition("/")[2]
    away = http.get(f"/v1/cubes/elsewhere/activations/{id}")
    assert problem(away, 404, "activation-not-found")
    body = {"prompt": "x", "activation": id}
    answer = http.post("/v1/cubes/elsewhere/generate", json=body)
    assert problem(answer, 404, "activation-not-found")


def test_the_salt_of_a_tenant_never_leaves(server: Running, http, cube, made):
    salt = server.service.stores.artifacts.salt("default")
    answers = http.get(made).text + http.get(f"{cube}/activations").text + http.get("/metrics").text
    assert salt.hex() not in answers
    root = server.service.stores.artifacts.get(
        http.get(cube).json()["cube"]["id"], made.rpartition("/")[2]
    ).root
    assert str(root) not in answers


def test_readers_may_ask_and_not_compile(server: Running, cube, made):
    headers = server.key(role=Role.READER)
    body = {"prompt": "x", "activation": made.rpartition("/")[2], "max_new_tokens": 1}
    with httpx.Client(base_url=server.url, headers=headers, timeout=120) as reader:
        assert reader.post(f"{cube}/generate", json=body).status_code == 200
        assert reader.post(f"{cube}/activations", json={"text": "x"}).status_code == 403
        wanted = {"questions": ["x"], "activations": ["a", "b"]}
        assert reader.post(f"{cube}/joining", json=wanted).status_code == 403
