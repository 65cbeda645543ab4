"""Refusals: each is a problem document that says what was wrong, and leaves nothing behind."""

from __future__ import annotations

import json
import logging
import socket

import httpx
import pytest

from memos import errors
from memos.api.errors import STATUS
from tests.server import running_server

MEMBERS = {"type", "title", "status", "detail", "instance", "code", "request_id"}


def problem(answer: httpx.Response, status: int, code: str) -> dict:
    """The document, after checking what all of them have."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    document = answer.json()
    assert set(document) >= MEMBERS
    assert (document["status"], document["code"]) == (status, code)
    assert document["type"] == f"https://memos.invalid/problems/{code}"
    assert document["instance"] == answer.request.url.path
    assert document["request_id"] == answer.headers["X-Request-Id"]
    return document


def test_every_error_has_a_status_of_its_own():
    assert set(errors.by_code().values()) == set(STATUS)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "content"),
        ({"content": ""}, "content"),
        ({"content": " \n\t"}, "content"),
        ({"content": 5}, "content"),
        ({"content": None}, "content"),
        ({"content": "a\x00b"}, "content"),
        ({"content": "x", "colour": "red"}, "colour"),
        ({"content": "x", "kind": "dream"}, "kind"),
        ({"content": "x", "priority": 2}, "priority"),
        ({"content": "x", "priority": "0.5"}, "priority"),
        ({"content": "x", "priority": True}, "priority"),
        ({"content": "x", "metadata": [1]}, "metadata"),
        ({"content": "x", "metadata": {"a": "\x00"}}, "metadata.a"),
        ({"content": "x", "metadata": {"n": 2**70}}, "metadata.n"),
        ({"content": "x", "user_id": ""}, "user_id"),
        ({"content": "x", "user_id": "u" * 513}, "user_id"),
        ({"content": "x", "occurred_at": "2024-05-01T10:00:00"}, "occurred_at"),
        ({"content": "x", "occurred_at": "2024-05-01"}, "occurred_at"),
        ({"content": "x", "occurred_at": 1714558800}, "occurred_at"),
        ({"content": "x", "occurred_at": "2024-02-30T10:00:00Z"}, "occurred_at"),
        ({"content": "x", "occurred_at": "0000-01-01T00:00:00Z"}, "occurred_at"),
        ({"content": "x", "occurred_at": "0001-01-01T00:00:00+14:00"}, "occurred_at"),
        ({"content": "x", "occurred_at": "9999-12-31T23:59:59-01:00"}, "occurred_at"),
        ({"content": "x", "occurred_at": "10000-01-01T00:00:00Z"}, "occurred_at"),
        ({"content": "x", "occurred_at": "2024-05-01T10:00:00+99:00"}, "occurred_at"),
        ({"content": "x", "expires_at": "soon"}, "expires_at"),
        ({"content": "x", "provenance": {"actor": "someone else"}}, "provenance.actor"),
        ({"memories": []}, "memories"),
        ({"memories": [{"content": "x"}, {"content": ""}]}, "item 1: content"),
        ({"memories": [{"content": "x"}, {}]}, "memories.1.content"),
        ({"memories": [{"content": "x"}], "messages": []}, "messages"),
        ({"messages": [{"content": "x"}]}, "messages.0.role"),
        ([], "body"),
        ("text", "body"),
    ],
)
def test_what_can_not_be_added_is_refused_by_name(http, cube, body, field):
    document = problem(http.post(f"{cube}/memories", json=body), 422, "invalid-input")
    assert document["field"] == field
    assert http.get(f"{cube}/memories").json()["items"] == []


def test_a_naive_time_is_told_to_add_a_zone(http, cube):
    answer = http.post(
        f"{cube}/memories", json={"content": "x", "occurred_at": "2024-05-01T10:00:00"}
    )
    assert "2024-05-01T10:00:00Z" in problem(answer, 422, "invalid-input")["detail"]


def test_all_faults_are_listed(http, cube):
    answer = http.post(f"{cube}/memories", json={"content": 1, "kind": "x", "user_id": 2})
    faults = problem(answer, 422, "invalid-input")["errors"]
    assert {fault["field"] for fault in faults} == {"content", "kind", "user_id"}


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"content": "x",}',
        b'{"content": NaN}',
        b'{"content": "\xff\xfe"}',
        b'{"content": "\xed\xa0\x80"}',
        b'{"content": "\\ud800"}',
        b'{"content": "x", "priority": 1e999}',
        b"[" * 100_000,
        b"\xef\xbb\xbf{}",
    ],
)
def test_what_is_no_json_is_a_400(http, cube, body):
    answer = http.post(
        f"{cube}/memories", content=body, headers={"Content-Type": "application/json"}
    )
    problem(answer, 400, "malformed-request")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
def test_another_media_type_is_a_415(http, cube, kind):
    headers = {} if kind is None else {"Content-Type": kind}
    answer = http.post(f"{cube}/memories", content=b'{"content":"x"}', headers=headers)
    assert "application/json" in problem(answer, 415, "unsupported-media-type")["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {"text": "x", "limit": 0},
        {"text": "x", "limit": 100_000},
        {"text": "x", "limit": "5"},
        {"text": "x", "mmr": 2},
        {"text": "x", "token_budget": 0},
        {"text": "x", "since": "2024-01-01"},
        {"text": "a\x00b"},
        {"text": 5},
        {"text": ""},
        {"text": "x" * 1_000_000},
        {"query": "x"},
    ],
)
def test_a_bad_search_is_refused(http, cube, body):
    problem(http.post(f"{cube}/search", json=body), 422, "invalid-input")


def test_unknown_operators_of_a_filter_are_named(http, cube):
    answer = http.post(f"{cube}/search", json={"text": "x", "filter": {"a": {"like": "b"}}})
    assert "like" in problem(answer, 422, "invalid-filter")["detail"]
    for text in ('{"a": {"like": "b"}}', "{broken", "[]", '"\\ud800"'):
        answer = http.get(f"{cube}/memories", params={"filter": text})
        problem(answer, 422, "invalid-filter")


@pytest.mark.parametrize(
    "text",
    [
        "'; DROP TABLE memory; --",
        '" OR 1=1 --',
        "NEAR(a b, 5) AND NOT c*",
        '"unclosed phrase',
        "content:* ^ () {} [] -- /* */",
        "%_\\",
        "\U0001f600 \u202e",
        "x" * 2_000,
    ],
)
def test_no_query_syntax_reaches_the_stores(http, cube, text):
    http.post(f"{cube}/memories", json={"content": "Ana moved to Lisbon."})
    assert http.post(f"{cube}/search", json={"text": text}).status_code == 200
    assert len(http.get(f"{cube}/memories").json()["items"]) == 1


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/cubes/none", "cube-not-found"),
        ("/v1/cubes/none/memories", "cube-not-found"),
        ("/v1/cubes/%00", "invalid-input"),
        ("/v1/cubes/%ED%A0%80", "cube-not-found"),
        ("/v1/cubes/default/memories/none", "memory-not-found"),
        ("/v1/cubes/default/memories/none/history", "memory-not-found"),
        ("/v1/cubes/default/memories/none/links", "memory-not-found"),
        ("/v1/jobs/none", "job-not-found"),
        ("/v1/nothing", "not-found"),
        ("/v1/cubes/", "not-found"),
    ],
)
def test_what_is_not_there_is_named(http, path, code):
    problem(http.get(path), 422 if code == "invalid-input" else 404, code)


def test_unknown_ids_in_writes_are_named(http, cube, memory):
    problem(http.patch(f"{cube}/memories/no", json={"content": "x"}), 404, "memory-not-found")
    problem(http.delete(f"{cube}/memories/no"), 404, "memory-not-found")
    problem(http.post(f"{memory}/links", json={"target_id": "no"}), 404, "memory-not-found")
    problem(http.delete("/v1/keys/no"), 404, "key-not-found")
    problem(http.post("/v1/jobs/no/retry"), 404, "job-not-found")
    answer = http.post("/v1/keys", json={"name": "k", "cubes": ["no"]})
    problem(answer, 404, "cube-not-found")


@pytest.mark.parametrize("identifier", ["a%00b", "%00"])
def test_nul_in_an_id_is_refused(http, cube, identifier):
    assert http.get(f"{cube}/memories/{identifier}").status_code in (404, 422)
    assert http.get(f"/v1/jobs/{identifier}").status_code in (404, 422)
    assert http.delete(f"/v1/keys/{identifier}").status_code in (404, 422)
    assert http.delete(f"{cube}/links/{identifier}").status_code in (404, 422)


@pytest.mark.parametrize(
    "params",
    [
        {"limit": 0},
        {"limit": 100_000},
        {"limit": "many"},
        {"limt": 5},
        {"kinds": "dream"},
        {"states": "asleep"},
        {"user_id": "\x00"},
    ],
)
def test_bad_query_parameters_are_refused(http, cube, params):
    problem(http.get(f"{cube}/memories", params=params), 422, "invalid-input")


@pytest.mark.parametrize("cursor", ["x", "%%%", "e30", "\x00", "a" * 5000])
def test_a_cursor_that_was_not_given_is_refused(http, cube, cursor):
    for path in (f"{cube}/memories", "/v1/cubes", "/v1/jobs"):
        problem(http.get(path, params={"cursor": cursor}), 422, "invalid-cursor")


def test_a_cursor_of_another_list_is_refused(http, cube):
    http.post(f"{cube}/memories", json={"memories": [{"content": str(n)} for n in range(3)]})
    cursor = http.get(f"{cube}/memories", params={"limit": 1}).json()["next_cursor"]
    answer = http.get(f"{cube}/memories", params={"cursor": cursor, "user_id": "ana"})
    problem(answer, 422, "invalid-cursor")


@pytest.mark.parametrize("value", ["3", '"x"', 'W/"1"', '"-1"', '"0"', '"1", "2"', ""])
def test_an_if_match_that_is_no_version_is_refused(http, memory, value):
    answer = http.patch(memory, json={"content": "x"}, headers={"If-Match": value})
    assert problem(answer, 422, "invalid-input")["field"] == "If-Match"


def test_an_empty_change_is_refused(http, memory):
    problem(http.patch(memory, json={}), 422, "invalid-input")


def test_a_taken_name_is_a_conflict(http):
    http.post("/v1/cubes", json={"name": "taken"})
    problem(http.post("/v1/cubes", json={"name": "taken"}), 409, "already-exists")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/v1/cubes", "GET, POST"),
        ("PATCH", "/v1/cubes/default", "DELETE, GET"),
        ("DELETE", "/v1/cubes/default/search", "POST"),
        ("DELETE", "/v1/cubes/default/entities/Ana", "GET"),
        ("DELETE", "/v1/cubes/default/entities/Ana/merge", "POST"),
        ("POST", "/v1/cubes/default/entities/AC%2FDC/timeline", "GET"),
        ("POST", "/health", "GET"),
        ("TRACE", "/v1/keys", "GET, POST"),
    ],
)
def test_a_method_that_is_not_there_names_those_that_are(http, method, path, allow):
    answer = http.request(method, path)
    assert problem(answer, 405, "method-not-allowed")
    assert answer.headers["Allow"] == allow


def test_too_many_memories_at_once_are_refused(http, cube, server):
    count = server.service.settings.max_batch + 1
    answer = http.post(f"{cube}/memories", json={"memories": [{"content": "x"}] * count})
    problem(answer, 413, "batch-too-large")


def test_a_text_that_is_too_long_is_refused(http, cube, server):
    text = "x" * (server.service.settings.max_content_chars + 1)
    problem(http.post(f"{cube}/memories", json={"content": text}), 413, "payload-too-large")


def test_a_body_of_10_mb_is_refused_whether_announced_or_not(http, cube):
    body = json.dumps({"content": "x" * 10_000_000}).encode()
    headers = {"Content-Type": "application/json"}
    announced = http.post(f"{cube}/memories", content=body, headers=headers)
    assert "MEMOS_MAX_BODY_BYTES" in problem(announced, 413, "payload-too-large")["detail"]

    def chunks():
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    streamed = http.post(f"{cube}/memories", content=chunks(), headers=headers)
    assert "MEMOS_MAX_BODY_BYTES" in problem(streamed, 413, "payload-too-large")["detail"]
    assert http.get("/health").status_code == 200


def test_an_endless_announcement_is_refused_before_it_is_sent(server):
    """`Expect: 100-continue`: the refusal comes instead of the go-ahead."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as line:
        line.sendall(
            f"POST /v1/cubes HTTP/1.1\r\nHost: {host}\r\nContent-Length: 10000000000\r\n"
            f"Authorization: Bearer {server.secret}\r\nContent-Type: application/json\r\n"
            "Expect: 100-continue\r\n\r\n".encode()
        )
        assert line.recv(4096).startswith(b"HTTP/1.1 413")


