"""The real application with all its modules: its documentation is whole, its examples are accepted, its refusals are uniform."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from entrypoints.container import Root
from tests.support.tokens import bearer

METHODS = ("get", "post", "put", "patch", "delete")
EVERY_ROLE = ("customer", "support", "manager", "admin")


@pytest.fixture
async def document(client: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get("/openapi.json")).json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def resolve(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        found: Any = document
        for step in node["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        node = found
    return node


async def send(client: httpx.AsyncClient, document: dict[str, Any], path: str, method: str, **changes: Any) -> httpx.Response:
    """The request of the documentation's examples, with changes."""
    operation = document["paths"][path][method]
    query: dict[str, Any] = {}
    headers: dict[str, str] = {}
    for parameter in (resolve(document, each) for each in operation["parameters"]):
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", str(parameter["example"]))
        elif parameter["in"] == "query" and parameter["name"] != "cursor" and parameter["example"] is not None:
            query[parameter["name"]] = parameter["example"]
        elif parameter["in"] == "header":
            headers[parameter["name"]] = parameter["example"]
    for name in changes.get("without", ()):
        headers.pop(name, None)
    content = b""
    if "requestBody" in operation:
        headers["Content-Type"] = "application/json"
        content = json.dumps(operation["requestBody"]["content"]["application/json"]["example"]).encode()
    return await client.request(
        method,
        path,
        params=query | changes.get("query", {}),
        headers=headers | changes.get("headers", {}),
        content=changes.get("content", content),
    )


async def test_every_example_is_accepted_by_the_operation_that_gives_it(
    client: httpx.AsyncClient, container: Root, document: dict[str, Any]
) -> None:
    """An unknown query parameter keeps the request from having any effect, and must be its only fault."""
    headers = bearer(container, roles=EVERY_ROLE)
    for path, method, operation in operations(document):
        response = await send(client, document, path, method, query={"nonsense": "1"}, headers=headers)
        assert response.status_code == 400, (operation["operationId"], response.text)
        assert [fault["parameter"] for fault in response.json()["errors"]] == ["nonsense"], (operation["operationId"], response.text)


async def test_every_operation_refuses_alike(client: httpx.AsyncClient, container: Root, document: dict[str, Any]) -> None:
    headers = bearer(container, roles=EVERY_ROLE)
    for path, method, operation in operations(document):
        name = operation["operationId"]
        changes: list[tuple[int, dict[str, Any]]] = [
            (400, {"headers": headers | {"Api-Version": "1999-01-01"}}),
            (401, {"headers": {"Authorization": "Bearer forged"}}),
        ]
        if {} not in operation["security"] and "403" in operation["responses"]:
            changes.append((403, {"headers": bearer(container, roles=())}))
        if "413" in operation["responses"]:
            changes.append((413, {"headers": headers, "content": b" " * 1_048_577}))
        if "428" in operation["responses"]:
            changes.append((428, {"headers": headers, "without": ("Idempotency-Key", "If-Match")}))
        if "requestBody" in operation:
            changes += [
                (400, {"headers": headers, "content": b'{"a":1,"a":2}'}),
                (415, {"headers": headers | {"Content-Type": "text/plain"}}),
            ]
        for status, change in changes:
            response = await send(client, document, path, method, **change)
            assert response.status_code == status, (name, status, response.text)
            codes = operation["responses"][str(status)]["content"]["application/problem+json"]["examples"]
            assert response.json()["code"] in codes, (name, response.text)


async def test_a_date_is_described_as_one(document: dict[str, Any]) -> None:
    dates = {
        f"{name}.{field}": described.get("format")
        for name, schema in document["components"]["schemas"].items()
        for field, described in schema.get("properties", {}).items()
        if field == "at" or field.endswith("_at")
    }
    assert len(dates) >= 20
    assert set(dates.values()) == {"date-time"}


async def test_the_document_is_whole_and_every_problem_it_names_has_a_page(client: httpx.AsyncClient, document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    codes = set()
    for _, _, operation in operations(document):
        for response in operation["responses"].values():
            for media, content in response.get("content", {}).items():
                assert resolve(document, content["schema"])
                codes |= set(content["examples"]) if media == "application/problem+json" else set()
    assert len(codes) > 20
    for code in codes:
        page = await client.get(f"/problems/{code}")
        assert (page.status_code, "`" in page.text) == (200, False), code


async def test_the_root_leads_to_the_documentation(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (302, "/docs")
    for path in (answer.headers["location"], answer.json()["openapi"]):
        assert (await client.get(path)).status_code == 200
