"""An answer is read once for all, in every process, and whoever asks after a renewal is told what was read after it."""

import asyncio
from time import perf_counter
from types import GenericAlias
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from shared.domain.context import ANONYMOUS, OFTEN, Context, begin, current
from shared.domain.guard import OutboundInTransaction, hold, let_go
from shared.domain.once import Answer, Once, once
from shared.infra.cache import cached
from shared.infra.cache.cached import Cache, Public
from shared.infra.cache.store import CacheStore
from shared.infra.db.statements import count
from tests.chassis.cache.conftest import Book, Books, NoSuchBook, Process, Wanted


async def places(redis, name):
    return [place async for place in redis.scan_iter(match=f"*{name}}}:*")]


async def test_an_answer_is_read_once_and_then_kept_for_every_process(here, elsewhere):
    assert [await here.title(), await here.title(), await elsewhere.title()] == ["Dubliners"] * 3
    assert (here.books.read, elsewhere.books.read) == (["b1"], [])


async def test_five_hundred_that_ask_at_once_read_once(here):
    answers = await asyncio.gather(*(here.title() for _ in range(500)))
    assert set(answers) == {"Dubliners"}
    assert here.books.read == ["b1"]


async def test_processes_that_ask_at_once_read_once(redis, name):
    books = Books()
    processes = [Process(redis, name, books) for _ in range(8)]
    books.may_end.clear()
    asking = [process.asking() for process in processes for _ in range(25)]
    await books.begun.wait()
    books.may_end.set()
    assert set(await asyncio.gather(*asking)) == {"Dubliners"}
    assert books.read == ["b1"]


async def test_who_has_waited_long_enough_for_another_process_reads_alone_and_keeps_it(here, elsewhere, redis, name):
    here.books.may_end.clear()
    first = here.asking()
    await here.books.begun.wait()
    impatient = Process(redis, name, patience_s=0)
    assert await impatient.title() == "Dubliners"
    assert await elsewhere.title() == "Dubliners"
    assert (impatient.books.read, elsewhere.books.read) == (["b1"], [])
    here.books.may_end.set()
    await first


async def test_the_lease_of_a_process_that_died_ends(here, redis, name):
    here.books.may_end.clear()
    dead = here.asking()
    await here.books.begun.wait()
    [place] = await places(redis, name)
    assert 0 < await redis.pttl(place) <= 5_000
    here.books.may_end.set()
    await dead


async def test_after_a_renewal_everybody_reads_anew(here, elsewhere):
    await here.title()
    here.books.titles["b1"] = elsewhere.books.titles["b1"] = "A Portrait"
    await elsewhere.cache.renew()
    assert [await elsewhere.title(), await here.title()] == ["A Portrait"] * 2
    assert (here.books.read, elsewhere.books.read) == (["b1"], ["b1"])


async def test_what_was_read_before_a_renewal_is_kept_after_it_in_vain(here, elsewhere):
    here.books.may_end.clear()
    slow = here.asking()
    await here.books.begun.wait()
    elsewhere.books.titles["b1"] = "A Portrait"
    await elsewhere.cache.renew()
    here.books.may_end.set()
    assert await slow == "Dubliners", "who had asked before"
    assert await elsewhere.title() == "A Portrait"


async def test_a_slow_reader_does_not_replace_what_was_read_after_it(here, elsewhere):
    here.books.may_end.clear()
    slow = here.asking()
    await here.books.begun.wait()
    here.books.titles["b1"] = elsewhere.books.titles["b1"] = "A Portrait"
    await elsewhere.cache.renew()
    assert await elsewhere.title() == "A Portrait"
    here.books.may_end.set()
    await slow
    assert [await here.title(), await elsewhere.title()] == ["A Portrait"] * 2


async def test_who_asks_while_another_one_reads_is_told_what_was_read_after_they_asked(here):
    here.books.may_end.clear()
    slow = here.asking()
    await here.books.begun.wait()
    here.books.titles["b1"] = "A Portrait"
    await here.cache.renew()
    later = [here.asking() for _ in range(50)]
    here.books.may_end.set()
    assert await slow == "Dubliners"
    assert set(await asyncio.gather(*later)) == {"A Portrait"}
    assert here.books.read == ["b1"] * 2, "one of the fifty for all of them"


