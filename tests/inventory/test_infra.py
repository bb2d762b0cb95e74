"""Reservations and movements on Postgres."""

from datetime import timedelta

import asyncpg
import pytest

from modules.inventory.container import InventoryContainer
from modules.inventory.domain.errors import LocationNameTaken, LocationUnknown, MovementInvalid
from modules.inventory.domain.level import Level
from modules.inventory.domain.reservation import MAX_HOLD_S
from modules.inventory.public import InsufficientStock, Line, ReservationKeyReused, ReservationReleasedAlready
from shared.domain.context import Context, begin, current
from shared.domain.errors import IllegalTransition, NotFound, StaleVersion
from shared.domain.page import PageRequest
from shared.infra.worker import Worker
from tests.inventory.conftest import Store

DAY = 24 * 3600


def lines(**quantities: int) -> list[Line]:
    return [Line(sku=sku, quantity=quantity) for sku, quantity in quantities.items()]


async def parts(store: Store, sku: str) -> tuple[int, int, int]:
    level = await store.level(sku)
    return level.on_hand, level.allocated, level.reserved


async def test_a_reservation_holds_all_of_its_lines(store: Store) -> None:
    await store.receive(A=5, B=3)
    hold = await store.reservations.reserve("k", lines(B=1, A=2), 60)
    assert hold.key == "k"
    assert (await parts(store, "A"), await parts(store, "B")) == ((5, 0, 2), (3, 0, 1))
    assert await store.reservations.available(["A", "B", "Z"]) == {"A": 3, "B": 2, "Z": 0}
    seen = await store.reservations.reservation(hold.reservation_id)
    assert [(line.sku, line.quantity) for line in seen.lines] == [("A", 2), ("B", 1)]
    assert await store.told("inventory.reservation_created") == ["inventory.reservation_created"]


async def test_a_reservation_takes_nothing_when_one_line_is_short_and_names_what_is_available(store: Store) -> None:
    await store.receive(A=5, B=1)
    before = await store.told("inventory.level_changed", "inventory.reservation_created")
    with pytest.raises(InsufficientStock) as refused:
        await store.reservations.reserve("k", lines(A=2, B=2, C=1), 60)
    assert refused.value.facts["lines"] == [
        {"sku": "B", "requested": 2, "available": 1},
        {"sku": "C", "requested": 1, "available": 0},
    ]
    assert (await parts(store, "A"), await parts(store, "B")) == ((5, 0, 0), (1, 0, 0))
    assert await store.state("k") is None
    assert await store.told("inventory.level_changed", "inventory.reservation_created") == before


async def test_lines_of_one_sku_count_together(store: Store) -> None:
    await store.receive(A=3)
    with pytest.raises(InsufficientStock):
        await store.reservations.reserve("k", [Line(sku="A", quantity=2), Line(sku="A", quantity=2)], 60)
    await store.reservations.reserve("k", [Line(sku="A", quantity=2), Line(sku="A", quantity=1)], 60)
    assert await parts(store, "A") == (3, 0, 3)


async def test_a_repeat_answers_the_same_hold_and_takes_nothing_more(store: Store) -> None:
    await store.receive(A=5)
    hold = await store.reservations.reserve("k", lines(A=2), 60)
    told = await store.told("inventory.level_changed")
    assert await store.reservations.reserve("k", lines(A=2), 900) == hold
    assert await parts(store, "A") == (5, 0, 2)
    assert await store.told("inventory.level_changed") == told
    with pytest.raises(ReservationKeyReused):
        await store.reservations.reserve("k", lines(A=1), 60)


async def test_a_release_gives_everything_back_once(store: Store) -> None:
    await store.receive(A=5)
    await store.reservations.reserve("k", lines(A=2), 60)
    for _ in range(3):
        await store.reservations.release("k")
    assert await parts(store, "A") == (5, 0, 0)
    assert (await store.told()).count("inventory.reservation_released") == 1


async def test_a_release_that_overtakes_its_reserve_wins(store: Store) -> None:
    await store.receive(A=5)
    await store.reservations.release("k")
    with pytest.raises(ReservationReleasedAlready):
        await store.reservations.reserve("k", lines(A=2), 60)
    assert await parts(store, "A") == (5, 0, 0)
    assert await store.told() == []


