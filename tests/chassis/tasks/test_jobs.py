"""Jobs: steps that happen once, progress and an end that can be followed, cancelling, and claims that fence."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from shared.domain.context import Context, Principal, begin, current
from shared.domain.errors import NotFound, RuleViolated
from shared.domain.jobs import Job, JobEnded, JobUnderway, Progress, Steps
from shared.infra.db.transact import Transact
from shared.infra.events.wakeup import Wakeup
from shared.infra.supervisor import supervised
from shared.infra.tasks.jobs import JobDesk
from shared.infra.tasks.kind import JobKind
from shared.infra.tasks.retry import DELAYS_S
from shared.infra.tasks.worker import TaskWorker
from shared.module import Module
from tests.chassis.conftest import Two
from tests.chassis.two_modules import Keeping, keeper
from tests.chassis.waiting import until

ADA = Principal("user", "usr_ada", frozenset({"manager"}))
EVE = Principal("user", "usr_eve", frozenset({"manager"}))
ROOT = Principal("user", "usr_root", frozenset({"admin"}))


class Walk(msgspec.Struct, frozen=True):
    """Over so many stones."""

    stones: int


class Stone(Progress, frozen=True):
    last: int = 0


Before = Callable[[int], Awaitable[None]]


class Walker:
    """A job that notes every stone in a table without a constraint: what happened twice is there twice. `before` each step."""

    def __init__(self, two: Two, before: Before | None = None) -> None:
        self.two = two
        self.before = before
        self.kind = JobKind("walk", Walk, Stone, self.run)

    async def run(self, walk: Walk, steps: Steps[Keeping, Stone]) -> str | None:
        while (stone := steps.progress.last + 1) <= walk.stones:
            if self.before is not None:
                await self.before(stone)

            async def work(keeping: Keeping, stone: int = stone) -> Stone:
                await keeping.uow.execute("insert into heard (subscription, version) values ('walk', $1)", stone)
                return Stone(done=stone, total=walk.stones, message=f"on stone {stone}", last=stone)

            await steps.step(work)
        return "/v1/banks/other"

    async def stones(self) -> list[int]:
        return [row["version"] for row in await self.two.admin.fetch("select version from keeper.heard order by seq")]

    def module(self) -> Module:
        return keeper(self.two.connections, tasks=[self.kind])

    def worker(self, *, claim_s: float = 15.0) -> TaskWorker:
        module = self.module()
        return TaskWorker([module], Wakeup([module.database]), claim_s=claim_s)

    async def begin(self, stones: int, *, by: Principal = ADA, unique: str | None = None) -> Job:
        begin(replace(current(), principal=by))

        async def work(keeping: Keeping) -> Job:
            return await keeping.uow.begin_job("walk", Walk(stones), unique=unique)

        return await Transact(self.module().database, Keeping, tasks=["walk"])(work)

    def desk(self) -> JobDesk:
        module = self.module()
        return JobDesk([(module.database, module.tasks)])


@pytest.fixture(autouse=True)
def fresh_context() -> None:
    begin(Context())


@pytest.fixture
def walker(two: Two) -> Walker:
    return Walker(two)


@pytest.fixture
async def gate(two: Two) -> tuple[Walker, asyncio.Event, asyncio.Event]:
    """A walker who waits before the third stone, once: that it has come there, and that it may go on."""
    came, go_on = asyncio.Event(), asyncio.Event()

    async def wait(stone: int) -> None:
        if stone == 3 and not came.is_set():
            came.set()
            await go_on.wait()

    return Walker(two, wait), came, go_on


async def row(two: Two) -> Any:
    return await two.admin.fetchrow("select * from keeper.task where kind = 'walk'")


async def test_a_job_is_followed_from_its_beginning_to_its_end(walker: Walker):
    job = await walker.begin(3)
    assert (job.status, job.progress, job.ended_at) == ("queued", None, None)
    assert await walker.desk().read(job.id, ADA) == job
    await walker.worker().drain()
    ended = await walker.desk().read(job.id, ADA)
    assert (ended.status, ended.result, ended.failure) == ("succeeded", "/v1/banks/other", None)
    assert ended.progress == Progress(done=3, total=3, message="on stone 3")
    assert ended.ended_at is not None
    assert await walker.stones() == [1, 2, 3]


async def test_a_job_that_runs_says_how_far_it_is(gate, two: Two):
    walker, came, go_on = gate
    job = await walker.begin(5)
    async with supervised(walker.worker().loops()):
        await came.wait()
        running = await walker.desk().read(job.id, ADA)
        go_on.set()
        await until(lambda: two.admin.fetchval("select state = 'done' from keeper.task where kind = 'walk'"))
    assert (running.status, running.progress) == ("running", Progress(done=2, total=5, message="on stone 2"))


async def test_it_is_found_by_who_began_it_and_by_an_administrator_and_by_nobody_else(walker: Walker):
    job = await walker.begin(1)
    desk = walker.desk()
    assert await desk.read(job.id, ROOT) == job
    for stranger in (EVE, Principal("cart", "usr_ada"), Principal()):
        with pytest.raises(NotFound):
            await desk.read(job.id, stranger)
        with pytest.raises(NotFound):
            await desk.cancel(job.id, stranger)
    assert (await desk.read(job.id, ADA)).status == "queued"


async def test_a_task_that_is_no_job_is_not_found(two: Two, walker: Walker):
    await two.admin.execute(
        """insert into keeper.task (id, kind, payload, headers) values ('t', 'chore', '{}', '{"actor": "user:usr_ada"}')"""
    )
    for reader in (ADA, ROOT):
        with pytest.raises(NotFound):
            await walker.desk().read("t", reader)


async def test_a_waiting_job_is_cancelled_at_once_and_never_runs(walker: Walker, two: Two):
    job = await walker.begin(3)
    cancelled = await walker.desk().cancel(job.id, ADA)
    assert (cancelled.status, cancelled.ended_at is None) == ("cancelled", False)
    assert await walker.desk().cancel(job.id, ROOT) == cancelled, "safe to repeat"
    assert await walker.worker().drain() == 0
    found = await row(two)
    assert (found["state"], found["reason"], found["ended_by"]) == ("discarded", "cancelled", "user:usr_ada")


async def test_a_running_job_is_seen_to_be_cancelled_and_ends_between_two_steps(gate, two: Two):
    walker, came, go_on = gate
    job = await walker.begin(9)
    async with supervised(walker.worker().loops()):
        await came.wait()
        assert (await walker.desk().cancel(job.id, ROOT)).status == "cancelling"
        assert (await walker.desk().cancel(job.id, ROOT)).status == "cancelling", "safe to repeat"
        go_on.set()
        await until(lambda: two.admin.fetchval("select state = 'discarded' from keeper.task where kind = 'walk'"))
    ended = await walker.desk().read(job.id, ADA)
    assert (ended.status, ended.progress) == ("cancelled", Progress(done=2, total=9, message="on stone 2"))
    assert await walker.stones() == [1, 2], "what was done stays done"
    assert (await row(two))["ended_by"] == "user:usr_root"


async def test_what_has_ended_cannot_be_cancelled(walker: Walker):
    job = await walker.begin(1)
    await walker.worker().drain()
    with pytest.raises(JobEnded):
        await walker.desk().cancel(job.id, ADA)


async def test_a_cancelled_job_is_not_tried_again_after_an_error_or_the_end_of_its_worker(two: Two):
    async def fail(stone: int) -> None:
        await two.admin.execute("update keeper.task set cancelled_by = 'user:usr_ada' where kind = 'walk'")
        raise ValueError("broken")

    walker = Walker(two, fail)
    first = await walker.begin(1)
    await walker.worker().drain()
    assert (await walker.desk().read(first.id, ADA)).status == "cancelled"
    second = await walker.begin(1)
    await two.admin.execute(
        "update keeper.task set state = 'claimed', claim = 'gone', claimed_until = now(), cancelled_by = 'user:usr_ada' where id = $1",
        second.id,
    )
    await walker.worker().drain()
    assert (await walker.desk().read(second.id, ADA)).status == "cancelled"


async def test_a_second_job_of_one_unique_value_is_refused_until_the_first_has_ended(walker: Walker):
    first = await walker.begin(1, unique="bank")
    with pytest.raises(JobUnderway) as refused:
        await walker.begin(1, unique="bank", by=EVE)
    assert refused.value.facts == {"job_id": first.id}
    await walker.begin(1, unique="other bank")
    await walker.worker().drain()
    await walker.begin(1, unique="bank")


async def test_of_fifty_that_begin_at_once_one_begins(walker: Walker, two: Two):
    answers = await asyncio.gather(*(walker.begin(1, unique="bank") for _ in range(50)), return_exceptions=True)
    (begun,) = [answer for answer in answers if isinstance(answer, Job)]
    assert {answer.facts["job_id"] for answer in answers if isinstance(answer, JobUnderway)} == {begun.id}
    assert await two.admin.fetchval("select array_agg(id) from keeper.task") == [begun.id]


async def test_after_an_error_it_goes_on_where_it_was_and_its_tries_are_counted_anew(two: Two):
    fails = {2: 1, 3: 1}

    async def fail(stone: int) -> None:
        if fails.get(stone, 0):
            fails[stone] -= 1
            raise ValueError("slipped")

    walker = Walker(two, fail)
    job = await walker.begin(4)
    for done in (1, 2):
        await walker.worker().drain()
        assert (await row(two))["attempts"] == 1
        assert (await walker.desk().read(job.id, ADA)).status == "queued"
        assert await walker.stones() == list(range(1, done + 1))
        await two.admin.execute("update keeper.task set due_at = now() where state = 'ready'")
    await walker.worker().drain()
    assert (await walker.desk().read(job.id, ADA)).status == "succeeded"
    assert await walker.stones() == [1, 2, 3, 4]


async def test_one_that_keeps_failing_is_given_up_and_says_nothing_of_the_error(two: Two):
    async def fail(stone: int) -> None:
        raise ValueError("the password is sesame")

    walker = Walker(two, fail)
    job = await walker.begin(1)
    for _ in range(len(DELAYS_S) + 1):
        await walker.worker().drain()
        await two.admin.execute("update keeper.task set due_at = now() where state = 'ready'")
    ended = await walker.desk().read(job.id, ADA)
    assert ended.status == "failed"
    assert ended.failure is not None
    assert ended.failure.code == "internal_error"
    assert "sesame" not in str(ended)


async def test_a_refusal_is_its_end_and_is_told(two: Two):
    async def refuse(stone: int) -> None:
        if stone == 2:
            raise RuleViolated("the stone is wet")

    walker = Walker(two, refuse)
    job = await walker.begin(3)
    await walker.worker().drain()
    ended = await walker.desk().read(job.id, ADA)
    assert (ended.status, ended.result) == ("failed", None)
    assert ended.failure is not None
    assert (ended.failure.code, ended.failure.detail) == ("rule_violated", "the stone is wet")
    assert (await row(two))["state"] == "done", "nobody has to decide on it"


async def test_who_has_lost_the_claim_changes_nothing_more_and_the_other_does_every_step_once(gate, two: Two):
    """The first worker stands still for longer than its claim; the second takes the job and ends it; then the first wakes up."""
    walker, came, go_on = gate
    await walker.begin(5)
    slow = asyncio.create_task(walker.worker().drain())
    await came.wait()
    await two.admin.execute("update keeper.task set claimed_until = now() - interval '1 second'")
    assert await walker.worker().drain() == 1
    go_on.set()
    await slow
    assert await walker.stones() == [1, 2, 3, 4, 5]
    found = await row(two)
    assert (found["state"], found["lost"]) == ("done", 0)


async def test_who_has_lost_the_claim_changes_nothing_while_the_other_is_at_work(two: Two):
    """The first stands before the third stone, the second, who has the job now, before the fifth; then the first wakes up."""
    came, go_on = [asyncio.Event(), asyncio.Event()], [asyncio.Event(), asyncio.Event()]

    async def wait(stone: int) -> None:
        place = {3: 0, 5: 1}.get(stone)
        if place is not None and not came[place].is_set():
            came[place].set()
            await go_on[place].wait()

    walker = Walker(two, wait)
    await walker.begin(6)
    slow = asyncio.create_task(walker.worker().drain())
    await came[0].wait()
    await two.admin.execute("update keeper.task set claimed_until = now() - interval '1 second'")
    quick = asyncio.create_task(walker.worker().drain())
    await came[1].wait()
    go_on[0].set()
    await slow
    assert await walker.stones() == [1, 2, 3, 4]
    go_on[1].set()
    await quick
    assert await walker.stones() == [1, 2, 3, 4, 5, 6]


async def test_whoever_cannot_renew_is_stopped_when_the_claim_ends(gate, two: Two):
    """Nothing renews here, as in a process that the database has left."""
    walker, came, _ = gate
    await walker.begin(5)
    bench = walker.worker(claim_s=2.0)._benches[-1]
    (task,) = await bench._claim(1)
    await bench._run(task)
    assert came.is_set()
    assert await walker.stones() == [1, 2]
    assert (await row(two))["state"] == "claimed", "nobody gives back what is not theirs"
    await until(lambda: two.admin.fetchval("select claimed_until < now() from keeper.task where kind = 'walk'"))
    await walker.worker().drain()
    assert await walker.stones() == [1, 2, 3, 4, 5]


async def test_a_long_job_keeps_its_claim_by_its_steps_and_by_renewals(gate, two: Two):
    walker, came, go_on = gate
    await walker.begin(4)
    async with supervised(walker.worker(claim_s=0.3).loops()):
        await came.wait()
        ends = (await row(two))["claimed_until"]
        await until(
            lambda: two.admin.fetchval(
                "select claimed_until > $1::timestamptz + interval '1 second' from keeper.task where kind = 'walk'", ends
            )
        )
        go_on.set()
        await until(lambda: two.admin.fetchval("select state = 'done' and attempts = 1 from keeper.task where kind = 'walk'"))
    assert await walker.stones() == [1, 2, 3, 4]


async def test_a_stop_gives_the_job_back_and_another_worker_goes_on(gate, two: Two):
    walker, came, _ = gate
    await walker.begin(4)
    async with supervised(walker.worker().loops(), grace_s=0.1):
        await came.wait()
    found = await row(two)
    assert (found["state"], found["attempts"], found["lost"]) == ("ready", 0, 0)
    await walker.worker().drain()
    assert await walker.stones() == [1, 2, 3, 4]


async def test_a_step_that_holds_its_row_does_not_keep_the_renewals_of_others_waiting(two: Two):
    """Renewing passes over what a step has locked, and tells the other one that it is cancelled."""
    walker = Walker(two)
    first, second = await walker.begin(1), await walker.begin(1)
    bench = walker.worker()._benches[-1]
    tasks = {task.id: task for task in await bench._claim(2)}
    ends = {id: task.ends for id, task in tasks.items()}
    await two.admin.execute("update keeper.task set cancelled_by = 'me' where id = $1", second.id)
    async with two.admin.transaction():
        await two.admin.execute("select from keeper.task where id = $1 for update", first.id)
        assert await bench._claims.renew(list(tasks.values())) == []
    assert tasks[first.id].ends == ends[first.id]
    assert tasks[second.id].ends > ends[second.id]
    assert (tasks[first.id].cancelled.is_set(), tasks[second.id].cancelled.is_set()) == (False, True)


async def test_jobs_take_no_place_of_short_tasks(two: Two):
    gone = asyncio.Event()

    async def wait(stone: int) -> None:
        await gone.wait()

    walker = Walker(two, wait)
    for _ in range(10):
        await walker.begin(1)
    async with supervised(walker.worker().loops()):
        await until(lambda: two.admin.fetchval("select count(*) = 2 from keeper.task where state = 'claimed'"))
        await two.admin.execute("insert into keeper.task (id, kind, payload, headers) values ('short', 'keeper.forget_rows', '{}', '{}')")
        await until(lambda: two.admin.fetchval("select state = 'done' from keeper.task where id = 'short'"))
        gone.set()
        await until(lambda: two.admin.fetchval("select count(*) = 10 from keeper.task where kind = 'walk' and state = 'done'"))
