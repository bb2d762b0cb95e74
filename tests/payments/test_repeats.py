"""Calls that are repeated with something else under the same key, or for what has ended already."""

import pytest

from modules.payments.domain.intent import Intent, IntentStatus
from shared.domain.money import Money
from shared.domain.once import KeyReused
from tests.payments.test_service import AMOUNT, Shop, shop

__all__ = ["shop"]


async def test_a_key_is_not_used_for_another_capture(shop: Shop):
    await shop.authorize()
    await shop.payments.capture("c", shop.intent.id, Money(400, "USD"))
    with pytest.raises(KeyReused):
        await shop.payments.capture("c", shop.intent.id, Money(401, "USD"))
    assert shop.intent.captured == 400


async def test_a_key_is_not_used_for_another_card(shop: Shop):
    created = Intent("pin_1", "by-hand", AMOUNT)
    shop.kept.intents[created.id] = created
    await shop.payments.confirm("k", created.id, "pm_card_ok", None)
    with pytest.raises(KeyReused):
        await shop.payments.confirm("k", created.id, "pm_card_other", None)
    assert shop.provider.calls == ["authorize"]


async def test_what_no_provider_knew_is_cancelled_once_and_nobody_is_called(shop: Shop):
    created = Intent("pin_1", "by-hand", AMOUNT)
    shop.kept.intents[created.id] = created
    for _ in range(2):
        await shop.payments.cancel_intent(created.id, None)
    assert (shop.intent.status, shop.provider.calls, shop.events()) == (IntentStatus.CANCELLED, [], ["payment_cancelled"])
