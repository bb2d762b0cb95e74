"""What a violated constraint of the catalog means, by the constraint's name."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import IntegrityError

from modules.catalog.domain.errors import CategoryUnknown, SkuTaken, SlugTaken
from shared.domain.errors import DomainError
from shared.infra.db.errors import constraint

_BY_CONSTRAINT: Final[Mapping[str, Callable[[], DomainError]]] = {
    "product_slug_key": lambda: SlugTaken("another product has this slug"),
    "variant_sku_key": lambda: SkuTaken("another variant has this SKU"),
    "category_slug_key": lambda: SlugTaken("another category has this slug"),
    "product_category_fkey": lambda: CategoryUnknown("there is no such category"),
    "category_parent_fkey": lambda: CategoryUnknown("there is no such category"),
}


@contextmanager
def translated() -> Iterator[None]:
    """Violations that the domain has a word for are raised as that."""
    try:
        yield
    except IntegrityError as error:
        refusal = _BY_CONSTRAINT.get(constraint(error) or "")
        if refusal is None:
            raise
        raise refusal() from error
