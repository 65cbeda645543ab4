"""Every route, seen with no key, a wrong one, too small a role, another tenant, another cube."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields

import httpx
import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from memos.api.app import ROUTERS
from memos.api.auth import Gate
from memos.api.schemas.keeping import ReceiptIn
from memos.api.server import serve
from memos.assembly import build
from memos.config import load
from memos.parametric.request import Distilling
from memos.testing import HashEmbedder
from memos.types import Role
from tests.api.parcel import GZIP, PARCEL
from tests.server import Running

OPEN = {"health", "ready", "metrics"}

# A body that each operation with one accepts.
BODIES = {
    "create_cube": {"name": "x"},
    "add": {"content": "x"},
    "add_batch": [{"content": "x"}],
    "update": {"content": "x"},
    "restore": {},
    "link": {"target_id": "x"},
    **{name: {} for name in ("archive", "freeze", "thaw", "expire", "undo")},
    "rollback": {"version": 1},
    "set_lifecycle_rule": {"archive_after": 1},
    "cancel_job": {},
    "schedule": {"cron": "0 3 * * *", "kind": "lifecycle"},
    "search": {"text": "x"},
    "reindex": {"embed": False},
    "create_key": {"name": "x"},
    "add_facts": {"facts": [{"subject": "x", "predicate": "y", "object": "z"}]},
    "keep_open": {},
    "merge_entities": {"into": "x"},
    "split_entity": {"name": "x", "memories": ["x"]},
    "define_predicate": {"functional": True},
    "define_type": {"description": "x"},
    "undo_note": {},
    "erase": {},
    "set_policy": {"generalise": False},
    "check_receipt": ReceiptIn.model_config["json_schema_extra"]["examples"][0],
    "context": {"query": "x"},
    "extract": {"again": True},
    "compile": {"text": "x"},
    "distill": {"kind": "core"},
    "merge_adapters": {"adapters": ["x", "y"]},
    "generate": {"prompt": "x", "max_new_tokens": 1},
    "generate_batch": {"prompts": ["x"], "max_new_tokens": 1},
    "generate_joined": {"prompt": "x", "activations": ["x", "y"], "max_new_tokens": 1},
    "measure_joining": {"questions": ["x"], "activations": ["x", "y"]},
    "generate_stream": {"prompt": "x", "max_new_tokens": 1},
}
# What each operation must be told in the query.
QUERIES = {
    "segments": {"session_id": "x"},
    "follow": {"seconds": 0},
    "paths": {"target": "Lisbon"},
    "diff": {"since": "2024-01-01T00:00:00Z", "until": "2024-02-01T00:00:00Z"},
}
# What a key of another tenant gets where there is no id of ours to name.
OWN = {
    "create_cube": 201,
    "cubes": 200,
    "jobs": 200,
    "create_key": 201,
    "keys": 200,
    "events": 200,
    "queue": 200,
    "follow": 200,
    "load": 201,
}


@dataclass(frozen=True)
class Operation:
    name: str
    method: str
    path: str
    need: Role


def operations() -> list[Operation]:
    found = []
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            if route.operation_id in OPEN:
                continue
            assert isinstance(route, Gate), f"{route.path} stands outside the gate"
            (method,) = route.methods
            found.append(Operation(route.operation_id, method, route.path_format, route.need.role))
    return found


@dataclass(frozen=True)
class Place:
    """One of everything that belongs to the default tenant."""

    cube: str
    memory: str
    link: str
    job: str
    key: str
    fact: str
    entity: str
    ruling: str
    activation: str
    adapter: str
    event: str

    def call(
        self, wire: httpx.Client, operation: Operation, headers: dict[str, str]
    ) -> httpx.Response:
        owned = {
            "/jobs/": self.job,
            "/keys/": self.key,
            "/facts/": self.fact,
            "/rulings/": self.ruling,
            "/activations/": self.activation,
            "/adapters/": self.adapter,
            "/events/": self.event,
        }
        own = next((id for part, id in owned.items() if part in operation.path), self.memory)
        path = operation.path.format(
            cube=self.cube, id=own, link_id=self.link, entity=self.entity, name="x", kind="core"
        )
        if operation.name == "load":
            return wire.post(path, headers=headers | GZIP, content=PARCEL)
        return wire.request(
            operation.method,
            path,
            headers=headers,
            params=QUERIES.get(operation.name),
            json=BODIES.get(operation.name),
        )


@pytest.fixture(scope="module")
def place(server: Running) -> Place:
    mine = server.service.tenant("default")
    cube = mine.create_cube("ours")
    mine.create_cube("elsewhere")
    memories = mine.add(["one", "two"], cube="ours").memories
    link = mine.link(memories[0].id, memories[1].id, cube="ours")
    job = mine.reindex("ours")
    mine.wait_for(job.id)
    key = mine.create_key("victim").key
    [fact] = mine.add_facts(
        [{"subject": "Ana", "predicate": "lives_in", "object": "Lisbon", "object_type": "place"}],
        cube="ours",
    ).facts
    alias = mine.add_facts(
        [{"subject": "Annie", "predicate": "likes", "object": "tea"}], cube="ours"
    )
    ruling = mine.merge_entities(alias.facts[0].subject.id, fact.subject.id, cube="ours")
    activation = mine.compile(memories=[memories[0].id], cube="ours")
    # Without a job that would train it: who may ask for it is all that matters here.
    learning = server.service.adapters
    wanted = Distilling(memories=(memories[0].id,))
    adapter = learning._row(cube, wanted, [memories[0]], None)
    server.service.stores.artifacts.add(adapter)
    mine.archive(memories[1].id, cube="ours")
    event = mine.explain(memories[1].id, cube="ours").events[-1]
    return Place(
        *(cube.id, memories[0].id, link.id, job.id, key.id),
        *(fact.id, fact.subject.id, ruling.id, activation.id, adapter.id, event.id),
    )


@pytest.fixture(scope="module")
def wire(server: Running):
    """Signed in as nobody."""
    with httpx.Client(base_url=server.url, timeout=120) as client:
        yield client


@pytest.fixture
def untouched(server: Running, place: Place):
    """Fails the test if the tenant's data have changed in it."""

    def state() -> list[object]:
        mine = server.service.tenant("default")
        return [
            mine.cubes(limit=1000),
            mine.memories(cube=place.cube),
            mine.links(place.memory, cube=place.cube),
            mine.job(place.job),
            next(key for key in mine.keys() if key.id == place.key),  # noqa: SIM118
            mine.facts(cube=place.cube),
            mine.entities(cube=place.cube),
            mine.rulings(cube=place.cube),
            mine.vocabulary(cube=place.cube),
            mine.activations(cube=place.cube),
            mine.adapters(cube=place.cube),
        ]

    before = state()
    yield
    assert state() == before


