"""Products, prices and categories as pure rules."""

from datetime import UTC, datetime, timedelta

import pytest

from modules.catalog.domain.category import MAX_DEPTH, Category
from modules.catalog.domain.errors import (
    CategoryCycle,
    CategoryTooDeep,
    NothingToSell,
    ProductArchivedAlready,
    SaleInvalid,
    TooManyVariants,
)
from modules.catalog.domain.price import MAX_PRICE, PriceTag, Sale
from modules.catalog.domain.product import MAX_VARIANTS, STEPS, NewVariant, Product, ProductChanges, Status, VariantChanges
from modules.catalog.public import PriceChanged, ProductCreated, VariantCreated
from modules.orders.domain.cart import MAX_ITEMS, MAX_QUANTITY
from shared.domain.errors import IllegalTransition, NotFound, StaleVersion
from shared.domain.money import AmountTooLarge, CurrencyMismatch, Money, UnknownCurrency

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def usd(amount: int) -> Money:
    return Money(amount, "USD")


def stool(*variants: NewVariant) -> Product:
    return Product.draft(title="Oak stool", slug="oak-stool", attributes={"wood": "oak"}, variants=variants, now=NOW)


OAK = NewVariant(sku="STOOL-45", prices=[PriceTag(list_price=usd(9900))])


def in_status(status: Status) -> Product:
    product = stool(OAK)
    if status != "draft":
        product.publish(NOW)
    if status == "archived":
        product.archive(NOW)
    return product


def test_a_new_product_is_a_draft_of_version_1_that_tells_of_itself_its_variants_and_their_prices() -> None:
    product = stool(OAK)
    variant = product.variants[0]
    assert (product.status, product.version) == ("draft", 1)
    assert product.birth() == [
        ProductCreated(product_id=product.id),
        VariantCreated(product_id=product.id, variant_id=variant.id, sku="STOOL-45"),
        PriceChanged(product_id=product.id, variant_id=variant.id, currency="USD", amount=9900, sale_amount=None),
    ]


@pytest.mark.parametrize(("start", "to"), [pair for pair, legal in STEPS.items() if legal])
def test_every_legal_step_raises_the_version_by_one(start: Status, to: Status) -> None:
    product = in_status(start)
    before = product.version
    {"published": product.publish, "archived": product.archive}[to](LATER)
    assert (product.status, product.version, product.updated_at) == (to, before + 1, LATER)


@pytest.mark.parametrize(("start", "to"), [pair for pair, legal in STEPS.items() if not legal and pair[1] != "draft"])
def test_every_illegal_step_is_refused_and_changes_nothing(start: Status, to: Status) -> None:
    product = in_status(start)
    before = product.version
    with pytest.raises(IllegalTransition):
        {"published": product.publish, "archived": product.archive}[to](LATER)
    assert (product.status, product.version) == (start, before)


def test_the_table_of_steps_knows_every_pair() -> None:
    statuses: list[Status] = ["draft", "published", "archived"]
    assert set(STEPS) == {(a, b) for a in statuses for b in statuses}


def test_a_product_without_variants_cannot_be_published() -> None:
    with pytest.raises(NothingToSell):
        stool().publish(NOW)


def test_an_illegal_step_is_one_even_where_something_else_is_missing() -> None:
    empty = stool()
    empty.archive(NOW)
    with pytest.raises(IllegalTransition):
        empty.publish(LATER)


def test_an_archived_product_cannot_be_changed() -> None:
    product = in_status("archived")
    variant = product.variants[0]
    for change in (
        lambda: product.revise(ProductChanges(title="Ash stool"), LATER),
        lambda: product.add_variant(NewVariant(sku="STOOL-60"), LATER),
        lambda: product.revise_variant(variant.id, VariantChanges(title="Low"), LATER),
        lambda: product.put_price(variant.id, PriceTag(list_price=usd(1)), LATER),
    ):
        with pytest.raises(ProductArchivedAlready):
            change()


def test_a_merge_patch_leaves_absent_fields_and_clears_by_null() -> None:
    product = stool(OAK)
    product.revise(ProductChanges(attributes={"wood": None, "colour": "natural"}, description="Turned."), LATER)
    assert (product.title, product.attributes, product.description) == ("Oak stool", {"colour": "natural"}, "Turned.")
    product.revise(ProductChanges(attributes=None, description=None, category_id="cat_1"), LATER)
    assert (product.attributes, product.description, product.category_id) == ({}, "", "cat_1")


