"""A shop is stocked and bought from by what openapi-python-client has made of the documentation; run where that is importable."""

from httpx import AsyncBaseTransport
from tenon_client import AuthenticatedClient
from tenon_client.api.carts import add_cart_item, complete_cart, create_cart, update_cart
from tenon_client.api.catalog import create_product, publish_product
from tenon_client.api.inventory import create_stock_movement
from tenon_client.api.orders import get_order
from tenon_client.models import (
    AddItem,
    AddressBody,
    CompleteCart,
    CreateCart,
    CreateMovement,
    CreateMovementKind,
    CreateProduct,
    CreateVariant,
    Money,
    OrderView,
    PriceBody,
    Problem,
    UpdateCart,
)


def client(token: str, transport: AsyncBaseTransport) -> AuthenticatedClient:
    return AuthenticatedClient(base_url="http://test", token=token, httpx_args={"transport": transport})


async def stock(manager: AuthenticatedClient) -> str:
    """Put twelve stools on sale; answers the id of the variant."""
    price = PriceBody(list_price=Money(amount=1500, currency="EUR"))
    body = CreateProduct(title="Oak stool", slug="stool", variants=[CreateVariant(sku="STOOL-1", prices=[price])])
    product = await create_product.asyncio(client=manager, body=body)
    await publish_product.asyncio(product.id, client=manager)
    movement = CreateMovement(kind=CreateMovementKind.RECEIVED, sku="STOOL-1", quantity=12, reason="delivery")
    await create_stock_movement.asyncio(client=manager, body=movement, idempotency_key="delivery-1")
    return str(product.variants[0].id)


async def buy(customer: AuthenticatedClient, variant_id: str, card: str) -> OrderView | Problem:
    """Two of them, to be sent to Oslo."""
    cart = (await create_cart.asyncio(client=customer, body=CreateCart(currency="EUR"))).cart
    where = AddressBody(name="Ada", line1="1 Main St", city="Oslo", postal_code="0150", country="NO")
    changed = await update_cart.asyncio_detailed(cart.id, client=customer, body=UpdateCart(shipping_address=where), if_match="*")
    assert changed.headers["etag"] == f'"{changed.parsed.version}"'
    cart = await add_cart_item.asyncio(cart.id, client=customer, body=AddItem(variant_id=variant_id, quantity=2))
    assert [requirement.code for requirement in cart.requirements] == []
    body = CompleteCart(expected_total=cart.total, payment_method=card)
    return await complete_cart.asyncio(cart.id, client=customer, body=body, idempotency_key=f"complete-{cart.id}")


async def story(transport: AsyncBaseTransport, manager_token: str, customer_token: str) -> tuple[OrderView, OrderView, Problem]:
    """The order as it was placed and as it is read, and what becomes of a card that is declined."""
    customer = client(customer_token, transport)
    variant_id = await stock(client(manager_token, transport))
    placed = await buy(customer, variant_id, "pm_card_ok")
    declined = await buy(customer, variant_id, "pm_card_declined")
    return placed, await get_order.asyncio(placed.id, client=customer), declined
