"""Events over HTTP: a stream that goes on where it was cut off, and what a key may see of it."""

from __future__ import annotations

import json

import httpx
import pytest

from memos.client import Client
from memos.errors import CubeNotFound, InvalidInput, NotAuthenticated
from memos.types import NewEvent, Role
from tests.server import Running


def told(server: Running, count: int, cube_id: str | None = None) -> int:
    """The `seq` of the last of so many new events."""
    events = [NewEvent(kind="test.tell", subjects=(str(n),), cube_id=cube_id) for n in range(count)]
    server.service.stores.events.append("default", events)
    return server.service.stores.events.last("default")


def read(http: httpx.Client, **asked: object) -> list[dict[str, str]]:
    """The messages of a stream that ends by itself: their lines by name."""
    headers = asked.pop("headers", {})
    with http.stream(
        "GET", "/v1/events/stream", params={"seconds": 0, **asked}, headers=headers
    ) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        text = "".join(answer.iter_text())
    blocks = [block for block in text.split("\n\n") if block]
    return [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]


def test_a_stream_goes_on_after_the_last_event_that_was_seen(server, http):
    last = told(server, 5)
    first, *messages = read(http, after=last - 5, kinds="test.")
    assert first == {"retry": "1000", "id": str(last - 5)}
    assert [int(m["id"]) for m in messages] == list(range(last - 4, last + 1))
    assert json.loads(messages[0]["data"])["subjects"] == ["0"]
    assert messages[0]["event"] == "test.tell"
    again = read(http, after=0, headers={"Last-Event-ID": messages[2]["id"]}, kinds="test.tell")
    assert [m["id"] for m in again[1:]] == [m["id"] for m in messages[3:]]
    assert read(http, kinds="test.")[1:] == []  # only new ones
    for bad in ("soon", "-1", "9" * 30):
        refused = http.get("/v1/events/stream", headers={"Last-Event-ID": bad})
        assert (refused.status_code, refused.json()["field"]) == (422, "Last-Event-ID")


def test_a_key_for_a_cube_follows_that_cube_only(server, http, cube):
    mine = http.get(cube).json()["cube"]["id"]
    last = told(server, 2)
    told(server, 1, mine)
    headers = server.key(cubes=(mine,))
    with httpx.Client(base_url=server.url, headers=headers, timeout=60) as limited:
        messages = read(limited, after=last - 2)
        assert [json.loads(m["data"])["cube_id"] for m in messages[1:]] == [mine]
        listed = limited.get("/v1/events", params={"after": last - 2}).json()["items"]
        assert [event["cube_id"] for event in listed] == [mine]
        hidden = http.get("/v1/events", params={"after": last - 2, "limit": 1}).json()["items"][0]
        refused = limited.get(f"{cube}/why/{hidden['id']}")
        assert refused.status_code == 403


def test_a_stream_ends_when_its_key_is_revoked(server):
    issued = server.service.tenant().create_key("short", role=Role.READER)
    headers = {"Authorization": f"Bearer {issued.secret}"}
    with (
        httpx.Client(base_url=server.url, headers=headers, timeout=60) as limited,
        limited.stream("GET", "/v1/events/stream", params={"seconds": 600}) as answer,
    ):
        lines = answer.iter_lines()
        assert next(lines).startswith("retry:")
        server.service.tenant().revoke_key(issued.key.id)
        rest = list(lines)
    assert any("not-authenticated" in line for line in rest), rest
    with Client(server.url, api_key=issued.secret) as client, pytest.raises(NotAuthenticated):
        list(client.follow(seconds=600))


def test_a_stream_of_a_cube_that_is_not_there_is_an_error(server, http):
    refused = http.get("/v1/events/stream", params={"cube": "nope"})
    assert (refused.status_code, refused.json()["code"]) == (404, "cube-not-found")
    with Client(server.url, api_key=server.secret) as client:
        with pytest.raises(CubeNotFound):
            list(client.follow(cube="nope", seconds=600))
        told(server, 1, client.create_cube("short-lived").id)
        following = client.follow(cube="short-lived", seconds=600, after=0)
        next(following)
        client.delete_cube("short-lived")
        with pytest.raises(CubeNotFound):
            list(following)


def test_a_quiet_stream_outlasts_the_time_of_an_answer(server):
    with Client(server.url, api_key=server.secret, timeout=3) as client:
        assert list(client.follow(kinds=["none.such"], seconds=5)) == []


@pytest.mark.parametrize("verb", ["events", "follow"])
def test_kinds_given_as_one_text_are_refused(server, verb):
    with Client(server.url, api_key=server.secret) as client:
        for memory in (client, server.service.tenant()):
            with pytest.raises(InvalidInput, match="give a list"):
                list(getattr(memory, verb)(kinds="memory.archive"))
            last = told(server, 1)
            kinds = (kind for kind in ("test.tell",))
            page = memory.events(kinds=kinds, after=last - 1)
            assert [event.seq for event in page.items] == [last]


@pytest.mark.parametrize("cut", [1, 3])
def test_the_client_takes_a_broken_stream_up_again(server, monkeypatch, cut):
    """Each connection carries `cut` events at most and then breaks off."""
    last = told(server, 6)
    lines = httpx.Response.iter_lines

    def breaking(response: httpx.Response):
        seen = 0
        for line in lines(response):
            yield line
            seen += line.startswith("data:")
            if seen > cut:
                raise httpx.ReadError("the cable was pulled")

    monkeypatch.setattr(httpx.Response, "iter_lines", breaking)
    with Client(server.url, api_key=server.secret) as client:
        found = []
        for event in client.follow(after=last - 6, kinds=["test."], seconds=100):
            found.append(event.seq)
            if len(found) == 6:
                break
    assert found == list(range(last - 5, last + 1))
