"""A neighbour's facade as its callers see it: every call is an outbound one, wherever the neighbour runs."""

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from shared.domain import guard
from shared.domain.once import once

P = TypeVar("P")

Operation = Callable[..., Awaitable[Any]]


def inproc(protocol: type[P], implementation: P) -> P:
    """`implementation` behind the operations of `protocol`, and nothing else of it. Raises TypeError where one is missing.

    A call inside a transaction raises OutboundInTransaction, as it would have to if it went over the network. The caller's
    Idempotency-Key stays with the caller: it belongs to its own first transaction, not to the neighbour's.
    """
    operations = [name for name, member in vars(protocol).items() if not name.startswith("_") and callable(member)]
    return cast(P, SimpleNamespace(**{name: _crossing(protocol, implementation, name) for name in operations}))


def _crossing(protocol: type[P], implementation: P, name: str) -> Operation:
    what = f"{protocol.__name__}.{name}"
    operation = getattr(implementation, name, None)
    if not iscoroutinefunction(operation):
        raise TypeError(f"{type(implementation).__name__} has no coroutine {name}, which {what} promises")
    run: Operation = operation

    async def call(*args: Any, **named: Any) -> Any:
        guard.outbound(what)
        kept = once.set(None)
        try:
            return await run(*args, **named)
        finally:
            once.reset(kept)

    return call
