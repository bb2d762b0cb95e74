"""Levels, reservations and movements as pure rules."""

from datetime import UTC, datetime

import pytest

from modules.inventory.domain.errors import HoldInvalid, MovementInvalid
from modules.inventory.domain.level import LOW_STOCK, Change, Level, Shift, Short, merged
from modules.inventory.domain.movement import Kind, Movement
from modules.inventory.domain.reservation import MAX_HOLD_S, MAX_LINES, STEPS, HeldLine, Reservation, State, Step, check_ttl, lines_of
from modules.inventory.public import LevelChanged, Line, ReservationKeyReused, ReservationReleasedAlready, StockBackIn, StockLow, StockOut
from shared.domain.errors import IllegalTransition, StaleVersion

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
STATES: list[State] = ["held", "committed", "expired", "released", "deallocated"]


def reservation(state: State = "held", *lines: HeldLine) -> Reservation:
    return Reservation(
        id="rsv_1",
        key="ord_1",
        state=state,
        location_id="loc_1",
        expires_at=NOW,
        began_at=NOW,
        due=False,
        version=3,
        lines=lines or (HeldLine("A", 2), HeldLine("B", 1)),
    )


def level(on_hand: int, allocated: int = 0, reserved: int = 0, version: int = 1) -> Level:
    return Level("loc_1", "A", on_hand, allocated, reserved, version)


LEGAL = [(step, state, to) for step, pairs in STEPS.items() for state, to in pairs.items()]
ILLEGAL = [(step, state) for step, pairs in STEPS.items() for state in STATES if state not in pairs]


@pytest.mark.parametrize(("step", "state", "to"), LEGAL)
def test_a_legal_step_leads_to_its_state(step: Step, state: State, to: State) -> None:
    assert reservation(state).after(step) == to


@pytest.mark.parametrize(("step", "state"), ILLEGAL)
def test_an_illegal_step_is_refused(step: Step, state: State) -> None:
    with pytest.raises(IllegalTransition):
        reservation(state).after(step)


def test_what_is_released_stays_released() -> None:
    ends = {to for pairs in STEPS.values() for state, to in pairs.items() if state in ("released", "deallocated")}
    assert ends == {"released", "deallocated"}
    assert "released" not in STEPS["commit"]
    assert "released" not in STEPS["reserve"]


def test_lines_of_one_sku_are_merged_and_sorted() -> None:
    lines = [Line(sku="B", quantity=1), Line(sku="A", quantity=2), Line(sku="B", quantity=4)]
    assert lines_of(lines) == [Line(sku="A", quantity=2), Line(sku="B", quantity=5)]


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [Line(sku="A", quantity=0)],
        [Line(sku="A", quantity=5), Line(sku="A", quantity=-1)],
        [Line(sku=f"S{n}", quantity=1) for n in range(MAX_LINES + 1)],
    ],
)
def test_a_reservation_of_nothing_or_of_too_much_is_refused(lines: list[Line]) -> None:
    with pytest.raises(HoldInvalid):
        lines_of(lines)


@pytest.mark.parametrize("seconds", [0, -1, MAX_HOLD_S + 1])
def test_a_reservation_lasts_between_a_second_and_a_day(seconds: int) -> None:
    check_ttl(1)
    check_ttl(MAX_HOLD_S)
    with pytest.raises(HoldInvalid):
        check_ttl(seconds)


def test_a_second_reserve_with_the_same_lines_is_a_repeat() -> None:
    lines = [Line(sku="A", quantity=2), Line(sku="B", quantity=1)]
    assert reservation("held").claimed_again(lines) == "held"
    assert reservation("expired").claimed_again(lines) == "held"
    assert reservation("committed").claimed_again(lines) == "committed"


def test_a_second_reserve_with_other_lines_is_refused() -> None:
    with pytest.raises(ReservationKeyReused):
        reservation("held").claimed_again([Line(sku="A", quantity=2)])


@pytest.mark.parametrize("state", ["released", "deallocated"])
def test_a_reserve_after_the_release_is_refused(state: State) -> None:
    with pytest.raises(ReservationReleasedAlready):
        reservation(state).claimed_again([Line(sku="A", quantity=2)])


def test_a_version_that_is_not_the_present_one_is_stale() -> None:
    reservation().expect(None)
    reservation().expect(3)
    with pytest.raises(StaleVersion):
        reservation().expect(2)


def test_what_a_hold_takes_and_gives_back_cancels_out() -> None:
    held = reservation("held")
    assert [(s.sku, s.reserved) for s in merged([*held.take(), *held.give_back()])] == [("A", 0), ("B", 0)]


def test_a_commit_moves_reserved_to_allocated_and_takes_an_expired_hold_from_what_is_available() -> None:
    assert reservation("held").allocate()[0] == Shift("loc_1", "A", allocated=2, reserved=-2)
    assert reservation("expired").allocate()[0] == Shift("loc_1", "A", allocated=2)


