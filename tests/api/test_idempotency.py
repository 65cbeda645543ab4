"""The same Idempotency-Key: one effect, one answer."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.api.erased import files_that_hold


def key(name: str) -> dict[str, str]:
    return {"Idempotency-Key": name}


def same(first: httpx.Response, again: httpx.Response) -> None:
    assert again.status_code == first.status_code
    assert again.content == first.content
    assert again.headers.get("ETag") == first.headers.get("ETag")
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"


def test_an_add_is_done_once(http, cube):
    body = {"content": "Ana moved to Lisbon."}
    first, again = (http.post(f"{cube}/memories", json=body, headers=key("add")) for _ in "12")
    same(first, again)
    assert len(http.get(f"{cube}/memories").json()["items"]) == 1


def test_a_change_is_done_once(http, memory):
    first, again = (
        http.patch(memory, json={"content": "Porto"}, headers=key(f"u{memory}")) for _ in "12"
    )
    same(first, again)
    assert http.get(memory).json()["version"] == 2


def test_each_other_write_is_done_once(http, cube, memory):
    other = http.post(f"{cube}/memories", json={"content": "two"}).json()["memories"][0]["id"]
    link = http.post(f"{memory}/links", json={"target_id": other}).json()["id"]
    job = http.post(f"{cube}/reindex", json={}).json()["id"]
    http.get(f"/v1/jobs/{job}", params={"wait": 60})
    key_id = http.post("/v1/keys", json={"name": "old"}).json()["key"]["id"]
    name = cube.rpartition("/")[2]
    for number, (method, path, body) in enumerate(
        [
            ("POST", "/v1/cubes", {"name": f"{name}-2"}),
            ("POST", f"{memory}/links", {"target_id": other, "relation": "again"}),
            ("DELETE", f"{cube}/links/{link}", None),
            ("DELETE", memory, None),
            ("POST", f"{memory}/restore", {}),
            ("DELETE", f"{memory}?erase=true", None),
            ("POST", f"{cube}/reindex", {}),
            ("DELETE", f"/v1/keys/{key_id}", None),
            ("DELETE", cube, None),
        ]
    ):
        headers = key(f"{name}-{number}")
        first, again = (http.request(method, path, json=body, headers=headers) for _ in "12")
        assert first.status_code < 300, (path, first.text)
        same(first, again)


def test_a_used_key_with_another_request_is_refused(http, cube, memory):
    body = {"content": "one"}
    http.post(f"{cube}/memories", json=body, headers=key(f"add{cube}"))
    http.patch(memory, json=body, headers=key(f"patch{cube}"))
    for name in ("add", "patch"):
        for answer in (
            http.post(f"{cube}/memories", json={"content": "two"}, headers=key(name + cube)),
            http.patch(memory, json={"content": "two"}, headers=key(name + cube)),
            http.delete(memory, headers=key(name + cube)),
        ):
            assert answer.status_code == 409, answer.text
            assert answer.json()["code"] == "idempotency-conflict"


def test_if_match_is_part_of_the_request(http, memory):
    headers = key(f"m{memory}")
    first = http.patch(memory, json={"place": "x"}, headers={**headers, "If-Match": '"1"'})
    assert first.status_code == 200
    other = http.patch(memory, json={"place": "x"}, headers={**headers, "If-Match": '"2"'})
    assert other.status_code == 409


def test_a_failure_is_not_kept(http, memory):
    headers = {**key(f"f{memory}"), "If-Match": '"2"'}
    assert http.patch(memory, json={"place": "x"}, headers=headers).status_code == 412
    http.patch(memory, json={"place": "y"})
    assert http.patch(memory, json={"place": "x"}, headers=headers).status_code == 200


def test_a_secret_is_not_kept(http, server):
    body = {"name": "once"}
    assert http.post("/v1/keys", json=body, headers=key("secret")).status_code == 201
    again = http.post("/v1/keys", json=body, headers=key("secret"))
    assert again.status_code == 409
    assert "secret" in again.json()["detail"]
    assert [k["name"] for k in http.get("/v1/keys").json()].count("once") == 1
    assert server.service.stores.receipts.find("default", "secret").result["body"] == ""


def test_tenants_do_not_share_keys(http, server):
    body = {"name": "shared"}
    assert http.post("/v1/cubes", json=body, headers=key("shared")).status_code == 201
    other = httpx.post(
        f"{server.url}/v1/cubes", json=body, headers={**server.key(tenant="other"), **key("shared")}
    )
    assert other.status_code == 201
    assert "Idempotency-Replayed" not in other.headers


@pytest.mark.parametrize("write", ["add", "update", "create_cube"])
def test_duplicates_at_the_same_time_have_one_effect(http, cube, memory, write):
    name = f"{write}{memory}"

    def send(_: int) -> httpx.Response:
        if write == "add":
            return http.post(f"{cube}/memories", json={"content": "x"}, headers=key(name))
        if write == "update":
            return http.patch(memory, json={"content": "x"}, headers=key(name))
        return http.post("/v1/cubes", json={"name": "at-once"}, headers=key(name))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(8)))
    assert {a.status_code for a in answers} <= {200, 201}, [a.text for a in answers]
    assert len({a.content for a in answers}) == 1
    if write == "add":
        assert len(http.get(f"{cube}/memories").json()["items"]) == 2
    if write == "update":
        assert http.get(memory).json()["version"] == 2


@pytest.mark.parametrize("bad", ["", "x" * 256, "caf\u00e9".encode("latin-1"), "tab\there"])
def test_a_key_that_is_none_is_refused(http, bad):
    answer = http.post("/v1/cubes", json={"name": "never"}, headers={"Idempotency-Key": bad})
    assert answer.status_code == 422
    assert answer.json()["field"] == "Idempotency-Key"
    assert http.get("/v1/cubes/never").status_code == 404


def test_an_erase_reaches_the_kept_answers(http, server, cube, memory):
    """Of every write that answers with a text, and of a link's reason."""
    other = http.post(f"{cube}/memories", json={"content": "two"}).json()["memories"][0]["id"]
    writes = [
        ("PATCH", memory, {"content": "Ana's PIN is zebra-4711."}),
        ("DELETE", memory, None),
        ("POST", f"{memory}/restore", {}),
        ("POST", f"{memory}/links", {"target_id": other, "reason": "also zebra-4711"}),
    ]
    for number, (method, path, body) in enumerate(writes):
        headers = key(f"{cube}-{number}")
        first, again = (http.request(method, path, json=body, headers=headers) for _ in "12")
        assert "zebra-4711" in first.text
        same(first, again)
    assert http.delete(memory, params={"erase": True}).status_code == 200
    for number, (method, path, body) in enumerate(writes):
        after = http.request(method, path, json=body, headers=key(f"{cube}-{number}"))
        assert after.status_code == 404, after.text
        assert "zebra-4711" not in after.text
    encoded = {base64.b64encode(b"zebra-4711"[n:])[2:-4] for n in range(3)}
    secret = {b"zebra-4711", *encoded}
    assert files_that_hold(server, lambda data: any(part in data for part in secret)) == []


def test_a_removed_link_is_not_made_again(http, cube, memory):
    other = http.post(f"{cube}/memories", json={"content": "two"}).json()["memories"][0]["id"]
    asked = {"json": {"target_id": other}, "headers": key(f"{cube}-link")}
    link = http.post(f"{memory}/links", **asked).json()["id"]
    assert http.delete(f"{cube}/links/{link}").status_code == 204
    again = http.post(f"{memory}/links", **asked)
    assert (again.status_code, again.json()["code"]) == (404, "not-found")
    assert http.get(f"{memory}/links").json() == []
