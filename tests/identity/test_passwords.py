"""How passwords are hashed: strength, peppers, the thread and its queue."""

import asyncio
from typing import Any

import pytest

from modules.identity.infra.passwords import Argon2Passwords
from shared.domain.errors import Busy

PASSWORD = "seven oak planks in the rain"
CHEAP: dict[str, Any] = {"memory_kib": 8, "iterations": 1}
ONE, TWO = {1: b"1" * 32}, {1: b"1" * 32, 2: b"2" * 32}


async def hashed(passwords: Argon2Passwords, password: str = PASSWORD) -> str:
    with passwords.turn() as turn:
        return await turn.hash(password)


async def test_by_default_a_hash_is_argon2id_of_64_mib_three_passes_one_lane() -> None:
    assert (await hashed(Argon2Passwords(ONE))).startswith("1:$argon2id$v=19$m=65536,t=3,p=1$")


async def test_the_right_password_matches_and_no_other() -> None:
    passwords = Argon2Passwords(ONE, **CHEAP)
    stored = await hashed(passwords)
    assert await passwords.matches(PASSWORD, stored)
    assert not await passwords.matches(PASSWORD + " ", stored)
    assert not await passwords.matches(PASSWORD, None)
    assert stored != await hashed(passwords), "salted"


@pytest.mark.parametrize("password", ["", "\0", "\ud800", "木" * 1024, "a\0b"])
async def test_any_text_can_be_hashed(password: str) -> None:
    passwords = Argon2Passwords(ONE, **CHEAP)
    assert await passwords.matches(password, await hashed(passwords, password))


async def test_a_keyboard_that_composes_otherwise_still_gets_in() -> None:
    passwords = Argon2Passwords(ONE, **CHEAP)
    assert await passwords.matches("caf\u00e9 au lait, please", await hashed(passwords, "cafe\u0301 au lait, please"))


async def test_without_the_pepper_a_hash_is_worth_nothing() -> None:
    stored = await hashed(Argon2Passwords(ONE, **CHEAP))
    assert not await Argon2Passwords({1: b"x" * 32}, **CHEAP).matches(PASSWORD, stored)
    with pytest.raises(LookupError, match="pepper 1"):
        await Argon2Passwords({2: b"2" * 32}, **CHEAP).matches(PASSWORD, stored)


async def test_hashes_of_an_old_pepper_or_old_parameters_still_match_and_are_outdated() -> None:
    stored = await hashed(Argon2Passwords(ONE, **CHEAP))
    assert not Argon2Passwords(ONE, **CHEAP).outdated(stored)
    for stronger in (Argon2Passwords(TWO, **CHEAP), Argon2Passwords(ONE, memory_kib=16, iterations=1), Argon2Passwords(ONE, memory_kib=8)):
        assert await stronger.matches(PASSWORD, stored)
        assert stronger.outdated(stored)
        assert not stronger.outdated(await hashed(stronger))


async def test_beyond_the_places_of_the_queue_everybody_is_told_to_come_back() -> None:
    passwords = Argon2Passwords(ONE, **CHEAP, places=3)
    results = await asyncio.gather(*(hashed(passwords) for _ in range(10)), return_exceptions=True)
    assert [type(result) for result in results].count(Busy) == 7
    refusal = next(result for result in results if isinstance(result, Busy))
    assert refusal.facts == {"retry_after": 1}
    assert await hashed(passwords), "places come back"


async def test_a_place_comes_back_from_whoever_gave_up_waiting() -> None:
    passwords = Argon2Passwords(ONE, places=1)
    waiting = asyncio.ensure_future(hashed(passwords))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    with passwords.turn():
        pass


async def test_the_event_loop_goes_on_while_a_hash_is_made() -> None:
    hashing = asyncio.ensure_future(hashed(Argon2Passwords(ONE)))
    turns = 0
    while not hashing.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 100
    await hashing
