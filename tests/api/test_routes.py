"""What each route does when all is well, over real HTTP."""

from __future__ import annotations

import json
import time

import httpx
import pytest

from memos.types import Added, CubeDescription, Memory, SearchResult
from memos.wire import from_json


def test_health_ready_and_metrics_need_no_key(server):
    assert httpx.get(f"{server.url}/health").json()["status"] == "ok"
    assert httpx.get(f"{server.url}/ready").json()["status"] == "ready"
    assert "memos_job_queue_depth" in httpx.get(f"{server.url}/metrics").text


def test_a_cube_is_made_listed_described_and_deleted(http):
    made = http.post("/v1/cubes", json={"name": "life", "metadata": {"a": 1}})
    assert made.status_code == 201
    assert made.json()["metadata"] == {"a": 1}
    assert "life" in [c["name"] for c in http.get("/v1/cubes").json()["items"]]
    described = from_json(http.get("/v1/cubes/life").content, CubeDescription)
    assert described.cube.id == made.json()["id"]
    assert described.memories == 0
    gone = http.delete("/v1/cubes/life")
    assert (gone.status_code, gone.content) == (204, b"")
    assert http.get("/v1/cubes/life").status_code == 404


def test_cubes_are_paged(http):
    for number in range(5):
        http.post("/v1/cubes", json={"name": f"paged-{number}"})
    names, cursor = [], None
    while True:
        page = http.get("/v1/cubes", params={"limit": 2, **({"cursor": cursor} if cursor else {})})
        names += [c["name"] for c in page.json()["items"]]
        cursor = page.json()["next_cursor"]
        if cursor is None:
            break
    assert len(names) == len(set(names))
    assert {f"paged-{n}" for n in range(5)} <= set(names)


def test_one_memory_is_added_whole(http, cube):
    sent = {
        "content": "Ana moved to Lisbon.",
        "kind": "semantic",
        "user_id": "u",
        "agent_id": "a",
        "session_id": "s",
        "speaker": "Ana",
        "occurred_at": "2024-05-01T20:30:00+02:00",
        "place": "Porto",
        "images": [{"url": "http://x/y.png", "caption": "a yellow tram"}],
        "metadata": {"topic": "home", "deep": {"n": [1, 2.5, None, True]}},
        "priority": 0.9,
        "expires_at": "2999-01-01T00:00:00Z",
        "provenance": {"source": "import", "external_id": "42", "parents": []},
    }
    answer = http.post(f"{cube}/memories", json=sent)
    assert answer.status_code == 201
    memory = from_json(answer.content, Added).memories[0]
    got = http.get(f"{cube}/memories/{memory.id}").json()
    assert got["occurred_at"] == "2024-05-01T18:30:00Z"
    assert got["provenance"].pop("actor").startswith("key:")
    assert {name: got[name] for name in sent} == {**sent, "occurred_at": got["occurred_at"]}


def test_several_memories_take_over_defaults(http, cube):
    answer = http.post(
        f"{cube}/memories",
        json={
            "session_id": "s1",
            "metadata": {"from": "test"},
            "memories": [{"content": "one"}, {"content": "two", "session_id": "s2"}],
        },
    )
    one, two = answer.json()["memories"]
    assert (one["session_id"], two["session_id"]) == ("s1", "s2")
    assert one["metadata"] == two["metadata"] == {"from": "test"}


def test_a_conversation_is_added_turn_by_turn(http, cube):
    answer = http.post(
        f"{cube}/memories",
        json={
            "user_id": "ana",
            "messages": [
                {
                    "role": "user",
                    "speaker": "Ana",
                    "content": "I moved.",
                    "at": "2024-05-01T00:00Z",
                },
                {"role": "assistant", "content": "Where to?"},
            ],
        },
    )
    first, second = answer.json()["memories"]
    assert (first["speaker"], second["speaker"]) == ("Ana", "assistant")
    assert first["occurred_at"] == "2024-05-01T00:00:00Z"
    assert first["user_id"] == second["user_id"] == "ana"


