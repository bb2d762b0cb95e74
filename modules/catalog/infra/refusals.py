"""What a violated constraint of the catalog means, by the constraint's name."""

from contextlib import AbstractContextManager

from modules.catalog.domain.errors import CategoryUnknown, SkuTaken, SlugTaken
from shared.infra.db.errors import violations


def translated() -> AbstractContextManager[None]:
    return violations(
        product_slug_key=SlugTaken("another product has this slug"),
        variant_sku_key=SkuTaken("another variant has this SKU"),
        category_slug_key=SlugTaken("another category has this slug"),
        product_category_fkey=CategoryUnknown("there is no such category"),
        category_parent_fkey=CategoryUnknown("there is no such category"),
    )