async def test_a_command_of_unknown_outcome_may_be_done_whenever(here, redis, name):
    """As when Redis hangs with commands in its buffers, and does them when nobody waits for them any more."""
    old = await here.store.look(name, "place", 60_000)
    await here.cache.renew()
    await here.store.keep(name, "place", old, b"old", 60_000)
    assert (await here.store.look(name, "place", 60_000)).kept is None

    new = await here.store.look(name, "place", 60_000)
    await here.store.keep(name, "place", new, b"new", 60_000)
    assert (await here.store.look(name, "place", 60_000)).kept == b"new"
    await here.store.keep(name, "place", old, b"old", 60_000)
    assert (await here.store.look(name, "place", 60_000)).kept is None
    await here.store.let_go(name, "place")
    assert (await here.store.look(name, "place", 60_000)).kept is None


async def test_looking_twice_with_one_command_does_not_bring_a_generation_back(here, redis, name, monkeypatch):
    monkeypatch.setattr("secrets.token_hex", lambda _: "always the same")
    old = await here.store.look(name, "place", 60_000)
    await here.store.keep(name, "place", old, b"old", 60_000)
    await here.cache.renew()
    assert (await here.store.look(name, "place", 60_000)).kept is None


async def test_a_life_begins_when_the_answer_was_looked_for_however_late_it_is_kept(here, redis, name):
    found = await here.store.look(name, "place", 60_000)
    await here.store.keep(name, "place", found._replace(at_ms=found.at_ms - 61_000), b"old", 60_000)
    assert await places(redis, name) == []


async def test_lives_end_and_not_all_at_the_same_time(here, redis, name):
    here.books.titles = {str(number): "x" for number in range(50)}
    await asyncio.gather(*(here.title(id) for id in here.books.titles))
    lives = [await redis.pttl(place) for place in await places(redis, name)]
    assert len(lives) == 50
    assert min(lives) > 0
    assert max(lives) <= 60_000
    assert max(lives) - min(lives) > 2_000
    [generation] = [key async for key in redis.scan_iter(match=f"*{name}}}")]
    assert max(lives) <= await redis.pttl(generation) <= 60_000


async def test_what_a_process_has_changed_it_sees_at_once(here, elsewhere):
    await asyncio.gather(here.title("b1"), here.title("b2"))
    for books in (here.books, elsewhere.books):
        books.titles = {"b1": "A Portrait", "b2": "Exiles"}
    here.cache.changed()
    assert list(await asyncio.gather(here.title("b1"), here.title("b2"))) == ["A Portrait", "Exiles"]
    assert [await elsewhere.title("b1"), await elsewhere.title("b2")] == ["A Portrait", "Exiles"]
    here.books.read.clear()
    await here.title("b1")
    assert here.books.read == []


