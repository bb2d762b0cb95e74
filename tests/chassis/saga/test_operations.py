"""What a 202 points to, asked over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import httpx
import pytest

from shared.api.operations import POLICY, OperationRoutes
from shared.api.wiring import Part, build_app
from shared.domain.context import Context, Principal, begin, current
from shared.domain.errors import NotFound, Unauthenticated
from shared.domain.ids import new_id
from shared.infra.limits.limits import LocalLimits
from shared.infra.saga.operations import SagaOperations
from shared.infra.signing import Signer
from tests.chassis.saga.shop import Shop

SHOP = "https://shop.example"


class EverybodyIs:
    """The token says who it is: `<id>/<role>`."""

    async def authenticate(self, bearer: str) -> Principal:
        who, _, role = bearer.partition("/")
        if not role:
            raise Unauthenticated("unknown token")
        return Principal("user", who, frozenset({role}))


@asynccontextmanager
async def served(shop: Shop) -> AsyncIterator[httpx.AsyncClient]:
    operations = SagaOperations([(shop.database, [shop.saga])])
    part = Part(name="sagas", controllers=[OperationRoutes], use_cases={"operations": operations}, policy=POLICY)
    app = build_app([part], authenticator=EverybodyIs(), limits=LocalLimits(), signer=Signer(b"k" * 32), public_url=SHOP)
    transport = httpx.ASGITransport(cast("Any", app))
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url=SHOP) as client:
        yield client


async def ask(client: httpx.AsyncClient, operation_id: str, token: str) -> httpx.Response:
    return await client.get(f"/v1/operations/{operation_id}", headers={"Authorization": f"Bearer {token}"} if token else {})


async def test_who_began_it_follows_it_to_its_end(shop_url):
    async with Shop(shop_url, script={"authorize": ["wait", "ok"]}) as shop, served(shop) as client:
        begin(replace(current(), principal=Principal("user", "usr_ada", frozenset({"customer"}))))
        await shop.buy("followed")
        saga_id = await shop.database.fetchval("select id from saga where key = 'followed'")
        waiting = await ask(client, saga_id, "usr_ada/customer")
        await shop.wake(saga_id)
        await shop.drain()
        ended = await ask(client, saga_id, "usr_ada/customer")
    assert waiting.status_code == 200
    assert waiting.json()["status"] == "waiting"
    assert waiting.json()["ended_at"] is None
    assert ended.json() | {"started_at": "", "ended_at": ""} == {
        "id": saga_id,
        "kind": "purchase",
        "status": "succeeded",
        "result": "/v1/purchases/followed",
        "action_url": None,
        "failure": None,
        "started_at": "",
        "ended_at": "",
    }


async def test_an_undone_operation_says_why(shop_url):
    async with Shop(shop_url, refuses=frozenset({"check"})) as shop, served(shop) as client:
        await shop.buy("undone")
        answer = await ask(client, await shop.database.fetchval("select id from saga where key = 'undone'"), "usr_eve/support")
    assert answer.json()["status"] == "failed"
    assert answer.json()["failure"] == {"code": "sold", "detail": "sold out"}


async def test_a_stranger_cannot_tell_it_from_one_that_does_not_exist(shop_url):
    async with Shop(shop_url) as shop, served(shop) as client:
        begin(replace(current(), principal=Principal("user", "usr_ada", frozenset({"customer"}))))
        await shop.buy("private")
        saga_id = await shop.database.fetchval("select id from saga where key = 'private'")
        foreign = await ask(client, saga_id, "usr_eve/customer")
        missing = await ask(client, new_id("sag"), "usr_eve/customer")
        nobody = await ask(client, saga_id, "")
    assert (foreign.status_code, missing.status_code, nobody.status_code) == (404, 404, 401)
    assert foreign.json()["detail"] == missing.json()["detail"]


async def test_an_operation_is_shown_to_who_began_it_and_to_staff(shop_url):
    beginner = Principal("user", "usr_1", frozenset({"customer"}))
    begin(Context(principal=beginner))
    async with Shop(shop_url, script={"authorize": ["wait", "refuse"]}) as shop:
        operations = SagaOperations([(shop.database, [shop.saga])])
        await shop.buy("watched")
        saga_id = await shop.saga_of("watched")
        waiting = await operations.read(saga_id, beginner)
        assert (waiting.kind, waiting.status, waiting.result, waiting.ended_at) == ("purchase", "waiting", "/v1/purchases/watched", None)
        assert await operations.read(saga_id, Principal("user", "usr_2", frozenset({"support"}))) == waiting
        for stranger in (Principal("user", "usr_2", frozenset({"customer"})), Principal("cart", "usr_1"), Principal()):
            with pytest.raises(NotFound):
                await operations.read(saga_id, stranger)
        await shop.wake(saga_id)
        await shop.drain()
        failed = await operations.read(saga_id, beginner)
    assert failed.status == "failed"
    assert failed.failure is not None
    assert failed.failure.code == "sold"
    assert failed.ended_at is not None
