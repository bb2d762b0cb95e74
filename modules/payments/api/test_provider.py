"""What the built-in test provider shows to the outside: the issuer's question, and where its webhooks arrive."""

from typing import Annotated, Any, Protocol

from litestar import Controller, Request
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter
from msgspec import Meta

from modules.payments.api.schemas import CompleteChallenge
from modules.payments.domain.clearing import Clearing
from modules.payments.domain.errors import SignatureInvalid
from shared.api.answers import Reply, no_content
from shared.api.routes import post
from shared.api.types import Id
from shared.domain.errors import NotFound

Signature = Annotated[
    str, Meta(min_length=1, max_length=100, examples=["t=1767225600,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd"])
]


class Challenges(Protocol):
    async def answer_challenge(self, key: str, *, approve: bool) -> None: ...


class TestProvider(Controller):
    path = "/v1"
    tags = ("test provider",)

    @post(
        "/test_provider/authorizations/{attempt_id:str}/complete",
        operation="completeTestProviderChallenge",
        errors=[NotFound],
        status=204,
        idempotent="never",
    )
    async def complete(self, attempt_id: FromPath[Id], data: CompleteChallenge, challenges: NamedDependency[Challenges]) -> Reply[None]:
        """Answer the issuer's question as the customer would (3-D Secure); the outcome arrives by webhook."""
        await challenges.answer_challenge(attempt_id, approve=data.approve)
        return no_content()

    @post(
        "/payments/webhooks/test",
        operation="receiveTestProviderWebhook",
        rate="webhook",
        errors=[SignatureInvalid, NotFound],
        status=204,
        idempotent="never",
    )
    async def receive(
        self,
        request: Request[Any, Any, Any],
        clearing: NamedDependency[Clearing],
        signature: Annotated[Signature, HeaderParameter(name="Test-Signature")],
    ) -> Reply[None]:
        """What the test provider has to say, signed. A repeated message changes nothing."""
        await clearing.receive(await request.body(), signature)
        return no_content()
