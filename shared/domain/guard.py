"""A transaction holds locks: nothing that waits for another system may happen inside one, and no second connection."""

from contextvars import ContextVar


class Held:
    """Marks a connection in use. A mutable cell, because tasks started meanwhile copy the context."""

    __slots__ = ("role",)

    def __init__(self, role: str | None) -> None:
        self.role = role


_held: ContextVar[Held | None] = ContextVar("tenon_held_connection", default=None)


class OutboundInTransaction(RuntimeError):
    """An outbound call was tried while this task held a database connection."""


class SecondConnection(RuntimeError):
    """A task that holds a database connection asked for another: two hundred of those would wait for each other for ever."""


def holding() -> str | None:
    """The role as which this task holds a connection, if it does."""
    held = _held.get()
    return held.role if held is not None else None


def hold(role: str) -> Held:
    """Note that this task holds a connection now; raises SecondConnection. End it with `let_go`."""
    if (already := holding()) is not None:
        raise SecondConnection(f"wants a connection as {role} while holding one as {already}: read first, or through the unit of work")
    held = Held(role)
    _held.set(held)
    return held


def let_go(held: Held) -> None:
    held.role = None


def outbound(what: str) -> None:
    """Every call that leaves the module passes here first; raises OutboundInTransaction."""
    if (role := holding()) is not None:
        raise OutboundInTransaction(f"{what} inside a transaction of {role}: call it before or after, or make it a task")
