"""The use cases of the category tree."""

from msgspec import UNSET

from modules.catalog.domain.category import Category, CategoryChanges
from modules.catalog.domain.ports import Work
from modules.catalog.domain.views import CatalogQueries, CategoryPath, CategoryView
from shared.domain.errors import NotFound
from shared.domain.ids import new_id
from shared.domain.page import PageRequest, Slice
from shared.domain.work import Transact


class CategoryService:
    def __init__(self, transact: Transact[Work], queries: CatalogQueries) -> None:
        self._transact = transact
        self._queries = queries

    async def create(self, *, name: str, slug: str, parent_id: str | None = None) -> CategoryView:
        async def work(work: Work) -> CategoryView:
            category = Category(id=new_id("cat"), name=name, slug=slug)
            if parent_id is not None:
                await work.categories.hold_tree()
                category.move(parent_id, await work.categories.line(parent_id), height=1)
            await work.categories.add(category)
            return _view(category)

        return await self._transact(work)

    async def update(self, category_id: str, changes: CategoryChanges, *, expected_version: int | None) -> CategoryView:
        """Rename or move. Moves are made one after the other: two that are legal alone may make a cycle together."""

        async def work(work: Work) -> CategoryView:
            if changes.parent_id is not UNSET:
                await work.categories.hold_tree()
            category = await work.categories.get(category_id)
            category.expect(expected_version)
            category.revise(changes)
            if changes.parent_id is not UNSET and changes.parent_id != category.parent_id:
                line = await work.categories.line(changes.parent_id)
                category.move(changes.parent_id, line, await work.categories.height(category_id))
            await work.categories.save(category)
            return _view(category)

        return await self._transact(work)

    async def read(self, category_id: str) -> CategoryPath:
        path = await self._queries.category(category_id)
        if path is None:
            raise NotFound("there is no such category")
        return path

    async def children(self, parent_id: str | None, page: PageRequest) -> Slice[CategoryView]:
        return await self._queries.categories(parent_id, page)


def _view(category: Category) -> CategoryView:
    return CategoryView(id=category.id, version=category.version, name=category.name, slug=category.slug, parent_id=category.parent_id)
