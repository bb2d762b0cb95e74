"""Events that travel as tasks: those set aside after a failure, and those for outbound subscriptions."""

import asyncio
from typing import Any, Final

import msgspec

from shared.domain.context import begin
from shared.domain.events import Delivery
from shared.domain.guard import outbound
from shared.infra.db.transact import Transact
from shared.infra.db.unit_of_work import UnitOfWork
from shared.infra.events.envelope import Envelope, Undeliverable, carried_context, handling
from shared.infra.events.registry import Consumer
from shared.infra.events.subscription import On
from shared.infra.tasks.claimed import Claimed
from shared.infra.tasks.claims import Claims, Outcome
from shared.infra.telling import told

SEND_WITHIN_S: Final = 30.0

_STILL_OURS: Final = "select true from task where id = $1 and claim = $2 and state = 'claimed' for update"


def opened(consumer: Consumer, task: Claimed) -> tuple[On[Any], Delivery[Any]]:
    """The reaction to the event that `task` carries; makes its context the running one; raises Undeliverable."""
    try:
        envelope = msgspec.json.decode(task.payload, type=Envelope)
    except msgspec.DecodeError as error:
        raise Undeliverable(f"the task carries no event: {told(error)}") from error
    reaction, delivery = envelope.delivery(consumer.subscription.on)
    begin(carried_context(delivery.headers, causation=delivery.event_id))
    return reaction, delivery


class HandleLater:
    """For a database subscription: handler and the task's end commit together, so that it takes effect exactly once."""

    def __init__(self, consumer: Consumer, claims: Claims, transact: Transact[UnitOfWork]) -> None:
        self._consumer = consumer
        self._claims = claims
        self._transact = transact

    async def run(self, task: Claimed) -> Outcome | None:
        reaction, delivery = opened(self._consumer, task)

        async def work(uow: UnitOfWork) -> None:
            if await uow.fetchval(_STILL_OURS, task.id, task.claim) is None:
                return
            await reaction.handle(self._consumer.module.work(uow), delivery)
            await self._claims.settle([Outcome(task, "done")], uow)

        with handling(self._consumer.subscription.id, delivery):
            await self._transact(work)
        return None


class Send:
    """For an outbound subscription: outside any transaction, at least once, with the task's id as key."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    async def run(self, task: Claimed) -> Outcome | None:
        reaction, delivery = opened(self._consumer, task)
        outbound(f"subscription {self._consumer.subscription.id}")
        with handling(self._consumer.subscription.id, delivery):
            async with asyncio.timeout(SEND_WITHIN_S):
                await reaction.handle(delivery, task.id)
        return Outcome(task, "done")