def test_without_waiting_a_job_makes_it_searchable(http, cube):
    answer = http.post(f"{cube}/memories?wait=false", json={"content": "Ana plays the cello."})
    assert answer.status_code == 202
    (job_id,) = answer.json()["jobs"]
    job = http.get(f"/v1/jobs/{job_id}", params={"wait": 60}).json()
    assert (job["state"], job["kind"], job["progress"]) == ("succeeded", "index", 1.0)
    listed = http.get("/v1/jobs", params={"cube": cube.rpartition("/")[2], "state": "succeeded"})
    assert job_id in [j["id"] for j in listed.json()["items"]]
    assert http.post(f"/v1/jobs/{job_id}/retry").status_code == 409


def test_memories_are_listed_by_page_scope_kind_and_filter(http, cube):
    http.post(
        f"{cube}/memories",
        json={
            "memories": [
                {
                    "content": f"memory {n}",
                    "user_id": "even" if n % 2 == 0 else "odd",
                    "kind": "core" if n == 3 else "episodic",
                    "metadata": {"n": n},
                }
                for n in range(7)
            ]
        },
    )
    seen, cursor = [], None
    while True:
        params = {"limit": 3, **({"cursor": cursor} if cursor else {})}
        page = http.get(f"{cube}/memories", params=params).json()
        seen += [m["metadata"]["n"] for m in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == list(range(7))

    def numbers(**params):
        found = http.get(f"{cube}/memories", params=params).json()["items"]
        return [m["metadata"]["n"] for m in found]

    assert numbers(user_id="odd") == [1, 3, 5]
    assert numbers(kinds=["core", "semantic"]) == [3]
    assert numbers(filter=json.dumps({"n": {"gte": 5}})) == [5, 6]


def test_search_finds_with_scores_and_reasons(http, cube):
    http.post(
        f"{cube}/memories",
        json={"memories": [{"content": "Ana plays the cello."}, {"content": "Rain all day."}]},
    )
    answer = http.post(f"{cube}/search", json={"text": "cello", "limit": 1, "explain": True})
    assert answer.status_code == 200
    result = from_json(answer.content, SearchResult)
    assert result.hits[0].memory.content == "Ana plays the cello."
    assert result.hits[0].breakdown
    assert result.hits[0].why
    assert set(result.timings_ms) >= {"embed", "search", "total"}


def test_a_version_guards_a_change(http, memory):
    first = http.get(memory)
    assert first.headers["ETag"] == '"1"'
    changed = http.patch(
        memory, json={"content": "Ana moved to Porto."}, headers={"If-Match": '"1"'}
    )
    assert changed.status_code == 200
    assert changed.headers["ETag"] == '"2"'
    stale = http.patch(memory, json={"content": "Ana stayed."}, headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    assert (stale.json()["expected"], stale.json()["actual"]) == (1, 2)
    assert http.get(memory).json()["content"] == "Ana moved to Porto."
    assert http.delete(memory, headers={"If-Match": '"1"'}).status_code == 412
    assert http.delete(memory, headers={"If-Match": "*"}).status_code == 200


def test_null_empties_a_field_and_what_is_left_out_stays(http, memory):
    http.patch(memory, json={"place": "Porto", "speaker": "Ana"})
    changed = http.patch(memory, json={"place": None, "reason": "wrong"}).json()
    assert (changed["place"], changed["speaker"]) == (None, "Ana")
    assert http.get(f"{memory}/history").json()[-1]["reason"] == "wrong"


@pytest.mark.parametrize("field", ["content", "kind", "metadata", "priority", "images"])
def test_null_is_refused_where_it_means_nothing(http, memory, field):
    answer = http.patch(memory, json={field: None})
    assert answer.status_code == 422
    assert answer.json()["field"] == field


def test_forgotten_memories_come_back_and_erased_ones_do_not(http, cube, memory):
    assert http.delete(memory, params={"reason": "asked"}).json()["state"] == "archived"
    assert http.get(f"{cube}/memories").json()["items"] == []
    assert len(http.get(f"{cube}/memories", params={"states": "archived"}).json()["items"]) == 1
    assert http.post(f"{memory}/restore", json={"reason": "mistake"}).json()["state"] == "activated"
    assert http.post(f"{memory}/restore").status_code == 409
    erased = from_json(http.delete(memory, params={"erase": "true"}).content, Memory)
    assert (erased.state.value, erased.content) == ("erased", "")
    assert http.get(memory).status_code == 404
    operations = [v["operation"] for v in http.get(f"{memory}/history").json()]
    assert operations[-1] == "erase"
    assert "Lisbon" not in http.get(f"{memory}/history").text


def test_links_are_made_listed_and_removed(http, cube, memory):
    other = http.post(f"{cube}/memories", json={"content": "Lisbon has trams."}).json()
    body = {"target_id": other["memories"][0]["id"], "relation": "explains", "reason": "place"}
    made = http.post(f"{memory}/links", json=body)
    assert made.status_code == 201
    assert http.post(f"{memory}/links", json=body).json() == made.json()
    assert http.get(f"{memory}/links").json() == [made.json()]
    assert http.delete(f"{cube}/links/{made.json()['id']}").status_code == 204
    assert http.get(f"{memory}/links").json() == []


def test_reindex_is_a_job(http, cube, memory):
    answer = http.post(f"{cube}/reindex", json={"embed": True})
    assert answer.status_code == 202
    job = http.get(f"/v1/jobs/{answer.json()['id']}", params={"wait": 60}).json()
    assert job["state"] == "succeeded"
    hits = http.post(f"{cube}/search", json={"text": "Lisbon"}).json()["hits"]
    assert [hit["memory"]["id"] for hit in hits] == [memory.rpartition("/")[2]]


def test_keys_are_issued_listed_and_revoked(http, server):
    issued = http.post("/v1/keys", json={"name": "agent", "role": "reader"})
    assert issued.status_code == 201
    assert issued.headers["Cache-Control"] == "no-store"
    secret = issued.json()["secret"]
    assert secret not in http.get("/v1/keys").text
    with httpx.Client(base_url=server.url, headers={"X-API-Key": secret}, timeout=120) as agent:
        assert agent.get("/v1/cubes").status_code == 200
        revoked = http.delete(f"/v1/keys/{issued.json()['key']['id']}").json()
        assert revoked["revoked_at"]
        assert agent.get("/v1/cubes").status_code == 401


def test_waiting_for_a_job_takes_no_longer_than_asked(server, http):
    service = server.service
    from memos.types import NewJob

    job_id = service.stores.jobs.enqueue(
        NewJob(tenant_id="default", cube_id=None, kind="nobody-does-this")
    )
    began = time.monotonic()
    # The client is more patient than the longest wait, which is the time that this must not take.
    job = http.get(f"/v1/jobs/{job_id}", params={"wait": 0.5}).json()
    assert job["state"] == "queued"
    assert 0.4 < time.monotonic() - began < 40


def test_request_ids_are_echoed_or_made(http):
    assert http.get("/health", headers={"X-Request-Id": "mine"}).headers["X-Request-Id"] == "mine"
    made = {http.get("/health").headers["X-Request-Id"] for _ in range(2)}
    assert len(made) == 2
    bad = http.get("/health", headers={"X-Request-Id": "two words"})
    assert bad.headers["X-Request-Id"] != "two words"
    problem = http.get("/v1/jobs/none", headers={"X-Request-Id": "mine"})
    assert problem.json()["request_id"] == "mine"


def test_a_cube_goes_out_as_a_file_and_comes_in_again(http, cube, server, tmp_path):
    http.post(f"{cube}/memories", json={"content": "A blue door."})
    answer = http.get(f"{cube}/dump")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/gzip"
    summary = json.loads(answer.headers["memos-dump"])
    assert summary["bytes"] == len(answer.content) == int(answer.headers["content-length"])
    send = {"params": {"name": "came-back"}, "headers": {"Content-Type": "application/gzip"}}
    made = http.post("/v1/dumps", content=answer.content, **send)
    assert made.status_code == 201
    assert made.json()["rows"] == summary["rows"]
    assert http.get("/v1/cubes/came-back/memories").json()["items"][0]["content"] == "A blue door."
    assert http.post("/v1/dumps", content=answer.content, **send).status_code == 409
    broken = http.post("/v1/dumps", content=b"x", **send)
    assert (broken.status_code, broken.json()["code"]) == (422, "invalid-dump")
    assert http.post("/v1/dumps", json={}).status_code == 415
    most = server.service.settings.dump_bytes
    object.__setattr__(server.service.settings, "dump_bytes", 1024)
    try:
        large = http.post("/v1/dumps", content=iter([b"x" * 1000] * 2), **send)
    finally:
        object.__setattr__(server.service.settings, "dump_bytes", most)
    assert large.status_code == 413
