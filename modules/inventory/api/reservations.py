"""Reservations over HTTP."""

from typing import Any

from litestar import Controller, Request
from litestar.di import NamedDependency
from litestar.params import FromPath

from modules.inventory.api.schemas import CreateReservation, ExtendReservation
from modules.inventory.domain.service import ReservationService
from modules.inventory.domain.views import ReservationView
from modules.inventory.public import InsufficientStock, Line
from shared.api.answers import Reply, created, no_content, ok
from shared.api.conditional import if_match
from shared.api.idempotency import once
from shared.api.routes import delete, get, post
from shared.api.types import Id
from shared.domain.errors import IllegalTransition, NotFound


class Reservations(Controller):
    path = "/v1/reservations"
    tags = ("inventory",)

    @post(operation="createReservation", errors=[InsufficientStock])
    async def create(
        self, data: CreateReservation, request: Request[Any, Any, Any], reservations: NamedDependency[ReservationService]
    ) -> Reply[ReservationView]:
        """Keep stock for a while: all lines or none."""
        lines = [Line(sku=line.sku, quantity=line.quantity) for line in data.lines]
        return await once(request, reservations.create(lines, data.seconds), created("/v1/reservations"))

    @get("/{reservation_id:str}", operation="getReservation", errors=[NotFound])
    async def read(self, reservation_id: FromPath[Id], reservations: NamedDependency[ReservationService]) -> Reply[ReservationView]:
        """A reservation and what became of it."""
        return ok(await reservations.reservation(reservation_id))

    @post(
        "/{reservation_id:str}/extend", operation="extendReservation", errors=[NotFound, IllegalTransition], status=200, if_match="optional"
    )
    async def extend(
        self,
        reservation_id: FromPath[Id],
        data: ExtendReservation,
        request: Request[Any, Any, Any],
        reservations: NamedDependency[ReservationService],
    ) -> Reply[ReservationView]:
        """Keep it longer, though never more than 24 hours in all: the answer says until when."""
        work = reservations.extend(reservation_id, data.seconds, expected_version=if_match(request))
        return await once(request, work, ok)

    @delete("/{reservation_id:str}", operation="releaseReservation", errors=[NotFound, IllegalTransition])
    async def release(
        self, reservation_id: FromPath[Id], request: Request[Any, Any, Any], reservations: NamedDependency[ReservationService]
    ) -> Reply[None]:
        """Give the stock back. What has become an order's allocation is given back by cancelling the order."""
        await reservations.release_by_id(reservation_id, expected_version=if_match(request))
        return no_content()
