"""Point reads, batched by nature: while two batches are under way, the keys that arrive make up the next one."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterator, Mapping
from contextvars import Context as Variables
from time import perf_counter
from typing import Final, Generic, TypeVar

from shared.domain import guard
from shared.infra.db.errors import sqlstate
from shared.infra.db.statements import count

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

Batch = Mapping[K, Collection[asyncio.Future[V | None]]]

UNDER_WAY: Final = 2
KEYS: Final = 256
DATA_EXCEPTION: Final = "22"
"""The class of SQLSTATE that one hostile key raises for all that happen to be read with it."""


class Loader(Generic[K, V]):
    """No timer and no cache: a key is sent at once while fewer than two batches are under way, and read again every time.

    `read` answers the values that exist, in one statement such as `… where id = any($1)`. Keys of private rows include
    their owner. Never inside a transaction: the batch runs on another connection, in a task of its own.
    """

    def __init__(self, read: Callable[[list[K]], Awaitable[Mapping[K, V]]]) -> None:
        self._read = read
        self._name = f"one key of {getattr(read, '__qualname__', read)}"
        self._waiting: dict[K, list[asyncio.Future[V | None]]] = {}
        self._batches: set[asyncio.Task[None]] = set()

    async def get(self, key: K) -> V | None:
        """The value, None where there is none; raises what `read` raises, and OutboundInTransaction."""
        guard.outbound("a batched read")
        started = perf_counter()
        answer: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append(answer)
        self._send()
        try:
            return await answer
        finally:
            count(self._name, started)

    def _send(self) -> None:
        while self._waiting and len(self._batches) < UNDER_WAY:
            keys = list(self._waiting)[:KEYS]
            batch: Batch[K, V] = {key: self._waiting.pop(key) for key in keys}
            # In variables of its own: a batch belongs to no single request, to its principal and idempotency key least of all.
            task = asyncio.get_running_loop().create_task(self._run(batch), context=Variables())
            self._batches.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._batches.discard(task)
        self._send()

    async def _run(self, batch: Batch[K, V]) -> None:
        try:
            found = await self._read(list(batch))
        except BaseException as error:  # noqa: BLE001 - whoever waits must learn of it, also that the loop is ending
            if len(batch) > 1 and (sqlstate(error) or "").startswith(DATA_EXCEPTION):
                for key, answers in batch.items():
                    await self._run({key: answers})
                return
            for _, answer in _unanswered(batch):
                answer.set_exception(error)
        else:
            for key, answer in _unanswered(batch):
                answer.set_result(found.get(key))


def _unanswered(batch: Batch[K, V]) -> Iterator[tuple[K, asyncio.Future[V | None]]]:
    """Whoever was cancelled meanwhile wants no answer any more."""
    return ((key, answer) for key, answers in batch.items() for answer in answers if not answer.done())
