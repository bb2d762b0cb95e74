"""The bodies that carts and orders accept."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from modules.orders.domain.cart import MAX_QUANTITY
from shared.api.types import Country, Currency, Email, Id, Line, Money, Name

CartQuantity = Annotated[int, Meta(ge=1, le=MAX_QUANTITY, examples=[2])]
PaymentMethod = Annotated[str, Meta(pattern=r"\A[a-z0-9_]{3,100}\Z", description="A token, never a card number", examples=["pm_card_ok"])]
PostalCode = Annotated[str, Meta(min_length=1, max_length=20, examples=["10115"])]


class CreateCart(Struct, forbid_unknown_fields=True, kw_only=True):
    currency: Currency


class AddressBody(Struct, forbid_unknown_fields=True, kw_only=True):
    """Where the goods go."""

    name: Name
    line1: Line
    line2: Annotated[str, Meta(max_length=500)] = ""
    city: Name
    region: Annotated[str, Meta(max_length=120)] = ""
    postal_code: PostalCode
    country: Country


class UpdateCart(Struct, forbid_unknown_fields=True, kw_only=True):
    """A merge patch: an absent field stays, null clears."""

    email: Email | UnsetType | None = UNSET
    shipping_address: AddressBody | UnsetType | None = UNSET


class AddItem(Struct, forbid_unknown_fields=True, kw_only=True):
    variant_id: Id
    quantity: CartQuantity = 1


class SetQuantity(Struct, forbid_unknown_fields=True, kw_only=True):
    quantity: CartQuantity


class CompleteCart(Struct, forbid_unknown_fields=True, kw_only=True):
    """`expected_total` is the total that the customer was shown; another one now is refused as price_changed."""

    expected_total: Money
    payment_method: PaymentMethod


class CancelOrder(Struct, forbid_unknown_fields=True, kw_only=True):
    reason: Line
