"""Many at once: never oversold, nothing twice, nobody waits for ever. Each test ends in the same count of all stock."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Sequence

from modules.inventory.public import InsufficientStock, Line, ReservationReleasedAlready
from shared.domain.errors import IllegalTransition, NotFound
from tests.inventory.conftest import Store

REFUSALS = (InsufficientStock, IllegalTransition, ReservationReleasedAlready, NotFound)


async def at_once(works: Sequence[Awaitable[object]]) -> Counter[str]:
    """How the works ended, by the name of the refusal; raises whatever is no refusal of the inventory's."""
    ends = await asyncio.gather(*works, return_exceptions=True)
    for end in ends:
        if isinstance(end, BaseException) and not isinstance(end, REFUSALS):
            raise end
    return Counter(type(end).__name__ for end in ends)


def line(sku: str, quantity: int = 1) -> Line:
    return Line(sku=sku, quantity=quantity)


async def test_one_unit_and_fifty_buyers_make_exactly_one_hold(store: Store) -> None:
    await store.receive(A=1)
    ends = await at_once([store.reservations.reserve(f"k{n}", [line("A")], 60) for n in range(50)])
    assert ends == {"Hold": 1, "InsufficientStock": 49}
    level = await store.level("A")
    assert (level.reserved, level.available) == (1, 0)
    await store.check_conservation()


async def test_k_units_and_many_buyers_make_exactly_k_holds(store: Store) -> None:
    await store.receive(A=7)
    ends = await at_once([store.reservations.reserve(f"k{n}", [line("A")], 60) for n in range(60)])
    assert ends == {"Hold": 7, "InsufficientStock": 53}
    await store.check_conservation()


async def test_one_unit_under_a_lapsed_hold_and_fifty_buyers_make_exactly_one_hold(store: Store) -> None:
    await store.receive(A=1, B=1)
    await store.reservations.reserve("old", [line("A"), line("B")], 60)
    await store.lapse("old")
    ends = await at_once([store.reservations.reserve(f"k{n}", [line("AB"[n % 2])], 60) for n in range(50)])
    assert ends == {"Hold": 2, "InsufficientStock": 48}
    assert (await store.told()).count("inventory.reservation_expired") == 1
    await store.check_conservation()


async def test_crossing_baskets_neither_wait_for_each_other_nor_oversell(store: Store) -> None:
    dice = random.Random(20260501)
    skus = ["A", "B", "C", "D"]
    await store.receive(**dict.fromkeys(skus, 60))
    baskets = []
    for n in range(200):
        basket = [line(sku) for sku in dice.sample(skus, dice.choice((2, 3)))]
        baskets.append(store.reservations.reserve(f"k{n}", basket, 60))
    store.attempts.clear()
    ends = await at_once(baskets)
    assert ends["Hold"] + ends["InsufficientStock"] == 200
    assert len(store.attempts) == 200 + ends["InsufficientStock"], "a deadlock was aborted and run again"
    assert await store.admin.fetchval("select count(*) from reservation where state = 'held'") == ends["Hold"]
    assert min([(await store.level(sku)).available for sku in skus]) < 3
    await store.check_conservation()


async def test_a_short_basket_among_crossing_ones_leaks_nothing(store: Store) -> None:
    await store.receive(A=500, B=3, C=500)
    works = []
    for n in range(120):
        basket = [line("A"), line("B"), line("C")] if n % 2 else [line("C"), line("B"), line("A")]
        works.append(store.reservations.reserve(f"k{n}", basket, 60))
    assert await at_once(works) == {"Hold": 3, "InsufficientStock": 117}
    assert ((await store.level("A")).reserved, (await store.level("C")).reserved) == (3, 3)
    await store.check_conservation()


