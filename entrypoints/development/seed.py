"""Demo data for development, put in once through the modules' own use cases."""

from typing import Final, NamedTuple

import asyncpg

from entrypoints.container import Root
from entrypoints.process import running
from modules.catalog.domain.price import PriceTag
from modules.catalog.domain.product import NewVariant
from modules.catalog.domain.views import ProductFilter, ProductView
from modules.identity.domain.user import Role
from shared.domain.money import Money
from shared.domain.page import PageRequest

MARK: Final = "tenon: holds the demo data"


class Login(NamedTuple):
    role: str
    name: str
    email: str
    password: str


class Goods(NamedTuple):
    """`cents` is the price of every size, the same number in USD and EUR."""

    title: str
    description: str
    wood: str
    category: str
    sku: str
    cents: int
    sizes: tuple[str, ...]

    def skus(self) -> list[str]:
        return [f"{self.sku}-{size}" for size in self.sizes]


LOGINS: Final = (
    Login("customer", "Casey Customer", "customer@tenon.example", "seven oak planks in the rain"),
    Login("admin", "Alex Admin", "alex@tenon.example", "a shop that never closes its door"),
)
GOODS: Final = (
    Goods("Oak stool", "Three legs, one plank, no screws.", "oak", "Seats", "STOOL-OAK", 8900, ("45", "65")),
    Goods("Walnut bench", "Seats three, or two and a cat.", "walnut", "Seats", "BENCH-WALNUT", 34900, ("120", "160")),
    Goods("Ash desk", "A desk that outlives its computers.", "ash", "Tables", "DESK-ASH", 62900, ("140",)),
    Goods("Cherry shelf", "Held by its own joints.", "cherry", "Storage", "SHELF-CHERRY", 12900, ("60", "90")),
    Goods("Marking knife", "One bevel, for lines that are meant.", "beech", "Tools", "KNIFE-MARKING", 3900, ("R", "L")),
)


async def once(url: str, root: Root) -> bool:
    """Fill the database of `url`, unless it was filled before; it remembers that in its own comment."""
    if await _mark(url) == MARK:
        return False
    async with running(root, with_worker=False):
        await fill(root)
    await _set_mark(url)
    return True


async def fill(root: Root) -> None:
    """Repeatable: what a broken run left undone is done."""
    for login in LOGINS:
        roles = [Role(login.role)]
        await root.identity.administration().appoint(email=login.email, name=login.name, password=login.password, roles=roles)
    shelves = await _shelves(root)
    wanted = ProductFilter(statuses=("draft", "published"))
    there = await root.catalog.products().products(wanted, "created_at", PageRequest(limit=100))
    known = {product.slug: product for product in there.items}
    for goods in GOODS:
        await _receive(root, goods)
        product = known.get(slug(goods.title)) or await _create(root, goods, shelves[goods.category])
        if product.status == "draft":
            await root.catalog.products().publish_product(product.id)


async def _shelves(root: Root) -> dict[str, str]:
    """The ids of the categories by their names."""
    categories = root.catalog.categories()
    there = await categories.children(None, PageRequest(limit=100))
    shelves = {category.name: category.id for category in there.items}
    for name in dict.fromkeys(goods.category for goods in GOODS):
        if name not in shelves:
            shelves[name] = (await categories.create(name=name, slug=slug(name))).id
    return shelves


async def _receive(root: Root, goods: Goods) -> None:
    stock = root.inventory.stock()
    for sku in goods.skus():
        if not (await stock.levels(sku, None, PageRequest())).items:
            await stock.move(kind="received", sku=sku, quantity=50, reason="opening stock", actor="seed")


async def _create(root: Root, goods: Goods, category_id: str) -> ProductView:
    prices = [PriceTag(list_price=Money(goods.cents, currency)) for currency in ("USD", "EUR")]
    sizes = zip(goods.sizes, goods.skus(), strict=True)
    product: ProductView = await root.catalog.products().create_product(
        title=goods.title,
        slug=slug(goods.title),
        description=goods.description,
        attributes={"wood": goods.wood},
        category_id=category_id,
        variants=[NewVariant(sku=sku, title=size, options={"size": size}, prices=prices) for size, sku in sizes],
    )
    return product


def slug(title: str) -> str:
    return title.lower().replace(" ", "-")


async def _mark(url: str) -> str | None:
    connection = await asyncpg.connect(url)
    try:
        mark: str | None = await connection.fetchval(
            "select shobj_description(oid, 'pg_database') from pg_database where datname = current_database()"
        )
        return mark
    finally:
        await connection.close()


async def _set_mark(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        name = await connection.fetchval("select quote_ident(current_database())")
        await connection.execute(f"comment on database {name} is '{MARK}'")  # identifiers only: the database's own name and a constant
    finally:
        await connection.close()
