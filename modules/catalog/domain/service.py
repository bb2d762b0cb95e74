"""The use cases of products."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from modules.catalog.domain.errors import PeriodUnordered, PriceMissing
from modules.catalog.domain.ports import Work
from modules.catalog.domain.price import PriceTag
from modules.catalog.domain.product import NewVariant, Product, ProductChanges, Status, VariantChanges
from modules.catalog.domain.views import (
    CatalogQueries,
    OfferRow,
    PriceView,
    ProductFilter,
    ProductView,
    Sort,
    VariantView,
    product_view,
    variant_view,
)
from modules.catalog.public import NO_QUANTITIES, Offer
from shared.domain.clock import Clock
from shared.domain.errors import NotFound
from shared.domain.events import Event
from shared.domain.money import exponent
from shared.domain.page import PageRequest, Slice
from shared.domain.work import Transact

T = TypeVar("T")


class CatalogService:
    """Answers its neighbours too: it has every method of the facade."""

    def __init__(self, transact: Transact[Work], queries: CatalogQueries, clock: Clock) -> None:
        self._transact = transact
        self._queries = queries
        self._clock = clock

    async def create_product(
        self,
        *,
        title: str,
        slug: str,
        description: str = "",
        attributes: Mapping[str, str] | None = None,
        category_id: str | None = None,
        variants: Sequence[NewVariant] = (),
    ) -> ProductView:
        async def work(work: Work) -> ProductView:
            product = Product.draft(
                title=title,
                slug=slug,
                description=description,
                attributes=attributes,
                category_id=category_id,
                variants=variants,
                now=self._clock.now(),
            )
            await work.products.add(product)
            for event in product.birth():
                work.record(event, version=product.version)
            return product_view(product)

        return await self._transact(work)

    async def update_product(self, product_id: str, changes: ProductChanges, *, expected_version: int | None) -> ProductView:
        return await self._change_product(product_id, lambda product: product.revise(changes, self._clock.now()), expected_version)

    async def publish_product(self, product_id: str, *, expected_version: int | None = None) -> ProductView:
        return await self._change_product(product_id, lambda product: product.publish(self._clock.now()), expected_version)

    async def archive_product(self, product_id: str, *, expected_version: int | None = None) -> ProductView:
        return await self._change_product(product_id, lambda product: product.archive(self._clock.now()), expected_version)

    async def create_variant(self, product_id: str, new: NewVariant, *, expected_version: int | None = None) -> VariantView:
        return await self._change(
            lambda work: work.products.get(product_id),
            lambda product: product.add_variant(new, self._clock.now()),
            expected_version,
            lambda product: variant_view(product, product.variants[-1].id),
        )

    async def update_variant(self, variant_id: str, changes: VariantChanges, *, expected_version: int | None) -> VariantView:
        return await self._change_variant(
            variant_id, lambda product: product.revise_variant(variant_id, changes, self._clock.now()), expected_version
        )

    async def set_price(self, variant_id: str, tag: PriceTag, *, expected_version: int | None) -> VariantView:
        return await self._change_variant(
            variant_id, lambda product: product.put_price(variant_id, tag, self._clock.now()), expected_version
        )

    async def product(self, product_id: str, *, drafts: bool) -> ProductView:
        view = await self._queries.product(product_id, drafts=drafts)
        if view is None:
            raise NotFound("there is no such product")
        return view

    async def variant(self, variant_id: str, *, drafts: bool) -> VariantView:
        view = await self._queries.variant(variant_id, drafts=drafts)
        if view is None:
            raise NotFound("there is no such variant")
        return view

    async def price(self, variant_id: str, currency: str, quantity: int, *, drafts: bool) -> PriceView:
        exponent(currency)
        variant = await self.variant(variant_id, drafts=drafts)
        for tag in variant.prices:
            if tag.list_price.currency == currency:
                return PriceView(
                    variant_id=variant.id,
                    version=variant.version,
                    quantity=quantity,
                    unit_price=tag.unit_price(quantity, self._clock.now()),
                    list_price=tag.list_price,
                )
        raise PriceMissing(f"this variant has no price in {currency}", variant_id=variant_id, currency=currency)

    async def products(self, wanted: ProductFilter, sort: Sort, page: PageRequest) -> Slice[ProductView]:
        """Raises PeriodUnordered: no index finds few of a period in the order of their titles."""
        if wanted.of_a_period and not sort.endswith("created_at"):
            raise PeriodUnordered("created_at[gte] and created_at[lt] need the order created_at or -created_at")
        return await self._queries.products(wanted, sort, page)

    async def search(self, words: str, statuses: Sequence[Status], category_id: str | None, page: PageRequest) -> Slice[ProductView]:
        return await self._queries.search(words, statuses, category_id, page)

    async def offers(self, variant_ids: Sequence[str], currency: str, quantities: Mapping[str, int] = NO_QUANTITIES) -> list[Offer]:
        exponent(currency)
        now = self._clock.now()

        def offer(row: OfferRow) -> Offer:
            return Offer(
                variant_id=row.variant_id,
                product_id=row.product_id,
                sku=row.sku,
                title=f"{row.product_title}, {row.variant_title}" if row.variant_title else row.product_title,
                price=None if row.tag is None else row.tag.unit_price(quantities.get(row.variant_id, 1), now),
                sellable=row.status == "published",
            )

        return [offer(row) for row in await self._queries.offers(variant_ids, currency)]

    async def _change_product(self, product_id: str, change: Callable[[Product], Event], expected: int | None) -> ProductView:
        return await self._change(lambda work: work.products.get(product_id), lambda product: [change(product)], expected, product_view)

    async def _change_variant(self, variant_id: str, change: Callable[[Product], Event], expected: int | None) -> VariantView:
        return await self._change(
            lambda work: work.products.of_variant(variant_id),
            lambda product: [change(product)],
            expected,
            lambda product: variant_view(product, variant_id),
        )

    async def _change(
        self,
        find: Callable[[Work], Awaitable[Product]],
        change: Callable[[Product], list[Event]],
        expected_version: int | None,
        answer: Callable[[Product], T],
    ) -> T:
        """What the transaction returns is what a repeated request is answered with, so the view is made inside it."""

        async def work(work: Work) -> T:
            product = await find(work)
            product.expect(expected_version)
            events = change(product)
            await work.products.save(product)
            for event in events:
                work.record(event, version=product.version)
            return answer(product)

        return await self._transact(work)
