"""Orders that only wait to be placed, and the step that places them."""

from benchmarks.stage import Stage
from entrypoints.container import Root
from modules.orders.domain.cart import Address, Cart
from modules.orders.domain.completion import CompleteCart
from modules.orders.domain.order import Order
from modules.orders.domain.owner import Owner
from modules.orders.domain.ports import Work
from modules.orders.domain.totals import PricedLine
from shared.domain.ids import new_id
from shared.domain.money import Money
from shared.domain.saga import Local

ADDRESS = Address(name="Ada", line1="1 Main St", city="Oslo", postal_code="0150", country="NO")


async def drafted(stage: Stage, lines: int, cart_id: str | None = None, order_id: str | None = None) -> CompleteCart:
    """A cart whose order is begun and paid for."""
    cart = Cart(id=cart_id or new_id("crt"), owner=Owner(user_id=new_id("usr")), currency="USD", shipping_address=ADDRESS)
    price = Money(1500, "USD")
    sold = [PricedLine(new_id("var"), new_id("prd"), f"SKU-{number}", "A stool", 1, price, price) for number in range(lines)]
    order = Order.draft(cart, sold, ADDRESS, None)
    order.id = order_id or order.id

    async def begin(work: Work) -> None:
        await work.carts.add(cart)
        cart.begin_completion(order.id)
        await work.checkouts.put_draft(cart, order)

    await stage.root.orders.transact()(begin)
    return CompleteCart.of(order, "pm_card_ok", 900).authorized(new_id("pin"))


async def place(root: Root, attempt: CompleteCart) -> None:
    step = next(step for step in root.orders.completion().saga().steps if isinstance(step, Local))
    await root.orders.transact()(lambda work: step.action(work, attempt))