async def test_one_key_used_by_many_at_once_holds_once(store: Store) -> None:
    await store.receive(A=50)
    holds = await asyncio.gather(*(store.reservations.reserve("k", [line("A", 2)], 60) for _ in range(30)))
    assert len({hold.reservation_id for hold in holds}) == 1
    assert (await store.level("A")).reserved == 2
    assert (await store.told()).count("inventory.reservation_created") == 1


async def test_reserve_release_and_commit_of_one_key_at_once_end_in_one_truth(store: Store) -> None:
    await store.receive(A=100)
    for turn in range(15):
        key = f"k{turn}"
        works: list[Awaitable[object]] = []
        for _ in range(4):
            works += [
                store.reservations.reserve(key, [line("A", 3)], 60),
                store.reservations.commit(key),
                store.reservations.release(key),
            ]
        random.Random(turn).shuffle(works)
        before = await store.level("A")
        await at_once(works)
        level, state = await store.level("A"), await store.state(key)
        change = (level.reserved - before.reserved, level.allocated - before.allocated)
        assert (state, change) in (("released", (0, 0)), ("committed", (0, 3)))
    await store.check_conservation()


async def test_commit_and_deallocate_at_once_never_keep_an_allocation_after_both(store: Store) -> None:
    await store.receive(A=30)
    for turn in range(10):
        key = f"k{turn}"
        await store.reservations.reserve(key, [line("A", 3)], 60)
        await at_once([step(key) for step in (store.reservations.commit, store.reservations.deallocate) for _ in range(4)])
        assert await store.state(key) in ("released", "deallocated")
    level = await store.level("A")
    assert (level.reserved, level.allocated) == (0, 0)
    await store.check_conservation()


async def test_sweepers_and_releases_give_back_each_hold_once(store: Store) -> None:
    await store.receive(A=40, B=40)
    for n in range(40):
        await store.reservations.reserve(f"k{n}", [line("A"), line("B")], 60)
        await store.lapse(f"k{n}")
    works: list[Awaitable[object]] = [store.reservations.expire(7) for _ in range(8)]
    works += [store.reservations.release(f"k{n}") for n in range(0, 40, 2)]
    works += [store.reservations.commit(f"k{n}") for n in range(1, 40, 4)]
    random.Random(7).shuffle(works)
    await at_once(works)
    while await store.reservations.expire(100):
        pass
    level = await store.level("A")
    assert (level.reserved, level.allocated) == (0, 10)
    assert (await store.told()).count("inventory.reservation_committed") == 10
    await store.check_conservation()


async def test_movements_and_reservations_at_once_keep_the_books(store: Store) -> None:
    await store.receive(A=20, B=20)
    other = await store.stock.create_location("Annex of the races")
    dice = random.Random(11)
    works: list[Awaitable[object]] = []
    for n in range(40):
        sku = dice.choice("AB")
        works.append(store.reservations.reserve(f"k{n}", [line("A"), line("B")], 60))
        works.append(store.stock.move(kind="transferred", sku=sku, quantity=1, reason="race", actor="t", to_location_id=other.id))
        works.append(store.stock.move(kind="damaged", sku=sku, quantity=1, reason="race", actor="t"))
        works.append(store.stock.move(kind="received", sku=dice.choice("ABC"), quantity=1, reason="race", actor="t"))
    ends = await at_once(works)
    assert ends["Hold"] > 0
    await store.check_conservation()


async def test_shipments_and_a_cancellation_at_once_give_back_exactly_what_stayed(store: Store) -> None:
    await store.receive(A=200)
    for _ in range(8):
        made = await store.reservations.create([line("A", 5)], 60)
        await store.reservations.commit(made.id)
        works: list[Awaitable[object]] = [
            store.stock.move(kind="shipped", sku="A", quantity=1, reason="parcel", actor="t", reservation_id=made.id) for _ in range(5)
        ]
        works.insert(2, store.reservations.deallocate(made.id))
        await at_once(works)
        await store.check_conservation()
    level = await store.level("A")
    assert (level.reserved, level.allocated) == (0, 0)
