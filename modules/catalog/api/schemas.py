"""The bodies that the catalog accepts."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from modules.catalog.domain.price import Sale
from modules.catalog.domain.product import MAX_VARIANTS
from shared.api.types import ONE_LINE, PLAIN, Currency, Id, Money, Prose, Sku, Slug, Title

Word = Annotated[str, Meta(pattern=ONE_LINE, min_length=1, max_length=100)]
Words = Annotated[dict[Word, Word], Meta(max_length=50, examples=[{"colour": "natural"}])]
WordsPatch = Annotated[dict[Word, Word | None], Meta(max_length=50, examples=[{"colour": "black", "size": None}])]
VariantTitle = Annotated[str, Meta(pattern=PLAIN, max_length=200, description="What tells it from its sisters", examples=["Large, black"])]


Percent = Annotated[
    str, Meta(pattern=r"\A-?[0-9]{1,3}(?:\.[0-9]{1,2})?\Z", max_length=7, description="-95 to 900, as text", examples=["5.5"])
]


class PriceBody(Struct, forbid_unknown_fields=True, kw_only=True):
    """The list price, and a sale if there is one; both in the currency of the price."""

    list_price: Money
    sale: Sale | None = None


class CreateVariant(Struct, forbid_unknown_fields=True, kw_only=True):
    sku: Sku
    title: VariantTitle = ""
    options: Words = {}
    prices: Annotated[list[PriceBody], Meta(max_length=50)] = []


class CreateProduct(Struct, forbid_unknown_fields=True, kw_only=True):
    title: Title
    slug: Slug
    description: Prose = ""
    attributes: Words = {}
    category_id: Id | None = None
    variants: Annotated[list[CreateVariant], Meta(max_length=MAX_VARIANTS)] = []


class UpdateProduct(Struct, forbid_unknown_fields=True, kw_only=True):
    """A merge patch: an absent field stays, null clears."""

    title: Title | UnsetType = UNSET
    slug: Slug | UnsetType = UNSET
    description: Prose | UnsetType | None = UNSET
    attributes: WordsPatch | UnsetType | None = UNSET
    category_id: Id | UnsetType | None = UNSET


class UpdateVariant(Struct, forbid_unknown_fields=True, kw_only=True):
    """A merge patch: an absent field stays, null clears."""

    sku: Sku | UnsetType = UNSET
    title: VariantTitle | UnsetType | None = UNSET
    options: WordsPatch | UnsetType | None = UNSET


class ChangePrices(Struct, forbid_unknown_fields=True, kw_only=True):
    """A category stands for all below it, too; without one, every product is meant."""

    currency: Currency
    percent: Percent
    category_id: Id | None = None


class CreateCategory(Struct, forbid_unknown_fields=True, kw_only=True):
    name: Title
    slug: Slug
    parent_id: Id | None = None


class UpdateCategory(Struct, forbid_unknown_fields=True, kw_only=True):
    """A merge patch: an absent field stays; with another parent the category moves, with null it becomes a root."""

    name: Title | UnsetType = UNSET
    slug: Slug | UnsetType = UNSET
    parent_id: Id | UnsetType | None = UNSET
