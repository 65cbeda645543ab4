"""The document says all there is, and the service does what it says."""

from __future__ import annotations

import httpx
import jsonschema_rs
import pytest

from memos.wire import to_builtins


@pytest.fixture(scope="module")
def document(server) -> dict:
    return httpx.get(f"{server.url}/openapi.json", timeout=60).json()


def operations(document: dict) -> list[tuple[str, str, dict]]:
    return [(m, p, o) for p, ops in document["paths"].items() for m, o in ops.items()]


def validator(document: dict, schema: dict) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]})


def test_each_operation_is_named_summarised_and_tagged(document):
    names = [o["operationId"] for _, _, o in operations(document)]
    assert len(names) == len(set(names))
    verbs = {"add", "get", "search", "update", "forget", "link", "history"}
    assert verbs <= set(names)
    tags = {tag["name"] for tag in document["tags"]}
    for _, path, operation in operations(document):
        assert operation["summary"], path
        assert operation["description"], path
        assert set(operation["tags"]) <= tags, path


def test_every_way_into_v1_is_locked_and_its_problems_are_told(document):
    for _, path, operation in operations(document):
        if not path.startswith("/v1"):
            continue
        assert operation["security"] == [{"bearer": []}, {"header": []}]
        for status in ("401", "403", "404", "422", "500", "503"):
            content = operation["responses"][status]["content"]
            assert list(content) == ["application/problem+json"], (path, status)


def test_every_body_and_every_answer_has_an_example_that_fits(document):
    seen = 0
    for _, path, operation in operations(document):
        contents = [operation.get("requestBody", {}).get("content", {})]
        contents += [r.get("content", {}) for r in operation["responses"].values()]
        for media, content in [pair for c in contents for pair in c.items()]:
            if not media.endswith("json"):
                continue
            for example in examples(document, content):
                seen += 1
                found = validator(document, content["schema"])
                assert found.is_valid(example), (path, media, example)
    assert seen > 100


def examples(document: dict, content: dict) -> list:
    if "example" in content:
        return [content["example"]]
    schema = content["schema"]
    if schema.get("type") == "array":
        return [[e] for e in examples(document, {"schema": schema["items"]})]
    if "oneOf" in schema or "anyOf" in schema:
        kinds = schema.get("oneOf") or schema["anyOf"]
        return [
            e for s in kinds if s != {"type": "null"} for e in examples(document, {"schema": s})
        ]
    named = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    assert named.get("examples"), f"{schema['$ref']} has no example"
    return named["examples"]


def test_the_examples_of_the_answers_are_their_types(document):
    from memos.api.examples.answers import EXAMPLES

    for name, value in EXAMPLES.items():
        schema = document["components"]["schemas"][name]
        validator(document, schema).validate(to_builtins(value))


def graph_examples(http: httpx.Client, cube: str, schemas: dict) -> None:
    def sent(method: str, path: str, name: str, **changes: object) -> dict:
        body = {**schemas[name]["examples"][0], **changes}
        answer = http.request(method, f"{cube}/{path}", json=body)
        assert answer.status_code < 300, (path, answer.text)
        return answer.json()

    sent("PUT", "vocabulary/predicates/tariff", "PredicateIn")
    sent("PUT", "vocabulary/types/boat", "TypeIn")
    fact = {"facts": [schemas["NewFactIn"]["examples"][0]]}
    lives = sent("POST", "facts", "FactsIn", **fact)["facts"][0]
    works = sent("POST", "facts", "FactsIn")
    assert works["facts"][0]["object"]["name"] == "Metro"
    assert sent("POST", "facts", "RecordsIn")["facts"][0]["id"] == lives["id"]
    found = http.get(f"{cube}/facts", params={"subject": "Ana", "predicate": "lives_in"}).json()
    assert [fact["id"] for fact in found["items"]] == [lives["id"]]
    other = {"subject": "Annie", "subject_type": "person", "predicate": "likes", "object": "tea"}
    sent("POST", "facts", "FactsIn", facts=[other])
    merged = sent("POST", "entities/Annie/merge", "MergeIn")
    assert http.delete(f"{cube}/rulings/{merged['id']}").json()["revoked_at"]
    sent("POST", "entities/Ana/split", "SplitIn", memories=works["memory_ids"])
    sent("POST", "extract", "ExtractIn")


def test_the_examples_of_the_requests_are_accepted(server, document):
    """As they stand, on a fresh cube: what a reader copies works."""
    with httpx.Client(base_url=server.url, headers=server.headers, timeout=60) as http:
        schemas = document["components"]["schemas"]
        assert http.post("/v1/cubes", json=schemas["CubeIn"]["examples"][0]).status_code == 201
        cube = "/v1/cubes/ana"
        ids = []
        for name in ("NewMemoryIn", "MemoriesIn", "MessagesIn"):
            answer = http.post(f"{cube}/memories", json=schemas[name]["examples"][0])
            assert answer.status_code == 201, answer.text
            ids += [m["id"] for m in answer.json()["memories"]]
        link = {**schemas["LinkIn"]["examples"][0], "target_id": ids[1]}
        assert http.post(f"{cube}/memories/{ids[0]}/links", json=link).status_code == 201
        change = schemas["UpdateIn"]["examples"][0]
        assert http.patch(f"{cube}/memories/{ids[0]}", json=change).status_code == 200
        found = http.post(f"{cube}/search", json=schemas["SearchIn"]["examples"][0])
        assert found.status_code == 200, found.text
        assert [hit["memory"]["id"] for hit in found.json()["hits"]] == [ids[0]]
        http.delete(f"{cube}/memories/{ids[0]}")
        reason = schemas["ReasonIn"]["examples"][0]
        assert http.post(f"{cube}/memories/{ids[0]}/restore", json=reason).status_code == 200
        graph_examples(http, cube, schemas)
        reindex = schemas["ReindexIn"]["examples"][0]
        assert http.post(f"{cube}/reindex", json=reindex).status_code == 202
        assert http.post("/v1/keys", json=schemas["KeyIn"]["examples"][0]).status_code == 201
        batch = document["paths"]["/v1/cubes/{cube}/memories/batch"]["post"]["requestBody"]
        lines = batch["content"]["application/x-ndjson"]["example"]
        sent = http.post(
            f"{cube}/memories/batch",
            content=lines,
            headers={"Content-Type": "application/x-ndjson"},
        )
        assert sent.text.endswith('{"done":2,"complete":true}\n')


def test_a_change_has_no_defaults_that_a_client_could_fill_in(document):
    schema = document["components"]["schemas"]["UpdateIn"]
    assert len(schema["properties"]) > 5
    assert [name for name, one in schema["properties"].items() if "default" in one] == []
