"""What is read of the catalog, and the queries that answer it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from modules.catalog.domain.price import PriceTag
from modules.catalog.domain.product import Product, Status
from shared.domain.money import Money
from shared.domain.page import PageRequest, Slice

Sort = Literal["created_at", "-created_at", "title", "-title"]


class VariantView(msgspec.Struct, frozen=True):
    """One way to buy a product; `version` is the product's."""

    id: str
    product_id: str
    version: int
    sku: str
    title: str
    options: dict[str, str]
    prices: list[PriceTag]


class ProductView(msgspec.Struct, frozen=True):
    """A product with its variants and their prices; `version` covers all of it."""

    id: str
    version: int
    title: str
    slug: str
    description: str
    status: Status
    category_id: str | None
    published_at: datetime | None
    created_at: datetime
    updated_at: datetime
    attributes: dict[str, str]
    variants: list[VariantView]


class PriceView(msgspec.Struct, frozen=True, kw_only=True):
    """What a variant costs now: `unit_price` for one piece when `quantity` are bought."""

    variant_id: str
    version: int
    quantity: int
    unit_price: Money
    list_price: Money


class CategoryView(msgspec.Struct, frozen=True):
    id: str
    version: int
    name: str
    slug: str
    parent_id: str | None


class CategoryPath(msgspec.Struct, frozen=True, kw_only=True):
    """A category and what is above it, from the root down; `version` is the category's own."""

    id: str
    version: int
    name: str
    slug: str
    parent_id: str | None
    ancestors: list[CategoryView]


class ProductFilter(msgspec.Struct, frozen=True, kw_only=True):
    """`category_id` admits all below it too; the times are those of creation, from (included) and to (excluded)."""

    statuses: tuple[Status, ...] = ("published",)
    category_id: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None

    @property
    def of_a_period(self) -> bool:
        return self.created_from is not None or self.created_to is not None


class OfferRow(msgspec.Struct, frozen=True, kw_only=True):
    """A variant with its price in one currency."""

    variant_id: str
    product_id: str
    sku: str
    product_title: str
    variant_title: str
    status: Status
    tag: PriceTag | None


class CatalogQueries(Protocol):
    """`drafts` False sees published products only."""

    async def product(self, product_id: str, *, drafts: bool) -> ProductView | None: ...

    async def variant(self, variant_id: str, *, drafts: bool) -> VariantView | None: ...

    async def products(self, wanted: ProductFilter, sort: Sort, page: PageRequest) -> Slice[ProductView]: ...

    async def search(self, words: str, statuses: Sequence[Status], category_id: str | None, page: PageRequest) -> Slice[ProductView]:
        """Products in which every word is found, or begins a word, the best match first."""
        ...

    async def offers(self, variant_ids: Sequence[str], currency: str) -> list[OfferRow]: ...

    async def category(self, category_id: str) -> CategoryPath | None: ...

    async def categories(self, parent_id: str | None, page: PageRequest) -> Slice[CategoryView]:
        """The children of a category, or the roots, by name."""
        ...


def product_view(product: Product) -> ProductView:
    return ProductView(
        id=product.id,
        version=product.version,
        title=product.title,
        slug=product.slug,
        description=product.description,
        status=product.status,
        attributes=product.attributes,
        category_id=product.category_id,
        published_at=product.published_at,
        created_at=product.created_at,
        updated_at=product.updated_at,
        variants=[variant_view(product, variant.id) for variant in product.variants],
    )


def variant_view(product: Product, variant_id: str) -> VariantView:
    variant = product.variant(variant_id)
    return VariantView(
        id=variant.id,
        product_id=product.id,
        version=product.version,
        sku=variant.sku,
        title=variant.title,
        options=variant.options,
        prices=[price.tag for price in sorted(variant.prices, key=lambda price: price.currency)],
    )
