"""What orders makes of the answers of payments."""

from typing import Any, cast

import pytest

from modules.orders.domain import ports
from modules.orders.infra.payments import PaymentsAdapter
from modules.payments.public import Authorization, CaptureRefused, PaymentPending, PaymentVoided
from shared.domain.errors import Conflict
from shared.domain.money import Money


class Payments:
    """Refuses to capture by `refusal`; a payment that is `voided` says so when it is asked."""

    def __init__(self, refusal: Exception, *, voided: bool = False) -> None:
        self._refusal = refusal
        self._voided = voided

    async def capture(self, key: str, intent_id: str, amount: Money) -> None:
        raise self._refusal

    async def status(self, intent_id: str) -> Authorization:
        if self._voided:
            raise PaymentVoided("called off")
        return Authorization(intent_id=intent_id, status="authorized")


async def capture(payments: Payments) -> None:
    await PaymentsAdapter(cast(Any, payments)).capture("key", "pin_1", Money(100, "USD"))


@pytest.mark.parametrize(
    "payments", [Payments(CaptureRefused("no", failure="expired")), Payments(Conflict("not in this state"), voided=True)]
)
async def test_a_capture_that_no_retry_will_make_is_refused_for_good(payments: Payments) -> None:
    with pytest.raises(ports.CaptureRefused):
        await capture(payments)


@pytest.mark.parametrize("refusal", [PaymentPending("not yet"), Conflict("not in this state")])
async def test_every_other_refusal_is_told_as_it_is_and_tried_again(refusal: Exception) -> None:
    with pytest.raises(type(refusal)) as caught:
        await capture(Payments(refusal))
    assert caught.value is refusal
