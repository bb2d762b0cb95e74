"""E-mail: how a message looks on the wire, and the two ways out: an SMTP server, or a folder during development."""

import asyncio
from collections.abc import Sequence
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import aiosmtplib

from modules.notifications.domain.ports import Mail, Mailer, Undeliverable
from shared.domain.clock import Clock
from shared.domain.guard import outbound

TIMEOUT_S: Final = 10.0
_PERMANENT: Final = 500


class Composer:
    """`sender` is `Name <address>`; Message-IDs end in its domain."""

    def __init__(self, sender: str, clock: Clock) -> None:
        name, address = parseaddr(sender)
        self._sender = Address(name, addr_spec=address)
        self._clock = clock

    def compose(self, mail: Mail) -> EmailMessage:
        """Raises Undeliverable for an address that no mail can carry."""
        message = EmailMessage(policy=SMTP)
        try:
            message["To"] = Address(" ".join(mail.name.split()), addr_spec=mail.email)
        except (ValueError, IndexError) as error:
            raise Undeliverable("the address cannot be written into a mail") from error
        message["From"] = self._sender
        message["Subject"] = " ".join(mail.content.subject.split())
        message["Date"] = format_datetime(self._clock.now())
        message["Message-ID"] = f"<{mail.id}@{self._sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message["Content-Language"] = mail.content.locale
        message.set_content(mail.content.text)
        message.add_alternative(mail.content.html, subtype="html")
        return message


class TryLater(Exception):
    """The mail server refuses for now."""


def _refusal(what: str, codes: Sequence[int]) -> Exception:
    """What the server has said beside its code often names the address, which belongs into no log and no table."""
    kind = Undeliverable if all(code >= _PERMANENT for code in codes) else TryLater
    return kind(f"the mail server refuses {what}: {', '.join(map(str, codes))}")


class SmtpMailer:
    """Implements Mailer with an `smtp://` (STARTTLS where offered) or `smtps://` server."""

    def __init__(self, url: str, composer: Composer) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or "localhost"
        self._tls = parts.scheme == "smtps"
        self._port = parts.port or (465 if self._tls else 25)
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._composer = composer

    async def send(self, mail: Mail) -> None:
        outbound("SMTP")
        message = self._composer.compose(mail)
        try:
            await aiosmtplib.send(
                message,
                hostname=self._host,
                port=self._port,
                username=self._user,
                password=self._password,
                use_tls=self._tls,
                timeout=TIMEOUT_S,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _refusal("the recipient", [refused.code for refused in error.recipients]) from None
        except (aiosmtplib.SMTPDataError, aiosmtplib.SMTPSenderRefused) as error:
            raise _refusal("the message", [error.code]) from None


class FolderMailer:
    """Implements Mailer by `.eml` files that appear whole; a repeat overwrites its file."""

    def __init__(self, folder: Path, composer: Composer) -> None:
        self._folder = folder
        self._composer = composer

    async def send(self, mail: Mail) -> None:
        outbound("writing a mail")
        await asyncio.to_thread(self._write, mail.id, self._composer.compose(mail).as_bytes())

    def _write(self, name: str, message: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        unfinished = self._folder / f".{name}.part"
        unfinished.write_bytes(message)
        unfinished.replace(self._folder / f"{name}.eml")


def mailer(url: str, composer: Composer) -> Mailer:
    """`file:///folder` writes files, `smtp://host` and `smtps://host` speak to a server."""
    if url.startswith("file://"):
        return FolderMailer(Path(unquote(urlsplit(url).path)), composer)
    return SmtpMailer(url, composer)
