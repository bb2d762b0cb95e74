"""Whatever is sent by whomever: the answer is one that the documentation names, in the form that it gives."""

import asyncio
import secrets
from collections.abc import Callable
from typing import Any, Final

import httpx
import pytest

from entrypoints.container import Root, compose
from entrypoints.http import create_app
from shared.infra.config import Settings
from shared.infra.telemetry import configure_logging
from tests.chassis.api.test_documented_refusals import administrator
from tests.contract.fuzzing import findings
from tests.support.tokens import bearer

CALLERS: Final = ["anonymous", "customer", "admin"]
PLANTED_IN: Final = "/v1/categories"
OFF: Final = {"enabled": False}
BOUNDS_ONLY: Final = {"fuzzing": OFF, "stateful": OFF}


Plant = Callable[[dict[str, Any]], object]


@pytest.fixture
async def document(fresh_client: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await fresh_client.get("/openapi.json")).json()
    return found


async def ask(settings: Settings, document: dict[str, Any], credentials: dict[str, str], **options: Any) -> str:
    """What was found, line by line."""
    configure_logging(settings.log_format, settings.log_level)  # thousands of lines otherwise, and seconds
    found = await asyncio.to_thread(findings, create_app(compose(settings)), document, credentials, **options)
    return "\n".join(found)


async def credentials_of(caller: str, container: Root) -> dict[str, str]:
    if caller == "admin":
        return await administrator(container)
    return bearer(container) if caller == "customer" else {}


@pytest.mark.slow
@pytest.mark.parametrize("caller", CALLERS)
async def test_every_bound_of_the_schemas_is_kept(
    fresh_settings: Settings, fresh_container: Root, document: dict[str, Any], caller: str
) -> None:
    """At, below and above each bound, each part left out, doubled or of another type: the same requests in every run."""
    credentials = await credentials_of(caller, fresh_container)
    found = await ask(fresh_settings, document, credentials, phases=BOUNDS_ONLY)
    assert not found, found


@pytest.mark.soak
@pytest.mark.parametrize("caller", CALLERS)
async def test_nothing_that_can_be_made_up_is_answered_otherwise_than_documented(
    fresh_settings: Settings, fresh_container: Root, document: dict[str, Any], caller: str
) -> None:
    """Fifty requests to each operation, and chains of them that take up what earlier answers told."""
    seed = secrets.randbelow(2**32)
    credentials = await credentials_of(caller, fresh_container)
    many = {"database": "none", "max-examples": 50}
    found = await ask(fresh_settings, document, credentials, seed=seed, generation=many, phases={"examples": OFF, "coverage": OFF})
    assert not found, f"with seed {seed}\n{found}"


def operation(document: dict[str, Any]) -> Any:
    return document["paths"][PLANTED_IN]["post"]


def key(document: dict[str, Any]) -> Any:
    return next(each for each in operation(document)["parameters"] if each.get("name") == "Idempotency-Key")


def schema(document: dict[str, Any], name: str) -> Any:
    return document["components"]["schemas"][name]


PLANTED: Final[list[tuple[str, Plant]]] = [
    ("status_code_conformance", lambda document: operation(document)["responses"].pop("400")),
    ("response_schema_conformance", lambda document: schema(document, "Problem")["required"].append("colour")),
    ("negative_data_rejection", lambda document: schema(document, "CreateCategory")["properties"]["name"].update(maxLength=3)),
    ("positive_data_acceptance", lambda document: key(document).update(schema={"type": "string", "minLength": 256, "maxLength": 300})),
    ("missing_required_header", lambda document: key(document).update(required=True)),
]


@pytest.mark.parametrize(("check", "plant"), PLANTED, ids=[check for check, _ in PLANTED])
async def test_a_planted_untruth_is_found(settings: Settings, container: Root, client: httpx.AsyncClient, check: str, plant: Plant) -> None:
    document = (await client.get("/openapi.json")).json()
    document["paths"] = {PLANTED_IN: document["paths"][PLANTED_IN]}
    plant(document)
    assert f"POST {PLANTED_IN}: {check}" in await ask(settings, document, bearer(container, ["admin"]), phases=BOUNDS_ONLY)
