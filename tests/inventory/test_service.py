"""The use cases of the inventory, on a store in memory."""

from datetime import timedelta

import pytest

from modules.inventory.domain.errors import MovementInvalid
from modules.inventory.domain.service import ReservationService
from modules.inventory.domain.stock import StockService
from modules.inventory.public import InsufficientStock, Line, ReservationReleasedAlready
from shared.domain.errors import IllegalTransition, NotFound
from tests.inventory.fakes import HOME, Store

ONE_A = [Line(sku="A", quantity=1)]


class Warehouse:
    def __init__(self) -> None:
        self.store = Store()
        self.reservations = ReservationService(self.store, self.store)
        self.stock = StockService(self.store, self.store)

    async def receive(self, **quantities: int) -> None:
        for sku, quantity in quantities.items():
            await self.stock.move(kind="received", sku=sku, quantity=quantity, reason="delivery", actor="t")

    def pass_time(self, seconds: int) -> None:
        self.store.kept.now += timedelta(seconds=seconds)

    def parts(self, sku: str = "A") -> tuple[int, int, int]:
        level = self.store.kept.levels[HOME, sku]
        return level.on_hand, level.allocated, level.reserved

    def told(self) -> list[str]:
        events = [event.event_type.removeprefix("inventory.") for event, _ in self.store.kept.events]
        return [event for event in events if event.startswith("reservation")]


@pytest.fixture
def warehouse() -> Warehouse:
    return Warehouse()


async def test_the_life_of_a_hold_that_becomes_an_order(warehouse: Warehouse) -> None:
    await warehouse.receive(A=3)
    await warehouse.reservations.reserve("k", ONE_A, 60)
    assert warehouse.parts() == (3, 0, 1)
    await warehouse.reservations.commit("k")
    assert warehouse.parts() == (3, 1, 0)
    reservation = warehouse.store.kept.reservations["k"]
    await warehouse.stock.move(kind="shipped", sku="A", quantity=1, reason="parcel", actor="t", reservation_id=reservation.id)
    assert warehouse.parts() == (2, 0, 0)
    await warehouse.reservations.deallocate("k")
    assert warehouse.parts() == (2, 0, 0)
    assert warehouse.told() == ["reservation_created", "reservation_committed", "reservation_released"]


async def test_a_repeat_of_each_step_changes_nothing(warehouse: Warehouse) -> None:
    await warehouse.receive(A=3)
    for _ in range(2):
        await warehouse.reservations.reserve("k", ONE_A, 60)
    for _ in range(2):
        await warehouse.reservations.commit("k")
    told, parts = len(warehouse.store.kept.events), warehouse.parts()
    await warehouse.reservations.reserve("k", ONE_A, 60)
    assert (len(warehouse.store.kept.events), warehouse.parts()) == (told, parts)


async def test_a_shortage_is_tried_a_second_time_only_where_a_hold_has_lapsed(warehouse: Warehouse) -> None:
    await warehouse.receive(A=1, B=1)
    await warehouse.reservations.reserve("old", [Line(sku="A", quantity=1), Line(sku="B", quantity=1)], 60)
    with pytest.raises(InsufficientStock):
        await warehouse.reservations.reserve("new", ONE_A, 60)
    warehouse.pass_time(61)
    assert (await warehouse.reservations.reserve("new", ONE_A, 60)).key == "new"
    assert (warehouse.parts("A"), warehouse.parts("B")) == ((1, 0, 1), (1, 0, 0))
    assert warehouse.told() == ["reservation_created", "reservation_expired", "reservation_created"]


async def test_a_rescue_that_is_not_enough_gives_the_lapsed_hold_no_end_of_its_own(warehouse: Warehouse) -> None:
    await warehouse.receive(A=1)
    await warehouse.reservations.reserve("old", ONE_A, 60)
    warehouse.pass_time(61)
    with pytest.raises(InsufficientStock) as refused:
        await warehouse.reservations.reserve("new", [Line(sku="A", quantity=2)], 60)
    assert refused.value.facts["lines"] == [{"sku": "A", "requested": 2, "available": 1}]
    assert warehouse.parts() == (1, 0, 1)
    assert await warehouse.reservations.expire(10) == 1
    assert warehouse.parts() == (1, 0, 0)


async def test_an_unknown_key_is_buried_by_a_release_and_by_a_deallocation(warehouse: Warehouse) -> None:
    await warehouse.receive(A=1)
    await warehouse.reservations.release("k")
    await warehouse.reservations.deallocate("j")
    for key in ("k", "j"):
        with pytest.raises(ReservationReleasedAlready):
            await warehouse.reservations.reserve(key, ONE_A, 60)
        with pytest.raises(IllegalTransition):
            await warehouse.reservations.commit(key)
    assert warehouse.told() == []


async def test_a_deallocation_gives_back_a_hold_that_was_never_committed(warehouse: Warehouse) -> None:
    await warehouse.receive(A=1)
    await warehouse.reservations.reserve("k", ONE_A, 60)
    await warehouse.reservations.deallocate("k")
    assert warehouse.parts() == (1, 0, 0)
    with pytest.raises(IllegalTransition):
        await warehouse.reservations.commit("k")


async def test_compensations_in_reverse_give_back_an_allocation_once(warehouse: Warehouse) -> None:
    await warehouse.receive(A=1)
    await warehouse.reservations.reserve("k", ONE_A, 60)
    await warehouse.reservations.commit("k")
    with pytest.raises(IllegalTransition):
        await warehouse.reservations.release("k")
    await warehouse.reservations.deallocate("k")
    told = len(warehouse.store.kept.events)
    await warehouse.reservations.release("k")
    assert (warehouse.parts(), len(warehouse.store.kept.events)) == ((1, 0, 0), told)


async def test_a_lapsed_hold_is_neither_extended_nor_lost_before_it_is_swept(warehouse: Warehouse) -> None:
    await warehouse.receive(A=1)
    made = await warehouse.reservations.create(ONE_A, 60)
    warehouse.pass_time(60)
    with pytest.raises(IllegalTransition):
        await warehouse.reservations.extend(made.id, 60, expected_version=None)
    await warehouse.reservations.commit(made.id)
    assert warehouse.parts() == (1, 1, 0)


async def test_a_movement_that_is_refused_is_not_kept(warehouse: Warehouse) -> None:
    await warehouse.receive(A=1)
    with pytest.raises(InsufficientStock):
        await warehouse.stock.move(kind="damaged", sku="A", quantity=2, reason="fire", actor="t")
    with pytest.raises(MovementInvalid):
        await warehouse.stock.move(kind="received", sku="A", quantity=0, reason="nothing", actor="t")
    assert [movement.kind for movement in warehouse.store.kept.movements] == ["received"]


async def test_what_does_not_exist_is_not_found(warehouse: Warehouse) -> None:
    for read in (warehouse.reservations.reservation, warehouse.stock.location, warehouse.reservations.commit):
        with pytest.raises(NotFound):
            await read("nothing")
    assert await warehouse.reservations.available(["A"]) == {"A": 0}
