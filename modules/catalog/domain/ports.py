"""What the catalog needs from its own store."""

from collections.abc import Sequence
from typing import Protocol

from modules.catalog.domain.category import Category
from modules.catalog.domain.product import Product
from shared.domain.jobs import JobStarter
from shared.domain.work import Recorder


class Products(Protocol):
    """`add` and `save` raise SlugTaken, SkuTaken, CategoryUnknown; `save` raises StaleVersion when somebody was faster."""

    async def get(self, product_id: str) -> Product:
        """Raises NotFound."""
        ...

    async def of_variant(self, variant_id: str) -> Product:
        """The product that has this variant; raises NotFound."""
        ...

    async def number(self, category_id: str | None) -> int:
        """How many there are that are not archived: of this category and all below it, or altogether."""
        ...

    async def next(self, after: str, category_id: str | None, limit: int) -> Sequence[Product]:
        """The first of those with an id after this one, by id; nobody else changes them meanwhile."""
        ...

    async def add(self, product: Product) -> None: ...

    async def save(self, product: Product) -> None: ...


class Categories(Protocol):
    """`add` and `save` raise SlugTaken, CategoryUnknown; `save` raises StaleVersion when somebody was faster."""

    async def get(self, category_id: str) -> Category:
        """Raises NotFound."""
        ...

    async def hold_tree(self) -> None:
        """From here to the end of the transaction nobody else moves a category."""
        ...

    async def line(self, category_id: str | None) -> Sequence[str]:
        """This category and its ancestors; nothing for None; raises CategoryUnknown."""
        ...

    async def height(self, category_id: str) -> int:
        """The number of levels from this category down, 1 for a leaf."""
        ...

    async def add(self, category: Category) -> None: ...

    async def save(self, category: Category) -> None: ...


class Work(Recorder, JobStarter, Protocol):
    """One transaction of this module."""

    @property
    def products(self) -> Products: ...

    @property
    def categories(self) -> Categories: ...
