"""The cart: what somebody wants, until it becomes an order."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from modules.orders.domain.errors import CartFull, CartNotOpen
from modules.orders.domain.owner import Owner
from modules.orders.domain.totals import Offer, PricedLine, price_lines
from shared.domain.errors import NotFound, StaleVersion
from shared.domain.ids import new_id

MAX_ITEMS = 100
MAX_QUANTITY = 999


class CartStatus(StrEnum):
    OPEN = "open"
    COMPLETING = "completing"
    COMPLETED = "completed"


class Address(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the goods go; `country` is an ISO 3166-1 alpha-2 code."""

    name: str
    line1: str
    city: str
    postal_code: str
    country: str
    line2: str = ""
    region: str = ""


class Requirement(msgspec.Struct, frozen=True):
    """Something that still blocks completion."""

    code: str
    detail: str
    item_id: str | None = None


@dataclass(slots=True)
class Item:
    id: str
    variant_id: str
    quantity: int


@dataclass(slots=True)
class Cart:
    id: str
    owner: Owner
    currency: str
    email: str | None = None
    shipping_address: Address | None = None
    status: CartStatus = CartStatus.OPEN
    order_id: str | None = None
    version: int = 1
    items: list[Item] = field(default_factory=list)

    def add(self, variant_id: str, quantity: int) -> None:
        """Put `quantity` more of a variant in."""
        self._change()
        item = next((i for i in self.items if i.variant_id == variant_id), None)
        if item is None:
            if len(self.items) == MAX_ITEMS:
                raise CartFull(f"a cart holds at most {MAX_ITEMS} different variants")
            self.items.append(Item(new_id("itm"), variant_id, quantity))
        else:
            item.quantity += quantity
        if max(i.quantity for i in self.items) > MAX_QUANTITY:
            raise CartFull(f"a cart holds at most {MAX_QUANTITY} of a variant")

    def set_quantity(self, item_id: str, quantity: int) -> None:
        self._change()
        self._item(item_id).quantity = quantity

    def remove(self, item_id: str) -> None:
        self._change()
        self.items.remove(self._item(item_id))

    def set_details(self, details: "CartDetails") -> None:
        self._change()
        if details.email is not msgspec.UNSET:
            self.email = details.email
        if details.shipping_address is not msgspec.UNSET:
            self.shipping_address = details.shipping_address

    def claim(self, user_id: str) -> None:
        """A guest has logged in: the cart is the user's from now on, and the token opens it no more."""
        self._change()
        self.owner = Owner(user_id=user_id)

    def begin_completion(self, order_id: str) -> None:
        self._change()
        self.status, self.order_id = CartStatus.COMPLETING, order_id

    def reopen(self) -> None:
        """Completion failed before its pivot."""
        if self.status is not CartStatus.COMPLETING:
            raise CartNotOpen("the cart is not being completed")
        self.status, self.version = CartStatus.OPEN, self.version + 1

    def close(self) -> None:
        """The order is placed."""
        if self.status is not CartStatus.COMPLETING:
            raise CartNotOpen("the cart is not being completed")
        self.status, self.version = CartStatus.COMPLETED, self.version + 1

    def expect_version(self, expected: int | None) -> None:
        if expected is not None and expected != self.version:
            raise StaleVersion(f"the cart is at version {self.version}")

    def wanted(self) -> dict[str, int]:
        """How many of each variant."""
        return {item.variant_id: item.quantity for item in self.items}

    def priced(self, offers: Mapping[str, Offer]) -> list[PricedLine | None]:
        """The line of each item, None where it cannot be sold now."""
        return price_lines(self.wanted(), offers)

    def requirements(self, lines: list[PricedLine | None]) -> list[Requirement]:
        """Everything that blocks completion, at once."""
        missing = []
        if not self.items:
            missing.append(Requirement("items", "the cart is empty"))
        if self.email is None and self.owner.user_id is None:
            missing.append(Requirement("email", "a guest's order needs an e-mail address"))
        if self.shipping_address is None:
            missing.append(Requirement("shipping_address", "say where the goods go"))
        for item, line in zip(self.items, lines, strict=True):
            if line is None:
                missing.append(Requirement("item_not_sellable", "this item cannot be sold now", item.id))
        return missing

    def _change(self) -> None:
        if self.status is not CartStatus.OPEN:
            raise CartNotOpen(f"the cart is {self.status}")
        self.version += 1

    def _item(self, item_id: str) -> Item:
        for item in self.items:
            if item.id == item_id:
                return item
        raise NotFound("the cart has no such item")


class CartDetails(msgspec.Struct, frozen=True, kw_only=True):
    """A merge patch: an absent field stays, None clears."""

    email: str | msgspec.UnsetType | None = msgspec.UNSET
    shipping_address: Address | msgspec.UnsetType | None = msgspec.UNSET