def test_an_allocation_gives_back_what_has_not_been_shipped() -> None:
    committed = reservation("committed", HeldLine("A", 2, 2), HeldLine("B", 3, 1))
    assert committed.give_back() == [Shift("loc_1", "B", allocated=-2)]


@pytest.mark.parametrize("state", ["expired", "released", "deallocated"])
def test_what_holds_nothing_gives_nothing_back(state: State) -> None:
    assert reservation(state).give_back() == []


def test_a_shipment_uses_up_an_allocation_and_no_more_than_it() -> None:
    committed = reservation("committed", HeldLine("A", 2, 1))
    committed.check_shipment("loc_1", "A", 1)
    for location, sku, quantity in (("loc_1", "A", 2), ("loc_1", "B", 1), ("loc_2", "A", 1)):
        with pytest.raises(MovementInvalid):
            committed.check_shipment(location, sku, quantity)
    with pytest.raises(IllegalTransition):
        reservation("held").check_shipment("loc_1", "A", 1)


def test_shifts_of_one_level_are_added_up_in_the_order_of_locking() -> None:
    shifts = [
        Shift("loc_2", "A", on_hand=1),
        Shift("loc_1", "B", reserved=2),
        Shift("loc_1", "A", allocated=1),
        Shift("loc_1", "B", reserved=-1),
    ]
    assert merged(shifts) == [Shift("loc_1", "A", allocated=1), Shift("loc_1", "B", reserved=1), Shift("loc_2", "A", on_hand=1)]


def test_a_refusal_names_the_lines_that_are_short_and_counts_what_was_to_become_free() -> None:
    found = {("loc_1", "A"): level(3, reserved=3), ("loc_1", "B"): Level("loc_1", "B", 9, 0, 0, 1)}
    wanted = [Shift("loc_1", "A", reserved=5), Shift("loc_1", "B", reserved=9), Shift("loc_1", "C", reserved=1)]
    refusal = Short(found).refusal(wanted, freed=[Shift("loc_1", "A", reserved=-2)])
    assert refusal.facts["lines"] == [
        {"sku": "A", "requested": 5, "available": 2},
        {"sku": "C", "requested": 1, "available": 0},
    ]


@pytest.mark.parametrize(
    ("was", "now", "crossing"),
    [
        (LOW_STOCK + 1, LOW_STOCK, StockLow(sku="A", location_id="loc_1", available=LOW_STOCK)),
        (LOW_STOCK + 1, 0, StockOut(sku="A", location_id="loc_1")),
        (1, 0, StockOut(sku="A", location_id="loc_1")),
        (0, 1, StockBackIn(sku="A", location_id="loc_1", available=1)),
        (0, LOW_STOCK + 9, StockBackIn(sku="A", location_id="loc_1", available=LOW_STOCK + 9)),
        (LOW_STOCK, LOW_STOCK - 1, None),
        (LOW_STOCK + 2, LOW_STOCK + 1, None),
        (0, 0, None),
        (1, LOW_STOCK + 1, None),
    ],
)
def test_a_threshold_is_told_when_it_is_crossed_and_only_then(was: int, now: int, crossing: object) -> None:
    change = Change(level(20, reserved=20 - was), level(20, reserved=20 - now, version=2))
    told = LevelChanged(sku="A", location_id="loc_1", on_hand=20, allocated=0, reserved=20 - now, version=2)
    assert change.events() == [told] if crossing is None else [told, crossing]


def movement(kind: Kind, quantity: int = 3, *, to: str | None = None, rsv: str | None = None) -> Movement:
    return Movement(
        id="mov_1", kind=kind, sku="A", quantity=quantity, location_id="loc_1", reason="because", to_location_id=to, reservation_id=rsv
    )


@pytest.mark.parametrize(
    ("of", "shifts"),
    [
        (movement("received"), [Shift("loc_1", "A", on_hand=3)]),
        (movement("returned"), [Shift("loc_1", "A", on_hand=3)]),
        (movement("damaged"), [Shift("loc_1", "A", on_hand=-3)]),
        (movement("adjusted", -2), [Shift("loc_1", "A", on_hand=-2)]),
        (movement("transferred", to="loc_2"), [Shift("loc_1", "A", on_hand=-3), Shift("loc_2", "A", on_hand=3)]),
        (movement("shipped", rsv="rsv_1"), [Shift("loc_1", "A", on_hand=-3, allocated=-3)]),
    ],
)
def test_each_kind_of_movement_has_its_effect(of: Movement, shifts: list[Shift]) -> None:
    of.check()
    assert of.shifts() == shifts


@pytest.mark.parametrize(
    "of",
    [
        movement("received", 0),
        movement("received", -1),
        movement("transferred"),
        movement("transferred", to="loc_1"),
        movement("damaged", to="loc_2"),
        movement("shipped"),
        movement("received", rsv="rsv_1"),
    ],
)
def test_a_movement_that_does_not_fit_its_kind_is_refused(of: Movement) -> None:
    with pytest.raises(MovementInvalid):
        of.check()
