"""A neighbour in the same process is called as if it were far away."""

from typing import Protocol

import pytest

from shared.domain.guard import OutboundInTransaction
from shared.domain.once import Answer, Once, once
from shared.infra.remote import inproc


class Scales(Protocol):
    async def weigh(self, item: str, *, unit: str = "g") -> str: ...


class Shop:
    def __init__(self):
        self.seen = []

    async def weigh(self, item, *, unit="g"):
        self.seen.append(once.get())
        if not item:
            raise ValueError("nothing to weigh")
        return f"{item} in {unit}"

    async def private(self):
        return "not for neighbours"


async def test_a_call_passes_its_arguments_its_answer_and_its_exceptions():
    scales = inproc(Scales, Shop())
    assert await scales.weigh("tea", unit="oz") == "tea in oz"
    with pytest.raises(ValueError, match="nothing"):
        await scales.weigh("")


async def test_only_what_the_protocol_names_can_be_called():
    assert not hasattr(inproc(Scales, Shop()), "private")


async def test_the_callers_idempotency_key_stays_with_the_caller():
    shop = Shop()
    wanted = Once("scope", "key", b"", lambda _: Answer(200, b""))
    kept = once.set(wanted)
    try:
        await inproc(Scales, shop).weigh("tea")
        assert once.get() is wanted
    finally:
        once.reset(kept)
    assert shop.seen == [None]


async def test_a_call_inside_a_transaction_raises(transact):
    scales = inproc(Scales, Shop())
    with pytest.raises(OutboundInTransaction, match=r"Scales\.weigh"):
        await transact(lambda unit: scales.weigh("tea"))


def test_a_missing_operation_is_found_when_the_application_is_built():
    with pytest.raises(TypeError, match="weigh"):
        inproc(Scales, object())
