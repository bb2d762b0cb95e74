"""Reads of the catalog, straight into the views."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from modules.catalog.domain.price import PriceTag
from modules.catalog.domain.product import Price, Status
from modules.catalog.domain.views import CategoryPath, CategoryView, OfferRow, ProductFilter, ProductView, Sort, VariantView
from modules.catalog.infra import statements
from shared.domain.page import PageRequest, Slice, cut
from shared.infra.db.database import Database
from shared.infra.db.loader import Loader
from shared.infra.db.statements import Row

Bound = tuple[object, object]
"""A sort value and an id; no id is as small as the empty one."""


_words: Final = msgspec.json.Decoder(dict[str, str])
_prices: Final = msgspec.json.Decoder(list[PriceTag])
_variants: Final = msgspec.json.Decoder(list[VariantView])


class SqlCatalogQueries:
    """Implements CatalogQueries. A product is read by one statement, so that its version and all of its parts agree."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._products = {drafts: Loader(self._products_by_id(drafts=drafts)) for drafts in (False, True)}
        self._variants = {drafts: Loader(self._variants_by_id(drafts=drafts)) for drafts in (False, True)}

    async def product(self, product_id: str, *, drafts: bool) -> ProductView | None:
        return await self._products[drafts].get(product_id)

    async def variant(self, variant_id: str, *, drafts: bool) -> VariantView | None:
        return await self._variants[drafts].get(variant_id)

    async def products(self, wanted: ProductFilter, sort: Sort, page: PageRequest) -> Slice[ProductView]:
        by_time = sort.endswith("created_at")
        above, below = _bounds(wanted, sort, page)
        shape = statements.Shape(wanted.category_id is not None, above is not None, below is not None)
        category = () if wanted.category_id is None else (wanted.category_id,)
        arguments = (list(wanted.statuses), page.limit + 1, *category, *(above or ()), *(below or ()))
        products = [_product(row) for row in await self._database.fetch(statements.PRODUCTS[sort, shape], *arguments)]
        return cut(products, page, lambda view: (view.created_at.isoformat() if by_time else view.title, view.id))

    async def search(self, words: str, statuses: Sequence[Status], category_id: str | None, page: PageRequest) -> Slice[ProductView]:
        category = () if category_id is None else (category_id,)
        sql = statements.SEARCH[category_id is not None, page.after is not None]
        rows = await self._database.fetch(sql, words, list(statuses), page.limit + 1, *category, *(page.after or ()))
        found = cut(rows, page, lambda row: (row[12], row[0]))
        return Slice([_product(row) for row in found.items], found.next)

    async def offers(self, variant_ids: Sequence[str], currency: str) -> list[OfferRow]:
        return [_offer(row, currency) for row in await self._database.fetch(statements.OFFERS, list(variant_ids), currency)]

    async def category(self, category_id: str) -> CategoryPath | None:
        line = await self._database.views(CategoryView, statements.CATEGORY, category_id)
        if not line:
            return None
        *ancestors, own = line
        return CategoryPath(**msgspec.structs.asdict(own), ancestors=ancestors)

    async def categories(self, parent_id: str | None, page: PageRequest) -> Slice[CategoryView]:
        parent = () if parent_id is None else (parent_id,)
        sql = statements.CATEGORIES[parent_id is None, page.after is not None]
        rows = await self._database.views(CategoryView, sql, page.limit + 1, *parent, *(page.after or ()))
        return cut(rows, page, lambda view: (view.name, view.id))

    def _products_by_id(self, *, drafts: bool) -> Callable[[list[str]], Awaitable[dict[str, ProductView]]]:
        async def read(ids: list[str]) -> dict[str, ProductView]:
            return {row[0]: _product(row) for row in await self._database.fetch(statements.PRODUCT, ids, drafts)}

        return read

    def _variants_by_id(self, *, drafts: bool) -> Callable[[list[str]], Awaitable[dict[str, VariantView]]]:
        async def read(ids: list[str]) -> dict[str, VariantView]:
            return {row[0]: _variant(row) for row in await self._database.fetch(statements.VARIANT, ids, drafts)}

        return read


def _bounds(wanted: ProductFilter, sort: Sort, page: PageRequest) -> tuple[Bound | None, Bound | None]:
    """What all products of the page are above, and below: the times that are asked for, and the last product of the page before."""
    above: Bound | None = None if wanted.created_from is None else (wanted.created_from, "")
    below: Bound | None = None if wanted.created_to is None else (wanted.created_to, "")
    if page.after is not None:
        value, last_id = page.after
        last = (datetime.fromisoformat(str(value)) if sort.endswith("created_at") else value, last_id)
        above, below = (above, last) if sort.startswith("-") else (last, below)
    return above, below


def _product(row: Row) -> ProductView:
    """A row of `statements.PRODUCT`."""
    own, version, title, slug, description, status, category_id, published, created, updated, attributes, variants = row[:12]
    words, parts = _words.decode(attributes), _variants.decode(variants)
    return ProductView(own, version, title, slug, description, status, category_id, published, created, updated, words, parts)


def _variant(row: Row) -> VariantView:
    """A row of `statements.VARIANT`."""
    own, product_id, version, sku, title, options, prices = row
    return VariantView(own, product_id, version, sku, title, _words.decode(options), _prices.decode(prices))


def _offer(row: Row, currency: str) -> OfferRow:
    """A row of `statements.OFFERS`."""
    variant_id, product_id, sku, product_title, variant_title, status, *price = row
    return OfferRow(
        variant_id=variant_id,
        product_id=product_id,
        sku=sku,
        product_title=product_title,
        variant_title=variant_title,
        status=status,
        tag=None if price[0] is None else Price(currency, *price).tag,
    )
