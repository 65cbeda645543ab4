"""The graph over REST: what each route answers, and what it refuses."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from urllib.parse import quote

import httpx
import pytest

from tests.api.erased import files_that_hold
from tests.api.test_problems import problem

MOVES = [
    {
        "subject": "Ana",
        "subject_type": "person",
        "predicate": "lives_in",
        "object": city,
        "valid_at": f"{year}-01-01T00:00:00Z",
        "granularity": "year",
    }
    for city, year in (("Porto", 2020), ("Lisbon", 2023))
]


@pytest.fixture
def moves(http: httpx.Client, cube: str) -> list[dict]:
    """Ana lived in Porto since 2020, in Lisbon since 2023."""
    answer = http.post(f"{cube}/facts", json={"facts": MOVES})
    assert answer.status_code == 201, answer.text
    return http.get(f"{cube}/entities/Ana/timeline").json()


def names(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [fact["object"]["name"] for fact in answer.json()["items"]]


def test_facts_are_answered_as_they_were(http, cube, moves):
    path = f"{cube}/facts"
    assert names(http.get(path, params={"subject": "Ana"})) == ["Porto", "Lisbon"]
    for as_of, home in (("2021-05-01T00:00:00Z", ["Porto"]), ("2019-01-01T00:00:00Z", [])):
        assert names(http.get(path, params={"subject": "Ana", "as_of": as_of})) == home
    assert names(http.get(path, params={"as_of": "2024-01-01T00:00:00+05:00"})) == ["Lisbon"]
    assert names(http.get(path, params={"known_as_of": "2020-01-01T00:00:00Z"})) == []
    assert names(http.get(path, params={"object": "porto"})) == ["Porto"]
    porto, lisbon = moves
    assert porto["closed_by"] == lisbon["id"]
    assert porto["invalid_at"] == lisbon["valid_at"] == "2023-01-01T00:00:00Z"


def test_pages_of_facts_go_on_with_a_cursor(http, cube, moves):
    first = http.get(f"{cube}/facts", params={"limit": 1}).json()
    rest = http.get(f"{cube}/facts", params={"limit": 1, "cursor": first["next_cursor"]}).json()
    assert {f["id"] for f in first["items"] + rest["items"]} == {fact["id"] for fact in moves}
    assert rest["next_cursor"] is None
    other = http.get(f"{cube}/facts", params={"cursor": first["next_cursor"], "subject": "Ana"})
    problem(other, 422, "invalid-cursor")


def test_each_fact_has_a_memory_that_says_it(http, cube, moves):
    for fact in moves:
        [source] = fact["sources"]
        memory = http.get(f"{cube}/memories/{source['memory_id']}").json()
        assert "Ana" in memory["content"]
        assert fact["object"]["name"] in memory["content"]
        assert (memory["kind"], memory["provenance"]["source"]) == ("semantic", "import")
    found = http.post(f"{cube}/search", json={"text": "Ana Lisbon"}).json()
    assert "Lisbon" in found["hits"][0]["memory"]["content"]


def test_a_ruling_opens_a_fact_and_revoking_it_closes_it(http, cube, moves):
    porto = f"{cube}/facts/{moves[0]['id']}"
    ruled = http.post(f"{porto}/keep-open", json={"reason": "both"})
    assert ruled.status_code == 201
    assert ruled.json()["actor"].startswith("key:")
    assert http.get(porto).json()["invalid_at"] is None
    assert [r["id"] for r in http.get(f"{porto}/why").json()["rulings"]] == [ruled.json()["id"]]
    undone = http.delete(f"{cube}/rulings/{ruled.json()['id']}")
    assert undone.json()["revoked_at"]
    assert http.get(porto).json()["invalid_at"] == "2023-01-01T00:00:00Z"
    problem(http.delete(f"{cube}/rulings/{ruled.json()['id']}"), 409, "state-conflict")


def test_forgetting_the_source_opens_what_it_closed(http, cube, moves):
    porto, lisbon = moves
    memory = f"{cube}/memories/{lisbon['sources'][0]['memory_id']}"
    http.delete(memory)
    assert http.get(f"{cube}/facts/{porto['id']}").json()["invalid_at"] is None
    http.post(f"{memory}/restore")
    assert http.get(f"{cube}/facts/{porto['id']}").json()["closed_by"] == lisbon["id"]
    http.delete(memory, params={"erase": "true"})
    problem(http.get(f"{cube}/facts/{lisbon['id']}"), 404, "fact-not-found")


@pytest.mark.parametrize("name", ["AC/DC", "a/b/c", "..", "50 %?#", "Ana & Ben", "东京"])
def test_any_name_can_stand_in_a_path(http, cube, name):
    fact = {"subject": name, "predicate": "likes", "object": "tea"}
    assert http.post(f"{cube}/facts", json={"facts": [fact]}).status_code == 201
    path = f"{cube}/entities/{quote(name, safe='').replace('.', '%2E')}"
    assert http.get(path).json()["name"] == name
    assert len(http.get(f"{path}/timeline").json()) == 1


def test_a_name_of_several_is_refused_with_their_ids(http, cube):
    facts = [
        {"subject": "Jordan", "subject_type": kind, "predicate": "likes", "object": "tea"}
        for kind in ("person", "country")
    ]
    added = http.post(f"{cube}/facts", json={"facts": facts}).json()
    ids = {fact["subject"]["id"] for fact in added["facts"]}
    assert len(ids) == 2
    document = problem(http.get(f"{cube}/entities/Jordan"), 422, "invalid-input")
    for id in ids:
        assert id in document["detail"]
        assert http.get(f"{cube}/entities/{id}").json()["name"] == "Jordan"


def test_records_become_facts(http, cube):
    body = {
        "records": [
            {"name": "Ben", "lives_in": "Faro", "age": 34, "since": "2021-06"},
            {"name": "Eva", "lives_in": "Braga"},
        ],
        "name_field": "name",
        "type": "person",
        "time_field": "since",
    }
    answer = http.post(f"{cube}/facts", json=body)
    assert answer.status_code == 201, answer.text
    assert len(answer.json()["facts"]) == 3
    faro = http.get(f"{cube}/facts", params={"object": "Faro"}).json()["items"][0]
    assert (faro["valid_at"], faro["granularity"]) == ("2021-06-01T00:00:00Z", "month")
    assert faro["subject"]["type"] == "person"
    [age] = http.get(f"{cube}/facts", params={"predicate": "age"}).json()["items"]
    assert age["quantity"] == 34


def test_the_vocabulary_can_be_added_to(http, cube):
    path = f"{cube}/vocabulary/predicates/tariff"
    berths = [
        {"subject": "Kittiwake", "predicate": "tariff", "object": tariff, "valid_at": at}
        for tariff, at in (("winter", "2024-01-01T00:00:00Z"), ("summer", "2024-05-01T00:00:00Z"))
    ]
    http.post(f"{cube}/facts", json={"facts": berths})
    winter = {"object": "winter"}
    assert http.get(f"{cube}/facts", params=winter).json()["items"][0]["invalid_at"] is None
    assert http.put(path, json={"functional": True}).json()["functional"] is True
    closed = http.get(f"{cube}/facts", params=winter).json()["items"][0]
    assert closed["invalid_at"] == "2024-05-01T00:00:00Z"
    assert http.put(f"{cube}/vocabulary/types/boat", json={}).json()["name"] == "boat"
    known = http.get(f"{cube}/vocabulary").json()
    assert {"tariff", "lives_in"} <= {known["name"] for known in known["predicates"]}
    assert {"boat", "person"} <= {known["name"] for known in known["types"]}


def test_a_diff_of_what_was_true_and_of_what_was_known(http, cube, moves):
    query = {"since": "2021-01-01T00:00:00Z", "until": "2024-01-01T00:00:00Z"}
    true = http.get(f"{cube}/diff", params={**query, "axis": "valid"}).json()
    assert [fact["id"] for fact in true["appeared"]] == [moves[1]["id"]]
    assert [fact["id"] for fact in true["disappeared"]] == [moves[0]["id"]]
    now = datetime.now(timezone.utc).isoformat()
    known = http.get(f"{cube}/diff", params={**query, "until": now}).json()
    assert {fact["id"] for fact in known["appeared"]} == {fact["id"] for fact in moves}


TOMORROW = (datetime.now(timezone.utc) + timedelta(days=1)).isoformat()


@pytest.mark.parametrize("name", ["as_of", "known_as_of"])
@pytest.mark.parametrize("wrong", ["2023-05-01", "2023-05-01T00:00:00", "yesterday", ""])
@pytest.mark.parametrize("path", ["memories", "facts", "entities/Ana/neighbours"])
def test_times_of_a_read_have_a_zone(http, cube, path, name, wrong):
    answer = http.get(f"{cube}/{path}", params={name: wrong})
    assert problem(answer, 422, "invalid-input")["field"] == name


@pytest.mark.parametrize(
    "path",
    [
        "memories",
        "facts",
        "facts/{fact}",
        "facts/{fact}/why",
        "entities",
        "entities/Ana",
        "entities/Ana/timeline",
        "entities/Ana/neighbours",
        "entities/Ana/paths?target=Lisbon",
        "memories/{memory}",
        "memories/{memory}/history",
        "memories/{memory}/links",
        "memories/{memory}/note",
        "summaries",
    ],
)
def test_what_will_be_known_can_not_be_asked(http, cube, moves, path):
    memory = moves[0]["sources"][0]["memory_id"]
    url = httpx.URL(f"{cube}/{path}".format(fact=moves[0]["id"], memory=memory))
    answer = http.get(url.copy_merge_params({"known_as_of": TOMORROW}))
    assert problem(answer, 422, "invalid-input")["field"] == "known_as_of"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"facts": []}, "facts"),
        ({"facts": [{}]}, "facts.0.subject"),
        ({"facts": [{"subject": "a", "predicate": "b", "obejct": "c"}]}, "facts.0.obejct"),
        ({"facts": [{"subject": "a", "predicate": "b", "valid_at": "2023"}]}, "facts.0.valid_at"),
        ({"facts": [{"subject": "a" * 513, "predicate": "b"}]}, "facts.0.subject"),
        ({"facts": [{"subject": "a", "predicate": "b", "object": []}]}, "facts.0.object.str"),
        ({"records": [{"a": 1}]}, "name_field"),
        ({"records": [1], "name_field": "a"}, "records.0"),
        ({"records": [{"a": 1}], "facts": [], "name_field": "a"}, "facts"),
        ({}, "facts"),
    ],
)
def test_facts_of_no_shape_are_refused_by_name(http, cube, body, field):
    document = problem(http.post(f"{cube}/facts", json=body), 422, "invalid-input")
    assert document["field"] == field


@pytest.mark.parametrize(
    "fact",
    [
        {"subject": "a", "predicate": "b"},
        {"subject": " ", "predicate": "b", "object": "c"},
        {"subject": "a", "predicate": "b", "object": "c\x00"},
        {"subject": "a", "predicate": "b", "object": 2**70},
        {
            "subject": "a",
            "predicate": "b",
            "object": "c",
            "valid_at": "2024-01-01T00:00:00Z",
            "invalid_at": "2023-01-01T00:00:00Z",
        },
    ],
)
def test_facts_that_can_not_be_are_refused_and_leave_nothing(http, cube, fact):
    good = {"subject": "Ana", "predicate": "likes", "object": "tea"}
    answer = http.post(f"{cube}/facts", json={"facts": [good, fact]})
    assert "1" in problem(answer, 422, "invalid-input")["detail"]
    assert http.get(f"{cube}/facts").json()["items"] == []
    assert http.get(f"{cube}/memories").json()["items"] == []


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "facts/none", "fact-not-found"),
        ("GET", "facts/none/why", "fact-not-found"),
        ("POST", "facts/none/keep-open", "fact-not-found"),
        ("GET", "entities/nobody", "entity-not-found"),
        ("GET", "entities/nobody/timeline", "entity-not-found"),
        ("GET", "entities/nobody/neighbours", "entity-not-found"),
        ("GET", "entities/nobody/paths?target=Ana", "entity-not-found"),
        ("DELETE", "rulings/none", "ruling-not-found"),
        ("GET", "memories/none/note", "memory-not-found"),
        ("GET", "memories/none/note/history", "memory-not-found"),
        ("POST", "memories/none/note/undo", "memory-not-found"),
    ],
)
def test_what_is_not_there_is_named(http, cube, method, path, code):
    problem(http.request(method, f"{cube}/{path}"), 404, code)


@pytest.mark.parametrize(
    "path",
    [
        "entities/Ana/neighbours?hops=0",
        "entities/Ana/neighbours?hops=100000",
        "entities/Ana/paths",
        "entities/Ana/paths?target=Lisbon&max_hops=100000",
        "entities/Ana/timeline?limit=0",
        "entities//timeline",
        "diff?since=2024-01-01T00:00:00Z",
        "diff?since=2024-01-01T00:00:00Z&until=2025-01-01T00:00:00Z&axis=other",
        "diff?since=2024-01-01T00:00:00Z&until=2023-01-01T00:00:00Z",
        "facts?min_confidence=2",
        "facts?subjekt=Ana",
        "summaries?kind=book",
    ],
)
def test_bad_questions_are_refused(http, cube, moves, path):
    problem(http.get(f"{cube}/{path}"), 422, "invalid-input")


def test_an_entity_is_not_merged_into_itself(http, cube, moves):
    answer = http.post(f"{cube}/entities/Ana/merge", json={"into": "Ana"})
    assert answer.status_code in (409, 422), answer.text


def drafts(http: httpx.Client, cube: str) -> list[str]:
    """The jobs that draft notes; they come after the facts were read."""
    listed = http.get("/v1/jobs", params={"cube": cube.rpartition("/")[2]}).json()["items"]
    return [job["id"] for job in listed if job["kind"] == "notes"]


def test_a_note_is_made_and_can_be_read_as_it_was(http, cube):
    before = datetime.now(timezone.utc).isoformat()
    added = http.post(f"{cube}/memories", json={"content": "Ana adopted a grey cat in Porto."})
    memory = added.json()["memories"][0]["id"]
    for job in added.json()["enriching"]:
        ended = http.get(f"/v1/jobs/{job}", params={"wait": 60}).json()
        assert ended["state"] == "succeeded", ended
    drafting = drafts(http, cube)
    assert drafting
    for job in drafting:
        assert http.get(f"/v1/jobs/{job}", params={"wait": 60}).json()["state"] == "succeeded"
    note = http.get(f"{cube}/memories/{memory}/note").json()
    assert note["memory_id"] == memory
    assert note["keywords"]
    history = http.get(f"{cube}/memories/{memory}/note/history").json()
    assert history[-1] == note
    old = http.get(f"{cube}/memories/{memory}/note", params={"known_as_of": before})
    assert old.status_code == 404


# Idempotency


def key(name: str) -> dict[str, str]:
    return {"Idempotency-Key": name}


def test_each_write_is_done_once(http, cube, moves):
    twin = {"facts": [{"subject": "Annie", "predicate": "likes", "object": "tea"}]}
    writes = [
        ("POST", f"{cube}/facts", twin),
        ("POST", f"{cube}/facts", {"records": [{"n": "Ben", "age": 3}], "name_field": "n"}),
        ("POST", f"{cube}/facts/{moves[0]['id']}/keep-open", {"reason": "so"}),
        ("POST", f"{cube}/entities/Annie/merge", {"into": "Ana", "reason": "so"}),
        ("POST", f"{cube}/entities/Ana/split", {"name": "Eva", "facts": [moves[1]["id"]]}),
        ("PUT", f"{cube}/vocabulary/predicates/tariff", {"functional": True}),
        ("PUT", f"{cube}/vocabulary/types/boat", {}),
        ("POST", f"{cube}/extract", {}),
        ("POST", f"{cube}/summarise", None),
    ]
    made = []
    for number, (method, path, body) in enumerate(writes):
        headers = key(f"{cube}-{number}")
        first, again = (http.request(method, path, json=body, headers=headers) for _ in "12")
        same(first, again)
        made.append(first)
    assert len(http.get(f"{cube}/memories", params={"states": "activated"}).json()["items"]) == 4
    assert len(http.get(f"{cube}/rulings").json()) == 3
    ruling = made[2].json()["id"]
    path = f"{cube}/rulings/{ruling}"
    first, again = (http.delete(path, headers=key(f"{cube}-revoke")) for _ in "12")
    same(first, again)
    # What was ruled is answered as it was, also after it was revoked.
    keep = http.post(writes[2][1], json=writes[2][2], headers=key(f"{cube}-2"))
    assert keep.content == made[2].content


def same(first: httpx.Response, again: httpx.Response) -> None:
    assert first.status_code < 300, (first.url, first.text)
    assert again.status_code == first.status_code
    assert again.content == first.content
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"


def test_an_erase_reaches_the_kept_answers_and_the_graph(http, server, cube):
    fact = {"subject": "Zebedee", "predicate": "pin_code", "object": "zebra-4711"}
    send = {"json": {"facts": [fact]}, "headers": key(f"{cube}-secret")}
    first, again = (http.post(f"{cube}/facts", **send) for _ in "12")
    same(first, again)
    [memory] = first.json()["memory_ids"]
    [found] = first.json()["facts"]
    for job in drafts(http, cube):
        http.get(f"/v1/jobs/{job}", params={"wait": 60})
    assert http.delete(f"{cube}/memories/{memory}", params={"erase": "true"}).status_code == 200
    after = http.post(f"{cube}/facts", **send)
    assert "zebra-4711" not in after.text
    problem(http.get(f"{cube}/facts/{found['id']}"), 404, "fact-not-found")
    problem(http.get(f"{cube}/entities/Zebedee"), 404, "entity-not-found")
    secret = (b"zebra-4711", b"zebedee")
    assert files_that_hold(server, lambda data: any(s in data.lower() for s in secret)) == []
