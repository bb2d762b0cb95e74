"""What running a task means: decode its payload, set the context that it carries, call its function within its time."""

import asyncio
from typing import Any, Protocol

import msgspec

from shared.domain.context import begin
from shared.domain.guard import outbound
from shared.infra.events.envelope import Undeliverable, carried_context
from shared.infra.tasks.claims import Claimed
from shared.infra.tasks.kind import TaskKind
from shared.infra.telling import told
from shared.infra.tracing import traced


class Runner(Protocol):
    async def run(self, task: Claimed) -> bool:
        """Do the work; raises Undeliverable when no retry can help.

        True: the end of the task is stored already, together with its effect, or the task was not ours any more.
        """
        ...


class RunKind:
    """Calls a declared function, outside any transaction and at least once."""

    def __init__(self, kind: TaskKind[Any]) -> None:
        self._kind = kind

    async def run(self, task: Claimed) -> bool:
        try:
            payload = msgspec.json.decode(task.payload, type=self._kind.payload)
        except msgspec.DecodeError as error:
            raise Undeliverable(f"the payload does not fit {self._kind.payload.__name__}: {told(error)}") from error
        outbound(f"task {self._kind.name}")
        begin(carried_context(msgspec.json.decode(task.headers, type=dict[str, str]), causation=task.id))
        with traced(f"run {self._kind.name}", "consumer", tenon_task_id=task.id):
            async with asyncio.timeout(self._kind.timeout.total_seconds()):
                await self._kind.run(payload, task.id)
        return False