def test_a_change_of_a_variant_or_a_price_raises_the_version_of_the_product() -> None:
    product = stool(OAK)
    variant = product.variants[0]
    product.revise_variant(variant.id, VariantChanges(sku="STOOL-46", options={"height": "46"}), LATER)
    product.put_price(variant.id, PriceTag(list_price=Money(9500, "EUR")), LATER)
    product.add_variant(NewVariant(sku="STOOL-60"), LATER)
    assert product.version == 4
    assert [variant.sku for variant in product.variants] == ["STOOL-46", "STOOL-60"]
    assert [price.currency for price in product.variants[0].prices] == ["USD", "EUR"]


def test_a_price_put_a_second_time_replaces_the_first() -> None:
    product = stool(OAK)
    variant = product.variants[0]
    tag = PriceTag(list_price=usd(8900), sale=Sale(price=usd(7900), minimum_quantity=3, ends_at=LATER))
    event = product.put_price(variant.id, tag, LATER)
    assert [price.tag for price in variant.prices] == [tag]
    assert event == PriceChanged(product_id=product.id, variant_id=variant.id, currency="USD", amount=8900, sale_amount=7900)


def test_an_unknown_variant_is_not_found() -> None:
    with pytest.raises(NotFound):
        stool().put_price("var_none", PriceTag(list_price=usd(1)), NOW)


def test_a_product_has_a_bounded_number_of_variants() -> None:
    product = stool(*(NewVariant(sku=f"S-{n}") for n in range(MAX_VARIANTS)))
    with pytest.raises(TooManyVariants):
        product.add_variant(NewVariant(sku="ONE-MORE"), NOW)


def test_an_old_version_is_stale_and_no_version_is_no_condition() -> None:
    product = stool()
    product.expect(None)
    product.expect(1)
    with pytest.raises(StaleVersion):
        product.expect(2)


@pytest.mark.parametrize(
    ("quantity", "at", "price"),
    [
        (3, NOW, 800),
        (2, NOW, 1000),
        (3, NOW - timedelta(microseconds=1), 1000),
        (3, LATER - timedelta(microseconds=1), 800),
        (3, LATER, 1000),
    ],
)
def test_a_sale_holds_from_its_start_up_to_its_end_and_from_its_minimum_quantity(quantity: int, at: datetime, price: int) -> None:
    tag = PriceTag(list_price=usd(1000), sale=Sale(price=usd(800), minimum_quantity=3, starts_at=NOW, ends_at=LATER))
    assert tag.unit_price(quantity, at) == usd(price)


def test_a_sale_without_a_window_always_holds() -> None:
    assert PriceTag(list_price=usd(1000), sale=Sale(price=usd(800))).unit_price(1, NOW) == usd(800)


@pytest.mark.parametrize(
    ("tag", "refusal"),
    [
        (PriceTag(list_price=usd(-1)), SaleInvalid),
        (PriceTag(list_price=usd(1000), sale=Sale(price=usd(1000))), SaleInvalid),
        (PriceTag(list_price=usd(1000), sale=Sale(price=usd(-5))), SaleInvalid),
        (PriceTag(list_price=usd(1000), sale=Sale(price=usd(900), starts_at=LATER, ends_at=NOW)), SaleInvalid),
        (PriceTag(list_price=usd(1000), sale=Sale(price=Money(900, "EUR"))), CurrencyMismatch),
        (PriceTag(list_price=Money(1000, "XYZ")), UnknownCurrency),
        (PriceTag(list_price=usd(MAX_PRICE + 1)), AmountTooLarge),
    ],
)
def test_a_price_that_makes_no_sense_is_refused(tag: PriceTag, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        tag.check()


def test_the_fullest_cart_of_the_dearest_goods_still_has_a_total() -> None:
    PriceTag(list_price=usd(MAX_PRICE)).check()
    assert (usd(MAX_PRICE) * MAX_QUANTITY * MAX_ITEMS).amount == MAX_PRICE * MAX_QUANTITY * MAX_ITEMS


def test_a_category_cannot_be_moved_below_itself_or_its_descendants() -> None:
    category = Category(id="cat_a", name="A", slug="a")
    with pytest.raises(CategoryCycle):
        category.move("cat_a", ["cat_a"], height=2)
    with pytest.raises(CategoryCycle):
        category.move("cat_b", ["cat_b", "cat_a"], height=2)


def test_the_category_tree_has_a_bounded_depth() -> None:
    category = Category(id="cat_a", name="A", slug="a")
    line = [f"cat_{n}" for n in range(MAX_DEPTH - 2)]
    category.move(line[0], line, height=2)
    assert category.parent_id == line[0]
    with pytest.raises(CategoryTooDeep):
        category.move(line[0], line, height=3)