every_operation = pytest.mark.parametrize("operation", operations(), ids=lambda o: o.name)


def test_the_list_of_operations_is_the_documents(server):
    document = httpx.get(f"{server.url}/openapi.json", timeout=60).json()
    documented = {o["operationId"] for path in document["paths"].values() for o in path.values()}
    assert documented == {o.name for o in operations()} | OPEN


@every_operation
@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer memos_wrong"},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Bearer"},
        {"X-API-Key": "caf\u00e9".encode("latin-1")},
    ],
    ids=["none", "wrong", "basic", "empty", "latin-1"],
)
def test_without_a_good_key_nothing_is_answered(wire, place, operation, headers):
    answer = place.call(wire, operation, headers)
    assert answer.status_code == 401
    assert answer.json()["code"] == "not-authenticated"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


RANK = [Role.READER, Role.WRITER, Role.ADMIN]


def by_role(*, allowed: bool) -> list[object]:
    return [
        pytest.param(operation, role, id=f"{operation.name}-{role.value}")
        for operation in operations()
        for role in RANK
        if (RANK.index(role) >= RANK.index(operation.need)) is allowed
    ]


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(("operation", "role"), by_role(allowed=False))
def test_too_small_a_role_is_refused(server, wire, place, operation, role):
    answer = place.call(wire, operation, server.key(role=role))
    assert answer.status_code == 403
    assert answer.json()["code"] == "permission-denied"


@pytest.mark.parametrize(("operation", "role"), by_role(allowed=True))
def test_a_role_opens_what_it_says(server, wire, operation, role):
    nothing = Place(*["none"] * len(fields(Place)))
    answer = nothing.call(wire, operation, server.key(role=role))
    # Through the gate: what it is told then is that there is no such thing.
    assert answer.status_code in (200, 201, 404, 409), answer.text


@every_operation
@pytest.mark.usefixtures("untouched")
def test_another_tenant_finds_nothing_of_ours(server, wire, place, operation):
    answer = place.call(wire, operation, server.key(tenant="other"))
    assert answer.status_code == OWN.get(operation.name, 404), answer.text
    for ours in astuple(place):
        if answer.status_code < 300:
            assert ours not in answer.text


@every_operation
@pytest.mark.usefixtures("untouched")
def test_a_key_for_another_cube_stays_out(server, wire, place, operation):
    answer = place.call(wire, operation, server.key(cubes=("elsewhere",)))
    if operation.name in ("cubes", "jobs", "events", "follow"):
        assert answer.status_code == 200
        assert place.cube not in answer.text
    else:
        assert answer.status_code == 403, answer.text


def test_a_key_for_a_cube_reaches_it_by_name_and_by_id(server, place):
    headers = server.key(role=Role.WRITER, cubes=("ours",))
    for cube in ("ours", place.cube):
        assert httpx.get(f"{server.url}/v1/cubes/{cube}", headers=headers).status_code == 200
    listed = httpx.get(f"{server.url}/v1/cubes", headers=headers).json()["items"]
    assert [cube["name"] for cube in listed] == ["ours"]
    jobs = httpx.get(f"{server.url}/v1/jobs", headers=headers).json()["items"]
    assert place.job in [job["id"] for job in jobs]
    missing = httpx.get(f"{server.url}/v1/cubes/none", headers=headers)
    assert missing.status_code == 404


def test_the_key_is_asked_for_before_the_body_is_read(server):
    answer = httpx.post(f"{server.url}/v1/cubes", content=b"{broken")
    assert answer.status_code == 401


def test_a_route_that_names_no_role_can_not_be_made():
    router = APIRouter(route_class=Gate)
    with pytest.raises(RuntimeError, match="which role"):
        router.get("/v1/open")(lambda: None)


def test_no_origin_may_read_across_sites(server):
    answer = httpx.get(f"{server.url}/health", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers


def test_a_start_that_fails_issues_no_key(tmp_path, monkeypatch):
    """Nobody would see it, and there would never be another first one."""
    settings = load({}, data_dir=tmp_path, port=0)

    def made(settings):
        return build(settings, embedder=HashEmbedder())

    def fails(self, sockets):
        raise RuntimeError("no server")

    monkeypatch.setattr("memos.api.server.build", made)
    monkeypatch.setattr("memos.api.server.Server.run", fails)
    shown = []
    with pytest.raises(RuntimeError, match="no server"):
        serve(settings, announce=lambda *what: shown.append(what))
    assert shown == []
    service = made(settings)
    assert service.first_key() is not None
    service.close()
