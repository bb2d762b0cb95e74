"""A value is read once for all, in every process, and never after it was invalidated."""

import asyncio
from types import GenericAlias
from typing import Protocol
from uuid import uuid4

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain.context import ANONYMOUS, Context, Principal, begin, current
from shared.domain.errors import NotFound, Unavailable
from shared.domain.guard import OutboundInTransaction, hold, let_go
from shared.domain.once import once
from shared.infra.cache.cached import Cache, Key
from tests.chassis.cache.conftest import Book, Books, Process, Reader


async def test_a_value_is_read_once_and_then_kept_for_every_process(here, elsewhere):
    assert [await here.title(), await here.title(), await elsewhere.title()] == ["Dubliners"] * 3
    assert (here.books.read, elsewhere.books.read) == (["b1"], [])


async def test_five_hundred_that_ask_at_once_read_once(here):
    here.books.may_end.clear()
    asking = [asyncio.create_task(here.title()) for _ in range(500)]
    await here.books.begun.wait()
    here.books.may_end.set()
    assert set(await asyncio.gather(*asking)) == {"Dubliners"}
    assert here.books.read == ["b1"]


async def test_processes_that_ask_at_once_read_once(redis, name):
    books = Books()
    processes = [Process(redis, name, books, patience_s=30) for _ in range(8)]
    books.may_end.clear()
    asking = [asyncio.create_task(process.title()) for process in processes for _ in range(25)]
    await books.begun.wait()
    books.may_end.set()
    assert set(await asyncio.gather(*asking)) == {"Dubliners"}
    assert books.read == ["b1"]


async def test_who_waits_for_another_process_too_long_reads_without_keeping(here, redis, name):
    here.books.may_end.clear()
    first = asyncio.create_task(here.title())
    await here.books.begun.wait()
    impatient = Process(redis, name, patience_s=0)
    assert [await impatient.title(), await impatient.title()] == ["Dubliners"] * 2
    assert impatient.books.read == ["b1"] * 2
    here.books.may_end.set()
    await first


async def test_an_invalidated_value_is_read_anew_everywhere(here, elsewhere):
    await here.title()
    await here.title("b2")
    elsewhere.books.titles["b1"] = "A Portrait"
    await here.invalidate("b1")
    assert [await elsewhere.title(), await here.title()] == ["A Portrait"] * 2
    await here.title("b2")
    assert here.books.read == ["b1", "b2"], "the other one is kept"


@pytest.mark.parametrize("everything", [False, True])
async def test_what_was_read_before_an_invalidation_is_neither_kept_nor_answered(here, elsewhere, everything):
    here.books.may_end.clear()
    slow = asyncio.create_task(here.title())
    await here.books.begun.wait()

    here.books.titles["b1"] = elsewhere.books.titles["b1"] = "A Portrait"
    await (elsewhere.cache.invalidate_all() if everything else elsewhere.invalidate("b1"))
    later = asyncio.create_task(here.title())
    here.books.may_end.set()

    assert [await slow, await later] == ["A Portrait"] * 2
    assert here.books.read == ["b1", "b1"]
    assert [await elsewhere.title(), await here.title()] == ["A Portrait"] * 2


async def test_a_slow_reader_does_not_replace_what_was_read_after_it(here, elsewhere):
    here.books.may_end.clear()
    slow = asyncio.create_task(here.title())
    await here.books.begun.wait()
    elsewhere.books.titles["b1"] = "A Portrait"
    await elsewhere.invalidate("b1")
    assert await elsewhere.title() == "A Portrait"
    here.books.may_end.set()
    assert await slow == "A Portrait"
    assert await here.title() == "A Portrait"


async def test_an_older_reading_that_ends_leaves_the_newer_one_to_those_who_come(here):
    older, newer = asyncio.Event(), asyncio.Event()
    here.books.may_end = older
    first = asyncio.create_task(here.title())
    await here.books.begun.wait()
    await here.invalidate("b1")
    here.books.may_end = newer
    here.books.begun.clear()
    second = asyncio.create_task(here.title())
    await here.books.begun.wait()

    here.books.fails = NotFound("no such book")
    older.set()
    with pytest.raises(NotFound):
        await first
    here.books.fails = None
    third = asyncio.create_task(here.title())
    await asyncio.sleep(0)
    newer.set()
    assert [await second, await third] == ["Dubliners"] * 2
    assert here.books.read == ["b1"] * 2


