"""One transaction of the inventory."""

from typing import Final

from modules.inventory.domain.errors import LocationNameTaken
from modules.inventory.domain.movement import Movement
from modules.inventory.domain.views import LocationView, MovementView
from modules.inventory.infra.levels import SqlLevels
from modules.inventory.infra.reservations import SqlReservations
from shared.domain.errors import NotFound, StaleVersion
from shared.infra.db.errors import violations
from shared.infra.db.recording import Recording
from shared.infra.db.unit_of_work import UnitOfWork

_APPEND: Final = """
insert into stock_movement (id, kind, sku, quantity, location_id, to_location_id, reservation_id, reason, actor)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
returning id, kind, sku, quantity, location_id, to_location_id, reservation_id, reason, actor, created_at
"""

_DEFAULT: Final = "select id from stock_location where is_default"

_ADD: Final = "insert into stock_location (id, name) values ($1, $2) returning id, version, name, is_default, created_at"

_RENAME: Final = """
update stock_location set name = $2, version = version + 1
where id = $1 and (version = $3 or $3 is null)
returning id, version, name, is_default, created_at
"""

_VERSION: Final = "select version from stock_location where id = $1"


class SqlMovements:
    """Implements Movements. The runtime role may neither change nor delete a movement."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    async def append(self, movement: Movement, actor: str) -> MovementView:
        made = await self._uow.views(
            MovementView,
            _APPEND,
            movement.id,
            movement.kind,
            movement.sku,
            movement.quantity,
            movement.location_id,
            movement.to_location_id,
            movement.reservation_id,
            movement.reason,
            actor,
        )
        return made[0]


class SqlLocations:
    """Implements Locations."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    async def default(self) -> str:
        return str(await self._uow.fetchval(_DEFAULT))

    async def add(self, location_id: str, name: str) -> LocationView:
        (made,) = await self._named(_ADD, location_id, name)
        return made

    async def rename(self, location_id: str, name: str, expected_version: int | None) -> LocationView:
        if renamed := await self._named(_RENAME, location_id, name, expected_version):
            return renamed[0]
        version = await self._uow.fetchval(_VERSION, location_id)
        if version is None:
            raise NotFound("there is no such stock location")
        raise StaleVersion(f"the stock location is at version {version}")

    async def _named(self, sql: str, *arguments: object) -> list[LocationView]:
        with violations(stock_location_name_key=LocationNameTaken("another stock location has this name")):
            return await self._uow.views(LocationView, sql, *arguments)


class SqlWork(Recording):
    """Implements Work."""

    def __init__(self, uow: UnitOfWork) -> None:
        super().__init__(uow)
        self.levels = SqlLevels(uow)
        self.reservations = SqlReservations(uow)
        self.movements = SqlMovements(uow)
        self.locations = SqlLocations(uow)
