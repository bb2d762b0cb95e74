"""Idempotency-Key: one effect for any number of the same request. The unit of work stores; this names, sets and replays."""

import re
from collections.abc import Callable, Coroutine
from hashlib import sha256
from typing import Any, Final, Literal, NoReturn, TypeVar

from litestar import Request

from shared.api import headers
from shared.api.answers import Reply
from shared.api.options import OPT_OPERATION, OPT_PROBLEMS
from shared.api.problems import ProblemWriter
from shared.api.refusals import Fault, InvalidRequest
from shared.domain.context import current
from shared.domain.errors import DomainError, PreconditionMissing
from shared.domain.once import AlreadyDone, Answer, Once
from shared.domain.once import once as current_once

V = TypeVar("V")
T = TypeVar("T")

HEADER: Final = "Idempotency-Key"
Mode = Literal["never", "optional", "required"]

_KEY = re.compile(r"\A[\x21-\x7e]{1,255}\Z")
USUAL_DAYS: Final = 1
MONEY_DAYS: Final = 30
"""For so long a client may ask again: where money or stock moves, as long as anybody may still be quarrelling about it."""


async def once(
    request: Request[Any, Any, Any],
    work: Coroutine[Any, Any, V],
    render: Callable[[V], Reply[T]],
    *,
    outcome: type | None = None,
) -> Reply[T]:
    """Await the use case and render what it returns; with an Idempotency-Key, do so once and replay the answer afterwards.

    `render` may raise for an outcome that was committed and is a refusal all the same, such as a declined card: it is kept too.
    `outcome` is the type that a flow's saga stores at its end, which `render` must then also take.
    """

    def rendered(view: V) -> Reply[T]:
        try:
            return render(view)
        except DomainError as refusal:
            return _kept(refusal, request)

    try:
        named = await _named(request, rendered, outcome)
    except BaseException:
        work.close()
        raise
    token = current_once.set(named)
    try:
        return rendered(await work)
    except AlreadyDone as done:
        return _again(done.answer)
    finally:
        current_once.reset(token)


async def replayed(request: Request[Any, Any, Any], look: Coroutine[Any, Any, object]) -> Reply[Any] | None:
    """The answer that a request with this Idempotency-Key has had already; raises what `once` raises of a key.

    For what takes several transactions and is no saga, before anything is done: a repeat is then neither refused for what it has
    itself changed, nor does another request under the same key change anything. `look` is a transaction that only reads.
    """
    try:
        named = await _named(request, _unanswered, None)
    except BaseException:
        look.close()
        raise
    if named is None:
        look.close()
        return None
    token = current_once.set(named)
    try:
        await look
    except _Unanswered:
        return None
    except AlreadyDone as done:
        return _again(done.answer)
    finally:
        current_once.reset(token)
    raise AssertionError("a transaction that commits renders its answer")


class _Unanswered(Exception):
    """Ends the look at a key that has no answer yet, and leaves the key free."""


def _unanswered(_: object) -> NoReturn:
    raise _Unanswered


def _again(answer: Answer) -> Reply[Any]:
    current().log["replayed"] = True
    return Reply(answer.status, answer.body, (*answer.headers, ("Idempotent-Replayed", "true")))


def _kept(error: DomainError, request: Request[Any, Any, Any]) -> Reply[Any]:
    """A refusal as a reply that can be sent again."""
    writer: ProblemWriter = request.route_handler.opt[OPT_PROBLEMS]
    problem = writer.write(error, instance=request.scope["path"], trace_id=current().trace_id)
    return Reply(problem.status, problem.body, tuple((name.decode(), value.decode()) for name, value in problem.headers))


async def _named(request: Request[Any, Any, Any], render: Callable[[Any], Reply[Any]], outcome: type | None) -> Once | None:
    operation = request.route_handler.opt[OPT_OPERATION]
    principal = current().principal
    if operation.idempotent == "never" or principal.kind == "anonymous" or (key := read_key(request)) is None:
        return None
    scope = request.scope
    fingerprint = sha256()
    for part in (scope["method"].encode(), scope["path"].encode(), scope["query_string"], await request.body()):
        fingerprint.update(len(part).to_bytes(4, "big"))
        fingerprint.update(part)
    name = f"{principal.scope} {scope['method']} {scope['path_template']}"
    return Once(name, key, fingerprint.digest(), render, outcome, operation.keep_days)


def read_key(request: Request[Any, Any, Any]) -> str | None:
    """The key that was sent; raises InvalidRequest unless it is 1 to 255 visible ASCII characters, sent once."""
    sent = headers.values(request, HEADER.lower().encode())
    if not sent:
        return None
    if len(sent) > 1 or not _KEY.match(sent[0]):
        raise InvalidRequest([Fault(code="wrong_format", detail="send one key of 1 to 255 visible ASCII characters", parameter=HEADER)])
    return sent[0]


def require_key(request: Request[Any, Any, Any]) -> None:
    if read_key(request) is None:
        raise PreconditionMissing(f"send {HEADER}: this operation moves money or stock")
