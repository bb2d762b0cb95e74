"""The stock, in our words."""

from collections.abc import Sequence

from modules.inventory.public import Inventory, Line
from modules.orders.domain.ports import HeldLine


class InventoryAdapter:
    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory

    async def hold(self, key: str, lines: Sequence[HeldLine], seconds: int) -> None:
        await self._inventory.reserve(key, [Line(sku=line.sku, quantity=line.quantity) for line in lines], seconds)

    async def release(self, key: str) -> None:
        await self._inventory.release(key)

    async def allocate(self, key: str) -> None:
        await self._inventory.commit(key)

    async def give_back(self, key: str) -> None:
        await self._inventory.deallocate(key)