def test_silence_in_the_middle_of_a_body_is_cut_off(monkeypatch):
    monkeypatch.setattr("memos.api.app.BODY_SECONDS", 0.3)
    with running_server() as server:
        host, _, port = server.url.removeprefix("http://").partition(":")
        # Less than the time that is allowed without the patch, and far more than that with it.
        with socket.create_connection((host, int(port)), timeout=25) as line:
            line.sendall(
                f"POST /v1/cubes HTTP/1.1\r\nHost: {host}\r\nContent-Length: 20\r\n"
                f"Authorization: Bearer {server.secret}\r\nContent-Type: application/json\r\n"
                '\r\n{"name":'.encode()
            )
            assert line.recv(65_536).startswith(b"HTTP/1.1 408")


def test_what_nobody_foresaw_shows_nothing_of_the_inside(server, http, monkeypatch, caplog):
    def broken(*args, **kwargs):
        raise ZeroDivisionError("the secret plan")

    monkeypatch.setattr(server.service.stores.cubes, "page", broken, raising=True)
    with caplog.at_level(logging.ERROR, logger="memos.api"):
        answer = http.get("/v1/cubes")
    document = problem(answer, 500, "error")
    assert "secret plan" not in answer.text
    assert "ZeroDivision" not in answer.text
    assert document["request_id"] in caplog.text
    assert "the secret plan" in caplog.text


def test_a_path_can_not_write_lines_into_the_log(server, http, monkeypatch, caplog):
    def broken(*args, **kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr(server.service.stores.cubes, "get", broken, raising=True)
    with caplog.at_level(logging.ERROR, logger="memos.api"):
        http.get("/v1/cubes/a%0A2024-01-01%20ERROR%20forged%1B%5B2J")
    [record] = [record for record in caplog.records if record.name == "memos.api"]
    assert "%0A2024-01-01%20ERROR%20forged%1B%5B2J" in record.getMessage()
    assert record.getMessage().isprintable()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.StorageUnavailable("locked"), 503),
        (errors.StorageFull("disk full"), 507),
        (errors.StorageCorrupt("bad page"), 500),
        (errors.EmbeddingModelChanged("other model"), 409),
        (errors.ModelCorrupt("bad file"), 500),
    ],
)
def test_trouble_in_the_stores_is_told_as_what_it_is(server, http, monkeypatch, error, status):
    def broken(*args, **kwargs):
        raise error

    monkeypatch.setattr(server.service.stores.cubes, "page", broken)
    answer = http.get("/v1/cubes")
    problem(answer, status, error.code)
    assert ("Retry-After" in answer.headers) is (status == 503)
