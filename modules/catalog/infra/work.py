"""One transaction of the catalog. Its write side is administration: aggregates through repositories."""

from collections.abc import Sequence
from typing import Any, Final

from advanced_alchemy.repository import SQLAlchemyAsyncRepository

from modules.catalog.domain.category import Category
from modules.catalog.domain.errors import CategoryUnknown
from modules.catalog.domain.product import Product
from modules.catalog.infra.refusals import translated
from modules.catalog.infra.statements import BELOW
from modules.catalog.infra.tables import PRODUCT, VARIANT, map_aggregates
from shared.domain.errors import NotFound
from shared.infra.db.recording import Recording
from shared.infra.db.unit_of_work import UnitOfWork

_HOLD_TREE: Final = "select pg_advisory_xact_lock(hashtext('catalog.category_tree'))"

_LINE: Final = """
with recursive line (id, parent_id, depth) as (
    select id, parent_id, 1 from category where id = $1
    union all
    select c.id, c.parent_id, l.depth + 1 from line l join category c on c.id = l.parent_id
)
select id from line order by depth
"""

_HEIGHT: Final = """
with recursive below (id, depth) as (
    select $1::text collate "C", 1
    union all
    select c.id, b.depth + 1 from below b join category c on c.parent_id = b.id
)
select max(depth) from below
"""


_BELOW: Final = f"with recursive {BELOW.format(place=1)}"
_CHOSEN: Final = "p.status <> 'archived' and ($1 is null or p.category_id = any(array(select id from below)))"
_NUMBER: Final = f"{_BELOW} select count(*) from product p where {_CHOSEN}"  # noqa: S608 - constants of ours, here and below
# product_pkey
_NEXT: Final = f"{_BELOW} select p.id from product p where p.id > $2 and {_CHOSEN} order by p.id limit $3 for update of p"  # noqa: S608 - as above


class ProductRepository(SQLAlchemyAsyncRepository[Any]):
    """Of Any, because the library wants its own base class of entities, and ours are the domain's."""

    model_type = Product


class CategoryRepository(SQLAlchemyAsyncRepository[Any]):
    """Of Any, as above."""

    model_type = Category


class SqlProducts:
    """Implements Products. A product is read under its row lock: of two changes the second sees the first."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    async def get(self, product_id: str) -> Product:
        return await self._one(PRODUCT.c.id == product_id)

    async def of_variant(self, variant_id: str) -> Product:
        owner = PRODUCT.select().with_only_columns(VARIANT.c.product_id).where(VARIANT.c.id == variant_id).scalar_subquery()
        return await self._one(PRODUCT.c.id == owner)

    async def number(self, category_id: str | None) -> int:
        return int(await self._uow.fetchval(_NUMBER, category_id))

    async def next(self, after: str, category_id: str | None, limit: int) -> Sequence[Product]:
        ids = [row["id"] for row in await self._uow.fetch(_NEXT, category_id, after, limit)]
        found: Sequence[Product] = await (await self._repository()).get_many(PRODUCT.c.id.in_(ids), order_by=("id", False)) if ids else ()
        return found

    async def add(self, product: Product) -> None:
        with translated():
            await (await self._repository()).add(product)

    async def save(self, product: Product) -> None:
        with translated():
            await (await self._uow.session()).flush()

    async def _one(self, condition: Any) -> Product:
        found: Product | None = await (await self._repository()).get_one_or_none(condition, with_for_update=True)
        if found is None:
            raise NotFound("there is no such product")
        return found

    async def _repository(self) -> ProductRepository:
        return ProductRepository(session=await self._uow.session(), auto_refresh=False, wrap_exceptions=False)


class SqlCategories:
    """Implements Categories."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    async def get(self, category_id: str) -> Category:
        found: Category | None = await (await self._repository()).get_one_or_none(id=category_id, with_for_update=True)
        if found is None:
            raise NotFound("there is no such category")
        return found

    async def hold_tree(self) -> None:
        await self._uow.execute(_HOLD_TREE)

    async def line(self, category_id: str | None) -> Sequence[str]:
        if category_id is None:
            return []
        line = [row[0] for row in await self._uow.fetch(_LINE, category_id)]
        if not line:
            raise CategoryUnknown("there is no such category")
        return line

    async def height(self, category_id: str) -> int:
        return int(await self._uow.fetchval(_HEIGHT, category_id))

    async def add(self, category: Category) -> None:
        with translated():
            await (await self._repository()).add(category)

    async def save(self, category: Category) -> None:
        with translated():
            await (await self._uow.session()).flush()

    async def _repository(self) -> CategoryRepository:
        return CategoryRepository(session=await self._uow.session(), auto_refresh=False, wrap_exceptions=False)


class SqlWork(Recording):
    """Implements Work."""

    def __init__(self, uow: UnitOfWork) -> None:
        super().__init__(uow)
        map_aggregates()
        self.products = SqlProducts(uow)
        self.categories = SqlCategories(uow)
