"""Without Redis everything is read as if there were no cache, after one short wait; with it again nothing old is believed."""

import asyncio

import pytest
from redis.exceptions import RedisError
from structlog.testing import capture_logs

from shared.domain.errors import Unavailable
from shared.infra.http.breaker import State
from tests.chassis.cache.conftest import Process
from tests.chassis.waiting import until

LEFT_ALONE_S = 5.1


async def test_flushed_everything_is_read_anew(breakable_redis, name):
    process = Process(breakable_redis, name)
    await process.title()
    await breakable_redis.flushall()
    await breakable_redis.script_flush()
    assert [await process.title(), await process.title()] == ["Dubliners"] * 2
    assert process.books.read == ["b1"] * 2


async def test_flushed_after_a_renewal_nothing_is_believed_that_was_read_before_it(breakable_redis, name):
    """The server has forgotten the renewal, and with it the generation under which the old answer will be kept."""
    process, other = Process(breakable_redis, name), Process(breakable_redis, name)
    process.books.may_end.clear()
    slow = process.asking()
    await process.books.begun.wait()
    other.books.titles["b1"] = "A Portrait"
    await other.cache.renew()
    await breakable_redis.flushall()
    process.books.may_end.set()
    await slow
    assert await other.title() == "A Portrait"


async def test_killed_it_is_done_without_and_back_again_it_serves(breakable, breakable_redis, name):
    process = Process(breakable_redis, name)
    await process.title()
    breakable.kill()
    with capture_logs() as lines:
        for _ in range(20):
            assert await process.title() == "Dubliners"
        assert [(line["event"], line["state"]) for line in lines] == [("cache_breaker", "open")]
        process.books.read.clear()
        answers = await asyncio.gather(*(process.title(id) for id in ("b1", "b2") for _ in range(50)))
    assert set(answers) == {"Dubliners", "Ulysses"}
    assert sorted(process.books.read) == ["b1", "b2"], "still once for all who ask together"

    breakable.start()
    process.books.titles["b1"] = "A Portrait"
    process.clock.time += LEFT_ALONE_S
    assert [await process.title(), await process.title()] == ["A Portrait"] * 2
    process.books.read.clear()
    assert await process.title() == "A Portrait"
    assert process.books.read == []


async def test_who_listens_hears_that_redis_is_left_alone_and_asked_again(breakable, breakable_redis, name):
    heard: list[tuple[str, str, str]] = []

    def listen(client: str, target: str, state: State) -> None:
        heard.append((client, target, state))

    process = Process(breakable_redis, name, changed=listen)
    breakable.kill()
    await process.title()
    breakable.start()
    process.clock.time += LEFT_ALONE_S
    await process.title()
    assert heard == [("cache", "redis", state) for state in ("open", "half_open", "closed")]


async def test_killed_while_reading_the_answer_is_told_all_the_same(breakable, breakable_redis, name):
    process = Process(breakable_redis, name)
    process.books.may_end.clear()
    asking = process.asking()
    await process.books.begun.wait()
    breakable.kill()
    process.books.may_end.set()
    assert await asking == "Dubliners"
    assert process.books.read == ["b1"]


async def test_hung_it_costs_one_wait(breakable, breakable_redis, name):
    process = Process(breakable_redis, name)
    await process.title()
    breakable.hang()
    with capture_logs() as lines:
        answers = await asyncio.gather(*(process.title(id) for id in ("b1", "b2") for _ in range(250)))
        answers += [await process.title() for _ in range(20)]
    assert set(answers) == {"Dubliners", "Ulysses"}
    assert [(line["event"], line["state"]) for line in lines] == [("cache_breaker", "open")]
    assert len(process.books.read) == 1 + 2 + 20


async def test_hung_with_an_answer_and_a_renewal_in_its_buffers_it_goes_on_and_tells_nothing_old(breakable, breakable_redis, name):
    process = Process(breakable_redis, name)
    process.books.may_end.clear()
    slow = process.asking()
    await process.books.begun.wait()
    breakable.hang()
    process.books.may_end.set()
    assert await slow == "Dubliners", "which is kept whenever the server goes on, or never"
    process.books.titles["b1"] = "A Portrait"
    with pytest.raises(Unavailable):
        await process.cache.renew()
    breakable.go_on()
    await process.cache.renew()

    async def served() -> bool:
        process.clock.time += LEFT_ALONE_S
        process.books.read.clear()
        assert await process.title() == "A Portrait"
        return not process.books.read

    await until(served)


async def test_a_renewal_that_redis_does_not_hear_says_so_that_it_is_tried_again(breakable, breakable_redis, name):
    process = Process(breakable_redis, name)
    breakable.kill()
    for _ in range(2):
        with pytest.raises(Unavailable):
            await process.cache.renew()


async def test_it_is_renewed_also_while_it_is_left_alone(breakable, breakable_redis, name):
    process, other = Process(breakable_redis, name), Process(breakable_redis, name)
    await other.title()
    breakable.hang()
    await process.title()
    breakable.go_on()
    other.books.titles["b1"] = "A Portrait"
    await process.cache.renew()
    assert await other.title() == "A Portrait"


async def test_what_a_process_has_changed_it_sees_also_while_redis_hangs_and_tells_the_others_afterwards(breakable, breakable_redis, name):
    process, other = Process(breakable_redis, name), Process(breakable_redis, name)
    await process.title()
    breakable.hang()
    process.books.titles["b1"] = other.books.titles["b1"] = "A Portrait"
    process.cache.changed()
    assert [await process.title(), await process.title()] == ["A Portrait"] * 2
    breakable.go_on()
    process.clock.time += LEFT_ALONE_S
    assert [await process.title(), await other.title()] == ["A Portrait"] * 2


async def test_a_server_that_refuses_is_done_without(breakable_redis, name):
    process = Process(breakable_redis, name)
    await breakable_redis.config_set("maxmemory", "1")
    with pytest.raises(RedisError):
        await breakable_redis.set("x", "y")
    assert await process.title() == "Dubliners"
    await breakable_redis.config_set("maxmemory", "0")
    process.clock.time += LEFT_ALONE_S
    assert [await process.title(), await process.title()] == ["Dubliners"] * 2
    assert process.books.read == ["b1"] * 2
