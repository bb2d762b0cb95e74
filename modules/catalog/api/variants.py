"""Variants and their prices over HTTP."""

from typing import Any

from litestar import Controller, Request
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from modules.catalog.api.schemas import PriceBody, UpdateVariant
from modules.catalog.domain.errors import PriceMissing, ProductArchivedAlready, SaleInvalid, SkuTaken
from modules.catalog.domain.policy import sees_drafts
from modules.catalog.domain.price import PriceTag
from modules.catalog.domain.product import VariantChanges
from modules.catalog.domain.service import CatalogService
from modules.catalog.domain.views import PriceView, VariantView
from shared.api.answers import Reply, ok
from shared.api.conditional import if_match
from shared.api.routes import get, patch, put
from shared.api.types import Currency, Id, Quantity
from shared.domain.context import current
from shared.domain.errors import NotFound
from shared.domain.money import AmountTooLarge, CurrencyMismatch, UnknownCurrency


class Variants(Controller):
    """A variant is part of its product, and its ETag is the product's: what changes one changes the other."""

    path = "/v1/variants"
    tags = ("catalog",)

    @get("/{variant_id:str}", operation="getVariant", errors=[NotFound])
    async def read(self, variant_id: FromPath[Id], products: NamedDependency[CatalogService]) -> Reply[VariantView]:
        """A variant with its prices."""
        return ok(await products.variant(variant_id, drafts=sees_drafts(current().principal)))

    @patch("/{variant_id:str}", operation="updateVariant", errors=[NotFound, SkuTaken, ProductArchivedAlready])
    async def update(
        self, variant_id: FromPath[Id], data: UpdateVariant, request: Request[Any, Any, Any], products: NamedDependency[CatalogService]
    ) -> Reply[VariantView]:
        """Change what tells a variant from its sisters."""
        changes = VariantChanges(sku=data.sku, title=data.title, options=data.options)
        return ok(await products.update_variant(variant_id, changes, expected_version=if_match(request)))

    @get(
        "/{variant_id:str}/prices/{currency:str}",
        operation="getPrice",
        errors=[NotFound, PriceMissing, UnknownCurrency],
        revalidates=False,
    )
    async def price(
        self,
        variant_id: FromPath[Id],
        currency: FromPath[Currency],
        products: NamedDependency[CatalogService],
        quantity: FromQuery[Quantity] = 1,
    ) -> Reply[PriceView]:
        """What one piece costs now when `quantity` are bought. Nothing is exchanged: a currency without a price is refused."""
        drafts = sees_drafts(current().principal)
        return ok(await products.price(variant_id, currency, quantity, drafts=drafts))

    @put(
        "/{variant_id:str}/prices/{currency:str}",
        operation="setPrice",
        errors=[NotFound, ProductArchivedAlready, SaleInvalid, CurrencyMismatch, UnknownCurrency, AmountTooLarge],
    )
    async def set_price(
        self,
        variant_id: FromPath[Id],
        currency: FromPath[Currency],
        data: PriceBody,
        request: Request[Any, Any, Any],
        products: NamedDependency[CatalogService],
    ) -> Reply[VariantView]:
        """Set all that a variant costs in one currency; a sale that is absent is over."""
        if data.list_price.currency != currency:
            raise CurrencyMismatch(f"the price is in {data.list_price.currency}, not in {currency}")
        tag = PriceTag(list_price=data.list_price, sale=data.sale)
        return ok(await products.set_price(variant_id, tag, expected_version=if_match(request)))
