"""Webhooks of the test provider: how they are signed, read, and sent once their time has come."""

import hmac
import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import ClassVar, Final, Protocol

import msgspec

from modules.payments.domain.attempt import Outcome
from modules.payments.domain.clearing import Clearing
from modules.payments.domain.errors import SignatureInvalid
from modules.payments.domain.ports import Notice
from shared.domain.clock import Clock
from shared.infra.tasks.kind import TaskKind

TOLERANCE: Final = timedelta(minutes=5)
_SIGNATURE: Final = re.compile(r"\At=([0-9]{1,12}),v1=([0-9a-f]{64})\Z")

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Notice).decode


class SignedNotices:
    """Implements Notices. A signature is `t=<seconds>,v1=<HMAC-SHA-256 of "<seconds>.<body>" in hexadecimal>`."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def read(self, body: bytes, signature: str, now: datetime) -> Notice:
        match = _SIGNATURE.match(signature)
        if match is None or not hmac.compare_digest(self._mark(match[1], body), match[2]):
            raise SignatureInvalid("the signature does not match the body")
        if abs(now - datetime.fromtimestamp(int(match[1]), UTC)) > TOLERANCE:
            raise SignatureInvalid("the signature is not of the last five minutes")
        try:
            return _decode(body)
        except msgspec.MsgspecError as error:
            raise SignatureInvalid("the signed body is not a notice") from error

    def write(self, notice: Notice, now: datetime) -> tuple[bytes, str]:
        """The body and its signature."""
        body, seconds = _encode(notice), str(int(now.timestamp()))
        return body, f"t={seconds},v1={self._mark(seconds, body)}"

    def _mark(self, seconds: str, body: bytes) -> str:
        return hmac.new(self._key, seconds.encode() + b"." + body, sha256).hexdigest()


class WebhookDue(msgspec.Struct, frozen=True):
    """The test provider has something to tell about the call with this key."""

    KIND: ClassVar[str] = "payments.test_provider_webhook"
    key: str


class Deciding(Protocol):
    async def decide(self, key: str) -> Outcome: ...


class WebhookSender:
    """Tells what the provider has decided, signed as over the wire; a repeated task sends the same message again."""

    def __init__(self, provider: Deciding, notices: SignedNotices, clearing: Clearing, clock: Clock) -> None:
        self._provider = provider
        self._notices = notices
        self._clearing = clearing
        self._clock = clock

    async def send(self, due: WebhookDue, _: str) -> None:
        outcome = await self._provider.decide(due.key)
        notice = Notice(id=f"pev_{due.key}_{outcome.news}", attempt_id=due.key, outcome=outcome)
        await self._clearing.receive(*self._notices.write(notice, self._clock.now()))

    def task(self) -> TaskKind[WebhookDue]:
        return TaskKind(WebhookDue.KIND, WebhookDue, self.send)
