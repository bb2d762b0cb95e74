"""Runs sagas: at once for the request that began one, and again for whoever was left behind by a crash, a timeout or a webhook."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import Any, Final, TypeVar

import msgspec
import structlog

from shared.domain.context import begin
from shared.domain.errors import DomainError, Unavailable
from shared.domain.events import Event
from shared.domain.guard import outbound
from shared.domain.saga import Asleep, Ended, Failure, Local, Remote, Saga, Underway, Waiting
from shared.infra.db.closing import Swap
from shared.infra.db.database import Database
from shared.infra.db.repeats import watched
from shared.infra.db.statements import Row
from shared.infra.db.transact import Transact
from shared.infra.db.unit_of_work import Recorded, UnitOfWork
from shared.infra.saga.begun import take
from shared.infra.saga.instance import Instance, Move, Step, begun_here
from shared.infra.saga.store import Claimed, LostClaim, SagaStore
from shared.infra.telling import told
from shared.infra.tracing import traced

R = TypeVar("R", bound=msgspec.Struct)

log = structlog.get_logger(__name__)

ERROR_LENGTH = 500


@dataclass(frozen=True, slots=True)
class Timing:
    """In seconds. A call must end `reserve` before the claim does: that long its answer may take to be stored.

    A retry due within `in_place` is waited for with the claim kept; a later one is left to whoever claims it then.
    """

    claim: float = 15.0
    reserve: float = 3.0
    first_retry: float = 0.25
    last_retry: float = 60.0
    stuck_retry: float = 600.0
    in_place: float = 1.0
    poll: float = 1.0

    def retry(self, attempts: int) -> float:
        """Doubling, with jitter, from `first_retry` to `last_retry`."""
        ceiling: float = min(self.last_retry, self.first_retry * 2.0 ** min(attempts, 30))
        return ceiling * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret


USUAL: Final = Timing()


@dataclass(frozen=True, slots=True)
class Patience:
    """Until when a step may still be begun: a time of `time.monotonic()`, or the stop of the process."""

    ends: float = inf
    stop: asyncio.Event | None = None

    @property
    def left(self) -> float:
        return 0.0 if self.stop is not None and self.stop.is_set() else max(0.0, self.ends - monotonic())


class SagaEngine:
    """The sagas of one module. `build` makes the module's unit of work, which local steps receive."""

    def __init__(
        self,
        database: Database,
        build: Callable[[UnitOfWork], Any],
        sagas: Sequence[Saga[Any, Any]],
        *,
        events: Sequence[type[Event]] = (),
        tasks: Sequence[str] = (),
        timing: Timing = USUAL,
    ) -> None:
        self._database = database
        self._store = SagaStore(database, sagas)
        self._transact = Transact(database, lambda uow: (build(uow), uow), events=events, tasks=tasks, sagas=sagas)
        self._timing = timing

    async def run(self, saga_id: str, outcome: type[R], *, patience_s: float) -> Ended[R] | Asleep | Underway:
        begun = take(saga_id)
        if begun is not None:
            instance = begun_here(begun)
        else:
            claimed = await self._store.claim(limit=1, claim_s=self._timing.claim, only=saga_id)
            if not claimed:
                return await self._report(saga_id, outcome)
            instance = claimed[0].instance
        halt = await self._drive(instance, Patience(monotonic() + patience_s))
        if halt is not None:
            return halt
        if not isinstance(instance.outcome, outcome):
            raise TypeError(f"{instance.saga.name} ends with {type(instance.outcome).__name__}, not with {outcome.__name__}")
        return Ended(instance.outcome, instance.failure)

    async def claim(self, limit: int) -> list[Claimed]:
        """At most `limit` sagas that are due and nobody's, to be gone on with by `resume`."""
        return await self._store.claim(limit=limit, claim_s=self._timing.claim)

    async def resume(self, claimed: Claimed, stop: asyncio.Event | None = None) -> None:
        """On behalf of whoever began it; call it in a task of its own. Ends between two steps when `stop` is set."""
        begin(claimed.context)
        with watched(f"saga {claimed.instance.saga.name}"):
            await self._drive(claimed.instance, Patience(stop=stop))

    async def recover(self, limit: int = 1) -> int:
        """Go on at once with at most `limit` sagas; answers how many there were."""
        claimed = await self.claim(limit)
        async with asyncio.TaskGroup() as group:
            for one in claimed:
                group.create_task(self.resume(one))
        return len(claimed)

    async def _report(self, saga_id: str, outcome: type[R]) -> Ended[R] | Asleep | Underway:
        stored = await self._store.read(saga_id)
        if stored.outcome is not None:
            return Ended(msgspec.json.decode(stored.outcome, type=outcome), stored.failure)
        return Asleep(stored.data) if stored.state == "waiting" else Underway()

    async def _drive(self, instance: Instance, patience: Patience) -> Asleep | Underway | None:
        """Step by step until the end (None), a halt, or the end of patience. What fails here stays in the row, and is tried again."""
        try:
            halt: Asleep | Underway | None = None
            if instance.orphaned and instance.attempts >= Saga.RETRIES_BEFORE_STUCK:
                halt = await self._put_off(instance, RuntimeError("whoever ran this step ended without a word"), patience)
            while halt is None and instance.outcome is None:
                if patience.left:
                    halt = await self._advance(instance, patience)
                else:
                    halt = await self._release(instance)
        except LostClaim:
            return Underway()
        except Unavailable as error:
            log.warning("saga_interrupted", saga_id=instance.id, saga=instance.saga.name, reason=str(error))
            return Underway()
        except Exception:
            log.exception("saga_interrupted", saga_id=instance.id, saga=instance.saga.name)
            return Underway()
        return halt

    async def _advance(self, instance: Instance, patience: Patience) -> Asleep | Underway | None:
        step = instance.step
        try:
            with traced(_name(instance), tenon_saga_id=instance.id):
                if isinstance(step, Remote):
                    await self._remote(instance, step, patience)
                else:
                    await self._local(instance, step, patience)
        except LostClaim:
            raise
        except Waiting as waiting:
            return await self._fall_asleep(instance, waiting)
        except Exception as error:  # noqa: BLE001 - whatever a step raises is kept in the row and logged by what decides on it
            if isinstance(error, DomainError) and not error.retryable and instance.may_turn_back:
                await self._turn_back(instance, _failure(error), refused=True)
                return None
            return await self._put_off(instance, error, patience)
        return None

    async def _local(self, instance: Instance, step: Local[Any, Any] | None, patience: Patience) -> None:
        """Effect and progress in one transaction; the end of the saga too, when nothing comes after it."""

        async def work(both: tuple[Any, UnitOfWork]) -> tuple[Move, Swap]:
            of_module, uow = both
            move, data = None, instance.data
            if step is not None:
                data = await _function(instance, step)(of_module, data)
                move = instance.advanced(step, data, self._timing.claim, sending=patience.left > 0)
            if move is None or instance.finishes(move):
                move = instance.ended(move, await instance.saga.finish(of_module, data, instance.failure))
            for begun in uow.recorded.sagas:
                begun.unclaim()
            swap = self._store.swap(instance, move)
            uow.swap(swap)
            return move, swap

        since = monotonic()
        move, swap = await self._transact(work)
        _became(instance, move, swap.row, since)

    async def _remote(self, instance: Instance, step: Remote[Any], patience: Patience) -> None:
        if not instance.sent:
            await self._move(instance, instance.sending(step, self._timing.claim))
        instance.sent = False
        call = instance.call(step, min(instance.claim_ends - self._timing.reserve - monotonic(), patience.left))
        outbound(f"step {step.name} of the saga {instance.saga.name}")
        if not instance.holds_claim(self._timing.reserve):
            raise LostClaim(instance.id)
        async with asyncio.timeout(call.timeout_s):
            data = await _function(instance, step)(instance.data, call)
        await self._move(instance, instance.advanced(step, data, self._timing.claim, sending=patience.left > 0))

    async def _release(self, instance: Instance) -> Underway:
        """Let a worker go on at once."""
        await self._move(instance, instance.released())
        self._ring(instance)
        return Underway()

    def _ring(self, instance: Instance) -> None:
        """It is due: tell the workers, as a transaction does that wakes it."""
        self._database.committed(Recorded(wakes=[instance.id]))

    async def _turn_back(self, instance: Instance, failure: Failure, *, refused: bool) -> None:
        """A remote step is undone too, unless its first and only call was refused: an earlier one may still have happened."""
        step = instance.step
        own = isinstance(step, Remote) and (not refused or instance.sends > 1)
        note = instance.note(step, "refused" if refused else "sent", failure.code) if isinstance(step, Remote) else None
        log.info("saga_turns_back", saga_id=instance.id, saga=instance.saga.name, code=failure.code)
        await self._move(instance, instance.turned_back(failure, note, self._timing.claim, own=own))

    async def _fall_asleep(self, instance: Instance, waiting: Waiting) -> Asleep | None:
        left = instance.gives_up_at - monotonic()
        if left <= 0 and self._may_give_up(instance):
            await self._turn_back(instance, Failure("timed_out", "what it waited for did not happen in time"), refused=False)
            return None
        recheck, seen = waiting.recheck.total_seconds(), instance.wakes
        await self._move(instance, instance.asleep(waiting.state, min(recheck, left) if left > 0 else recheck))
        if instance.wakes > seen:
            self._ring(instance)
        return Asleep(waiting.state)

    async def _put_off(self, instance: Instance, error: Exception, patience: Patience) -> Underway | None:
        step, text = instance.step, told(error)[:ERROR_LENGTH]
        log.warning("saga_step_failed", saga_id=instance.id, saga=instance.saga.name, step=step and step.name, error=text)
        if monotonic() >= instance.gives_up_at and self._may_give_up(instance):
            await self._turn_back(instance, _failure(error), refused=False)
            return None
        stuck = not instance.may_turn_back and instance.attempts + 1 >= Saga.RETRIES_BEFORE_STUCK
        delay = self._timing.stuck_retry if stuck else self._timing.retry(instance.attempts)
        keep = not stuck and delay <= self._timing.in_place and delay < patience.left
        note = instance.note(step, "sent", text) if isinstance(step, Remote) else None
        await self._move(instance, instance.put_off(text, note, delay, delay + self._timing.claim if keep else None, stuck=stuck))
        if not keep:
            return Underway()
        await asyncio.sleep(delay)
        return None

    @staticmethod
    def _may_give_up(instance: Instance) -> bool:
        """A pivot in another system that cannot be undone is not given up: it may have happened."""
        step = instance.step
        undoable = not (isinstance(step, Remote) and step.pivot and step.compensation is None)
        return instance.may_turn_back and undoable

    async def _move(self, instance: Instance, move: Move) -> None:
        since = monotonic()
        _became(instance, move, await self._store.move(instance, move), since)


def _became(instance: Instance, move: Move, row: Row, since: float) -> None:
    instance.became(move, row["wakes"], row["sends"], since + (move.claim_s or 0.0))


def _function(instance: Instance, step: Step) -> Callable[..., Any]:
    function = step.action if instance.failure is None else step.compensation
    if function is None:
        raise LookupError(f"{step.name} of {instance.saga.name} has no compensation")
    return function


def _name(instance: Instance) -> str:
    """Such as `complete_cart reserve`, `complete_cart reserve back`, `complete_cart finish`."""
    step = instance.step.name if instance.step is not None else "finish"
    return f"{instance.saga.name} {step}" if instance.failure is None else f"{instance.saga.name} {step} back"


def _failure(error: Exception) -> Failure:
    if isinstance(error, DomainError):
        return Failure(error.code, error.detail, error.facts)
    return Failure("unavailable", "a step could not be finished in time")
