"""The category tree."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from modules.catalog.domain.errors import CategoryCycle, CategoryTooDeep
from shared.domain.errors import StaleVersion

MAX_DEPTH: Final = 8


class CategoryChanges(msgspec.Struct, frozen=True, kw_only=True):
    """A merge patch: an absent field stays; `parent_id` None makes it a root."""

    name: str | UnsetType = UNSET
    slug: str | UnsetType = UNSET
    parent_id: str | UnsetType | None = UNSET


@dataclass(eq=False)
class Category:
    id: str
    name: str
    slug: str
    parent_id: str | None = None
    version: int = 1

    def expect(self, version: int | None) -> None:
        if version is not None and version != self.version:
            raise StaleVersion(f"the category is at version {self.version}")

    def revise(self, changes: CategoryChanges) -> None:
        self.version += 1
        if changes.name is not UNSET:
            self.name = changes.name
        if changes.slug is not UNSET:
            self.slug = changes.slug

    def move(self, parent_id: str | None, line: Sequence[str], height: int) -> None:
        """Hang this category and all below it under `parent_id`.

        `line` is the new parent and its ancestors, `height` the number of levels from here down, this one included.
        """
        if self.id in line:
            raise CategoryCycle("a category cannot be moved below itself")
        if len(line) + height > MAX_DEPTH:
            raise CategoryTooDeep(f"the tree has at most {MAX_DEPTH} levels")
        self.parent_id = parent_id
