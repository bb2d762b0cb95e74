"""A shop to buy from, furnished and used over HTTP as its staff and its customers do."""

import secrets
from dataclasses import dataclass
from typing import Any

import httpx

from modules.identity.domain.user import Role
from tests.support.tokens import bearer

ADDRESS = {"name": "Ada", "line1": "1 Main St", "city": "Oslo", "postal_code": "0150", "country": "NO"}


@dataclass(frozen=True)
class Goods:
    """A variant on sale: its price in minor units of USD, and the key of its stock."""

    variant_id: str
    sku: str
    price: int


class Shop:
    """`container` signs the tokens; the rest goes over `client`, which may be in this process or across the network."""

    def __init__(self, client: httpx.AsyncClient, container: Any) -> None:
        self.client = client
        self._container = container

    @property
    def admin(self) -> dict[str, str]:
        """The headers of an admin, from now on for as long as an access token lasts."""
        return self.staff("admin")

    def customer(self) -> dict[str, str]:
        """The headers of a customer who exists only in the token."""
        return bearer(self._container, ["customer"])

    async def member(self) -> dict[str, str]:
        """The headers of a registered customer, who can be written to."""
        email = f"ada.{secrets.token_hex(6)}@example.org"
        administration = self._container.identity.administration()
        user_id = await administration.appoint(email=email, name="Ada", password="seven oak planks", roles=[Role.CUSTOMER])
        return bearer(self._container, ["customer"], user_id=user_id)

    def staff(self, role: str) -> dict[str, str]:
        return bearer(self._container, [role])

    async def goods(self, stock: int, price: int = 1500) -> Goods:
        sku = f"SKU-{secrets.token_hex(6).upper()}"
        variant = {"sku": sku, "prices": [{"list_price": {"amount": price, "currency": "USD"}}]}
        product = await self._done("POST", "/v1/products", {"title": f"Stool {sku}", "slug": sku.lower(), "variants": [variant]})
        await self._done("POST", f"/v1/products/{product['id']}/publish")
        if stock:
            await self.receive(sku, stock)
        return Goods(product["variants"][0]["id"], sku, price)

    async def receive(self, sku: str, quantity: int) -> None:
        movement = {"kind": "received", "sku": sku, "quantity": quantity, "reason": "delivery"}
        await self._done("POST", "/v1/stock_movements", movement, **{"Idempotency-Key": secrets.token_hex(8)})

    async def level(self, sku: str) -> dict[str, Any]:
        """on_hand, allocated, reserved and available of a SKU that lies in one place."""
        answer = await self._done("GET", f"/v1/stock_levels?sku={sku}")
        [level] = answer["data"]
        return dict(level)

    async def cart(self, who: dict[str, str], *wanted: tuple[Goods, int]) -> dict[str, Any]:
        """A cart that only waits to be completed."""
        begun = (await self._done("POST", "/v1/carts", {"currency": "USD"}, **who))["cart"]
        cart = await self._done("PATCH", f"/v1/carts/{begun['id']}", {"shipping_address": ADDRESS}, **who, **{"If-Match": '"1"'})
        for goods, quantity in wanted:
            body = {"variant_id": goods.variant_id, "quantity": quantity}
            cart = await self._done("POST", f"/v1/carts/{begun['id']}/items", body, **who)
        return cart

    async def complete(
        self, who: dict[str, str], cart: dict[str, Any], method: str = "pm_card_ok", key: str | None = None
    ) -> httpx.Response:
        body = {"expected_total": cart["total"], "payment_method": method}
        headers = {**who, "Idempotency-Key": key or secrets.token_hex(8)}
        return await self.client.post(f"/v1/carts/{cart['id']}/complete", json=body, headers=headers)

    async def order(self, who: dict[str, str], *wanted: tuple[Goods, int]) -> dict[str, Any]:
        """A placed and paid order."""
        answer = await self.complete(who, await self.cart(who, *wanted))
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def _done(self, method: str, path: str, body: object = None, **headers: str) -> dict[str, Any]:
        """As the admin, unless `headers` hold a credential."""
        anonymous = not {"Authorization", "Cart-Token"} & headers.keys()
        sent = {**self.admin, **headers} if anonymous else headers
        answer = await self.client.request(method, path, json=body, headers=sent)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return dict(answer.json())
