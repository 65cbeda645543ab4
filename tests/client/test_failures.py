"""What the clients do when the service fails: repeat what is safe, and say what is wrong."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from memos.client import Client
from memos.client.problems import problem as parse_problem
from memos.client.requests.reading import get
from memos.client.retries import Attempts, Policy, seconds_of
from memos.errors import (
    CubeNotFound,
    InvalidInput,
    InvalidSetting,
    JobFailed,
    MemosError,
    NotFound,
    ServiceUnavailable,
    VersionConflict,
    WaitTimeout,
    by_code,
)
from memos.types import NewMemory
from tests.client.blocking import Blocking
from tests.client.failing import answer, failing, hang_up, problem

ADDED = {"memories": [], "jobs": []}
JOB = {
    "id": "j1",
    "tenant_id": "t",
    "cube_id": None,
    "kind": "reindex",
    "state": "running",
    "payload": {},
    "attempts": 1,
    "max_attempts": 5,
    "progress": 0.5,
    "error": None,
    "run_at": "2024-05-01T00:00:00Z",
    "created_at": "2024-05-01T00:00:00Z",
    "started_at": None,
    "finished_at": None,
}
Make = Callable[..., Any]


@pytest.fixture(params=[Client, Blocking], ids=["sync", "async"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    made = []

    def client(url: str, **options: Any) -> Any:
        client = request.param(url, **options)
        made.append(client)
        return client

    yield client
    for client in made:
        client.__exit__(None, None, None)


def test_a_write_is_repeated_with_the_same_key_until_it_is_answered(make: Make) -> None:
    with failing(answer(503, Retry_After="0"), hang_up, answer(502), answer(201, ADDED)) as server:
        assert make(server.url).add("hello").memories == ()
    assert len(server.seen) == 4
    assert len(set(server.keys())) == 1
    assert server.keys()[0]
    assert len({body for _, _, _, body in server.seen}) == 1


def test_two_writes_have_two_keys_and_a_given_key_is_kept(make: Make) -> None:
    with failing(answer(201, ADDED)) as server:
        client = make(server.url)
        client.add("one")
        client.add("one")
        client.add("one", idempotency_key="mine")
    first, second, third = server.keys()
    assert first != second
    assert third == "mine"


def test_it_gives_up_after_its_retries(make: Make) -> None:
    with (
        failing(problem(503, "service-unavailable", "it is stopping", request_id="r1")) as server,
        pytest.raises(ServiceUnavailable, match="it is stopping") as caught,
    ):
        make(server.url, retries=2).get("m1")
    assert len(server.seen) == 3
    assert caught.value.details["request_id"] == "r1"


def test_a_search_is_repeated_though_it_is_a_post(make: Make) -> None:
    result = {
        "hits": [],
        "query": {
            "text": "x",
            "dense_text": "x",
            "terms": [],
            "phrases": [],
            "speakers": [],
            "since": None,
            "until": None,
        },
        "considered": 0,
        "tokens": 0,
        "timings_ms": {},
        "of_a_newer_server": {"is": "passed over"},
    }
    with failing(answer(504), answer(200, result)) as server:
        assert make(server.url).search("x").hits == ()
    assert len(server.seen) == 2


def test_a_key_is_not_issued_twice(make: Make) -> None:
    with failing(hang_up) as server, pytest.raises(ServiceUnavailable, match="broke"):
        make(server.url).create_key("k")
    assert len(server.seen) == 1


def test_other_errors_are_not_repeated(make: Make) -> None:
    refused = problem(412, "version-conflict", "it is at 3", expected=2, actual=3)
    with (
        failing(refused) as server,
        pytest.raises(VersionConflict, match="it is at 3") as caught,
    ):
        make(server.url).update("m1", content="x", if_version=2)
    assert caught.value.details == {"expected": 2, "actual": 3}
    [(method, path, headers, body)] = server.seen
    assert (method, path) == ("PATCH", "/v1/cubes/default/memories/m1")
    assert headers["if-match"] == '"2"'
    assert json.loads(body) == {"content": "x"}


def test_none_empties_a_field_and_what_is_not_given_is_not_sent(make: Make) -> None:
    with failing(problem(404, "memory-not-found", "no")) as server, pytest.raises(NotFound):
        make(server.url).update("m1", place=None, priority=1.0, reason="why")
    assert json.loads(server.seen[0][3]) == {"place": None, "priority": 1.0, "reason": "why"}


def test_a_wait_that_the_service_ended_is_not_repeated(make: Make) -> None:
    with (
        failing(problem(504, "wait-timeout", "not yet")) as server,
        pytest.raises(WaitTimeout, match="not yet"),
    ):
        make(server.url).get("m1")
    assert len(server.seen) == 1


def test_retry_after_is_honoured(make: Make) -> None:
    with failing(answer(503, Retry_After="1"), answer(201, ADDED)) as server:
        started = time.monotonic()
        make(server.url).add("x")
    assert time.monotonic() - started >= 1.0


def test_a_service_that_is_not_there_is_named_with_what_to_do(make: Make) -> None:
    with socket.socket() as silent:  # that nobody else can listen at meanwhile
        silent.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ServiceUnavailable, match=f"can't connect to {url}.*memos serve"):
            make(url, retries=1).get("m1")


def test_a_silent_service_is_a_timeout_and_not_asked_again(make: Make) -> None:
    asked, release = threading.Event(), threading.Event()

    def stall(handler: BaseHTTPRequestHandler) -> None:
        asked.set()
        release.wait(60)
        hang_up(handler)

    with failing(stall) as server:
        with pytest.raises(WaitTimeout, match=r"within 0\.2 s"):
            make(server.url, timeout=0.2).get("m1")
        assert asked.wait(60)  # the server may be the later of the two
        release.set()
    assert len(server.seen) == 1


def test_another_service_on_that_port_is_told_apart(make: Make) -> None:
    with (
        failing(answer(404, {"message": "nginx"})) as server,
        pytest.raises(NotFound, match="no memos service sends"),
    ):
        make(server.url).get("m1")
    with (
        failing(answer(200, {"hello": "world"})) as server,
        pytest.raises(MemosError, match="not what a memos service sends"),
    ):
        make(server.url).get("m1")


def test_names_can_not_leave_their_place_in_the_path(make: Make) -> None:
    with failing(problem(404, "cube-not-found", "no")) as server:
        client = make(server.url)
        for name in ("..", "a/../b", "a?b#c", "ä"):
            with pytest.raises(CubeNotFound):
                client.get("m1", cube=name)
        with pytest.raises(InvalidInput, match="memory id is ''"):
            client.get("")
    assert [path for _, path, _, _ in server.seen] == [
        "/v1/cubes/%2E%2E/memories/m1",
        "/v1/cubes/a%2F%2E%2E%2Fb/memories/m1",
        "/v1/cubes/a%3Fb%23c/memories/m1",
        "/v1/cubes/%C3%A4/memories/m1",
    ]


@pytest.mark.parametrize(
    "metadata",
    [
        {"x": float("nan")},
        {"x": [float("inf")]},
        {"x": object()},
        {"x": "\ud800"},
        # These would become something else: "1", a list, base64, texts.
        {1: "int", "1": "str"},
        {"x": {1: 2}},
        {"x": {1}},
        {"x": b"ab"},
        {"x": Decimal("1.10")},
        {"x": datetime(2024, 5, 1, tzinfo=timezone.utc)},
    ],
)
def test_what_json_can_not_hold_is_refused_before_it_is_sent(
    make: Make, metadata: dict[Any, Any]
) -> None:
    with failing(answer(201, ADDED)) as server:
        for call in (
            lambda: make(server.url).add("x", metadata=metadata),
            lambda: make(server.url).add(NewMemory(content="x", metadata=metadata)),
            lambda: make(server.url).update("m1", metadata=metadata),
            lambda: make(server.url).create_cube("c", metadata=metadata),
        ):
            with pytest.raises(InvalidInput):
                call()
    assert server.seen == []


def test_a_batch_takes_items_as_it_goes_and_keeps_parts_small(make: Make) -> None:
    taken = 0
    ids = iter(range(10**6))

    def items() -> Iterator[NewMemory]:
        nonlocal taken
        for number in range(70):
            taken += 1
            # Texts of 100 kB: a part ends at 4 MiB, before it has 64 items.
            yield NewMemory(content=f"{number} " + "x" * 100_000)

    def added(handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(server.seen[-1][3])
        memories = [memory(str(next(ids)), item["content"][:5]) for item in body["memories"]]
        answer(201, {"memories": memories, "jobs": []})(handler)

    with failing(added) as server:
        progress = make(server.url).add_batch(items(), batch_size=64, session_id="s")
        first = next(progress)
        assert taken == first.done + 1
        rest = list(progress)
    assert first.done == len(first.ids) < 64
    assert rest[-1].done == 70
    assert [id for part in [first, *rest] for id in part.ids] == [str(n) for n in range(70)]
    assert all(len(body) < 5 << 20 for _, _, _, body in server.seen)
    assert {json.loads(body)["session_id"] for _, _, _, body in server.seen} == {"s"}
    assert len(set(server.keys())) == len(server.seen)


def test_a_part_is_sent_as_soon_as_it_is_full(make: Make) -> None:
    """Not only when the next item comes, which may be long after."""
    taken = []

    def items() -> Iterator[str]:
        for word in ("a", "b", "c"):
            taken.append(word)
            yield word

    with failing(answer(201, ADDED)) as server:
        next(make(server.url).add_batch(items(), batch_size=2))
        assert taken == ["a", "b"]
    assert len(server.seen) == 1


def test_waiting_for_a_job(make: Make) -> None:
    with failing(answer(200, JOB), answer(200, {**JOB, "state": "succeeded"})) as server:
        assert make(server.url).wait_for("j1").state.value == "succeeded"
    assert all("wait=" in path for _, path, _, _ in server.seen)
    with (
        failing(answer(200, {**JOB, "state": "dead", "error": "disk"})) as server,
        pytest.raises(JobFailed, match=r"dead.*disk"),
    ):
        make(server.url).wait_for("j1")
    with failing(answer(200, JOB)) as server, pytest.raises(WaitTimeout, match=r"j1.*0\.1 s"):
        make(server.url).wait_for("j1", timeout=0.1)


# Settings of a client


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://h", "http://", "http://h:99999", "http://h/?q=1", "http://[x"]
)
def test_an_unusable_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidSetting, match="use one like http://"):
        Client(url)


def test_url_and_key_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with failing(problem(401, "not-authenticated", "no")) as server:
        monkeypatch.setenv("MEMOS_URL", server.url + "/")
        monkeypatch.setenv("MEMOS_API_KEY", "from-environment")
        with Client() as client, pytest.raises(MemosError):
            client.keys()
        with Client(server.url, api_key="given") as client, pytest.raises(MemosError):
            client.keys()
    assert [headers["authorization"] for _, _, headers, _ in server.seen] == [
        "Bearer from-environment",
        "Bearer given",
    ]
    assert {path for _, path, _, _ in server.seen} == {"/v1/keys"}


def test_a_misspelt_variable_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMOS_APIKEY", "x")
    with pytest.raises(InvalidSetting, match="MEMOS_APIKEY"):
        Client()
    Client("http://127.0.0.1:1", api_key="k").close()  # which asks the environment nothing
    monkeypatch.delenv("MEMOS_APIKEY")
    for name in ("MEMOS_SERVICE_HOST", "MEMOS_SERVICE_PORT_HTTP", "MEMOS_PORT_8000_TCP_ADDR"):
        monkeypatch.setenv(name, "10.0.0.1")  # by Kubernetes, beside a service of that name
    Client().close()


@pytest.mark.parametrize("content", [{"items": []}, None], ids=["json", "nothing"])
def test_an_answer_that_is_no_stream_is_not_asked_for_again(make: Make, content: Any) -> None:
    with (
        failing(answer(200, content, Content_Type="text/html")) as server,
        pytest.raises(MemosError, match="what a memos"),
    ):
        list(make(server.url).follow(seconds=600))
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"api_key": "a\nb"},
        *({"timeout": bad} for bad in (0, None, "5", float("inf"), float("nan"))),
        *({"retries": bad} for bad in (-1, "2", 1.5)),
    ],
)
def test_unusable_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidSetting):
        Client("http://127.0.0.1:1", **options)


def test_a_key_is_not_shown() -> None:
    with Client("http://127.0.0.1:1", api_key="secret") as client:
        assert "secret" not in repr(client)


# The parts, without a server


@pytest.mark.parametrize("code", sorted(by_code()))
def test_every_problem_becomes_its_error(code: str) -> None:
    body = json.dumps({"code": code, "detail": "so", "status": 400, "extra": [1]}).encode()
    error = parse_problem(400, body, url="u", request_id="r")
    assert type(error) is by_code()[code]
    assert error.message == "so"
    assert error.details == {"extra": [1], "request_id": "r"}


def test_a_code_of_a_newer_server_becomes_the_nearest_error() -> None:
    body = json.dumps({"code": "cube-frozen", "detail": "so"}).encode()
    error = parse_problem(404, body, url="u", request_id=None)
    assert type(error) is NotFound
    assert error.details == {"code": "cube-frozen"}


def pauses(policy: Policy, random: float) -> list[float]:
    attempts = Attempts(
        get("m", cube="c"),
        policy,
        url="u",
        seconds=1,
        random=lambda: random,
        now=lambda: datetime(2024, 5, 1, tzinfo=timezone.utc),
    )
    found = []
    while True:
        try:
            pause = attempts.answered(503, {}, b"")
        except ServiceUnavailable:
            return found
        assert pause is not None
        found.append(pause)


def test_pauses_double_up_to_a_ceiling_and_are_spread() -> None:
    policy = Policy(retries=5, first=1.0, ceiling=5.0)
    assert pauses(policy, random=1.0) == [1, 2, 4, 5, 5]
    assert pauses(policy, random=0.0) == [0.5, 1, 2, 2.5, 2.5]


def test_a_service_that_asks_for_too_long_is_not_waited_for() -> None:
    attempts = Attempts(
        get("m", cube="c"),
        Policy(longest=60),
        url="u",
        seconds=1,
        random=lambda: 0.0,
        now=lambda: datetime(2024, 5, 1, tzinfo=timezone.utc),
    )
    assert attempts.answered(503, {"retry-after": "60"}, b"") == 60
    with pytest.raises(ServiceUnavailable):
        attempts.answered(503, {"retry-after": "61"}, b"")


def test_retry_after_as_a_date() -> None:
    now = datetime(2024, 5, 1, tzinfo=timezone.utc)
    header = format_datetime(now + timedelta(seconds=30), usegmt=True)
    assert seconds_of(header, now=lambda: now) == 30
    assert seconds_of("Wed, 01 May 2013 00:00:00 GMT", now=lambda: now) == 0
    assert seconds_of("soon", now=lambda: now) is None


def memory(id: str, content: str) -> dict[str, Any]:
    at = "2024-05-01T00:00:00Z"
    return {
        "id": id,
        "cube_id": "c",
        "content": content,
        "kind": "episodic",
        "state": "activated",
        "version": 1,
        "position": 1,
        **dict.fromkeys(
            ["user_id", "agent_id", "session_id", "speaker", "occurred_at", "place", "expires_at"]
        ),
        "images": [],
        "metadata": {},
        "priority": 0.5,
        "provenance": {},
        "created_at": at,
        "updated_at": at,
    }