@pytest.mark.parametrize("everything", [False, True])
async def test_who_asks_here_after_an_invalidation_here_does_not_join_an_older_reading(here, everything):
    here.books.may_end.clear()
    slow = asyncio.create_task(here.title())
    await here.books.begun.wait()
    here.books.titles["b1"] = "A Portrait"
    await (here.cache.invalidate_all() if everything else here.invalidate("b1"))
    here.books.begun.clear()
    later = asyncio.create_task(here.title())
    await here.books.begun.wait()
    here.books.may_end.set()
    assert await later == "A Portrait"
    assert await slow == "A Portrait"


async def test_everything_of_a_cache_can_be_invalidated_and_nothing_of_others(here, redis, name):
    other = Process(redis, f"{name}_other")
    for id in ("b1", "b2"):
        await here.title(id)
        await other.title(id)
    await here.cache.invalidate_all()
    for id in ("b1", "b2"):
        await here.title(id)
        await other.title(id)
    assert (len(here.books.read), len(other.books.read)) == (4, 2)


async def test_nothing_to_invalidate_is_fine(here):
    await here.invalidate()


async def test_a_value_that_does_not_exist_is_not_kept(here):
    assert await here.title("b9") is None
    here.books.titles["b9"] = "Exiles"
    assert await here.title("b9") == "Exiles"


