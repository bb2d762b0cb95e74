"""Refusals of the catalog."""

from shared.domain.errors import Conflict, RuleViolated


class SlugTaken(Conflict):
    """Another product or category has this slug already."""

    code = "slug_taken"
    title = "The slug is taken"


class SkuTaken(Conflict):
    """Another variant has this SKU already."""

    code = "sku_taken"
    title = "The SKU is taken"


class ProductArchivedAlready(Conflict):
    """An archived product is kept as it was and cannot be changed any more."""

    code = "product_archived"
    title = "The product is archived"


class NothingToSell(RuleViolated):
    """A product without any variant cannot be published."""

    code = "product_without_variants"
    title = "The product has no variant"


class TooManyVariants(RuleViolated):
    """A product has at most 100 variants."""

    code = "too_many_variants"
    title = "Too many variants"


class PriceMissing(RuleViolated):
    """The variant has no price in this currency, and Tenon never exchanges implicitly."""

    code = "price_missing"
    title = "No price in this currency"


class SaleInvalid(RuleViolated):
    """A sale price is below the list price, and its window ends after it starts."""

    code = "sale_invalid"
    title = "The sale is not valid"


class PercentageOutOfRange(RuleViolated):
    """Prices are lowered by 95 percent and raised by 900 percent at most in one go."""

    code = "percentage_out_of_range"
    title = "The percentage is out of range"


class CategoryCycle(RuleViolated):
    """A category cannot be moved below itself or below one of its descendants."""

    code = "category_cycle"
    title = "The category tree would have a cycle"


class CategoryTooDeep(RuleViolated):
    """The category tree has at most 8 levels."""

    code = "category_too_deep"
    title = "The category tree would be too deep"


class CategoryUnknown(RuleViolated):
    """The request names a category that does not exist."""

    code = "category_unknown"
    title = "Unknown category"


class PeriodUnordered(RuleViolated):
    """The products of a period are listed in the order of their creation: those of a title's beginning may be from any time."""

    code = "period_unordered"
    title = "A period is listed in its own order"