class HeldUp(CacheStore):
    """Renews when it may."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis, "tests")
        self.may_renew = asyncio.Event()

    async def renew(self, cache: str, *, insist: bool = False) -> None:
        await self.may_renew.wait()
        await super().renew(cache, insist=insist)


async def test_what_a_process_has_changed_it_sees_whatever_it_asks_first(here, redis, name):
    await asyncio.gather(here.title("b1"), here.title("b2"))  # over two connections, which are open from now on
    store = HeldUp(redis)
    cache = Cache(store, name, Book, here.books.book, life_s=60)
    here.books.titles["b2"] = "Exiles"
    cache.changed()
    asking = [asyncio.create_task(cache.get(Wanted(id))) for id in ("b1", "b2")]
    await here.store.look(name, "any", 60_000)  # a round trip, in which the second would have got ahead
    store.may_renew.set()
    assert [book.title for book in await asyncio.gather(*asking)] == ["Dubliners", "Exiles"]


async def test_a_failure_is_everybodys_who_waits_and_is_not_kept(here, elsewhere):
    here.books.fails = NoSuchBook()
    answers = await asyncio.gather(*(here.title() for _ in range(50)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {NoSuchBook}
    assert here.books.read == ["b1"]
    assert await elsewhere.title() == "Dubliners", "at once: the lease was let go"


async def test_what_does_not_exist_is_asked_for_again(here):
    with pytest.raises(NoSuchBook):
        await here.title("b9")
    here.books.titles["b9"] = "Exiles"
    assert await here.title("b9") == "Exiles"


async def test_who_is_cancelled_does_not_take_others_along(here):
    here.books.may_end.clear()
    asking = [here.asking() for _ in range(6)]
    await here.books.begun.wait()
    for task in asking[::2]:
        task.cancel()
    here.books.may_end.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert [answer for answer in answers if not isinstance(answer, asyncio.CancelledError)] == ["Dubliners"] * 3
    assert here.books.read == ["b1"]


async def test_what_is_too_large_is_not_kept_and_holds_nobody_up(here, elsewhere, redis, name):
    for books in (here.books, elsewhere.books):
        books.titles["b1"] = "x" * cached.LARGEST
    assert [len(await process.title()) for process in (here, elsewhere)] == [cached.LARGEST] * 2
    assert await places(redis, name) == []


async def test_releases_that_know_another_shape_keep_apart_and_renew_together(here, redis, name):
    class Book2(Public, frozen=True):
        id: str
        title: str
        pages: int = 0

    books = Books()

    async def read(wanted: Wanted) -> Book2:
        return Book2(wanted.id, (await books.book(wanted)).title)

    later = Process(redis, name, answer=Book2, read=read)
    assert [await here.title(), await later.title(), await later.title(), await here.title()] == ["Dubliners"] * 4
    assert (here.books.read, books.read) == (["b1"], ["b1"])
    here.books.titles["b1"] = "A Portrait"
    await later.cache.renew()
    assert await here.title() == "A Portrait"


async def test_installations_that_share_a_redis_keep_apart(redis, name):
    one, other = Process(redis, name), Process(redis, name, installation="others")
    await one.title()
    await other.title()
    await other.cache.renew()
    await one.title()
    assert (one.books.read, other.books.read) == (["b1"], ["b1"])


async def test_what_cannot_be_decoded_is_replaced(here, redis, name):
    await here.title()
    [place] = await places(redis, name)
    kept = await redis.get(place)
    await redis.set(place, kept[:-3])
    assert [await here.title(), await here.title()] == ["Dubliners"] * 2
    assert here.books.read == ["b1"] * 2


async def test_never_inside_a_transaction(here):
    held = hold("tenon_shelf")
    with pytest.raises(OutboundInTransaction):
        await here.title()
    let_go(held)


async def test_what_a_reading_costs_is_told_to_those_who_wait_for_it(redis, name):
    async def read(wanted: Wanted) -> Book:
        for _ in range(OFTEN):
            count("select 1", perf_counter())
        return Book(wanted.id, "x")

    process = Process(redis, name, read=read)
    begin(Context(sent={}))
    await process.title()
    await process.title()
    assert current().sql_count == OFTEN
    assert current().sql_seconds > 0
    [loop] = current().repeats()
    assert (loop.statement, loop.count) == ("select 1", OFTEN)
    assert __name__.replace(".", "/") in loop.at


async def test_a_reading_is_on_nobodys_behalf(redis, name):
    seen = []

    async def read(wanted: Wanted) -> Book:
        context = current()
        seen.append((context.principal, context.deadline, context.trace_id, once.get()))
        return Book(wanted.id, "x")

    once.set(Once("usr_1 POST /v1/books", "key", b"", lambda _: Answer(201, b"")))
    await Process(redis, name, read=read).title()
    once.set(None)
    assert seen == [(ANONYMOUS, None, "", None)]


class Reader(msgspec.Struct, frozen=True):
    user_id: str


def test_what_is_not_said_to_be_the_same_for_everybody_cannot_be_cached(here):
    async def read(wanted: Wanted) -> Reader:
        return Reader("usr_1")

    with pytest.raises(TypeError, match="Reader is not said to be the same for everybody"):
        Cache(here.store, "readers", Reader, read, life_s=60)  # type: ignore[type-var]  # which mypy says, too


@pytest.mark.parametrize("field", ["email", "customer_id", "owner", "shipping_address", "access_token", "principal"])
def test_nothing_that_is_said_to_be_the_same_for_everybody_names_somebody(here, field):
    inner = msgspec.defstruct("Inner", [(field, str)], frozen=True)
    outer: Any = msgspec.defstruct("Outer", [("parts", GenericAlias(list, inner))], bases=(Public,), frozen=True)
    with pytest.raises(TypeError, match=f"{field} of Outer is somebody's"):
        Cache(here.store, "x", outer, here.books.book, life_s=60)
