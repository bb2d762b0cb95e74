"""The same Idempotency-Key has one effect, and the answer that belongs to it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import asyncpg
import msgspec
import pytest

from shared.domain.errors import Declined
from shared.domain.once import AlreadyDone, Answer, AnswerTooLarge, InFlight, KeyReused, Once, Pending, once
from shared.infra.db import once as idempotency
from shared.infra.db.once import KEYS
from tests.chassis.db.till import ERRAND, Errand, Result, move


def render(result: Any) -> Answer:
    return Answer(201, msgspec.json.encode(result), (("location", "/v1/moves/a"), ("etag", '"2"')))


WANTED = Once("user:usr_1 POST /v1/moves", "key-1", b"fingerprint", render)


async def asked(transact: Any, work: Callable[[Any], Any], wanted: Once = WANTED) -> Any:
    """A request of its own: the variable is set in its task alone."""

    async def request() -> Any:
        once.set(wanted)
        result = await transact(work)
        assert once.get() is None
        return result

    return await asyncio.create_task(request())


async def add_five(unit):
    return await move(unit, "a", 5)


async def test_a_repeated_request_gets_the_first_answer_and_does_nothing(transact, admin):
    account = await asked(transact, add_five)

    with pytest.raises(AlreadyDone) as replayed:
        await asked(transact, add_five)

    assert replayed.value.answer == render(account)
    assert await admin.fetchval("select balance from account where id = 'a'") == 105


async def test_another_request_with_the_same_key_is_refused(transact, admin):
    await asked(transact, add_five)

    with pytest.raises(KeyReused):
        await asked(transact, add_five, replace(WANTED, fingerprint=b"another"))

    assert await admin.fetchval("select balance from account where id = 'a'") == 105


async def test_the_same_key_of_another_caller_is_another_key(transact, admin):
    await asked(transact, add_five)
    await asked(transact, add_five, replace(WANTED, scope="user:usr_2 POST /v1/moves"))

    assert await admin.fetchval("select balance from account where id = 'a'") == 110


async def test_while_the_first_request_runs_the_second_is_told_so(transact):
    has_begun, may_end = asyncio.Event(), asyncio.Event()

    async def slow(unit):
        has_begun.set()
        await may_end.wait()
        return await add_five(unit)

    first = asyncio.create_task(asked(transact, slow))
    await has_begun.wait()
    with pytest.raises(InFlight):
        await asked(transact, add_five)
    may_end.set()

    assert (await first).balance == 105


async def test_fifty_at_once_have_one_effect(transact, admin):
    answers = await asyncio.gather(*(asked(transact, add_five) for _ in range(50)), return_exceptions=True)

    assert await admin.fetchval("select balance from account where id = 'a'") == 105
    assert await admin.fetchval("select count(*) from event") == 1
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 1
    assert all(isinstance(answer, AlreadyDone | InFlight) for answer in answers if isinstance(answer, BaseException))


async def test_a_refusal_leaves_no_trace_and_the_key_may_be_used_again(transact, admin):
    async def refused(unit):
        await add_five(unit)
        raise Declined("no")

    with pytest.raises(Declined):
        await asked(transact, refused)
    assert await admin.fetchval("select count(*) from idempotency_key") == 0

    assert (await asked(transact, add_five)).balance == 105


async def test_an_attempt_that_is_run_again_claims_the_key_again(transact, admin):
    attempts = 0

    async def once_interrupted(unit):
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            await admin.fetchval("select pg_terminate_backend($1, 5000)", await unit.fetchval("select pg_backend_pid()"))
        return await add_five(unit)

    await asked(transact, once_interrupted)

    assert attempts == 2
    with pytest.raises(AlreadyDone):
        await asked(transact, add_five)


async def test_only_the_first_transaction_of_a_request_is_answered_for(transact, admin):
    async def request():
        once.set(WANTED)
        await transact(add_five)
        return await transact(add_five)

    assert (await asyncio.create_task(request())).balance == 110
    assert await admin.fetchval("select count(*) from idempotency_key") == 1


async def test_a_read_only_transaction_is_answered_for_too(transact):
    async def look(unit):
        return await unit.fetchval("select balance from account where id = 'a'")

    assert await asked(transact, look) == 100
    with pytest.raises(AlreadyDone):
        await asked(transact, look)


async def test_an_answer_that_is_too_large_is_a_clear_error_and_nothing_is_kept(transact, admin):
    with pytest.raises(AnswerTooLarge, match="65537 bytes"):
        await asked(transact, add_five, replace(WANTED, render=lambda _: Answer(200, b"x" * 65_537)))

    assert await admin.fetchval("select balance from account where id = 'a'") == 100


async def begin_errand(unit):
    return Pending(unit.begin_saga(ERRAND.name, Errand("a"), key="a"))


@pytest.mark.parametrize("ended", ["done", "failed"])
async def test_a_flow_is_in_flight_until_its_saga_has_ended_and_then_its_outcome_is_the_answer(transact, admin, ended):
    flow = replace(WANTED, outcome=Result)
    pending = await asked(transact, begin_errand, flow)
    assert tuple(await admin.fetchrow("select status, body, saga_id from idempotency_key")) == (None, None, pending.saga_id)

    with pytest.raises(InFlight):
        await asked(transact, begin_errand, flow)
    await admin.execute('update saga set state = $1, ended_at = now(), outcome = \'{"account_id": "a"}\'', ended)

    with pytest.raises(AlreadyDone) as replayed:
        await asked(transact, begin_errand, flow)
    assert replayed.value.answer == render(Result("a"))
    assert await admin.fetchval("select count(*) from saga") == 1


async def test_expired_keys_are_removed_in_small_chunks_and_no_others(transact, database, admin):
    for key in ("1", "2", "3", "4"):
        await asked(transact, add_five, replace(WANTED, key=key, keep_days=30))
    await admin.execute("update idempotency_key set expires_at = now() - interval '1 second' where key < '4'")

    assert [await database.fetchval(KEYS.forget, 2, KEYS.keep) for _ in range(3)] == [2, 1, 0]
    assert await admin.fetchval("select key from idempotency_key") == "4"
    assert await admin.fetchval("select expires_at > now() + interval '29 days' from idempotency_key")


async def test_a_kept_answer_cannot_be_changed_by_the_module(database, transact):
    await asked(transact, add_five)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await database.fetch("update idempotency_key set status = 200")


async def test_a_commit_between_the_snapshot_and_the_lock_is_seen(transact, admin, monkeypatch):
    """The second request's statement begins, then waits at a gate until the first has committed, then gets the lock."""
    gate = 42
    passed = f"(select (pg_advisory_xact_lock({gate}) is null)::integer::bigint as nothing) as gate"
    gated = idempotency._CLAIM.replace("idempotency_claim($1", f"{passed}, idempotency_claim($1 + nothing")
    assert gated != idempotency._CLAIM
    waiting = f"select count(*) from pg_locks where locktype = 'advisory' and objid = {gate} and not granted"

    await admin.execute(f"select pg_advisory_lock({gate})")
    with monkeypatch.context() as patched:
        patched.setattr(idempotency, "_CLAIM", gated)
        second = asyncio.create_task(asked(transact, add_five))
        while not (second.done() or await admin.fetchval(waiting)):
            await asyncio.sleep(0.001)  # between two looks at the locks
    await asked(transact, add_five)
    await admin.execute(f"select pg_advisory_unlock({gate})")

    with pytest.raises(AlreadyDone):
        await second
    assert await admin.fetchval("select balance from account where id = 'a'") == 105
