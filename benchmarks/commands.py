"""Reserving stock, placing an order and completing a cart, and the same statements sent by bare asyncpg."""

import secrets

from benchmarks.asgi import send
from benchmarks.measure import Spread, Window, share
from benchmarks.purchases import purchase
from benchmarks.replay import Sent, again, recorded, replaying
from benchmarks.report import Row
from benchmarks.stage import Stage
from entrypoints.container import Root
from entrypoints.http import create_app
from modules.inventory.public import Line
from modules.orders.domain.cart import Address, Cart
from modules.orders.domain.completion import CompleteCart
from modules.orders.domain.order import Order
from modules.orders.domain.owner import Owner
from modules.orders.domain.ports import Work
from modules.orders.domain.totals import PricedLine
from shared.domain.ids import new_id
from shared.domain.money import Money
from shared.domain.saga import Local

LINES = 3
WINDOW = 12
ROUNDS = 40
MOST = WINDOW * (ROUNDS + 1)
"""So many of each are used up, the warming up included."""

ADDRESS = Address(name="Ada", line1="1 Main St", city="Oslo", postal_code="0150", country="NO")


async def rows(stage: Stage) -> list[Row]:
    return [
        Row(f"reserve {LINES} lines, in process / the same SQL by asyncpg", await reserving(stage), goal=0.40),
        Row("place an order, in process / the same SQL by asyncpg", await placing(stage), goal=0.40),
        Row("complete a one-line cart, whole stack / the same SQL by asyncpg", await completing(stage)),
    ]


async def reserving(stage: Stage) -> Spread:
    lines = [Line(sku=(await stage.shop.goods(stock=100_000)).sku, quantity=1) for _ in range(LINES)]

    async def reserve(root: Root, key: str) -> None:
        await root.inventory.facade().reserve(key, lines, 3600)

    async def ours() -> None:
        for _ in range(WINDOW):
            await reserve(stage.root, secrets.token_hex(12))

    model = await recorded(stage, lambda root: reserve(root, "the key"))
    return await compared(stage, [again(model, {"the key": secrets.token_hex(12)}, "rsv evt") for _ in range(MOST)], ours)


async def placing(stage: Stage) -> Spread:
    place = next(step for step in stage.root.orders.completion().saga().steps if isinstance(step, Local)).action
    first, *attempts = [await attempted(stage) for _ in range(2 * MOST + 1)]
    waiting = iter(attempts[:MOST])

    async def placed(root: Root, attempt: CompleteCart) -> None:
        await root.orders.transact()(lambda work: place(work, attempt))

    async def ours() -> None:
        for _ in range(WINDOW):
            await placed(stage.root, next(waiting))

    model = await recorded(stage, lambda root: placed(root, first))
    renamed = [{first.order_id: each.order_id, first.cart_id: each.cart_id} | numbered(model) for each in attempts[MOST:]]
    return await compared(stage, [again(model, names, "evt") for names in renamed], ours)


async def completing(stage: Stage) -> Spread:
    goods = await stage.shop.goods(stock=100_000)
    first, *purchases = [await purchase(stage, goods) for _ in range(2 * MOST + 1)]
    waiting = iter(purchases[:MOST])

    async def ours() -> None:
        for _ in range(WINDOW):
            await send(stage.app, next(waiting))

    model = await recorded(stage, lambda root: send(create_app(root), first))
    renamed = [
        {first.cart_id: each.cart_id, first.key: each.key, first.customer: each.customer} | numbered(model) for each in purchases[MOST:]
    ]
    made = "ord sag rsv pin att ltx evt"
    return await compared(stage, [again(model, names, made) for names in renamed], ours)


async def compared(stage: Stage, scripts: list[list[Sent]], ours: Window) -> Spread:
    async with replaying(stage, scripts, WINDOW) as bare:
        return await share(bare, ours, rounds=ROUNDS)


def numbered(model: list[Sent]) -> dict[str, str]:
    """Another number for the order whose number is in there."""
    return {text: secrets.token_hex(6) for sent in model for text in sent.texts() if text.isdigit()}


async def attempted(stage: Stage) -> CompleteCart:
    """A cart of three lines whose order only waits to be placed."""
    cart = Cart(id=new_id("crt"), owner=Owner(user_id=new_id("usr")), currency="USD", shipping_address=ADDRESS)
    price = Money(1500, "USD")
    lines = [PricedLine(new_id("var"), new_id("prd"), f"SKU-{number}", "A stool", 1, price, price) for number in range(LINES)]
    order = Order.draft(cart, lines, ADDRESS, None)

    async def begin(work: Work) -> None:
        await work.carts.add(cart)
        cart.begin_completion(order.id)
        await work.checkouts.put_draft(cart, order)

    await stage.root.orders.transact()(begin)
    return CompleteCart.of(order, "pm_card_ok", 900).authorized(new_id("pin"))
