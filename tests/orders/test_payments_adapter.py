"""What orders makes of the answers of payments."""

from typing import Any, cast

import pytest

from modules.orders.domain import ports
from modules.orders.infra.payments import PaymentsAdapter
from modules.payments.public import CaptureRefused, PaymentPending, PaymentVoided
from shared.domain.errors import Conflict


class Payments:
    """Refuses to capture by `refusal`."""

    def __init__(self, refusal: Exception) -> None:
        self._refusal = refusal

    async def capture_rest(self, key: str, intent_id: str) -> int:
        raise self._refusal


async def capture(refusal: Exception) -> int:
    return await PaymentsAdapter(cast(Any, Payments(refusal))).capture("key", "pin_1")


@pytest.mark.parametrize("refusal", [CaptureRefused("no", failure="expired"), PaymentVoided("called off")])
async def test_a_capture_that_no_retry_will_make_is_refused_for_good(refusal: Exception) -> None:
    with pytest.raises(ports.CaptureRefused):
        await capture(refusal)


@pytest.mark.parametrize("refusal", [PaymentPending("not yet"), Conflict("not in this state")])
async def test_every_other_refusal_is_told_as_it_is_and_tried_again(refusal: Exception) -> None:
    with pytest.raises(type(refusal)) as caught:
        await capture(refusal)
    assert caught.value is refusal
