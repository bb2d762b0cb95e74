"""One saga in the hands of its owner, and the moves that it can make. Pure: a move is a value, the store carries it out."""

from dataclasses import dataclass
from time import monotonic
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from shared.domain.saga import Call, Failure, Local, Remote, Saga
from shared.infra.saga.begun import FIRST_TOKEN, Begun

Step = Local[Any, Any] | Remote[Any]
Direction = Literal["forward", "back"]
State = Literal["running", "waiting", "compensating", "stuck", "done", "failed"]


class Note(msgspec.Struct, frozen=True):
    """What a move writes about its step. One that stays `sent` with an error may or may not have happened."""

    step: str
    direction: Direction
    state: Literal["sent", "done", "refused"]
    error: str | None = None


class Move(msgspec.Struct, frozen=True):
    """The saga's row after the move. `claim_s` None gives the claim up; `delay_s` None leaves `due_at` as it is.

    `note` is about the step that was tried, `sent` about the one that is called next.
    """

    position: int
    state: State
    data: msgspec.Struct
    failure: Failure | None
    claim_s: float | None
    note: Note | None = None
    sent: Note | None = None
    outcome: msgspec.Struct | None = None
    attempts: int = 0
    error: str | None = None
    delay_s: float | None = None


@dataclass(slots=True)
class Instance:
    """`claim_ends` and `gives_up_at` are times of `time.monotonic()`; `position` counts down while compensating.

    `orphaned`: its former owner ended without giving the claim up. `sends`: how often this step was sent, once it was by us;
    `sent`: it is marked so, and not called yet.
    """

    id: str
    saga: Saga[Any, Any]
    token: int
    position: int
    data: Any
    failure: Failure | None
    attempts: int
    wakes: int
    claim_ends: float
    gives_up_at: float
    outcome: msgspec.Struct | None = None
    orphaned: bool = False
    sends: int = 0
    sent: bool = False

    @property
    def direction(self) -> Direction:
        return "forward" if self.failure is None else "back"

    @property
    def step(self) -> Step | None:
        """The next one to run, or to compensate; None when only `finish` is left."""
        return self._at(self.position)

    @property
    def may_turn_back(self) -> bool:
        pivoted = self.saga.pivoted or any(step.pivot for step in self.saga.steps[: self.position])
        return self.failure is None and not pivoted

    def holds_claim(self, reserve_s: float) -> bool:
        return monotonic() < self.claim_ends - reserve_s

    def call(self, step: Step, timeout_s: float) -> Call:
        return Call(f"{self.id}:{step.name}:{self.direction}", timeout_s, f"{self.id}:{step.name}:forward")

    def note(self, step: Step, state: Literal["sent", "done", "refused"], error: str | None = None) -> Note:
        return Note(step.name, self.direction, state, error)

    def sending(self, step: Remote[Any], claim_s: float) -> Move:
        return replace(self._here(claim_s), attempts=self.attempts, sent=self.note(step, "sent"))

    def advanced(self, step: Step, data: msgspec.Struct, claim_s: float, *, sending: bool) -> Move:
        """The step has happened: on to the next one, or back to the one before. If `sending`, a remote one is marked as sent."""
        position = self.position + 1 if self.failure is None else self._compensable(self.position - 1)
        following = self._at(position)
        sent = self.note(following, "sent") if sending and isinstance(following, Remote) else None
        return replace(self._here(claim_s), position=position, data=data, note=self.note(step, "done"), sent=sent)

    def finishes(self, move: Move) -> bool:
        return not 0 <= move.position < len(self.saga.steps)

    def ended(self, move: Move | None, outcome: msgspec.Struct) -> Move:
        """The end, in one with the last `move` when that is of the same transaction."""
        state: State = "done" if self.failure is None else "failed"
        return replace(move or self._here(None), state=state, outcome=outcome, claim_s=None)

    def turned_back(self, failure: Failure, note: Note | None, claim_s: float, *, own: bool) -> Move:
        """`own`: the present step may have happened, so its compensation comes first."""
        position = self._compensable(self.position if own else self.position - 1)
        return Move(position, "compensating", self.data, failure, claim_s, note=note, error=f"{failure.code}: {failure.detail}")

    def asleep(self, state: msgspec.Struct, recheck_s: float) -> Move:
        return replace(self._here(None), state="waiting", data=state, delay_s=recheck_s)

    def put_off(self, error: str, note: Note | None, delay_s: float, claim_s: float | None, *, stuck: bool) -> Move:
        """To be tried again after `delay_s`: by whoever claims it then, or by this owner if it keeps the claim."""
        here = self._here(claim_s)
        return replace(here, state="stuck" if stuck else here.state, attempts=self.attempts + 1, error=error, delay_s=delay_s, note=note)

    def released(self) -> Move:
        return replace(self._here(None), attempts=self.attempts)

    def became(self, move: Move, wakes: int, sends: int, claim_ends: float) -> None:
        if move.sent or (move.position, move.failure) != (self.position, self.failure):
            self.sends = sends
        self.sent = move.sent is not None
        self.position, self.data, self.failure = move.position, move.data, move.failure
        self.attempts, self.outcome = move.attempts, move.outcome
        self.wakes, self.claim_ends = wakes, claim_ends

    def _at(self, position: int) -> Step | None:
        steps = self.saga.steps
        return steps[position] if 0 <= position < len(steps) else None

    def _here(self, claim_s: float | None) -> Move:
        state: State = "running" if self.failure is None else "compensating"
        return Move(self.position, state, self.data, self.failure, claim_s)

    def _compensable(self, position: int) -> int:
        """The nearest step at or before `position` that has a compensation; -1 when there is none."""
        steps = self.saga.steps
        return next((i for i in range(min(position, len(steps) - 1), -1, -1) if steps[i].compensation is not None), -1)


def begun_here(begun: Begun) -> Instance:
    """The instance that this process began and holds the first claim of."""
    return Instance(
        id=begun.id,
        saga=begun.saga,
        token=FIRST_TOKEN,
        position=0,
        data=begun.state,
        failure=None,
        attempts=0,
        wakes=0,
        claim_ends=begun.claim_ends,
        gives_up_at=monotonic() + begun.saga.give_up_after.total_seconds(),
        sends=1 if begun.sent else 0,
        sent=begun.sent is not None,
    )