async def test_a_failure_is_everybodys_and_is_not_kept(here):
    here.books.fails = NotFound("no such book")
    answers = await asyncio.gather(*(here.title() for _ in range(50)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {NotFound}
    assert here.books.read == ["b1"]
    here.books.fails = None
    assert await here.title() == "Dubliners"
    assert here.books.read == ["b1"] * 2


async def test_who_is_cancelled_does_not_take_others_along(here):
    here.books.may_end.clear()
    asking = [asyncio.create_task(here.title()) for _ in range(6)]
    await here.books.begun.wait()
    for task in asking[::2]:
        task.cancel()
    here.books.may_end.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert [answer for answer in answers if not isinstance(answer, asyncio.CancelledError)] == ["Dubliners"] * 3
    assert here.books.read == ["b1"]


async def test_a_reading_that_takes_too_long_ends(redis, name):
    process = Process(redis, name, load_s=0.05)
    process.books.may_end.clear()
    with pytest.raises(Unavailable):
        await process.title()
    process.books.may_end.set()
    assert await process.title() == "Dubliners"


async def test_lives_end_and_not_all_at_the_same_time(here, redis, name):
    here.books.titles = {str(number): "x" for number in range(50)}
    await asyncio.gather(*(here.title(id) for id in here.books.titles))
    lives = [await redis.pttl(place) async for place in redis.scan_iter(match=f"tenon:cache:{name}:*")]
    assert len(lives) == 50
    assert min(lives) > 0
    assert max(lives) <= 60_000
    assert max(lives) - min(lives) > 2_000


async def test_the_lease_of_a_process_that_died_ends_too(here, redis, name):
    here.books.may_end.clear()
    dead = asyncio.create_task(here.title())
    await here.books.begun.wait()
    (place,) = [place async for place in redis.scan_iter(match=f"tenon:cache:{name}:*")]
    assert 0 < await redis.pttl(place) <= 31_000
    here.books.may_end.set()
    await dead


async def test_a_value_of_another_release_is_read_anew(here, redis, name):
    class Book2(msgspec.Struct, frozen=True):
        id: str
        title: str
        edition: int = 1
        pages: int = 0

    await here.title()
    later = Process(redis, name, shape=Book2)
    assert await later.title() == "Dubliners"
    assert later.books.read == ["b1"]
    assert await later.title() == "Dubliners"
    assert later.books.read == ["b1"]


async def test_what_cannot_be_read_is_replaced(here, redis, name):
    await here.title()
    (place,) = [place async for place in redis.scan_iter(match=f"tenon:cache:{name}:*")]
    for broken in (b"V", b"", b"?", (await redis.get(place))[:-3]):
        await redis.set(place, broken)
        here.books.read.clear()
        assert [await here.title(), await here.title()] == ["Dubliners"] * 2
        assert here.books.read == ["b1"]


async def test_never_inside_a_transaction(here):
    held = hold("tenon_shelf")
    with pytest.raises(OutboundInTransaction):
        await here.title()
    let_go(held)


async def test_a_reading_is_on_nobodys_behalf(redis, name, here):
    seen = []

    async def load(key):
        seen.append((current().principal, current().deadline, once.get()))
        return Book(key.id, "x")

    begin(Context(principal=Principal(kind="user", id="usr_1"), deadline=1.0))
    await Cache(here.store, name, Book, load, ttl_s=60).get(Key.everyone("b1"))
    assert seen == [(ANONYMOUS, None, None)]


def test_a_key_is_everybodys_or_one_principals():
    assert Key.everyone("x") == Key.everyone("x")
    mine, yours = (Key.of(Principal(kind="user", id=id), "x") for id in ("usr_1", "usr_2"))
    assert len({mine, yours, Key.everyone("x"), Key.of(Principal(kind="cart", id="usr_1"), "x")}) == 4
    with pytest.raises(ValueError, match="nobody"):
        Key.of(ANONYMOUS, "x")


async def test_what_belongs_to_somebody_is_not_kept_for_everyone(here, name):
    async def load(key):
        return Reader(key.scope, [Book("b1", key.scope)])

    readers = Cache(here.store, name, Reader, load, ttl_s=60)
    with pytest.raises(ValueError, match="user_id"):
        await readers.get(Key.everyone("me"))
    for id in ("usr_1", "usr_2", "usr_1"):
        reader = await readers.get(Key.of(Principal(kind="user", id=id), "me"))
        assert reader == Reader(f"user:{id}", [Book("b1", f"user:{id}")])


@pytest.mark.parametrize("field", ["email", "guest_email", "customer_id", "owner", "phone_number", "access_token", "principal"])
def test_names_that_tell_that_a_value_is_personal(here, field):
    inner = msgspec.defstruct("Inner", [(field, str)], frozen=True)
    outer = msgspec.defstruct("Outer", [("parts", GenericAlias(list, inner))], frozen=True)
    assert Cache(here.store, "x", outer, here.books.load, ttl_s=1).personal == [field]
    assert Cache(here.store, "x", Book, here.books.load, ttl_s=1).personal == []


class Shelf(Protocol):
    async def book(self, id: str) -> Book | None: ...


class CachedShelf:
    """The form of a cached repository: a decorator of a port, which a subscription tells what has changed."""

    def __init__(self, shelf: Shelf, store, name):
        async def load(key):
            return await shelf.book(key.id)

        self._books = Cache(store, name, Book, load, ttl_s=60)

    async def book(self, id: str) -> Book | None:
        return await self._books.get(Key.everyone(id))

    async def changed(self, id: str) -> None:
        await self._books.invalidate([Key.everyone(id)])


async def test_a_cached_repository_is_a_decorator_of_its_port(here, name):
    class Source:
        title = "Dubliners"

        async def book(self, id: str) -> Book | None:
            return Book(id, self.title)

    source = Source()
    shelf: Shelf = (cached := CachedShelf(source, here.store, name))
    assert await shelf.book("b1") == Book("b1", "Dubliners")
    source.title = "A Portrait"
    assert await shelf.book("b1") == Book("b1", "Dubliners")
    await cached.changed("b1")
    assert await shelf.book("b1") == Book("b1", "A Portrait")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(["ask here", "ask elsewhere", "change", "flush", "go on"]), max_size=25))
async def test_whatever_happens_nobody_is_told_what_was_invalidated_before_they_asked(redis, steps):
    """A change is made, then invalidated; who asks after that sees it, however slow the readings are that were begun before."""
    books = Books()
    name = f"books_{uuid4().hex}"
    processes = [Process(redis, name, books, patience_s=0) for _ in range(2)]
    edition, asked = 0, []
    books.titles["b1"] = "0"
    for step in steps:
        if step.startswith("ask"):
            books.may_end.clear()
            asked.append((edition, asyncio.create_task(processes[step == "ask here"].title())))
            await asyncio.sleep(0.002)  # it comes some way, or not
        elif step == "change":
            edition += 1
            books.titles["b1"] = str(edition)
            await processes[0].invalidate("b1")
        elif step == "flush":
            for place in [place async for place in redis.scan_iter(match=f"tenon:cache:{name}:*")]:
                await redis.delete(place)
        else:
            books.may_end.set()
            await asyncio.sleep(0.002)  # some end, or not
    books.may_end.set()
    for at_least, asking in asked:
        assert int(await asking) >= at_least
    assert [await process.title() for process in processes] == [str(edition)] * 2
