"""The catalog on Postgres."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from modules.catalog.domain.category import CategoryChanges
from modules.catalog.domain.errors import CategoryCycle, CategoryUnknown, PriceMissing, SkuTaken, SlugTaken
from modules.catalog.domain.price import PriceTag, Sale
from modules.catalog.domain.product import NewVariant, ProductChanges, Status, VariantChanges
from modules.catalog.domain.views import ProductFilter, ProductView, Sort
from modules.catalog.public import Offer
from shared.domain.context import Context, begin, current
from shared.domain.errors import IllegalTransition, NotFound, StaleVersion
from shared.domain.money import Money, UnknownCurrency
from shared.domain.page import PageRequest
from tests.catalog.conftest import Shop

PUBLISHED: tuple[Status, ...] = ("published",)
EVERYTHING = ProductFilter(statuses=("draft", "published", "archived"))


def tag(amount: int, currency: str = "USD") -> PriceTag:
    return PriceTag(list_price=Money(amount, currency))


def variants(prefix: str, number: int = 1) -> list[NewVariant]:
    return [NewVariant(sku=f"{prefix}-{n}", options={"n": str(n)}, prices=[tag(1000 + n), tag(900 + n, "EUR")]) for n in range(number)]


async def stool(shop: Shop, slug: str = "oak-stool", *, published: bool = True, title: str = "Oak stool") -> ProductView:
    view = await shop.products.create_product(title=title, slug=slug, attributes={"wood": "oak"}, variants=variants(slug.upper(), 2))
    return await shop.products.publish_product(view.id) if published else view


async def test_what_was_created_is_read_back_as_it_was_answered(shop: Shop) -> None:
    sale = Sale(price=Money(800, "USD"), minimum_quantity=3, starts_at=shop.clock.time, ends_at=shop.clock.time + timedelta(days=1))
    new = NewVariant(sku="A", title="Large", options={"size": "L"}, prices=[PriceTag(list_price=Money(1000, "USD"), sale=sale)])
    made = await shop.products.create_product(title="Ünïcode", slug="u", description="a 'quoted' \\ text", variants=[new])
    assert await shop.products.product(made.id, drafts=True) == made
    assert await shop.products.variant(made.variants[0].id, drafts=True) == made.variants[0]
    assert await shop.told() == ["catalog.product_created", "catalog.variant_created", "catalog.price_changed"]


async def test_each_change_is_read_back_and_raises_the_version_in_the_row(shop: Shop) -> None:
    product = await stool(shop)
    variant = product.variants[0]
    await shop.products.update_product(product.id, ProductChanges(attributes={"wood": None}), expected_version=2)
    await shop.products.update_variant(variant.id, VariantChanges(title="Low"), expected_version=3)
    await shop.products.set_price(variant.id, tag(7, "JPY"), expected_version=4)
    await shop.products.set_price(variant.id, tag(8, "JPY"), expected_version=5)
    added = await shop.products.create_variant(product.id, NewVariant(sku="NEW"), expected_version=6)
    read = await shop.products.product(product.id, drafts=False)
    assert (read.version, added.version, read.attributes) == (7, 7, {})
    assert (read.variants[0].title, read.variants[-1].sku) == ("Low", "NEW")
    assert [price.list_price for price in read.variants[0].prices][1] == Money(8, "JPY")
    versions = await shop.admin.fetch("select distinct aggregate_version from event where key = $1 order by 1", product.id)
    assert [row[0] for row in versions] == [1, 2, 3, 4, 5, 6, 7]


async def test_a_stale_version_changes_nothing_and_tells_nothing(shop: Shop) -> None:
    product = await stool(shop)
    told = await shop.told()
    with pytest.raises(StaleVersion):
        await shop.products.update_product(product.id, ProductChanges(title="Other"), expected_version=1)
    assert (await shop.products.product(product.id, drafts=True)).title == "Oak stool"
    assert await shop.told() == told


async def test_an_illegal_step_tells_nothing(shop: Shop) -> None:
    product = await stool(shop)
    told = await shop.told()
    with pytest.raises(IllegalTransition):
        await shop.products.publish_product(product.id)
    assert await shop.told() == told


async def test_of_many_who_publish_at_once_exactly_one_does_and_one_event_tells_it(shop: Shop) -> None:
    product = await stool(shop, published=False)
    ends = await asyncio.gather(*(shop.products.publish_product(product.id) for _ in range(12)), return_exceptions=True)
    assert sum(isinstance(end, ProductView) for end in ends) == 1
    assert sum(isinstance(end, IllegalTransition) for end in ends) == 11
    assert (await shop.told()).count("catalog.product_published") == 1


async def test_a_slug_or_a_sku_is_taken_once(shop: Shop) -> None:
    await stool(shop)
    with pytest.raises(SlugTaken):
        await shop.products.create_product(title="Other", slug="oak-stool")
    with pytest.raises(SkuTaken):
        await shop.products.create_product(title="Other", slug="other", variants=variants("OAK-STOOL"))
    other = await shop.products.create_product(title="Other", slug="other", variants=variants("OTHER"))
    with pytest.raises(SlugTaken):
        await shop.products.update_product(other.id, ProductChanges(slug="oak-stool"), expected_version=None)
    with pytest.raises(SkuTaken):
        await shop.products.update_variant(other.variants[0].id, VariantChanges(sku="OAK-STOOL-0"), expected_version=None)
    with pytest.raises(SkuTaken):
        await shop.products.create_variant(other.id, NewVariant(sku="OAK-STOOL-1"))


async def test_of_many_who_take_a_slug_at_once_exactly_one_has_it(shop: Shop) -> None:
    ends = await asyncio.gather(
        *(shop.products.create_product(title=f"Stool {n}", slug="stool") for n in range(12)), return_exceptions=True
    )
    assert sum(isinstance(end, ProductView) for end in ends) == 1
    assert sum(isinstance(end, SlugTaken) for end in ends) == 11


async def test_an_unknown_category_is_refused(shop: Shop) -> None:
    with pytest.raises(CategoryUnknown):
        await shop.products.create_product(title="Stool", slug="stool", category_id="cat_none")
    with pytest.raises(CategoryUnknown):
        await shop.categories.create(name="A", slug="a", parent_id="cat_none")


async def test_drafts_and_archived_products_are_shown_to_staff_only(shop: Shop) -> None:
    draft = await stool(shop, "draft", published=False)
    published = await stool(shop, "published")
    archived = await stool(shop, "archived")
    await shop.products.archive_product(archived.id)
    for hidden in (draft, archived):
        with pytest.raises(NotFound):
            await shop.products.product(hidden.id, drafts=False)
        with pytest.raises(NotFound):
            await shop.products.variant(hidden.variants[0].id, drafts=False)
        assert (await shop.products.product(hidden.id, drafts=True)).id == hidden.id
    assert [view.id for view in (await shop.products.products(ProductFilter(), "title", PageRequest())).items] == [published.id]


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "title", "-title"])
async def test_a_list_is_walked_by_pages_in_any_order_without_gap_or_repeat(shop: Shop, sort: Sort) -> None:
    category = await shop.categories.create(name="Stools", slug="stools")
    below = await shop.categories.create(name="Low stools", slug="low-stools", parent_id=category.id)
    for n in range(11):
        if n % 2:
            shop.clock.time += timedelta(seconds=1)
        where = (category.id, below.id)[n % 2]
        made = await shop.products.create_product(title=f"Stool {n // 3}", slug=f"s{n}", category_id=where, variants=variants(f"S{n}"))
        if n % 3 == 0:
            await shop.products.publish_product(made.id)
    for wanted in (EVERYTHING, ProductFilter(statuses=EVERYTHING.statuses, category_id=category.id)):
        seen: list[ProductView] = []
        after: tuple[str | int, ...] | None = None
        for _ in range(3):
            part = await shop.products.products(wanted, sort, PageRequest(limit=4, after=after))
            seen += part.items
            after = part.next
        column = sort.removeprefix("-")
        keys = [(getattr(view, column), view.id) for view in seen]
        assert len(set(keys)) == 11
        assert after is None
        assert keys == sorted(keys, reverse=sort.startswith("-"))


async def test_a_list_is_filtered_by_category_with_all_below_and_by_time(shop: Shop) -> None:
    top = await shop.categories.create(name="Furniture", slug="furniture")
    stools = await shop.categories.create(name="Stools", slug="stools", parent_id=top.id)
    inside = await shop.products.create_product(title="In", slug="in", category_id=stools.id)
    shop.clock.time += timedelta(days=1)
    await shop.products.create_product(title="Out", slug="out")
    everywhere = EVERYTHING.statuses

    async def titles(wanted: ProductFilter) -> list[str]:
        return [view.title for view in (await shop.products.products(wanted, "created_at", PageRequest())).items]

    assert await titles(ProductFilter(statuses=everywhere, category_id=top.id)) == ["In"]
    assert await titles(ProductFilter(statuses=everywhere, created_from=shop.clock.time)) == ["Out"]
    assert await titles(ProductFilter(statuses=everywhere, created_to=shop.clock.time)) == ["In"]
    assert await titles(ProductFilter(statuses=())) == []
    assert (await shop.products.product(inside.id, drafts=True)).category_id == stools.id


async def test_search_finds_words_and_beginnings_of_words_and_ranks_titles_first(shop: Shop) -> None:
    for slug, title, description in (
        ("a", "Walnut table", "goes with an oak stool"),
        ("b", "Oak stool", "three legs"),
        ("c", "Oak table", "four legs"),
    ):
        made = await shop.products.create_product(title=title, slug=slug, description=description, variants=variants(slug.upper()))
        await shop.products.publish_product(made.id)
    await shop.products.create_product(title="Oak stool, unfinished", slug="d")

    async def titles(words: str, *, limit: int = 20, after: tuple[str | int, ...] | None = None) -> list[str]:
        found = await shop.products.search(words, PUBLISHED, None, PageRequest(limit=limit, after=after))
        return [view.title for view in found.items]

    assert await titles("oak stool") == ["Oak stool", "Walnut table"]
    assert await titles("OA sto") == ["Oak stool", "Walnut table"]
    assert await titles("oak table") == ["Oak table", "Walnut table"]
    assert await titles("birch") == []
    for hostile in ("'", "!&|():*", "oak' | 'walnut", "\\", "\\'", "%", "<-> oak", ":*"):
        assert set(await titles(hostile)) <= {"Oak stool", "Oak table", "Walnut table"}
    first = await shop.products.search("oak", PUBLISHED, None, PageRequest(limit=2))
    rest = await shop.products.search("oak", PUBLISHED, None, PageRequest(limit=2, after=first.next))
    assert len({view.id for view in [*first.items, *rest.items]}) == 3
    assert rest.next is None


async def test_search_keeps_to_the_category(shop: Shop) -> None:
    stools = await shop.categories.create(name="Stools", slug="stools")
    made = await shop.products.create_product(title="Oak stool", slug="a", category_id=stools.id, variants=variants("A"))
    await shop.products.publish_product(made.id)
    await stool(shop, "b")
    found = await shop.products.search("oak", PUBLISHED, stools.id, PageRequest())
    assert [view.id for view in found.items] == [made.id]
    assert found.next is None


async def test_reads_cost_a_statement_each(shop: Shop) -> None:
    for n in range(50):
        draft = await shop.products.create_product(title=f"Stool {n}", slug=f"s{n}", variants=variants(f"S{n}", 3))
        await shop.products.publish_product(draft.id)
    made = await stool(shop)

    async def cost(limit: int = 50) -> int:
        begin(Context())
        page = await shop.products.products(ProductFilter(), "-title", PageRequest(limit=limit))
        assert [len(view.variants) for view in page.items] == [3] * limit
        return current().sql_count

    assert await cost() == 1
    begin(Context())
    await shop.products.product(made.id, drafts=False)
    assert current().sql_count == 1
    begin(Context())
    await shop.products.offers([variant.id for variant in made.variants], "USD")
    assert current().sql_count == 1
    begin(Context())
    await shop.products.search("stool", PUBLISHED, None, PageRequest(limit=50))
    assert current().sql_count == 1


async def test_an_offer_has_the_price_of_the_currency_the_quantity_and_the_moment(shop: Shop) -> None:
    product = await stool(shop)
    variant = product.variants[0]
    begins = shop.clock.time + timedelta(hours=1)
    sale = Sale(price=Money(500, "USD"), minimum_quantity=2, starts_at=begins)
    await shop.products.set_price(variant.id, PriceTag(list_price=Money(1000, "USD"), sale=sale), expected_version=None)

    async def offer(currency: str, quantity: int) -> Offer:
        (found,) = await shop.products.offers([variant.id, "var_none"], currency, {variant.id: quantity})
        return found

    assert (await offer("USD", 2)).price == Money(1000, "USD")
    shop.clock.time = begins
    assert (await offer("USD", 1)).price == Money(1000, "USD")
    assert (await offer("USD", 2)).price == Money(500, "USD")
    assert (await offer("JPY", 2)).price is None
    assert (await offer("EUR", 2)).sellable
    await shop.products.archive_product(product.id)
    assert not (await offer("EUR", 2)).sellable
    with pytest.raises(UnknownCurrency):
        await offer("XXX", 1)


async def test_a_price_that_does_not_exist_is_refused_where_it_is_asked_for(shop: Shop) -> None:
    product = await stool(shop)
    found = await shop.products.price(product.variants[0].id, "EUR", 1, drafts=False)
    assert found.unit_price == Money(900, "EUR")
    with pytest.raises(PriceMissing):
        await shop.products.price(product.variants[0].id, "JPY", 1, drafts=False)


async def test_categories_are_walked_by_parent_and_show_the_way_from_the_root(shop: Shop) -> None:
    top = await shop.categories.create(name="Furniture", slug="furniture")
    seats = await shop.categories.create(name="Seats", slug="seats", parent_id=top.id)
    stools = await shop.categories.create(name="Stools", slug="stools", parent_id=seats.id)
    for n in range(3):
        await shop.categories.create(name="Chairs", slug=f"chairs-{n}", parent_id=seats.id)
    path = await shop.categories.read(stools.id)
    assert [each.name for each in path.ancestors] == ["Furniture", "Seats"]
    assert [each.name for each in (await shop.categories.children(None, PageRequest())).items] == ["Furniture"]
    first = await shop.categories.children(seats.id, PageRequest(limit=2))
    rest = await shop.categories.children(seats.id, PageRequest(limit=2, after=first.next))
    assert [each.name for each in [*first.items, *rest.items]] == ["Chairs", "Chairs", "Chairs", "Stools"]
    roots = await shop.categories.children(None, PageRequest(limit=1, after=("A", "")))
    assert [each.name for each in roots.items] == ["Furniture"]


async def test_a_category_moves_with_all_below_it_and_never_below_itself(shop: Shop) -> None:
    a = await shop.categories.create(name="A", slug="a")
    b = await shop.categories.create(name="B", slug="b", parent_id=a.id)
    c = await shop.categories.create(name="C", slug="c", parent_id=b.id)
    with pytest.raises(CategoryCycle):
        await shop.categories.update(a.id, CategoryChanges(parent_id=c.id), expected_version=None)
    with pytest.raises(CategoryCycle):
        await shop.categories.update(a.id, CategoryChanges(parent_id=a.id), expected_version=None)
    moved = await shop.categories.update(b.id, CategoryChanges(parent_id=None), expected_version=1)
    assert (moved.parent_id, moved.version) == (None, 2)
    assert [each.name for each in (await shop.categories.read(c.id)).ancestors] == ["B"]
    with pytest.raises(StaleVersion):
        await shop.categories.update(b.id, CategoryChanges(name="B2"), expected_version=1)


async def test_two_moves_that_would_make_a_cycle_together_do_not(shop: Shop) -> None:
    for turn in range(5):
        a = await shop.categories.create(name="A", slug=f"a{turn}")
        b = await shop.categories.create(name="B", slug=f"b{turn}")
        ends = await asyncio.gather(
            shop.categories.update(a.id, CategoryChanges(parent_id=b.id), expected_version=None),
            shop.categories.update(b.id, CategoryChanges(parent_id=a.id), expected_version=None),
            return_exceptions=True,
        )
        assert sorted(isinstance(end, CategoryCycle) for end in ends) == [False, True]


async def test_the_runtime_role_deletes_nothing(shop: Shop) -> None:
    for table in ("product", "variant", "price", "category"):
        assert not await shop.admin.fetchval("select has_table_privilege('tenon_catalog', $1, 'delete')", f"catalog.{table}")
    with pytest.raises(asyncpg.CheckViolationError):
        await shop.admin.execute("insert into category (id, name, slug, parent_id) values ('cat_x', 'X', 'x', 'cat_x')")
