"""The category tree over HTTP."""

from typing import Any

from litestar import Controller, Request
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from modules.catalog.api.schemas import CreateCategory, UpdateCategory
from modules.catalog.domain.category import CategoryChanges
from modules.catalog.domain.errors import CategoryCycle, CategoryTooDeep, CategoryUnknown, SlugTaken
from modules.catalog.domain.tree import CategoryService
from modules.catalog.domain.views import CategoryPath, CategoryView
from shared.api.answers import Reply, created, ok
from shared.api.conditional import if_match
from shared.api.idempotency import once
from shared.api.paging import Page, Paging
from shared.api.routes import get, patch, post
from shared.api.types import Id
from shared.domain.errors import NotFound


class Categories(Controller):
    path = "/v1/categories"
    tags = ("catalog",)

    @get(operation="listCategories")
    async def children(
        self, paging: Paging, categories: NamedDependency[CategoryService], parent: FromQuery[Id | None] = None
    ) -> Reply[Page[CategoryView]]:
        """The children of a category, without `parent` the roots; by name."""
        return paging.page(await categories.children(parent, paging.request))

    @post(operation="createCategory", errors=[SlugTaken, CategoryUnknown, CategoryTooDeep])
    async def create(
        self, data: CreateCategory, request: Request[Any, Any, Any], categories: NamedDependency[CategoryService]
    ) -> Reply[CategoryView]:
        """Hang a new category into the tree."""
        work = categories.create(name=data.name, slug=data.slug, parent_id=data.parent_id)
        return await once(request, work, created("/v1/categories"))

    @get("/{category_id:str}", operation="getCategory", errors=[NotFound], revalidates=False)
    async def read(self, category_id: FromPath[Id], categories: NamedDependency[CategoryService]) -> Reply[CategoryPath]:
        """A category and the way to it from its root."""
        return ok(await categories.read(category_id))

    @patch("/{category_id:str}", operation="updateCategory", errors=[NotFound, SlugTaken, CategoryUnknown, CategoryCycle, CategoryTooDeep])
    async def update(
        self, category_id: FromPath[Id], data: UpdateCategory, request: Request[Any, Any, Any], categories: NamedDependency[CategoryService]
    ) -> Reply[CategoryView]:
        """Rename or move a category; a move takes all below it along."""
        changes = CategoryChanges(name=data.name, slug=data.slug, parent_id=data.parent_id)
        return ok(await categories.update(category_id, changes, expected_version=if_match(request)))
