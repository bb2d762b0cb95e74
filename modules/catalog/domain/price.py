"""Prices: a list price per currency, and a sale that may need a window of time and a minimum quantity."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Final

import msgspec

from modules.catalog.domain.errors import SaleInvalid
from shared.domain.money import AmountTooLarge, Money, exponent

Instant = Annotated[datetime, msgspec.Meta(tz=True, examples=["2026-11-27T00:00:00Z"])]
MinimumQuantity = Annotated[int, msgspec.Meta(ge=1, le=1_000_000, description="the sale price holds from this many pieces on")]


MAX_PRICE: Final = 10**13
"""In minor units: of a hundred variants a thousand pieces each, the fullest cart that there is, are a sum that money can hold."""


class Sale(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A lower price. It holds from `starts_at` (included) to `ends_at` (excluded); an absent end of the window is open."""

    price: Money
    minimum_quantity: MinimumQuantity = 1
    starts_at: Instant | None = None
    ends_at: Instant | None = None

    def holds(self, quantity: int, now: datetime) -> bool:
        begun = self.starts_at is None or self.starts_at <= now
        over = self.ends_at is not None and self.ends_at <= now
        return begun and not over and quantity >= self.minimum_quantity


class PriceTag(msgspec.Struct, frozen=True, kw_only=True):
    """All prices of a variant in one currency."""

    list_price: Money
    sale: Sale | None = None

    def unit_price(self, quantity: int, now: datetime) -> Money:
        """What one piece costs who buys `quantity` at the time `now`."""
        return self.sale.price if self.sale is not None and self.sale.holds(quantity, now) else self.list_price

    def times(self, factor: Decimal) -> "PriceTag":
        """All prices multiplied, each rounded half-even; raises what `check` does."""
        sale = None if self.sale is None else msgspec.structs.replace(self.sale, price=self.sale.price.share(factor))
        tag = PriceTag(list_price=self.list_price.share(factor), sale=sale)
        tag.check()
        return tag

    def check(self) -> None:
        """Raises UnknownCurrency, CurrencyMismatch, AmountTooLarge, SaleInvalid."""
        exponent(self.list_price.currency)
        if self.list_price.amount > MAX_PRICE:
            raise AmountTooLarge(f"a price is at most {MAX_PRICE} minor units")
        if self.list_price.amount < 0:
            raise SaleInvalid("a price is not negative")
        if self.sale is None:
            return
        if self.sale.price.amount < 0 or not self.sale.price < self.list_price:
            raise SaleInvalid("the sale price is not below the list price")
        if self.sale.starts_at is not None and self.sale.ends_at is not None and self.sale.ends_at <= self.sale.starts_at:
            raise SaleInvalid("the sale ends before it starts")
