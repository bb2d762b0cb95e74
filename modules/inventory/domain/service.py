"""The use cases of reservations."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import msgspec

from modules.inventory.domain.level import Shift, Short, merged
from modules.inventory.domain.ports import Work
from modules.inventory.domain.reservation import MAX_HOLD_S, Reservation, Step, check_ttl, lines_of
from modules.inventory.domain.views import InventoryQueries, ReservationView, reservation_view
from modules.inventory.public import (
    Hold,
    InsufficientStock,
    Line,
    ReservationCommitted,
    ReservationCreated,
    ReservationExpired,
    ReservationReleased,
    Shortage,
)
from shared.domain.errors import IllegalTransition, NotFound
from shared.domain.ids import new_id
from shared.domain.work import Transact

T = TypeVar("T")

Attempt = Callable[[Work], Awaitable[tuple[T, list[Shift]]]]
"""Does all that concerns reservations, and answers with its result what it needs of the levels, which are locked last."""

RESCUE_AT_ONCE: Final = 50
"""How many lapsed holds one failing reservation clears away."""


class ReservationService:
    """Answers its neighbours too: it has every method of the facade."""

    def __init__(self, transact: Transact[Work], queries: InventoryQueries) -> None:
        self._transact = transact
        self._queries = queries

    async def reserve(self, key: str, lines: Sequence[Line], ttl_s: int) -> Hold:
        def hold(reservation: Reservation) -> Hold:
            return Hold(key=key, reservation_id=reservation.id, expires_at=reservation.expires_at)

        return await self._hold(new_id("rsv"), key, lines, ttl_s, hold)

    async def create(self, lines: Sequence[Line], ttl_s: int) -> ReservationView:
        """A reservation that nobody has named: its id is its key."""
        reservation_id = new_id("rsv")
        return await self._hold(reservation_id, reservation_id, lines, ttl_s, reservation_view)

    async def release(self, key: str) -> None:
        async def work(work: Work) -> None:
            await _give_back(work, await work.reservations.lock_or_bury(new_id("rsv"), key), "release")

        await self._transact(work)

    async def release_by_id(self, reservation_id: str, *, expected_version: int | None) -> None:
        async def work(work: Work) -> None:
            reservation = await work.reservations.lock_id(reservation_id)
            reservation.expect(expected_version)
            await _give_back(work, reservation, "release")

        await self._transact(work)

    async def deallocate(self, key: str) -> None:
        async def work(work: Work) -> None:
            await _give_back(work, await work.reservations.lock_or_bury(new_id("rsv"), key), "deallocate")

        await self._transact(work)

    async def commit(self, key: str) -> None:
        async def attempt(work: Work) -> tuple[None, list[Shift]]:
            reservation = await work.reservations.advance_by_key(key, "commit")
            if reservation is None:
                raise NotFound("nothing was reserved with this key")
            if reservation.after("commit") == reservation.state:
                return None, []
            committed = ReservationCommitted(reservation_id=reservation.id, reference=key)
            work.record(committed, version=reservation.version + 1)
            return None, reservation.allocate()

        await self._with_rescue(attempt)

    async def extend(self, reservation_id: str, ttl_s: int, *, expected_version: int | None) -> ReservationView:
        check_ttl(ttl_s)

        async def work(work: Work) -> ReservationView:
            reservation = await work.reservations.lock_id(reservation_id)
            reservation.expect(expected_version)
            reservation.after("extend")
            if reservation.due:
                raise IllegalTransition("the reservation has expired")
            return reservation_view(await work.reservations.extend(reservation, ttl_s, MAX_HOLD_S))

        return await self._transact(work)

    async def expire(self, limit: int) -> int:
        """Give back what lapsed holds keep, at most `limit` of them; answers how many there were."""

        async def work(work: Work) -> int:
            lapsed = await work.reservations.lapsed(limit)
            await _shift(work, [], await _expire(work, lapsed))
            return len(lapsed)

        return await self._transact(work)

    async def reservation(self, reservation_id: str) -> ReservationView:
        view = await self._queries.reservation(reservation_id)
        if view is None:
            raise NotFound("there is no such reservation")
        return view

    async def available(self, skus: Sequence[str]) -> dict[str, int]:
        known = await self._queries.available(skus)
        return {sku: known.get(sku, 0) for sku in skus}

    async def _hold(self, reservation_id: str, key: str, lines: Sequence[Line], ttl_s: int, answer: Callable[[Reservation], T]) -> T:
        wanted = lines_of(lines)
        check_ttl(ttl_s)

        async def attempt(work: Work) -> tuple[T, list[Shift]]:
            reservation, fresh = await work.reservations.claim(reservation_id, key, wanted, ttl_s)
            if fresh:
                _tell_held(work, reservation)
                return answer(reservation), reservation.take()
            if reservation.claimed_again(wanted) == "committed" or (reservation.state == "held" and not reservation.due):
                return answer(reservation), []
            renewed = await work.reservations.renew(reservation, ttl_s)
            _tell_held(work, renewed)
            return answer(renewed), [] if reservation.state == "held" else reservation.take()

        return await self._with_rescue(attempt)

    async def _with_rescue(self, attempt: Attempt[T]) -> T:
        """When there is too little, try once more with the lapsed holds of these SKUs cleared away in the same transaction.

        Whoever finds that another is clearing them away waits for it: what it does not need is free for the others.
        """

        async def first(work: Work) -> T:
            result, wanted = await attempt(work)
            await _shift(work, wanted, [])
            return result

        try:
            return await self._transact(first)
        except InsufficientStock as error:
            short = error

        async def second(work: Work) -> T:
            skus = [line.sku for line in msgspec.convert(short.facts["lines"], list[Shortage])]
            lapsed = await work.reservations.lapsed_with(skus, RESCUE_AT_ONCE)
            if not lapsed:
                raise short
            freed = await _expire(work, await work.reservations.lock_lapsed(lapsed))
            result, wanted = await attempt(work)
            await _shift(work, wanted, freed)
            return result

        return await self._transact(second)


async def _shift(work: Work, wanted: Sequence[Shift], freed: Sequence[Shift]) -> None:
    """Change all levels of a transaction at once: one statement locks them, in one order for everybody."""
    if not wanted and not freed:
        return
    try:
        changes = await work.levels.shift(merged([*wanted, *freed]))
    except Short as short:
        raise short.refusal(wanted, freed) from None
    for change in changes:
        for event in change.events():
            work.record(event, version=change.after.version)


async def _give_back(work: Work, reservation: Reservation, step: Step) -> None:
    to = reservation.after(step)
    if to == reservation.state:
        return
    await work.reservations.advance([reservation], to)
    released = ReservationReleased(reservation_id=reservation.id, reference=reservation.key)
    work.record(released, version=reservation.version + 1)
    await _shift(work, [], reservation.give_back())


async def _expire(work: Work, lapsed: Sequence[Reservation]) -> list[Shift]:
    """Mark them expired; answers what becomes free."""
    if not lapsed:
        return []
    await work.reservations.advance(lapsed, "expired")
    for reservation in lapsed:
        expired = ReservationExpired(reservation_id=reservation.id, reference=reservation.key)
        work.record(expired, version=reservation.version + 1)
    return [shift for reservation in lapsed for shift in reservation.give_back()]


def _tell_held(work: Work, reservation: Reservation) -> None:
    held = ReservationCreated(reservation_id=reservation.id, reference=reservation.key, expires_at=reservation.expires_at)
    work.record(held, version=reservation.version)
