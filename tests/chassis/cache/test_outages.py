"""Without Redis everything is read as if there were no cache, after one short wait and with one line in the log."""

import asyncio

import pytest
from redis.exceptions import RedisError
from structlog.testing import capture_logs

from shared.domain.errors import Unavailable
from tests.chassis.cache.conftest import Process
from tests.chassis.waiting import until


async def test_flushed_everything_is_read_anew(breakable_redis, name):
    process = Process(breakable_redis, name)
    await process.title()
    await breakable_redis.flushall()
    assert await process.title() == "Dubliners"
    assert process.books.read == ["b1"] * 2


async def test_flushed_while_reading_nothing_old_is_kept(breakable_redis, name):
    """The server has forgotten that the value was invalidated; it has forgotten the lease, too."""
    process, other = Process(breakable_redis, name), Process(breakable_redis, name)
    process.books.may_end.clear()
    slow = asyncio.create_task(process.title())
    await process.books.begun.wait()
    process.books.titles["b1"] = other.books.titles["b1"] = "A Portrait"
    await other.invalidate("b1")
    await breakable_redis.flushall()
    process.books.may_end.set()
    assert await slow == "A Portrait"
    assert await other.title() == "A Portrait"


async def test_gone_it_is_done_without_and_said_once_in_a_while(breakable, breakable_redis, name):
    process = Process(breakable_redis, name)
    await process.title()
    breakable.stop()
    with capture_logs() as lines:
        for _ in range(20):
            assert await process.title() == "Dubliners"
        assert [line["event"] for line in lines] == ["cache_silent"]
        process.clock.time += 6
        answers = await asyncio.gather(*(process.title(id) for id in ("b1", "b2") for _ in range(50)))
    assert set(answers) == {"Dubliners", "Ulysses"}
    assert [line["event"] for line in lines] == ["cache_silent"] * 2
    assert len(process.books.read) == 1 + 20 + 2, "and still once for all who ask together"


async def test_gone_while_reading_the_value_is_answered(breakable, breakable_redis, name):
    process = Process(breakable_redis, name)
    process.books.may_end.clear()
    asking = asyncio.create_task(process.title())
    await process.books.begun.wait()
    breakable.stop()
    process.books.may_end.set()
    assert await asking == "Dubliners"
    assert process.books.read == ["b1"]


async def test_hung_it_costs_one_short_wait(breakable, breakable_redis, name):
    process = Process(breakable_redis, name, answer_s=0.05)
    await process.title()
    breakable.hang()
    with capture_logs() as lines:
        answers = await asyncio.gather(*(process.title(id) for id in ("b1", "b2") for _ in range(250)))
        answers += [await process.title() for _ in range(20)]
    assert set(answers) == {"Dubliners", "Ulysses"}
    assert [(line["event"], line["reason"]) for line in lines] == [("cache_silent", "late")]
    assert len(process.books.read) == 1 + 2 + 20


async def test_hung_and_back_again_it_serves_and_keeps_nothing_old(breakable, breakable_redis, name):
    process = Process(breakable_redis, name, answer_s=0.05)
    process.books.may_end.clear()
    slow = asyncio.create_task(process.title())
    await process.books.begun.wait()
    breakable.hang()
    process.books.may_end.set()
    assert await slow == "Dubliners", "the value is stored whenever the server goes on, or never"
    process.books.titles["b1"] = "A Portrait"
    with pytest.raises(Unavailable):
        await process.invalidate("b1")
    breakable.go_on()
    await process.invalidate("b1")

    async def served() -> bool:
        process.clock.time += 6
        process.books.read.clear()
        assert await process.title() == "A Portrait"
        return not process.books.read

    await until(served)


async def test_what_cannot_be_invalidated_says_so_that_it_is_tried_again(breakable, breakable_redis, name):
    process = Process(breakable_redis, name)
    breakable.stop()
    for invalidate in (lambda: process.invalidate("b1"), process.cache.invalidate_all):
        with pytest.raises(Unavailable):
            await invalidate()


async def test_it_is_invalidated_also_while_it_is_not_asked(breakable, breakable_redis, name):
    process, other = Process(breakable_redis, name, answer_s=0.05), Process(breakable_redis, name)
    await other.title()
    breakable.hang()
    await process.title()
    breakable.go_on()
    other.books.titles["b1"] = "A Portrait"
    await process.invalidate("b1")
    assert await other.title() == "A Portrait"


async def test_a_server_that_refuses_is_done_without(breakable_redis, name):
    process = Process(breakable_redis, name)
    await breakable_redis.config_set("maxmemory", "1")
    with pytest.raises(RedisError):
        await breakable_redis.set("x", "y")
    assert await process.title() == "Dubliners"
    await breakable_redis.config_set("maxmemory", "0")
    process.clock.time += 6
    assert [await process.title(), await process.title()] == ["Dubliners"] * 2
    assert process.books.read == ["b1"] * 2
