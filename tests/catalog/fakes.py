"""The catalog's store in memory. A refused transaction leaves nothing behind."""

from collections.abc import Awaitable, Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TypeVar

from modules.catalog.domain.category import Category
from modules.catalog.domain.errors import CategoryUnknown, SlugTaken
from modules.catalog.domain.product import Product, Status
from modules.catalog.domain.views import (
    CategoryPath,
    CategoryView,
    OfferRow,
    ProductFilter,
    ProductView,
    Sort,
    VariantView,
    product_view,
    variant_view,
)
from shared.domain.errors import NotFound
from shared.domain.events import Event
from shared.domain.page import PageRequest, Slice
from tests.support.memory import Unit

T = TypeVar("T")


@dataclass
class Kept:
    products: dict[str, Product] = field(default_factory=dict)
    categories: dict[str, Category] = field(default_factory=dict)
    events: list[tuple[Event, int]] = field(default_factory=list)


class Products:
    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    async def get(self, product_id: str) -> Product:
        try:
            return self._kept.products[product_id]
        except KeyError:
            raise NotFound("there is no such product") from None

    async def of_variant(self, variant_id: str) -> Product:
        for product in self._kept.products.values():
            if any(variant.id == variant_id for variant in product.variants):
                return product
        raise NotFound("there is no such variant")

    async def number(self, category_id: str | None) -> int:
        raise AssertionError("told on Postgres")

    async def next(self, after: str, category_id: str | None, limit: int) -> Sequence[Product]:
        raise AssertionError("told on Postgres")

    async def add(self, product: Product) -> None:
        if any(product.slug == other.slug for other in self._kept.products.values()):
            raise SlugTaken("another product has this slug")
        self._kept.products[product.id] = product

    async def save(self, product: Product) -> None:
        assert self._kept.products[product.id] is product


class Categories:
    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self.held = False

    async def get(self, category_id: str) -> Category:
        try:
            return self._kept.categories[category_id]
        except KeyError:
            raise NotFound("there is no such category") from None

    async def hold_tree(self) -> None:
        self.held = True

    async def line(self, category_id: str | None) -> Sequence[str]:
        assert self.held, "the tree is looked at while others may change it"
        line: list[str] = []
        while category_id is not None:
            if category_id not in self._kept.categories:
                raise CategoryUnknown("there is no such category")
            line.append(category_id)
            category_id = self._kept.categories[category_id].parent_id
        return line

    async def height(self, category_id: str) -> int:
        below = [each.id for each in self._kept.categories.values() if each.parent_id == category_id]
        return 1 + max([await self.height(each) for each in below], default=0)

    async def add(self, category: Category) -> None:
        self._kept.categories[category.id] = category

    async def save(self, category: Category) -> None:
        assert self._kept.categories[category.id] is category


class Work(Unit):
    def __init__(self, kept: Kept) -> None:
        super().__init__(kept.events)
        self.products = Products(kept)
        self.categories = Categories(kept)


class Store:
    """Implements Transact and CatalogQueries."""

    def __init__(self) -> None:
        self.kept = Kept()

    async def __call__(self, work: Callable[[Work], Awaitable[T]], /) -> T:
        trial = deepcopy(self.kept)
        result = await work(Work(trial))
        self.kept = trial
        return result

    async def product(self, product_id: str, *, drafts: bool) -> ProductView | None:
        product = self.kept.products.get(product_id)
        return product_view(product) if product is not None and (drafts or product.status == "published") else None

    async def variant(self, variant_id: str, *, drafts: bool) -> VariantView | None:
        for product in self.kept.products.values():
            for variant in product.variants:
                if variant.id == variant_id and (drafts or product.status == "published"):
                    return variant_view(product, variant_id)
        return None

    async def offers(self, variant_ids: Sequence[str], currency: str) -> list[OfferRow]:
        return [
            OfferRow(
                variant_id=variant.id,
                product_id=product.id,
                sku=variant.sku,
                product_title=product.title,
                variant_title=variant.title,
                status=product.status,
                tag=next((price.tag for price in variant.prices if price.currency == currency), None),
            )
            for product in self.kept.products.values()
            for variant in product.variants
            if variant.id in variant_ids
        ]

    async def products(self, wanted: ProductFilter, sort: Sort, page: PageRequest) -> Slice[ProductView]:
        return Slice([product_view(product) for product in self.kept.products.values() if product.status in wanted.statuses])

    async def search(self, words: str, statuses: Sequence[Status], category_id: str | None, page: PageRequest) -> Slice[ProductView]:
        raise AssertionError("told on Postgres")

    async def category(self, category_id: str) -> CategoryPath | None:
        return None

    async def categories(self, parent_id: str | None, page: PageRequest) -> Slice[CategoryView]:
        return Slice([])
