"""The product: the aggregate of variants and prices, and the steps of its life."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from modules.catalog.domain.errors import NothingToSell, ProductArchivedAlready, SaleInvalid, TooManyVariants
from modules.catalog.domain.price import PriceTag, Sale
from modules.catalog.public import PriceChanged, ProductArchived, ProductCreated, ProductPublished, ProductUpdated, VariantCreated
from shared.domain.errors import IllegalTransition, NotFound, StaleVersion
from shared.domain.events import Event
from shared.domain.ids import new_id
from shared.domain.money import AmountTooLarge, Money

Status = Literal["draft", "published", "archived"]

MAX_VARIANTS: Final = 100

STEPS: Final[Mapping[tuple[Status, Status], bool]] = {
    ("draft", "draft"): False,
    ("draft", "published"): True,
    ("draft", "archived"): True,
    ("published", "draft"): False,
    ("published", "published"): False,
    ("published", "archived"): True,
    ("archived", "draft"): False,
    ("archived", "published"): False,
    ("archived", "archived"): False,
}
"""From, to: whether the step is legal."""


class NewVariant(msgspec.Struct, frozen=True, kw_only=True):
    """`options` tells the variants of a product apart, such as `{"size": "L"}`."""

    sku: str
    title: str = ""
    options: dict[str, str] = {}
    prices: Sequence[PriceTag] = ()


class ProductChanges(msgspec.Struct, frozen=True, kw_only=True):
    """A merge patch: an absent field stays; None clears, for attributes name by name."""

    title: str | UnsetType = UNSET
    slug: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    attributes: dict[str, str | None] | UnsetType | None = UNSET
    category_id: str | UnsetType | None = UNSET


class VariantChanges(msgspec.Struct, frozen=True, kw_only=True):
    """A merge patch, like ProductChanges."""

    sku: str | UnsetType = UNSET
    title: str | UnsetType | None = UNSET
    options: dict[str, str | None] | UnsetType | None = UNSET


@dataclass(eq=False)
class Price:
    """A row per variant and currency; what it means is said by its tag."""

    currency: str
    list_amount: int
    sale_amount: int | None = None
    sale_minimum: int = 1
    sale_starts_at: datetime | None = None
    sale_ends_at: datetime | None = None

    def put(self, tag: PriceTag) -> None:
        sale = tag.sale
        self.list_amount = tag.list_price.amount
        self.sale_amount = None if sale is None else sale.price.amount
        self.sale_minimum = 1 if sale is None else sale.minimum_quantity
        self.sale_starts_at = None if sale is None else _in_utc(sale.starts_at)
        self.sale_ends_at = None if sale is None else _in_utc(sale.ends_at)

    @property
    def tag(self) -> PriceTag:
        sale = None
        if self.sale_amount is not None:
            price = Money(self.sale_amount, self.currency)
            sale = Sale(price=price, minimum_quantity=self.sale_minimum, starts_at=self.sale_starts_at, ends_at=self.sale_ends_at)
        return PriceTag(list_price=Money(self.list_amount, self.currency), sale=sale)


@dataclass(eq=False)
class Variant:
    id: str
    sku: str
    title: str
    options: dict[str, str]
    position: int
    prices: list[Price] = field(default_factory=list)

    def put_price(self, tag: PriceTag) -> None:
        tag.check()
        for price in self.prices:
            if price.currency == tag.list_price.currency:
                price.put(tag)
                return
        price = Price(currency=tag.list_price.currency, list_amount=0)
        price.put(tag)
        self.prices.append(price)


@dataclass(eq=False)
class Product:
    """`version` counts the changes of the whole aggregate, its variants and prices included."""

    id: str
    title: str
    slug: str
    description: str
    attributes: dict[str, str]
    category_id: str | None
    created_at: datetime
    updated_at: datetime
    status: Status = "draft"
    published_at: datetime | None = None
    version: int = 1
    variants: list[Variant] = field(default_factory=list)

    @classmethod
    def draft(
        cls,
        *,
        title: str,
        slug: str,
        now: datetime,
        description: str = "",
        attributes: Mapping[str, str] | None = None,
        category_id: str | None = None,
        variants: Sequence[NewVariant] = (),
    ) -> "Product":
        """A new product, not yet for sale."""
        product = cls(
            id=new_id("prd"),
            title=title,
            slug=slug,
            description=description,
            attributes=dict(attributes or {}),
            category_id=category_id,
            created_at=now,
            updated_at=now,
        )
        for new in variants:
            product._append(new)
        return product

    def birth(self) -> list[Event]:
        """What there is to tell of a product that has just been made."""
        events: list[Event] = [ProductCreated(product_id=self.id)]
        for variant in self.variants:
            events += self._birth_of(variant)
        return events

    def expect(self, version: int | None) -> None:
        if version is not None and version != self.version:
            raise StaleVersion(f"the product is at version {self.version}")

    def publish(self, now: datetime) -> Event:
        self._insist_on_step("published")
        if not self.variants:
            raise NothingToSell("add a variant first")
        self._step("published", now)
        self.published_at = now
        return ProductPublished(product_id=self.id)

    def archive(self, now: datetime) -> Event:
        self._step("archived", now)
        return ProductArchived(product_id=self.id)

    def revise(self, changes: ProductChanges, now: datetime) -> Event:
        self._change(now)
        if changes.title is not UNSET:
            self.title = changes.title
        if changes.slug is not UNSET:
            self.slug = changes.slug
        if changes.description is not UNSET:
            self.description = changes.description or ""
        if changes.attributes is not UNSET:
            self.attributes = _merged(self.attributes, changes.attributes)
        if changes.category_id is not UNSET:
            self.category_id = changes.category_id
        return ProductUpdated(product_id=self.id)

    def add_variant(self, new: NewVariant, now: datetime) -> list[Event]:
        self._change(now)
        return self._birth_of(self._append(new))

    def revise_variant(self, variant_id: str, changes: VariantChanges, now: datetime) -> Event:
        self._change(now)
        variant = self.variant(variant_id)
        if changes.sku is not UNSET:
            variant.sku = changes.sku
        if changes.title is not UNSET:
            variant.title = changes.title or ""
        if changes.options is not UNSET:
            variant.options = _merged(variant.options, changes.options)
        return ProductUpdated(product_id=self.id)

    def put_price(self, variant_id: str, tag: PriceTag, now: datetime) -> Event:
        self._change(now)
        self.variant(variant_id).put_price(tag)
        return self._price_changed(variant_id, tag)

    def reprice(self, currency: str, factor: Decimal, now: datetime) -> tuple[list[Event], int]:
        """Multiply all prices in `currency`. Answers what there is to tell, and how many prices would have broken a rule and stay."""
        tags: dict[str, PriceTag] = {}
        left = 0
        for variant in self.variants:
            for present in (price.tag for price in variant.prices if price.currency == currency):
                try:
                    tag = present.times(factor)
                except (SaleInvalid, AmountTooLarge):
                    left += 1
                else:
                    tags |= {variant.id: tag} if tag != present else {}
        if tags:
            self._change(now)
        for variant_id, tag in tags.items():
            self.variant(variant_id).put_price(tag)
        return [self._price_changed(variant_id, tag) for variant_id, tag in tags.items()], left

    def variant(self, variant_id: str) -> Variant:
        for variant in self.variants:
            if variant.id == variant_id:
                return variant
        raise NotFound("there is no such variant")

    def _append(self, new: NewVariant) -> Variant:
        if len(self.variants) == MAX_VARIANTS:
            raise TooManyVariants(f"a product has at most {MAX_VARIANTS} variants")
        variant = Variant(id=new_id("var"), sku=new.sku, title=new.title, options=dict(new.options), position=len(self.variants))
        for tag in new.prices:
            variant.put_price(tag)
        self.variants.append(variant)
        return variant

    def _birth_of(self, variant: Variant) -> list[Event]:
        born = VariantCreated(product_id=self.id, variant_id=variant.id, sku=variant.sku)
        return [born, *(self._price_changed(variant.id, price.tag) for price in variant.prices)]

    def _price_changed(self, variant_id: str, tag: PriceTag) -> Event:
        return PriceChanged(
            product_id=self.id,
            variant_id=variant_id,
            currency=tag.list_price.currency,
            amount=tag.list_price.amount,
            sale_amount=None if tag.sale is None else tag.sale.price.amount,
        )

    def _insist_on_step(self, to: Status) -> None:
        if not STEPS[self.status, to]:
            raise IllegalTransition(f"a product that is {self.status} cannot become {to}")

    def _step(self, to: Status, now: datetime) -> None:
        self._insist_on_step(to)
        self._change(now)
        self.status = to

    def _change(self, now: datetime) -> None:
        if self.status == "archived":
            raise ProductArchivedAlready("an archived product cannot be changed")
        self.version += 1
        self.updated_at = now


def _in_utc(instant: datetime | None) -> datetime | None:
    return None if instant is None else instant.astimezone(UTC)


def _merged(present: Mapping[str, str], patch: Mapping[str, str | None] | None) -> dict[str, str]:
    """JSON Merge Patch of a flat object."""
    merged = {} if patch is None else {**present, **patch}
    return {name: value for name, value in merged.items() if value is not None}
