"""Customers of a shop with several doors: each with a cart of their own, and all of them at the same moment."""

import asyncio
import secrets
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Final, TypeVar

import httpx

from tests.chassis.waiting import until
from tests.journeys.system import PATIENCE_S, Api, System
from tests.support.shop import ADDRESS, Goods

T = TypeVar("T")

PREPARED_AT_ONCE: Final = 8


@dataclass(frozen=True)
class Buyer:
    """A guest, whose address is theirs alone, and a cart that only waits to be completed."""

    who: dict[str, str]
    email: str
    cart: dict[str, Any]

    @property
    def cart_id(self) -> str:
        return str(self.cart["id"])

    async def completes(self, api: Api, method: str = "pm_card_ok", key: str | None = None) -> httpx.Response:
        return await api.shop.complete(self.who, self.cart, method, key)

    async def insists(self, api: Api, method: str = "pm_card_ok", key: str | None = None) -> httpx.Response:
        """Completes, and asks again with the same key for as long as the answer invites to."""
        same = key or secrets.token_hex(8)

        async def ask() -> httpx.Response | None:
            answer = await self.completes(api, method, same)
            return None if answer.status_code == 202 or (not answer.is_success and answer.json()["retryable"]) else answer

        return await until(ask, within_s=PATIENCE_S)

    async def sees_cart(self, api: Api) -> dict[str, Any]:
        answer = await api.client.get(f"/v1/carts/{self.cart_id}", headers=self.who)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


async def buyer(api: Api, wanted: Sequence[tuple[Goods, int]]) -> Buyer:
    begun = (await done(api, "POST", "/v1/carts", {"currency": "USD"})).json()
    who, path = {"Cart-Token": begun["token"]}, f"/v1/carts/{begun['cart']['id']}"
    email = f"buyer.{secrets.token_hex(6)}@example.org"
    answer = await done(api, "PATCH", path, {"email": email, "shipping_address": ADDRESS}, **who, **{"If-Match": '"1"'})
    for goods, quantity in wanted:
        answer = await done(api, "POST", f"{path}/items", {"variant_id": goods.variant_id, "quantity": quantity}, **who)
    cart = answer.json()
    assert cart["requirements"] == [], cart
    return Buyer(who, email, cart)


async def buyers(apis: Sequence[Api], baskets: Sequence[Sequence[tuple[Goods, int]]]) -> list[Buyer]:
    """One for each basket; they come in by all doors in turn."""
    places = asyncio.Semaphore(PREPARED_AT_ONCE)

    async def prepared(api: Api, basket: Sequence[tuple[Goods, int]]) -> Buyer:
        async with places:
            return await buyer(api, basket)

    return await at_once(prepared(api, basket) for api, basket in zip(cycle(apis), baskets, strict=False))


async def done(api: Api, method: str, path: str, body: object, **headers: str) -> httpx.Response:
    answer = await api.client.request(method, path, json=body, headers=headers)
    assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
    return answer


async def at_once(works: Iterable[Awaitable[T]]) -> list[T]:
    return list(await asyncio.gather(*works))


async def together(system: System, table: str, works: Sequence[Awaitable[T]]) -> list[T]:
    """At the same moment, however the machine schedules them: who comes to write to `table` waits there for the others."""
    async with system.locked(table):
        ends = asyncio.gather(*works)
        await system.stuck(least=len(works) * 3 // 4)
    return list(await ends)


def outcome(answer: httpx.Response) -> tuple[int, str]:
    """Its status, and the code of a refusal."""
    return answer.status_code, "" if answer.is_success else str(answer.json()["code"])
