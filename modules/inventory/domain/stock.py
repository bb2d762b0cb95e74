"""The use cases of levels, movements and locations."""

from modules.inventory.domain.level import Short, merged
from modules.inventory.domain.movement import Kind, Movement
from modules.inventory.domain.ports import Work
from modules.inventory.domain.views import InventoryQueries, LevelView, LocationView, MovementView
from shared.domain.errors import NotFound
from shared.domain.ids import new_id
from shared.domain.page import PageRequest, Slice
from shared.domain.work import Transact


class StockService:
    def __init__(self, transact: Transact[Work], queries: InventoryQueries) -> None:
        self._transact = transact
        self._queries = queries

    async def move(
        self,
        *,
        kind: Kind,
        sku: str,
        quantity: int,
        reason: str,
        actor: str,
        location_id: str | None = None,
        to_location_id: str | None = None,
        reservation_id: str | None = None,
    ) -> MovementView:
        """Write down a movement and change the levels by it; without a location it is the default one."""

        async def work(work: Work) -> MovementView:
            movement = Movement(
                id=new_id("mov"),
                kind=kind,
                sku=sku,
                quantity=quantity,
                location_id=location_id or await work.locations.default(),
                reason=reason,
                to_location_id=to_location_id,
                reservation_id=reservation_id,
            )
            movement.check()
            await _change_levels(work, movement)
            return await work.movements.append(movement, actor)

        return await self._transact(work)

    async def levels(self, sku: str | None, location_id: str | None, page: PageRequest) -> Slice[LevelView]:
        return await self._queries.levels(sku, location_id, page)

    async def movements(self, sku: str | None, page: PageRequest) -> Slice[MovementView]:
        return await self._queries.movements(sku, page)

    async def create_location(self, name: str) -> LocationView:
        return await self._transact(lambda work: work.locations.add(new_id("loc"), name))

    async def rename_location(self, location_id: str, name: str, *, expected_version: int | None) -> LocationView:
        return await self._transact(lambda work: work.locations.rename(location_id, name, expected_version))

    async def location(self, location_id: str) -> LocationView:
        view = await self._queries.location(location_id)
        if view is None:
            raise NotFound("there is no such stock location")
        return view

    async def locations(self, page: PageRequest) -> Slice[LocationView]:
        return await self._queries.locations(page)


async def _change_levels(work: Work, movement: Movement) -> None:
    if movement.reservation_id is not None:
        reservation = await work.reservations.lock_id(movement.reservation_id)
        reservation.check_shipment(movement.location_id, movement.sku, movement.quantity)
        await work.reservations.ship(reservation, movement.sku, movement.quantity)
    shifts = movement.shifts()
    if opened := [(shift.location_id, shift.sku) for shift in shifts if shift.on_hand > 0]:
        await work.levels.open(opened)
    try:
        changes = await work.levels.shift(merged(shifts))
    except Short as short:
        raise short.refusal(shifts) from None
    for change in changes:
        for event in change.events():
            work.record(event, version=change.after.version)
