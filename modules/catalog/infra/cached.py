"""The front of the shop, kept in Redis: the list that visitors see first, which costs Postgres twenty times what a product costs."""

from collections.abc import Sequence
from typing import Final

import msgspec

from modules.catalog.domain.product import Status
from modules.catalog.domain.views import (
    CatalogQueries,
    CategoryPath,
    CategoryView,
    OfferRow,
    ProductFilter,
    ProductView,
    Sort,
    VariantView,
)
from shared.domain.page import PageRequest, Slice
from shared.infra.cache.cached import Cache, Public
from shared.infra.cache.store import CacheStore
from shared.infra.db.database import Database
from shared.infra.db.unit_of_work import Recorded

LIFE_S: Final = 60.0

EVERYTHING_PUBLISHED: Final = ProductFilter()


class Front(msgspec.Struct, frozen=True):
    """All that can be asked for: there are no drafts in it, and so few questions that nobody can fill Redis with them."""

    sort: Sort
    limit: int


class FrontPage(Public, frozen=True):
    products: Slice[ProductView]


class CachedCatalogQueries:
    """Implements CatalogQueries: keeps the first page of all published products, and has the rest answered by `queries`.

    Point reads stay with Postgres, where batching makes them cheaper than a question to Redis. Offers have to be true now. What
    words, times and categories may be asked for is without end, and of the tree no event tells.
    """

    def __init__(self, queries: CatalogQueries, store: CacheStore, database: Database) -> None:
        self._queries = queries
        self._front = Cache(store, "catalog.front", FrontPage, self._read_front, life_s=LIFE_S)
        self.renew = self._front.renew
        database.on_commit(self._committed)

    async def products(self, wanted: ProductFilter, sort: Sort, page: PageRequest) -> Slice[ProductView]:
        if wanted != EVERYTHING_PUBLISHED or page.after is not None:
            return await self._queries.products(wanted, sort, page)
        return (await self._front.get(Front(sort, page.limit))).products

    async def product(self, product_id: str, *, drafts: bool) -> ProductView | None:
        return await self._queries.product(product_id, drafts=drafts)

    async def variant(self, variant_id: str, *, drafts: bool) -> VariantView | None:
        return await self._queries.variant(variant_id, drafts=drafts)

    async def search(self, words: str, statuses: Sequence[Status], category_id: str | None, page: PageRequest) -> Slice[ProductView]:
        return await self._queries.search(words, statuses, category_id, page)

    async def offers(self, variant_ids: Sequence[str], currency: str) -> list[OfferRow]:
        return await self._queries.offers(variant_ids, currency)

    async def category(self, category_id: str) -> CategoryPath | None:
        return await self._queries.category(category_id)

    async def categories(self, parent_id: str | None, page: PageRequest) -> Slice[CategoryView]:
        return await self._queries.categories(parent_id, page)

    async def _read_front(self, front: Front) -> FrontPage:
        return FrontPage(await self._queries.products(EVERYTHING_PUBLISHED, front.sort, PageRequest(front.limit)))

    def _committed(self, recorded: Recorded) -> None:
        if recorded.events:
            self._front.changed()