async def test_a_commit_allocates_once_and_a_deallocation_gives_back_once(store: Store) -> None:
    await store.receive(A=5)
    await store.reservations.reserve("k", lines(A=2), 60)
    for _ in range(3):
        await store.reservations.commit("k")
    assert await parts(store, "A") == (5, 2, 0)
    for _ in range(3):
        await store.reservations.deallocate("k")
    assert await parts(store, "A") == (5, 0, 0)
    assert await store.told() == [
        "inventory.reservation_created",
        "inventory.reservation_committed",
        "inventory.reservation_released",
    ]


async def test_an_illegal_step_is_refused_and_tells_nothing(store: Store) -> None:
    await store.receive(A=5)
    await store.reservations.reserve("k", lines(A=2), 60)
    await store.reservations.commit("k")

    async def events() -> int:
        return int(await store.admin.fetchval("select count(*) from event"))

    before = await events()
    with pytest.raises(IllegalTransition):
        await store.reservations.release("k")
    assert await events() == before
    await store.reservations.deallocate("k")
    before = await events()
    with pytest.raises(IllegalTransition):
        await store.reservations.commit("k")
    with pytest.raises(ReservationReleasedAlready):
        await store.reservations.reserve("k", lines(A=2), 60)
    assert await events() == before


async def test_a_commit_of_an_unknown_key_finds_nothing(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.reservations.commit("nobody")


async def test_the_sweeper_frees_lapsed_holds_and_leaves_the_others(store: Store) -> None:
    await store.receive(A=9, B=9)
    for n in range(5):
        await store.reservations.reserve(f"k{n}", lines(A=1, B=1), 60)
    for n in range(3):
        await store.lapse(f"k{n}")
    assert [await store.reservations.expire(2) for _ in range(3)] == [2, 1, 0]
    assert (await parts(store, "A"), await parts(store, "B")) == ((9, 0, 2), (9, 0, 2))
    assert (await store.told()).count("inventory.reservation_expired") == 3
    assert await store.state("k4") == "held"


async def test_the_worker_sweeps_by_itself(store: Store, wired: InventoryContainer) -> None:
    await store.receive(A=150)
    for n in range(120):
        await store.reservations.reserve(f"k{n}", lines(A=1), 60)
    await store.admin.execute("update reservation set expires_at = now()")
    worker = Worker([wired.module()])
    await worker.scheduler.tick()
    await worker.tasks.drain()
    assert await parts(store, "A") == (150, 0, 0)
    assert (await store.told()).count("inventory.reservation_expired") == 120


async def test_a_committed_reservation_never_expires(store: Store) -> None:
    await store.receive(A=1)
    await store.reservations.reserve("k", lines(A=1), 60)
    await store.reservations.commit("k")
    await store.lapse("k")
    assert await store.reservations.expire(10) == 0
    assert await parts(store, "A") == (1, 1, 0)


async def test_a_reservation_that_would_fail_first_clears_away_lapsed_holds_of_its_skus(store: Store) -> None:
    await store.receive(A=3, B=3)
    await store.reservations.reserve("old", lines(A=3, B=1), 60)
    await store.reservations.reserve("other", lines(B=2), 60)
    await store.lapse("old")
    await store.lapse("other")
    await store.reservations.reserve("new", lines(A=2), 60)
    assert (await store.state("old"), await store.state("other")) == ("expired", "held")
    assert (await parts(store, "A"), await parts(store, "B")) == ((3, 0, 2), (3, 0, 2))
    with pytest.raises(InsufficientStock) as refused:
        await store.reservations.reserve("more", lines(B=4), 60)
    assert refused.value.facts["lines"] == [{"sku": "B", "requested": 4, "available": 3}]
    await store.check_conservation()


async def test_an_expired_hold_is_taken_again_by_its_commit_when_there_is_enough(store: Store) -> None:
    await store.receive(A=2)
    await store.reservations.reserve("k", lines(A=2), 60)
    await store.lapse("k")
    await store.reservations.expire(10)
    await store.reservations.commit("k")
    assert (await parts(store, "A"), await store.state("k")) == ((2, 2, 0), "committed")


async def test_an_expired_hold_is_refused_its_commit_when_others_took_the_stock(store: Store) -> None:
    await store.receive(A=2)
    await store.reservations.reserve("k", lines(A=2), 60)
    await store.lapse("k")
    await store.reservations.reserve("faster", lines(A=1), 60)
    with pytest.raises(InsufficientStock):
        await store.reservations.commit("k")
    assert (await parts(store, "A"), await store.state("k")) == ((2, 0, 1), "expired")
    await store.lapse("faster")
    await store.reservations.commit("k")
    assert (await parts(store, "A"), await store.state("faster")) == ((2, 2, 0), "expired")
    await store.check_conservation()


async def test_an_expired_hold_is_taken_again_by_a_repeated_reserve(store: Store) -> None:
    await store.receive(A=2)
    first = await store.reservations.reserve("k", lines(A=2), 60)
    await store.lapse("k")
    unswept = await store.reservations.reserve("k", lines(A=2), 60)
    assert unswept.expires_at > first.expires_at - timedelta(seconds=1)
    await store.lapse("k")
    await store.reservations.expire(10)
    again = await store.reservations.reserve("k", lines(A=2), 60)
    assert (again.reservation_id, await parts(store, "A"), await store.state("k")) == (first.reservation_id, (2, 0, 2), "held")
    await store.check_conservation()


async def test_a_hold_is_extended_up_to_the_absolute_cap_and_never_shortened(store: Store) -> None:
    await store.receive(A=2)
    made = await store.reservations.create(lines(A=1), 600)
    shorter = await store.reservations.extend(made.id, 1, expected_version=made.version)
    assert (shorter.expires_at, shorter.version) == (made.expires_at, 2)
    await store.admin.execute("update reservation set began_at = began_at - interval '20 hours' where id = $1", made.id)
    capped = await store.reservations.extend(made.id, MAX_HOLD_S, expected_version=None)
    assert capped.expires_at - capped.began_at == timedelta(seconds=MAX_HOLD_S)
    with pytest.raises(StaleVersion):
        await store.reservations.extend(made.id, 60, expected_version=1)
    await store.lapse(made.id)
    with pytest.raises(IllegalTransition):
        await store.reservations.extend(made.id, 60, expected_version=None)


async def test_a_reservation_is_released_by_its_id_and_version(store: Store) -> None:
    await store.receive(A=2)
    made = await store.reservations.create(lines(A=2), 600)
    with pytest.raises(StaleVersion):
        await store.reservations.release_by_id(made.id, expected_version=9)
    await store.reservations.release_by_id(made.id, expected_version=1)
    assert await parts(store, "A") == (2, 0, 0)
    with pytest.raises(NotFound):
        await store.reservations.release_by_id("rsv_none", expected_version=None)


async def test_the_events_of_a_level_count_its_versions_without_a_gap_and_tell_the_thresholds(store: Store) -> None:
    await store.receive(A=7)
    await store.reservations.reserve("k", lines(A=3), 60)
    await store.reservations.reserve("j", lines(A=4), 60)
    await store.reservations.release("j")
    assert await store.told("inventory.low", "inventory.out", "inventory.back_in") == [
        "inventory.back_in",
        "inventory.low",
        "inventory.out",
        "inventory.back_in",
    ]
    rows = await store.admin.fetch(
        "select aggregate_version, payload->>'version', key from event where type = 'inventory.level_changed' order by id"
    )
    assert [(row[0], row[1]) for row in rows] == [(1, "1"), (2, "2"), (3, "3"), (4, "4")]
    assert {row[2] for row in rows} == {f"{(await store.default()).id}/A"}


async def test_a_reservation_costs_three_statements_its_commitment_three_and_its_end_four(store: Store) -> None:
    await store.receive(A=9, B=9)

    def cost() -> int:
        spent = current().sql_count
        begin(Context())
        return spent

    cost()
    await store.reservations.reserve("k", lines(A=1, B=1), 60)
    assert cost() == 3
    await store.reservations.commit("k")
    assert cost() == 3
    await store.reservations.reserve("j", lines(A=1, B=1), 60)
    cost()
    await store.reservations.release("j")
    assert cost() == 4


async def test_a_movement_changes_what_is_on_hand_and_is_kept(store: Store) -> None:
    await store.receive(A=5)
    await store.stock.move(kind="damaged", sku="A", quantity=1, reason="dropped", actor="user:1")
    await store.stock.move(kind="adjusted", sku="A", quantity=-1, reason="count", actor="user:1")
    await store.stock.move(kind="adjusted", sku="NEW", quantity=2, reason="count", actor="user:1")
    await store.stock.move(kind="returned", sku="A", quantity=2, reason="regret", actor="user:1")
    assert (await parts(store, "A"), await parts(store, "NEW")) == ((5, 0, 0), (2, 0, 0))
    first = await store.stock.movements("A", PageRequest(limit=3))
    rest = await store.stock.movements("A", PageRequest(limit=3, after=first.next))
    assert [each.kind for each in [*first.items, *rest.items]] == ["returned", "adjusted", "damaged", "received"]
    assert len((await store.stock.movements(None, PageRequest())).items) == 5
    await store.check_conservation()


async def test_a_movement_cannot_take_what_is_promised(store: Store) -> None:
    await store.receive(A=3)
    await store.reservations.reserve("k", lines(A=2), 60)
    with pytest.raises(InsufficientStock) as refused:
        await store.stock.move(kind="damaged", sku="A", quantity=2, reason="dropped", actor="user:1")
    assert refused.value.facts["lines"] == [{"sku": "A", "requested": 2, "available": 1}]
    with pytest.raises(InsufficientStock):
        await store.stock.move(kind="adjusted", sku="UNKNOWN", quantity=-1, reason="count", actor="user:1")
    assert len((await store.stock.movements(None, PageRequest())).items) == 1


async def test_a_transfer_moves_stock_between_locations(store: Store) -> None:
    await store.receive(A=3)
    other = await store.stock.create_location("Shop floor")
    await store.stock.move(kind="transferred", sku="A", quantity=2, reason="display", actor="user:1", to_location_id=other.id)
    levels = (await store.stock.levels("A", None, PageRequest())).items
    assert sorted((level.on_hand, level.available) for level in levels) == [(1, 1), (2, 2)]
    assert [level.on_hand for level in (await store.stock.levels(None, other.id, PageRequest())).items] == [2]
    assert [level.on_hand for level in (await store.stock.levels("A", other.id, PageRequest())).items] == [2]
    with pytest.raises(LocationUnknown):
        await store.stock.move(kind="transferred", sku="A", quantity=1, reason="display", actor="user:1", to_location_id="loc_none")
    await store.check_conservation()
    renamed = await store.stock.rename_location(other.id, "Showroom", expected_version=1)
    assert (renamed.name, renamed.version) == ("Showroom", 2)
    with pytest.raises(StaleVersion):
        await store.stock.rename_location(other.id, "Stage", expected_version=1)
    with pytest.raises(LocationNameTaken):
        await store.stock.create_location("Showroom")
    with pytest.raises(NotFound):
        await store.stock.rename_location("loc_none", "Nowhere", expected_version=None)


async def test_a_shipment_uses_up_the_allocation_and_a_cancellation_gives_back_the_rest(store: Store) -> None:
    await store.receive(A=5)
    made = await store.reservations.create(lines(A=3), 60)
    with pytest.raises(IllegalTransition):
        await store.stock.move(kind="shipped", sku="A", quantity=1, reason="parcel", actor="user:1", reservation_id=made.id)
    await store.reservations.commit(made.id)
    await store.stock.move(kind="shipped", sku="A", quantity=2, reason="parcel", actor="user:1", reservation_id=made.id)
    assert await parts(store, "A") == (3, 1, 0)
    with pytest.raises(MovementInvalid):
        await store.stock.move(kind="shipped", sku="A", quantity=2, reason="parcel", actor="user:1", reservation_id=made.id)
    await store.reservations.deallocate(made.id)
    assert await parts(store, "A") == (3, 0, 0)
    await store.check_conservation()


async def test_levels_are_walked_by_pages(store: Store) -> None:
    await store.receive(**{f"S{n}": n + 1 for n in range(7)})
    here = (await store.default()).id
    for location in (None, here):
        seen: list[str] = []
        after: tuple[str | int, ...] | None = None
        for _ in range(3):
            part = await store.stock.levels(None, location, PageRequest(limit=3, after=after))
            seen += [level.sku for level in part.items]
            after = part.next
        assert seen == [f"S{n}" for n in range(7)]
        assert after is None


async def test_the_database_itself_refuses_to_oversell_and_to_rewrite_a_movement(store: Store) -> None:
    await store.receive(A=1)
    with pytest.raises(asyncpg.CheckViolationError):
        await store.admin.execute("update stock_level set reserved = 2 where sku = 'A'")
    async with store.connections.use("tenon_inventory") as connection:
        for forbidden in ("update stock_movement set quantity = 9", "delete from stock_movement", "delete from reservation"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(forbidden)
    with pytest.raises(asyncpg.UniqueViolationError):
        await store.admin.execute("insert into stock_location (id, name, is_default) values ('loc_x', 'Second', true)")
    assert await store.level("A") == Level((await store.default()).id, "A", 1, 0, 0, 1)
