"""Products over HTTP."""

from typing import Annotated, Any, cast

from litestar import Controller, Request
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import convert

from modules.catalog.api.schemas import CreateProduct, CreateVariant, UpdateProduct
from modules.catalog.domain.errors import (
    CategoryUnknown,
    NothingToSell,
    PeriodUnordered,
    ProductArchivedAlready,
    SaleInvalid,
    SkuTaken,
    SlugTaken,
    TooManyVariants,
)
from modules.catalog.domain.policy import sees_drafts
from modules.catalog.domain.price import Instant
from modules.catalog.domain.product import NewVariant, ProductChanges, Status
from modules.catalog.domain.service import CatalogService
from modules.catalog.domain.views import ProductFilter, ProductView, Sort, VariantView
from shared.api.answers import Reply, created, ok
from shared.api.conditional import if_match
from shared.api.idempotency import once
from shared.api.paging import Page, Paging
from shared.api.routes import get, patch, post
from shared.api.types import Id, Search
from shared.domain.context import current
from shared.domain.errors import IllegalTransition, NotFound
from shared.domain.money import AmountTooLarge, CurrencyMismatch, UnknownCurrency

PRICES = [SaleInvalid, CurrencyMismatch, UnknownCurrency, AmountTooLarge]
SORTS: tuple[Sort, ...] = ("-created_at", "created_at", "title", "-title")
EVERY_STATUS: tuple[Status, ...] = ("draft", "published", "archived")


class Products(Controller):
    path = "/v1/products"
    tags = ("catalog",)

    @get(operation="listProducts", sort=SORTS, errors=[PeriodUnordered])
    async def find(
        self,
        paging: Paging,
        products: NamedDependency[CatalogService],
        status: FromQuery[Status | None] = None,
        category: FromQuery[Id | None] = None,
        created_from: Annotated[Instant | None, QueryParameter(name="created_at[gte]")] = None,
        created_to: Annotated[Instant | None, QueryParameter(name="created_at[lt]")] = None,
    ) -> Reply[Page[ProductView]]:
        """Published products; staff sees every product. A category stands for all below it, too.

        Those of a period are listed in the order of their creation, and in no other."""
        wanted = ProductFilter(statuses=visible(status), category_id=category, created_from=created_from, created_to=created_to)
        return paging.page(await products.products(wanted, cast("Sort", paging.sort), paging.request))

    @get("/search", operation="searchProducts", rate="search")
    async def search(
        self,
        paging: Paging,
        q: FromQuery[Search],
        products: NamedDependency[CatalogService],
        category: FromQuery[Id | None] = None,
    ) -> Reply[Page[ProductView]]:
        """Products in which every word is found or begins a word, the best match first."""
        return paging.page(await products.search(q, visible(None), category, paging.request))

    @post(operation="createProduct", errors=[SlugTaken, SkuTaken, CategoryUnknown, *PRICES])
    async def create(
        self, data: CreateProduct, request: Request[Any, Any, Any], products: NamedDependency[CatalogService]
    ) -> Reply[ProductView]:
        """Make a draft, with its variants and prices if you like."""
        work = products.create_product(
            title=data.title,
            slug=data.slug,
            description=data.description,
            attributes=data.attributes,
            category_id=data.category_id,
            variants=[convert(variant, NewVariant, from_attributes=True) for variant in data.variants],
        )
        return await once(request, work, created("/v1/products"))

    @get("/{product_id:str}", operation="getProduct", errors=[NotFound])
    async def read(self, product_id: FromPath[Id], products: NamedDependency[CatalogService]) -> Reply[ProductView]:
        """A product with its variants and their prices."""
        return ok(await products.product(product_id, drafts=sees_drafts(current().principal)))

    @patch("/{product_id:str}", operation="updateProduct", errors=[NotFound, SlugTaken, CategoryUnknown, ProductArchivedAlready])
    async def update(
        self, product_id: FromPath[Id], data: UpdateProduct, request: Request[Any, Any, Any], products: NamedDependency[CatalogService]
    ) -> Reply[ProductView]:
        """Change what a product says of itself."""
        changes = ProductChanges(
            title=data.title, slug=data.slug, description=data.description, attributes=data.attributes, category_id=data.category_id
        )
        return ok(await products.update_product(product_id, changes, expected_version=if_match(request)))

    @post(
        "/{product_id:str}/publish",
        operation="publishProduct",
        errors=[NotFound, IllegalTransition, NothingToSell],
        status=200,
        if_match="optional",
    )
    async def publish(
        self, product_id: FromPath[Id], request: Request[Any, Any, Any], products: NamedDependency[CatalogService]
    ) -> Reply[ProductView]:
        """Put a draft on the shelf."""
        return await once(request, products.publish_product(product_id, expected_version=if_match(request)), ok)

    @post("/{product_id:str}/archive", operation="archiveProduct", errors=[NotFound, IllegalTransition], status=200, if_match="optional")
    async def archive(
        self, product_id: FromPath[Id], request: Request[Any, Any, Any], products: NamedDependency[CatalogService]
    ) -> Reply[ProductView]:
        """Take a product off the shelf for good; orders that name it keep working."""
        return await once(request, products.archive_product(product_id, expected_version=if_match(request)), ok)

    @post(
        "/{product_id:str}/variants",
        operation="createVariant",
        errors=[NotFound, SkuTaken, TooManyVariants, ProductArchivedAlready, *PRICES],
        if_match="optional",
    )
    async def create_variant(
        self, product_id: FromPath[Id], data: CreateVariant, request: Request[Any, Any, Any], products: NamedDependency[CatalogService]
    ) -> Reply[VariantView]:
        """Offer a product in one more variant."""
        new = convert(data, NewVariant, from_attributes=True)
        work = products.create_variant(product_id, new, expected_version=if_match(request))
        return await once(request, work, created("/v1/variants"))


def visible(status: Status | None) -> tuple[Status, ...]:
    """What the caller may see of what was asked for."""
    mine: tuple[Status, ...] = EVERY_STATUS if sees_drafts(current().principal) else ("published",)
    return mine if status is None else tuple(each for each in mine if each == status)
