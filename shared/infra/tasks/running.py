"""What running a task means: decode its payload, set the context that it carries, call its function within its time."""

import asyncio
from typing import Protocol, TypeVar

import msgspec

from shared.domain.context import begin
from shared.domain.guard import outbound
from shared.infra.events.envelope import Undeliverable, carried_context
from shared.infra.tasks.claimed import Claimed
from shared.infra.tasks.claims import Outcome
from shared.infra.tasks.kind import TaskKind
from shared.infra.telling import told
from shared.infra.tracing import traced

P = TypeVar("P", bound=msgspec.Struct)


class Runner(Protocol):
    async def run(self, task: Claimed) -> Outcome | None:
        """Do the work; raises Undeliverable when no retry can help.

        None: the end of the task is stored already, together with its effect, or the task was not ours any more.
        """
        ...


class RunKind:
    """Calls a declared function, outside any transaction and at least once."""

    def __init__(self, kind: TaskKind[P]) -> None:
        self._kind = kind

    async def run(self, task: Claimed) -> Outcome | None:
        payload = opened(task, self._kind.payload)
        with traced(f"run {self._kind.name}", "consumer", tenon_task_id=task.id):
            async with asyncio.timeout(self._kind.timeout.total_seconds()):
                await self._kind.run(payload, task.id)
        return Outcome(task, "done")


def opened(task: Claimed, shape: type[P]) -> P:
    """What `task` carries; makes its context the running one; raises Undeliverable."""
    try:
        payload = msgspec.json.decode(task.payload, type=shape)
    except msgspec.DecodeError as error:
        raise Undeliverable(f"the payload does not fit {shape.__name__}: {told(error)}") from error
    outbound(f"task {task.kind}")
    begin(carried_context(msgspec.json.decode(task.headers, type=dict[str, str]), causation=task.id))
    return payload
