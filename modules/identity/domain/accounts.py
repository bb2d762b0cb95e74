"""Accounts: registering, confirming the address, and what others may know of a user."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import msgspec

from modules.identity.domain.errors import LinkUnusable
from modules.identity.domain.opaque import Derivation, digest
from modules.identity.domain.password import insist
from modules.identity.domain.ports import Addresses, MailedLink, Passwords, Work
from modules.identity.domain.user import Candidate
from modules.identity.domain.views import IdentityQueries, LinkView, RegistrationReceived, UserView
from modules.identity.public import AlreadyVerified, Contact, RegistrationRepeated, UserRegistered, UserVerified
from shared.domain.errors import NotFound, Unauthenticated
from shared.domain.ids import new_id
from shared.domain.work import Transact

VERIFY_ADDRESS: Final = "verify_address"
LINK_LIFE: Final = timedelta(hours=24)
NEXT: Final = {
    "open": 'To confirm the address, POST {"token": …} with the token of this link to the same path.',
    "used": "The address is confirmed: log in.",
    "expired": "Register again to be mailed a new link.",
}


class Accounts:
    """`public_url` is where links lead: it comes from the settings, never from a request."""

    def __init__(
        self,
        transact: Transact[Work],
        queries: IdentityQueries,
        addresses: Addresses,
        passwords: Passwords,
        derivation: Derivation,
        public_url: str,
    ) -> None:
        self._transact = transact
        self._queries = queries
        self._addresses = addresses
        self._passwords = passwords
        self._derivation = derivation
        self._public_url = public_url.rstrip("/")

    async def register(self, *, email: str, name: str, locale: str, password: str) -> RegistrationReceived:
        """Known and unknown addresses cost the same and are answered the same; the mail tells them apart."""
        address = self._addresses.normalised(email)
        insist(password, email=address, name=name)
        with self._passwords.turn() as turn:
            password_hash = await turn.hash(password)
        candidate = Candidate(id=new_id("usr"), email=address, name=name, locale=locale, password_hash=password_hash)

        async def work(w: Work) -> None:
            ended = await w.users.register(candidate)
            if ended.fresh:
                w.record(UserRegistered(user_id=ended.user_id), version=ended.version)
            else:
                w.record(RegistrationRepeated(user_id=ended.user_id, verified=ended.verified), version=ended.version)

        await self._transact(work)
        return RegistrationReceived()

    async def verification_link(self, user_id: str, key: str) -> str:
        """The link is derived from `key`, so that whoever mails it may ask again; only its hash is kept."""

        async def work(w: Work) -> str:
            user = await w.users.lock(user_id)
            token = self._derivation.link(VERIFY_ADDRESS, user.id, user.email, key)
            if await w.links.known(digest(token)):
                return token
            if user.verified:
                raise AlreadyVerified("the address has been verified")
            link = MailedLink(
                token_hash=digest(token), purpose=VERIFY_ADDRESS, user_id=user.id, address=user.email, password_hash=user.password_hash
            )
            await w.links.add(link, LINK_LIFE)
            return token

        return f"{self._public_url}/v1/auth/verify?token={await self._transact(work)}"

    async def look_at_link(self, token: str) -> LinkView:
        link = await self._queries.link(digest(token))
        if link is None:
            raise NotFound("there is no such link")
        return msgspec.structs.replace(link, next=NEXT[link.state])

    async def verify(self, token: str) -> None:
        """Use a mailed link up: its address is verified, and the registration that asked for it holds."""

        async def work(w: Work) -> None:
            link = await w.links.consume(digest(token), VERIFY_ADDRESS)
            if link is None:
                raise LinkUnusable("the link is unknown, was used before, or has expired")
            user = await w.users.lock(link.user_id)
            if user.email != link.address or not user.confirm(link.password_hash):
                raise LinkUnusable("the address of this link is not waiting for it any more")
            await w.users.save(user)
            w.record(UserVerified(user_id=user.id), version=user.version)

        await self._transact(work)

    async def me(self, user_id: str) -> UserView:
        user = await self._queries.user(user_id)
        if user is None:
            raise Unauthenticated("the account is gone")
        return user

    async def contacts(self, user_ids: Sequence[str]) -> list[Contact]:
        return await self._queries.contacts(user_ids)
