"""The use cases of the catalog, on a store in memory."""

from datetime import UTC, datetime, timedelta

import pytest

from modules.catalog.domain.category import CategoryChanges
from modules.catalog.domain.errors import CategoryCycle, CategoryUnknown, PriceMissing, SlugTaken
from modules.catalog.domain.price import PriceTag, Sale
from modules.catalog.domain.product import NewVariant, ProductChanges
from modules.catalog.domain.service import CatalogService
from modules.catalog.domain.tree import CategoryService
from modules.catalog.public import Offer
from shared.domain.errors import IllegalTransition, NotFound, StaleVersion
from shared.domain.money import Money
from tests.catalog.fakes import Store


class Clock:
    def __init__(self) -> None:
        self.time = datetime(2026, 5, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


class Shop:
    def __init__(self) -> None:
        self.store, self.clock = Store(), Clock()
        self.products = CatalogService(self.store, self.store, self.clock)
        self.categories = CategoryService(self.store, self.store)

    def told(self) -> list[tuple[str, int]]:
        return [(event.event_type.removeprefix("catalog."), version) for event, version in self.store.kept.events]

    async def stool(self) -> tuple[str, str]:
        """The ids of a product and its only variant."""
        price = PriceTag(list_price=Money(1000, "USD"), sale=Sale(price=Money(900, "USD"), minimum_quantity=2))
        new = NewVariant(sku="STOOL-45", title="Low", prices=[price])
        made = await self.products.create_product(title="Oak stool", slug="oak-stool", variants=[new])
        return made.id, made.variants[0].id


@pytest.fixture
def shop() -> Shop:
    return Shop()


async def test_every_change_tells_what_happened_at_the_version_it_led_to(shop: Shop) -> None:
    product, variant = await shop.stool()
    await shop.products.publish_product(product)
    await shop.products.update_product(product, ProductChanges(title="Elm stool"), expected_version=2)
    await shop.products.set_price(variant, PriceTag(list_price=Money(5, "EUR")), expected_version=3)
    await shop.products.archive_product(product)
    assert shop.told() == [
        ("product_created", 1),
        ("variant_created", 1),
        ("price_changed", 1),
        ("product_published", 2),
        ("product_updated", 3),
        ("price_changed", 4),
        ("product_archived", 5),
    ]


async def test_what_is_refused_changes_nothing_and_tells_nothing(shop: Shop) -> None:
    product, _ = await shop.stool()
    before = shop.told()
    with pytest.raises(StaleVersion):
        await shop.products.update_product(product, ProductChanges(title="Elm stool"), expected_version=7)
    with pytest.raises(SlugTaken):
        await shop.products.create_product(title="Other", slug="oak-stool")
    await shop.products.archive_product(product)
    with pytest.raises(IllegalTransition):
        await shop.products.publish_product(product)
    assert shop.told() == [*before, ("product_archived", 2)]
    assert (await shop.products.product(product, drafts=True)).title == "Oak stool"


async def test_a_draft_is_not_found_by_the_public(shop: Shop) -> None:
    product, variant = await shop.stool()
    with pytest.raises(NotFound):
        await shop.products.product(product, drafts=False)
    with pytest.raises(NotFound):
        await shop.products.price(variant, "USD", 1, drafts=False)
    assert (await shop.products.price(variant, "USD", 2, drafts=True)).unit_price == Money(900, "USD")
    with pytest.raises(PriceMissing):
        await shop.products.price(variant, "EUR", 1, drafts=True)


async def test_an_offer_names_the_variant_and_its_price_for_the_quantity(shop: Shop) -> None:
    product, variant = await shop.stool()
    await shop.products.publish_product(product)
    expected = Offer(
        variant_id=variant, product_id=product, sku="STOOL-45", title="Oak stool, Low", price=Money(1000, "USD"), sellable=True
    )
    assert await shop.products.offers([variant, "var_none"], "USD") == [expected]
    assert [offer.price for offer in await shop.products.offers([variant], "USD", {variant: 2})] == [Money(900, "USD")]
    assert [offer.price for offer in await shop.products.offers([variant], "EUR")] == [None]


async def test_an_offer_follows_the_clock(shop: Shop) -> None:
    _, variant = await shop.stool()
    ends = shop.clock.time + timedelta(hours=1)
    sale = Sale(price=Money(700, "USD"), ends_at=ends)
    await shop.products.set_price(variant, PriceTag(list_price=Money(1000, "USD"), sale=sale), expected_version=None)
    assert [offer.price for offer in await shop.products.offers([variant], "USD")] == [Money(700, "USD")]
    shop.clock.time = ends
    assert [offer.price for offer in await shop.products.offers([variant], "USD")] == [Money(1000, "USD")]


async def test_a_category_is_moved_while_the_tree_is_held(shop: Shop) -> None:
    a = await shop.categories.create(name="A", slug="a")
    b = await shop.categories.create(name="B", slug="b", parent_id=a.id)
    with pytest.raises(CategoryCycle):
        await shop.categories.update(a.id, CategoryChanges(parent_id=b.id), expected_version=1)
    with pytest.raises(CategoryUnknown):
        await shop.categories.create(name="C", slug="c", parent_id="cat_none")
    moved = await shop.categories.update(b.id, CategoryChanges(parent_id=None, name="Bee"), expected_version=1)
    assert (moved.parent_id, moved.name, moved.version) == (None, "Bee", 2)
    with pytest.raises(NotFound):
        await shop.categories.read(a.id)
