"""Changing many prices: the arithmetic of one product, and the job that goes through all of them, followed over HTTP."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from modules.catalog.container import CatalogContainer
from modules.catalog.domain import repricing
from modules.catalog.domain.price import MAX_PRICE, PriceTag, Sale
from modules.catalog.domain.product import NewVariant, Product
from modules.catalog.public import PriceChanged
from shared.domain.money import Money
from shared.infra.events.wakeup import Wakeup
from shared.infra.tasks.worker import TaskWorker
from tests.catalog.conftest import Shop
from tests.support.application import client_of
from tests.support.tokens import bearer

NOW = datetime(2026, 5, 1, tzinfo=UTC)
FIVE_PERCENT = Decimal("1.05")


def tag(amount: int, currency: str = "USD", sale: int | None = None) -> PriceTag:
    return PriceTag(list_price=Money(amount, currency), sale=None if sale is None else Sale(price=Money(sale, currency)))


def product(*tags: PriceTag) -> Product:
    variants = [NewVariant(sku=f"S{number}", prices=[each]) for number, each in enumerate(tags)]
    return Product.draft(title="Stool", slug="stool", variants=variants, now=NOW)


def test_list_and_sale_price_change_together_each_rounded_half_even():
    stool = product(tag(1010, sale=530), tag(1030))
    events, left = stool.reprice("USD", FIVE_PERCENT, NOW)
    assert [variant.prices[0].tag for variant in stool.variants] == [tag(1060, sale=556), tag(1082)], "1060.5, 556.5 and 1081.5"
    assert [(event.amount, event.sale_amount) for event in events if isinstance(event, PriceChanged)] == [(1060, 556), (1082, None)]
    assert (left, stool.version) == (0, 2), "one change of the product"


def test_other_currencies_and_prices_that_stay_the_same_are_no_change():
    stool = product(tag(1000, "EUR"), tag(0))
    assert stool.reprice("USD", FIVE_PERCENT, NOW) == ([], 0)
    assert stool.version == 1


def test_a_price_that_would_break_a_rule_is_left_and_counted():
    stool = product(tag(2, sale=1), tag(MAX_PRICE), tag(1000))
    events, left = stool.reprice("USD", Decimal("1.5"), NOW)
    assert (len(events), left) == (2, 1)
    events, left = product(tag(3, sale=2)).reprice("USD", Decimal("0.1"), NOW)
    assert (events, left) == ([], 1), "the sale would not be below the list price any more"


@pytest.fixture
async def client(shop: Shop, wired: CatalogContainer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    """With steps of two products."""
    await shop.admin.execute("truncate task")
    monkeypatch.setattr(repricing, "AT_ONCE", 2)
    async with client_of(wired) as client:
        yield client


async def work(wired: CatalogContainer) -> int:
    module = wired.module()
    return await TaskWorker([module], Wakeup([module.database])).drain()


async def stocked(shop: Shop, category_id: str | None = None, *, slug: str = "s", number: int = 5) -> list[str]:
    made = []
    for n in range(number):
        variant = NewVariant(sku=f"{slug.upper()}-{n}", prices=[tag(1000 + n), tag(500, "EUR")])
        made.append((await shop.products.create_product(title="T", slug=f"{slug}-{n}", category_id=category_id, variants=[variant])).id)
    return made


async def prices(shop: Shop, currency: str = "USD") -> list[int]:
    rows = await shop.admin.fetch("select list_amount from price where currency = $1 order by list_amount", currency)
    return [row["list_amount"] for row in rows]


async def ask(client: httpx.AsyncClient, headers: dict[str, str], **body: Any) -> httpx.Response:
    return await client.post("/v1/price_changes", json=body, headers=headers)


async def test_a_change_is_followed_from_202_to_its_end(shop: Shop, wired: CatalogContainer, client: httpx.AsyncClient, manager):
    await stocked(shop)
    begun = await ask(client, manager, currency="USD", percent="10")
    assert (begun.status_code, begun.json()["status"]) == (202, "queued")
    address = begun.headers["location"]
    assert address == f"/v1/jobs/{begun.json()['id']}"
    assert (await client.get(address, headers=manager)).json() == begun.json()
    await work(wired)
    ended = (await client.get(address, headers=manager)).json()
    assert (ended["status"], ended["result"], ended["failure"]) == ("succeeded", "/v1/products", None)
    assert ended["progress"] == {"done": 5, "total": 5, "message": "5 products looked at"}
    assert await prices(shop) == [1100, 1101, 1102, 1103, 1104]
    assert set(await prices(shop, "EUR")) == {500}
    assert (await shop.told()).count("catalog.price_changed") == 5 * 2 + 5


async def test_only_a_category_with_all_below_it_is_changed_and_archived_products_are_not(
    shop: Shop, wired: CatalogContainer, client: httpx.AsyncClient, manager
):
    top = await shop.categories.create(name="Seats", slug="seats")
    below = await shop.categories.create(name="Stools", slug="stools", parent_id=top.id)
    chosen = await stocked(shop, below.id, slug="in", number=3)
    await stocked(shop, slug="out", number=2)
    await shop.products.archive_product(chosen[0])
    begun = await ask(client, manager, currency="EUR", percent="-50", category_id=top.id)
    await work(wired)
    ended = (await client.get(begun.headers["location"], headers=manager)).json()
    assert (ended["result"], ended["progress"]["total"]) == (f"/v1/products?category={top.id}", 2)
    assert sorted(await prices(shop, "EUR")) == [250, 250, 500, 500, 500]


async def test_a_crash_between_two_steps_changes_no_price_twice(shop: Shop, wired: CatalogContainer, client: httpx.AsyncClient, manager):
    await stocked(shop)
    address = (await ask(client, manager, currency="USD", percent="100")).headers["location"]
    service = wired.repricing()
    steps = 0

    class Frozen:
        """The clock breaks down in the middle of the second step, once."""

        def now(self) -> datetime:
            nonlocal steps
            steps += 1
            if steps == 4:
                raise KeyError("gone")
            return NOW

    clock, service._clock = service._clock, Frozen()
    try:
        await work(wired)
        halfway = (await client.get(address, headers=manager)).json()
        await shop.admin.execute("update task set due_at = now() where state = 'ready'")
        await work(wired)
    finally:
        service._clock = clock
    assert (halfway["status"], halfway["progress"]["done"]) == ("queued", 2)
    assert (await client.get(address, headers=manager)).json()["status"] == "succeeded"
    assert await prices(shop) == [2000, 2002, 2004, 2006, 2008]


async def test_it_can_be_cancelled_and_then_cannot_again(shop: Shop, wired: CatalogContainer, client: httpx.AsyncClient, manager):
    await stocked(shop)
    address = (await ask(client, manager, currency="USD", percent="10")).headers["location"]
    keyed = {**manager, "Idempotency-Key": "end-it"}
    cancelled = await client.post(f"{address}/cancel", headers=keyed)
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    again = await client.post(f"{address}/cancel", headers=keyed)
    assert (again.json(), again.headers["idempotent-replayed"]) == (cancelled.json(), "true")
    await work(wired)
    assert await prices(shop) == [1000, 1001, 1002, 1003, 1004]
    address = (await ask(client, manager, currency="USD", percent="10")).headers["location"]
    await work(wired)
    late = await client.post(f"{address}/cancel", headers=manager)
    assert (late.status_code, late.json()["code"]) == (409, "job_ended")


async def test_the_job_is_its_beginner_s_and_the_administrators(shop: Shop, wired: CatalogContainer, client: httpx.AsyncClient, manager):
    address = (await ask(client, manager, currency="USD", percent="10")).headers["location"]
    for stranger in (bearer(wired, ["manager"], user_id="usr_" + "1" * 32), bearer(wired, ["customer"], user_id="usr_" + "2" * 32)):
        for answer in (await client.get(address, headers=stranger), await client.post(f"{address}/cancel", headers=stranger)):
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert (await client.get(address)).status_code == 401
    admin = bearer(wired, ["admin"], user_id="usr_" + "3" * 32)
    assert (await client.get(address, headers=admin)).json()["status"] == "queued"
    assert (await client.post(f"{address}/cancel", headers=admin)).json()["status"] == "cancelled"


async def test_one_change_at_a_time_in_each_currency_and_a_repeat_with_its_key_begins_no_other(
    shop: Shop, client: httpx.AsyncClient, manager
):
    keyed = {**manager, "Idempotency-Key": "once"}
    first = await ask(client, keyed, currency="USD", percent="10")
    again = await ask(client, keyed, currency="USD", percent="10")
    assert (again.status_code, again.json(), again.headers["location"]) == (202, first.json(), first.headers["location"])
    other = await ask(client, manager, currency="USD", percent="20")
    assert (other.status_code, other.json()["code"], other.json()["job_id"]) == (409, "job_underway", first.json()["id"])
    assert (await ask(client, manager, currency="EUR", percent="20")).status_code == 202


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"currency": "XXX", "percent": "5"}, 422, "unknown_currency"),
        ({"currency": "USD", "percent": "-96"}, 422, "percentage_out_of_range"),
        ({"currency": "USD", "percent": "900.01"}, 422, "percentage_out_of_range"),
        ({"currency": "USD", "percent": "5", "category_id": "cat_" + "0" * 32}, 422, "category_unknown"),
        ({"currency": "USD", "percent": "5.123"}, 400, "invalid_request"),
        ({"currency": "USD", "percent": 5}, 400, "invalid_request"),
        ({"currency": "USD", "percent": "1e2"}, 400, "invalid_request"),
    ],
)
async def test_what_makes_no_sense_is_refused(shop: Shop, client: httpx.AsyncClient, manager, body: dict[str, Any], status: int, code: str):
    answer = await ask(client, manager, **body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


async def test_only_managers_change_prices(shop: Shop, client: httpx.AsyncClient, customer):
    assert (await ask(client, customer, currency="USD", percent="5")).status_code == 403
