"""A purchase whose process is killed, or frozen, at any moment: the customer asks again, and everything happened once."""

import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from entrypoints.container import Root
from shared.infra.config import Settings
from tests.faults.crashpoints import Explorer
from tests.support.application import environment_of
from tests.support.shop import Goods, Shop
from tests.support.time import let_time_pass

Settle = Callable[[], Awaitable[None]]
QUICK_STRIDE = 29
"""The short profile tries every 29th point, the long one tries all."""


@dataclass
class Purchase:
    """One customer's cart, ready to be completed, and the request that completes it."""

    who: dict[str, str]
    goods: Goods
    path: str
    body: dict[str, Any]
    headers: dict[str, str]

    def arguments(self, settings: Settings, expect: list[int]) -> dict[str, Any]:
        request = {"path": self.path, "body": self.body, "headers": self.headers}
        return {"environment": environment_of(settings), "expect": expect, **request}


class Story:
    """Makes purchases, lets their processes die, and looks at what is left."""

    def __init__(self, client: httpx.AsyncClient, container: Root, settings: Settings, settle: Settle) -> None:
        self.shop = Shop(client, container)
        self.settings = settings
        self._settle = settle

    async def purchase(self, method: str) -> Purchase:
        who, goods = await self.shop.member(), await self.shop.goods(stock=3)
        cart = await self.shop.cart(who, (goods, 2))
        body = {"expected_total": cart["total"], "payment_method": method}
        return Purchase(who, goods, f"/v1/carts/{cart['id']}/complete", body, {**who, "Idempotency-Key": secrets.token_hex(8)})

    async def settled(self) -> None:
        """The dead process' claims run out, others go on, until nothing is left to do."""
        for _ in range(3):
            await let_time_pass(self.settings.database_url)
            await self._settle()

    async def asked_again(self, purchase: Purchase) -> httpx.Response:
        answer = await self.shop.client.post(purchase.path, json=purchase.body, headers=purchase.headers)
        await self.settled()
        return answer

    async def facts(self, purchase: Purchase) -> Mapping[str, Any]:
        """What the tables of all modules say of the order of this cart."""
        admin = await asyncpg.connect(self.settings.database_url)
        try:
            row = await admin.fetchrow(FACTS, purchase.path.split("/")[3])
        finally:
            await admin.close()
        assert row is not None
        return dict(row)

    def mails(self, number: str) -> int:
        outbox = Path(self.settings.mail_url.removeprefix("file://"))
        subjects = [message_from_bytes(file.read_bytes(), policy=policy.default)["subject"] for file in outbox.glob("*.eml")]
        return sum(number in subject.split() for subject in subjects)


FACTS = """
    select count(*) as orders, min(o.number) as number, min(o.status) as status, min(o.payment_status) as payment,
           (select count(*) from orders.saga s where s.key = min(o.id) and s.ended_at is null) as open_sagas,
           (select array_agg(e.type order by e.id) from orders.event e where e.key = min(o.id)) as events,
           (select array_agg(e.kind order by e.id) from orders.order_entry e where e.order_id = min(o.id)) as timeline
    from orders.customer_order o where o.cart_id = $1
"""


@pytest.fixture(scope="module")
def story(client: httpx.AsyncClient, container: Root, settings: Settings, settle: Settle) -> Story:
    return Story(client, container, settings, settle)


@pytest.fixture(scope="module")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Explorer]:
    explorer = Explorer("tests.faults.purchase", tmp_path_factory.mktemp("purchase"))
    yield explorer
    explorer.close()


async def bought_once(story: Story, purchase: Purchase) -> None:
    """Whatever happened before, asking again with the same key ends in one order, one payment, one mail."""
    answer = await story.asked_again(purchase)
    assert answer.status_code == 201, answer.text
    facts = await story.facts(purchase)
    assert (facts["orders"], facts["status"], facts["payment"], facts["open_sagas"]) == (1, "placed", "paid", 0)
    assert facts["events"] == ["orders.order_placed", "orders.order_paid"]
    assert facts["timeline"] == ["completion_started", "placed", "captured"]
    assert story.mails(facts["number"]) == 1
    level = await story.shop.level(purchase.goods.sku)
    assert (level["on_hand"], level["allocated"], level["reserved"]) == (3, 2, 0)


async def declined_once(story: Story, purchase: Purchase) -> None:
    """A declined card leaves an open cart, and all that was held is back."""
    answer = await story.asked_again(purchase)
    assert (answer.status_code, answer.json()["code"]) == (402, "payment_declined")
    facts = await story.facts(purchase)
    assert (facts["orders"], facts["status"], facts["payment"], facts["open_sagas"]) == (1, "draft", "unpaid", 0)
    assert facts["events"] is None
    level = await story.shop.level(purchase.goods.sku)
    assert (level["on_hand"], level["allocated"], level["reserved"]) == (3, 0, 0)


async def cancelled_once(story: Story, purchase: Purchase) -> None:
    """A capture that is refused for good cancels the order, and everything goes back."""
    await story.asked_again(purchase)
    facts = await story.facts(purchase)
    assert (facts["orders"], facts["status"], facts["payment"], facts["open_sagas"]) == (1, "cancelled", "voided", 0)
    assert facts["events"] == ["orders.order_placed", "orders.order_cancelled"]
    level = await story.shop.level(purchase.goods.sku)
    assert (level["on_hand"], level["allocated"], level["reserved"]) == (3, 0, 0)


ROADS = {
    "pm_card_ok": ([201], bought_once),
    "pm_card_declined": ([402], declined_once),
    "pm_card_capture_refused": ([201, 202], cancelled_once),
}


async def books_balance(story: Story) -> None:
    balance = (await story.shop.client.get("/v1/ledger/trial_balance", headers=story.shop.admin)).json()
    assert balance["balanced"]


async def killed_at(story: Story, explorer: Explorer, method: str, points: range) -> int:
    expect, check = ROADS[method]
    killed = 0
    for point in points:
        purchase = await story.purchase(method)
        if explorer.kill_at(point, purchase.arguments(story.settings, expect)):
            await story.settled()
            await check(story, purchase)
            killed += 1
    await books_balance(story)
    return killed


async def points_of(story: Story, explorer: Explorer, method: str) -> list[str]:
    purchase = await story.purchase(method)
    return explorer.record(purchase.arguments(story.settings, ROADS[method][0]))


@pytest.mark.parametrize("method", ROADS)
async def test_killed_here_and_there(story: Story, explorer: Explorer, method: str) -> None:
    points = range(0, len(await points_of(story, explorer, method)), QUICK_STRIDE)
    assert await killed_at(story, explorer, method, points) > len(points) // 2


@pytest.mark.soak
@pytest.mark.parametrize("method", ROADS)
async def test_killed_before_and_after_every_statement_and_commit(story: Story, explorer: Explorer, method: str) -> None:
    points = range(len(await points_of(story, explorer, method)))
    assert await killed_at(story, explorer, method, points) > len(points) // 2


@pytest.mark.parametrize("moment", [0.3, 0.5, 0.7, 0.9])
async def test_frozen_while_others_take_over_it_does_nothing_twice(story: Story, explorer: Explorer, moment: float) -> None:
    """`moment` is the part of the run after which the process stops."""
    points = await points_of(story, explorer, "pm_card_ok")
    purchase = await story.purchase("pm_card_ok")
    pid = explorer.freeze_at(int(moment * len(points)), purchase.arguments(story.settings, [201, 202, 409]))
    await story.settled()
    explorer.wake(pid)
    await story.settled()
    await bought_once(story, purchase)
    await books_balance(story)
