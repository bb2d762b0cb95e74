"""What a cart costs: pure functions from items and offers to lines and totals.

A line is rounded once; a total is the sum of rounded parts. The mode of rounding is stored on the order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.domain.money import Money, total

ROUNDING = "half_even"


@dataclass(frozen=True, slots=True)
class Offer:
    """What the catalogue says of so many of a variant at this moment; `price` None: none in the cart's currency."""

    variant_id: str
    product_id: str
    sku: str
    title: str
    price: Money | None
    sellable: bool


@dataclass(frozen=True, slots=True)
class PricedLine:
    variant_id: str
    product_id: str
    sku: str
    title: str
    quantity: int
    unit_price: Money
    total: Money


def price_line(offer: Offer | None, quantity: int) -> PricedLine | None:
    """None when the variant cannot be sold now."""
    if offer is None or not offer.sellable or offer.price is None:
        return None
    return PricedLine(offer.variant_id, offer.product_id, offer.sku, offer.title, quantity, offer.price, offer.price * quantity)


def price_lines(wanted: Mapping[str, int], offers: Mapping[str, Offer]) -> list[PricedLine | None]:
    """One answer per variant, in order."""
    return [price_line(offers.get(variant_id), quantity) for variant_id, quantity in wanted.items()]


def sum_of(lines: Sequence[PricedLine], currency: str) -> Money:
    return total([line.total for line in lines], currency)
