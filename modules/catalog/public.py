"""What others may know of the catalog: events, the offer of a variant, and the facade."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol

import msgspec

from shared.domain.events import Event
from shared.domain.money import Money


class ProductCreated(Event, frozen=True, kw_only=True):
    """A draft has been made; customers do not see it yet."""

    event_type: ClassVar[str] = "catalog.product_created"
    event_key: ClassVar[str] = "product_id"
    product_id: str


class ProductUpdated(Event, frozen=True, kw_only=True):
    """Something of a product or of one of its variants has changed, other than its status and its prices."""

    event_type: ClassVar[str] = "catalog.product_updated"
    event_key: ClassVar[str] = "product_id"
    product_id: str


class ProductPublished(Event, frozen=True, kw_only=True):
    """Customers see the product from now on."""

    event_type: ClassVar[str] = "catalog.product_published"
    event_key: ClassVar[str] = "product_id"
    product_id: str


class ProductArchived(Event, frozen=True, kw_only=True):
    """The product is off the shelf for good; what refers to it keeps working."""

    event_type: ClassVar[str] = "catalog.product_archived"
    event_key: ClassVar[str] = "product_id"
    product_id: str


class VariantCreated(Event, frozen=True, kw_only=True):
    """A product can be had in one more variant."""

    event_type: ClassVar[str] = "catalog.variant_created"
    event_key: ClassVar[str] = "product_id"
    product_id: str
    variant_id: str
    sku: str


class PriceChanged(Event, frozen=True, kw_only=True):
    """`amount` is the new list price in minor units, `sale_amount` the new sale price if there is one."""

    event_type: ClassVar[str] = "catalog.price_changed"
    event_key: ClassVar[str] = "product_id"
    product_id: str
    variant_id: str
    currency: str
    amount: int
    sale_amount: int | None


PUBLISHES: tuple[type[Event], ...] = (
    ProductCreated, ProductUpdated, ProductPublished, ProductArchived, VariantCreated, PriceChanged,
)  # fmt: skip


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A variant as it can be sold now. `price` is for one piece, None where there is no price in the currency asked for."""

    variant_id: str
    product_id: str
    sku: str
    title: str
    price: Money | None
    sellable: bool


NO_QUANTITIES: Mapping[str, int] = {}


class Catalog(Protocol):
    async def offers(self, variant_ids: Sequence[str], currency: str, quantities: Mapping[str, int] = NO_QUANTITIES) -> list[Offer]:
        """One offer per known variant, in no particular order; unknown ids are absent.

        `quantities` says how many of a variant are wanted (else 1): a sale may begin at a minimum quantity.
        """
        ...
