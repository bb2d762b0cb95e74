"""OpenAPI that is true: what it says of every operation is what the operation does, status by status."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import pytest

from shared.api.examples import example_of
from shared.api.health import Lifecycle
from shared.api.middleware import EdgeOptions
from shared.api.problems import status_of
from shared.api.wiring import build_app
from shared.domain.context import Principal
from shared.domain.errors import DomainError, Unavailable
from shared.domain.limits import Allowance, Ask
from shared.domain.once import InFlight, KeyReused
from shared.domain.page import Slice
from shared.infra.signing import Signer
from tests.chassis.api.tiny import PUBLIC_URL, CardDeclined, Echo, Shelf, Tiny, TokensByName, Waiting, modules

METHODS = ("get", "post", "put", "patch", "delete")
EVERYBODY = frozenset({"customer", "support", "manager", "admin"})


class Puppet:
    """Stands for every use case: answers or raises what it was told."""

    def __init__(self) -> None:
        self.next: Any = None

    def __getattr__(self, _: str) -> Any:
        async def use_case(*_: Any, **__: Any) -> Any:
            if isinstance(self.next, BaseException):
                raise self.next
            return self.next

        return use_case


class Anyone(TokensByName):
    """`everybody` has all roles, `nobody` has none; `busy` cannot be looked up at the moment."""

    async def authenticate(self, bearer: str) -> Principal:
        if bearer == "busy":
            raise Unavailable("ask again")
        if bearer in ("everybody", "nobody"):
            return Principal(kind="user", id="usr_1", roles=EVERYBODY if bearer == "everybody" else frozenset())
        return await super().authenticate(bearer)


class Gauge:
    """Lets everybody through, or nobody."""

    def __init__(self) -> None:
        self.wait_s = 0

    async def take(self, asks: Sequence[Ask]) -> Allowance:
        return Allowance(asks[0].quota, 7, 1, self.wait_s)


class Stage:
    def __init__(self, client: httpx.AsyncClient, puppet: Puppet, limits: "Gauge", document: dict[str, Any], lifecycle: Lifecycle) -> None:
        self.client = client
        self.puppet = puppet
        self.limits = limits
        self.document = document
        self.lifecycle = lifecycle

    async def send(self, path: str, method: str, operation: dict[str, Any], **changes: Any) -> httpx.Response:
        """A request put together from the examples of the document."""
        query: dict[str, Any] = {}
        headers = {"Authorization": "Bearer everybody"}
        for parameter in map(self.resolve, operation["parameters"]):
            if parameter["in"] == "path":
                path = path.replace(f"{{{parameter['name']}}}", str(parameter["example"]))
            elif parameter["in"] == "query" and parameter["required"]:
                query[parameter["name"]] = parameter["example"]
            elif parameter["in"] == "header" and parameter["required"]:
                headers[parameter["name"]] = parameter["example"]
        content = b""
        if "requestBody" in operation:
            headers["Content-Type"] = "application/json"
            content = json.dumps(operation["requestBody"]["content"]["application/json"]["example"]).encode()
        headers |= changes.get("headers", {})
        for name in changes.get("without", ()):
            headers.pop(name, None)
        return await self.client.request(
            method, path, params=query | changes.get("query", {}), headers=headers, content=changes.get("content", content)
        )

    def resolve(self, node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            found: Any = self.document
            for step in node["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            node = found
        return node

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for path, item in self.document["paths"].items():
            for method in METHODS:
                if method in item:
                    yield path, method, item[method]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with started() as ready:
        yield ready


@asynccontextmanager
async def started() -> AsyncIterator[Stage]:
    puppet, limits, lifecycle = Puppet(), Gauge(), Lifecycle()
    parts: Any = modules(puppet, puppet)  # type: ignore[arg-type]  # a puppet plays every part
    app: Any = build_app(
        parts, authenticator=Anyone(), limits=limits, signer=Signer(b"k" * 32), public_url=PUBLIC_URL, lifecycle=lifecycle, options=SOON
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL) as client:
        yield Stage(client, puppet, limits, (await client.get("/openapi.json")).json(), lifecycle)


async def endless() -> AsyncIterator[bytes]:
    yield b"{"
    await asyncio.Event().wait()


SOON = EdgeOptions(arrival_s=0.01)
"""Bodies that are there at once are in time all the same."""

SHELF = msgspec.convert(example_of(Shelf), Shelf)
RESULTS: dict[str, Any] = {
    "listShelves": Slice([SHELF], None),
    "deleteShelf": None,
    "replaceBox": Echo("anybody", None, [], "now"),
}
WITHOUT_USE_CASE = ("echoBox", "openBox", "readStaffBox", "readLiveness", "readReadiness", "readStartup")


def errors_by_status() -> dict[int, list[type[DomainError]]]:
    found: dict[int, list[type[DomainError]]] = {}
    pending = [DomainError]
    while pending:
        kind = pending.pop()
        pending += kind.__subclasses__()
        if kind.__module__.startswith(("shared.domain", "tests.chassis.api.tiny", "shared.api.refusals")) and "code" in vars(kind):
            found.setdefault(status_of(kind), []).append(kind)
    return found


async def test_every_documented_status_is_produced_and_has_the_documented_form(stage: Stage, lines) -> None:
    for path, method, operation in stage.operations():
        name = operation["operationId"]
        produced: set[str] = set()
        async for response in provoke(stage, path, method, operation):
            status = str(response.status_code)
            assert status in operation["responses"], f"{name} answers {status}, which it does not document: {response.text}"
            check_form(stage, operation, status, response)
            produced.add(status)
        assert produced == set(operation["responses"]) - {"default"}, name


async def provoke(stage: Stage, path: str, method: str, operation: dict[str, Any]) -> AsyncIterator[httpx.Response]:
    """Every way of answering that the document knows of."""
    name, responses, puppet = operation["operationId"], operation["responses"], stage.puppet
    names = [stage.resolve(parameter)["name"] for parameter in operation["parameters"]]
    puppet.next = RESULTS.get(name, SHELF)
    yield await stage.send(path, method, operation)
    yield await stage.send(path, method, operation, query={"nonsense": "1"})
    yield await stage.send(path, method, operation, headers={"Api-Version": "1999-01-01"})
    yield await stage.send(path, method, operation, headers={"Authorization": "Bearer unknown"})
    yield await stage.send(path, method, operation, headers={"Authorization": "Bearer broken"})
    yield await stage.send(path, method, operation, headers={"Authorization": "Bearer busy"})
    if "403" in responses:
        yield await stage.send(path, method, operation, headers={"Authorization": "Bearer nobody"})
    if "304" in responses:
        yield await stage.send(path, method, operation, headers={"If-None-Match": "*"})
    if "requestBody" in operation:
        yield await stage.send(path, method, operation, content=b"{")
        yield await stage.send(path, method, operation, headers={"Content-Type": "text/plain"})
    if "413" in responses:
        yield await stage.send(path, method, operation, content=b" " * 1_048_577)
    if "408" in responses:
        yield await stage.send(path, method, operation, content=endless())
    if "428" in responses:
        yield await stage.send(path, method, operation, without=["Idempotency-Key", "If-Match"])
    if "202" in responses:
        puppet.next = Waiting("sag_1")
        yield await stage.send(path, method, operation)
    for problem in documented_errors(operation) if name not in WITHOUT_USE_CASE else ():
        if problem is CardDeclined:
            puppet.next = CardDeclined("declined")
        else:
            puppet.next = problem("provoked")
        yield await stage.send(path, method, operation, headers={"Idempotency-Key": "k"} if "Idempotency-Key" in names else {})
    if "429" in responses:
        stage.limits.wait_s = 3
        yield await stage.send(path, method, operation)
        stage.limits.wait_s = 0
    if name in ("readReadiness", "readStartup"):
        stage.lifecycle.stage = "starting"
        yield await stage.send(path, method, operation)
        stage.lifecycle.stage = "running"


def documented_errors(operation: dict[str, Any]) -> Iterator[type[DomainError]]:
    codes = {
        code
        for status, response in operation["responses"].items()
        if status != "default"
        for code in response.get("content", {}).get("application/problem+json", {}).get("examples", {})
    }
    for kinds in errors_by_status().values():
        for kind in kinds:
            if kind.code in codes and kind.__module__ in ("shared.domain.errors", "shared.domain.once", "tests.chassis.api.tiny"):
                yield kind


def check_form(stage: Stage, operation: dict[str, Any], status: str, response: httpx.Response) -> None:
    documented = operation["responses"][status]
    content = documented.get("content", {})
    assert response.headers.get("content-type") in (content or {None: None}), (operation["operationId"], status)
    for header in ("trace-id", "api-version"):
        assert header in response.headers
    for header in ("etag", "location", "retry-after", "www-authenticate", "link", "idempotent-replayed", "ratelimit"):
        if header in response.headers:
            assert header in {name.lower() for name in documented["headers"]}, (operation["operationId"], status, header)
    if int(status) >= 400:
        examples = content["application/problem+json"]["examples"]
        assert response.json()["code"] in examples, (operation["operationId"], response.text)
    elif content:
        schema = stage.resolve(content["application/json"]["schema"])
        assert set(schema["required"]) <= response.json().keys()
        assert response.json().keys() <= schema["properties"].keys()


async def test_keys_in_flight_and_reused_are_documented_where_a_key_is_taken(stage: Stage) -> None:
    for _, _, operation in stage.operations():
        takes_key = any(stage.resolve(parameter)["name"] == "Idempotency-Key" for parameter in operation["parameters"])
        for kind in (InFlight, KeyReused):
            response = operation["responses"].get(str(status_of(kind)), {})
            examples = response.get("content", {}).get("application/problem+json", {}).get("examples", {})
            assert (kind.code in examples) is takes_key, operation["operationId"]


async def test_the_document_is_whole(stage: Stage) -> None:
    document = stage.document
    assert document["openapi"] == "3.1.0"
    identifiers = [operation["operationId"] for _, _, operation in stage.operations()]
    assert len(identifiers) == len(set(identifiers)) == 14
    for path, _, operation in stage.operations():
        assert operation["summary"]
        assert operation["description"]
        assert operation["tags"]
        assert operation["security"]
        assert "default" in operation["responses"]
        assert "?" not in path
        assert ":" not in path
        for status, response in operation["responses"].items():
            for media, content in response.get("content", {}).items():
                assert media == ("application/json" if status[0] == "2" else "application/problem+json")
                assert "$ref" in content["schema"] or content["schema"]["type"]
                assert "example" in content or content["examples"]
    references = [node["$ref"] for node in every_object(document) if "$ref" in node]
    assert references
    for reference in references:
        assert stage.resolve({"$ref": reference})


async def test_schemas_are_strict_where_the_reader_is(stage: Stage) -> None:
    schemas = stage.document["components"]["schemas"]
    assert schemas["CreateShelf"]["additionalProperties"] is False
    assert schemas["Problem"]["additionalProperties"] is True
    assert schemas["CreateShelf"]["properties"]["slug"]["pattern"] == "^[a-z0-9]+(?:-[a-z0-9]+)*$"
    assert schemas["Money"]["properties"]["amount"]["type"] == "integer"
    assert schemas["Page_Shelf"]["properties"]["next_cursor"]["type"] == ["string", "null"]
    assert schemas["CreateShelf"]["properties"]["contact"]["format"] == "email"
    assert not [name for name in schemas if name.endswith("_")]


async def test_security_says_who_may_call(stage: Stage) -> None:
    paths = stage.document["paths"]
    assert paths["/v1/shelves"]["get"]["security"] == [{}, {"bearer": []}]
    assert paths["/v1/shelves"]["post"]["security"] == [{"bearer": []}]
    assert paths["/v1/shelves/{shelf_id}/fill"]["post"]["security"] == [{"bearer": []}, {"cartToken": []}]
    assert stage.document["components"]["securitySchemes"].keys() == {"bearer", "cartToken"}


async def test_preconditions_are_parameters(stage: Stage) -> None:
    paths = stage.document["paths"]

    def header(operation: dict[str, Any], name: str) -> dict[str, Any] | None:
        found = map(stage.resolve, operation["parameters"])
        return next((parameter for parameter in found if parameter["name"] == name), None)

    for operation, name, required in (
        (paths["/v1/shelves/{shelf_id}"]["patch"], "If-Match", True),
        (paths["/v1/boxes/{box_id}"]["put"], "If-Match", False),
        (paths["/v1/shelves/{shelf_id}/fill"]["post"], "Idempotency-Key", True),
        (paths["/v1/shelves"]["post"], "Idempotency-Key", False),
        (paths["/v1/shelves/{shelf_id}"]["get"], "If-None-Match", False),
    ):
        parameter = header(operation, name)
        assert parameter is not None
        assert parameter["required"] is required
    assert header(paths["/v1/shelves/{shelf_id}"]["get"], "If-Match") is None
    assert header(paths["/v1/boxes/open"]["post"], "Idempotency-Key") is None


async def test_the_document_is_not_sent_to_who_knows_it(app: Tiny) -> None:
    first = await app.client.get("/openapi.json")
    again = await app.client.get("/openapi.json", headers={"If-None-Match": first.headers["etag"]})
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")


async def test_the_page_for_people_runs_only_our_own_script(app: Tiny) -> None:
    page, other = await app.client.get("/docs"), await app.client.get("/docs")
    policy = page.headers["content-security-policy"]
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in policy
    assert "script-src 'nonce-" in policy
    assert "http" not in policy
    assert policy != other.headers["content-security-policy"]
    nonce = policy.split("'nonce-")[1].split("'")[0]
    assert page.text.count(f'nonce="{nonce}"') == page.text.count("<script") == 2
    source = page.text.split('src="')[1].split('"')[0]
    script = await app.client.get(source)
    assert script.status_code == 200
    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert b"@scalar/api-reference" in script.content[:500]


def every_object(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for part in node.values():
            yield from every_object(part)
    elif isinstance(node, list):
        for part in node:
            yield from every_object(part)
