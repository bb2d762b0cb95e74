"""Payment intents and refunds over HTTP."""

from typing import Any

from litestar import Controller, Request
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from modules.payments.api.schemas import CaptureIntent, ConfirmIntent, CreateIntent, CreateRefund, Reference
from modules.payments.domain.desk import PaymentDesk
from modules.payments.domain.errors import AmountNotPositive, CaptureTooLarge, RefundTooLarge
from modules.payments.domain.views import IntentView, RefundView
from modules.payments.public import CaptureRefused, PaymentPending
from shared.api.answers import Reply, created, ok
from shared.api.conditional import if_match
from shared.api.idempotency import once, read_key, replayed
from shared.api.paging import Page, Paging
from shared.api.routes import get, post
from shared.api.types import Id
from shared.domain.context import current
from shared.domain.errors import IllegalTransition, NotFound
from shared.domain.ids import new_id
from shared.domain.money import CurrencyMismatch, UnknownCurrency


class PaymentIntents(Controller):
    path = "/v1/payment_intents"
    tags = ("payments",)

    @post(operation="createPaymentIntent", errors=[AmountNotPositive, UnknownCurrency], money=True)
    async def create(
        self, data: CreateIntent, request: Request[Any, Any, Any], payments: NamedDependency[PaymentDesk]
    ) -> Reply[IntentView]:
        """Declare that an amount is to be taken; nothing happens at the provider yet."""
        return await once(request, payments.create(data.reference, data.amount), created("/v1/payment_intents"))

    @get(operation="listPaymentIntents")
    async def find(
        self, paging: Paging, payments: NamedDependency[PaymentDesk], reference: FromQuery[Reference | None] = None
    ) -> Reply[Page[IntentView]]:
        """Payment intents, the newest first."""
        return paging.page(await payments.find(paging.request, reference))

    @get("/{intent_id:str}", operation="getPaymentIntent", errors=[NotFound])
    async def read(self, intent_id: FromPath[Id], payments: NamedDependency[PaymentDesk]) -> Reply[IntentView]:
        """A payment intent, and how much of it is authorised, captured and given back."""
        return ok(await payments.read(intent_id))

    @post(
        "/{intent_id:str}/confirm",
        operation="confirmPaymentIntent",
        errors=[NotFound, IllegalTransition, PaymentPending],
        status=200,
        if_match="optional",
        money=True,
    )
    async def confirm(
        self, intent_id: FromPath[Id], data: ConfirmIntent, request: Request[Any, Any, Any], payments: NamedDependency[PaymentDesk]
    ) -> Reply[IntentView]:
        """Authorise with a card. A decline is an answer: see `status` and `decline_code`; another card may then be tried."""
        if (answered := await replayed(request, payments.current(intent_id))) is not None:
            return answered
        await payments.confirm(caller_key(request), intent_id, data.payment_method, if_match(request))
        return await once(request, payments.current(intent_id), ok)

    @post(
        "/{intent_id:str}/capture",
        operation="capturePaymentIntent",
        errors=[NotFound, IllegalTransition, CaptureTooLarge, AmountNotPositive, CurrencyMismatch, CaptureRefused, PaymentPending],
        status=200,
        idempotent="required",
        if_match="optional",
    )
    async def capture(
        self, intent_id: FromPath[Id], data: CaptureIntent, request: Request[Any, Any, Any], payments: NamedDependency[PaymentDesk]
    ) -> Reply[IntentView]:
        """Take what is authorised, or a part of it; several captures may follow each other."""
        if (answered := await replayed(request, payments.current(intent_id))) is not None:
            return answered
        await payments.capture(caller_key(request), intent_id, data.amount, if_match(request))
        return await once(request, payments.current(intent_id), ok)

    @post(
        "/{intent_id:str}/cancel",
        operation="cancelPaymentIntent",
        errors=[NotFound, IllegalTransition, PaymentPending],
        status=200,
        if_match="optional",
        money=True,
    )
    async def cancel(
        self, intent_id: FromPath[Id], request: Request[Any, Any, Any], payments: NamedDependency[PaymentDesk]
    ) -> Reply[IntentView]:
        """Give up what is not captured; the provider lets it go."""
        if (answered := await replayed(request, payments.current(intent_id))) is not None:
            return answered
        await payments.cancel(intent_id, if_match(request))
        return await once(request, payments.current(intent_id), ok)


class Refunds(Controller):
    path = "/v1/refunds"
    tags = ("payments",)

    @post(
        operation="createRefund",
        errors=[NotFound, IllegalTransition, RefundTooLarge, AmountNotPositive, CurrencyMismatch],
        idempotent="required",
    )
    async def create(
        self, data: CreateRefund, request: Request[Any, Any, Any], payments: NamedDependency[PaymentDesk]
    ) -> Reply[RefundView]:
        """Give captured money back. The refund is pending while the provider has not decided."""
        if (answered := await replayed(request, payments.current(data.payment_intent))) is not None:
            return answered
        refund_id = await payments.refund(caller_key(request), data.payment_intent, data.amount, data.reason)
        return await once(request, payments.current_refund(refund_id), created("/v1/refunds"))

    @get(operation="listRefunds")
    async def find(
        self, paging: Paging, payments: NamedDependency[PaymentDesk], payment_intent: FromQuery[Id | None] = None
    ) -> Reply[Page[RefundView]]:
        """Refunds, the newest first."""
        return paging.page(await payments.find_refunds(paging.request, payment_intent))

    @get("/{refund_id:str}", operation="getRefund", errors=[NotFound])
    async def read(self, refund_id: FromPath[Id], payments: NamedDependency[PaymentDesk]) -> Reply[RefundView]:
        """A refund, and how it ended."""
        return ok(await payments.read_refund(refund_id))


def caller_key(request: Request[Any, Any, Any]) -> str:
    """The caller's Idempotency-Key as the key of its attempt at the provider; without one every request is an attempt."""
    return f"{current().principal.scope}:{read_key(request) or new_id('key')}"
