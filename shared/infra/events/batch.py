"""One batch: a transaction that moves a cursor over some events together with everything that their handlers did."""

from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

import structlog

from shared.domain.context import begin, current
from shared.infra.db.errors import may_run_again
from shared.infra.db.unit_of_work import UnitOfWork
from shared.infra.events.cursor import Cursor, Place, Window
from shared.infra.events.envelope import Envelope, Undeliverable, carried_context, handling
from shared.infra.events.failing import Carried, carry
from shared.infra.events.registry import Consumer
from shared.infra.tracing import traced_batch

log = structlog.get_logger(__name__)

MOST_EVENTS: Final = 500
LONGEST_S: Final = 0.05
RUNS_OF_A_SUSPECT: Final = 3


@dataclass(frozen=True, slots=True)
class Taken:
    """What a batch did: how many events it passed, how many of them as tasks, and whether the window goes on."""

    events: int = 0
    carried: int = 0
    more: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """To be run by `transact`, which repeats it after a deadlock; nothing is kept here between two runs.

    `one_by_one` after a crash: the next event alone, which `counted` was told before.
    """

    consumer: Consumer
    cursor: Cursor
    group: int
    token: str
    one_by_one: bool = False

    async def count(self, uow: UnitOfWork) -> int:
        """Count a run of the next event, in a transaction of its own; answers how many that makes, 0 without an event."""
        place = await self.cursor.lock(uow, self.group, self.token)
        if place is None:
            return 0
        window = await self.cursor.window(uow, place, 1)
        if not window.events:
            return 0
        return await self.cursor.suspect(uow, place, window, window.events[0][0].id)

    async def run(self, uow: UnitOfWork) -> Taken:
        place = await self.cursor.lock(uow, self.group, self.token)
        if place is None:
            return Taken()
        window = await self.cursor.window(uow, place, 1 if self.one_by_one else MOST_EVENTS)
        pass_ = _Pass(self.consumer, uow, place)
        ends = monotonic() + LONGEST_S
        done = 0
        with traced_batch(f"receive {self.consumer.subscription.id}", (envelope.headers for envelope, _ in window.events)):
            for envelope, behind in window.events:
                await pass_.take(envelope, behind)
                done += 1
                if monotonic() >= ends:
                    break
            await carry(uow, self.consumer.kind, pass_.carried)
            more = not window.whole or done < len(window.events)
            await self._advance(uow, place, window, done, more)
        return Taken(done, len(pass_.carried), more)

    async def _advance(self, uow: UnitOfWork, place: Place, window: Window, done: int, more: bool) -> None:
        suspects = max(0, place.suspects - done)
        if more:
            await self.cursor.pass_to(uow, place, window, window.events[done - 1][0].id, suspects=suspects)
        else:
            await self.cursor.pass_window(uow, place, window.until, suspects=suspects)


class _Pass:
    """The events of one batch, one after the other, and what could not be handled on the way."""

    def __init__(self, consumer: Consumer, uow: UnitOfWork, place: Place) -> None:
        self._consumer = consumer
        self._uow = uow
        self._place = place
        self._waiting: set[str] = set()
        self.carried: list[Carried] = []

    async def take(self, envelope: Envelope, behind: bool) -> None:
        if envelope.key and (behind or envelope.key in self._waiting):
            self._carry(Carried(envelope, "blocked"))
        elif self._suspected(envelope):
            self._bury(envelope, f"{RUNS_OF_A_SUSPECT} runs of this event alone had no outcome: it ends the process, or the transaction")
        elif self._consumer.subscription.kind == "outbound":
            self._carry(Carried(envelope, "ready"))
        else:
            await self._handle(envelope)

    def _suspected(self, envelope: Envelope) -> bool:
        place = self._place
        return place.suspects > 0 and place.suspect_id == envelope.id and place.suspect_runs > RUNS_OF_A_SUSPECT

    async def _handle(self, envelope: Envelope) -> None:
        try:
            reaction, delivery = envelope.delivery(self._consumer.subscription.on)
        except Undeliverable as error:
            self._bury(envelope, str(error))
            return
        begin(carried_context(delivery.headers, causation=delivery.event_id))
        try:
            with handling(self._consumer.subscription.id, delivery):
                async with self._uow.savepoint():
                    work: Any = self._consumer.module.work(self._uow)
                    await reaction.handle(work, delivery)
        except Exception as error:
            if may_run_again(error):
                raise  # the whole batch, and no event is to blame
            log.warning("event_set_aside", **self._named(envelope), **current().cost(), error=error, exc_info=True)
            self._carry(Carried.failed(envelope, error))

    def _bury(self, envelope: Envelope, reason: str) -> None:
        log.error("event_dead", **self._named(envelope), reason=reason)
        self._carry(Carried.dead(envelope, reason))

    def _carry(self, carried: Carried) -> None:
        self._waiting.add(carried.envelope.key)
        self.carried.append(carried)

    def _named(self, envelope: Envelope) -> dict[str, object]:
        return {
            "subscription": self._consumer.subscription.id,
            "event_id": envelope.event_id,
            "type": envelope.type,
            "key": envelope.key,
        }
