"""Signing in: a password for tokens, a refresh token for the next ones, and an end to it."""

from datetime import datetime

import msgspec

from modules.identity.domain.errors import AddressUnverified, BadCredentials, InvalidAddress, RefreshRefused
from modules.identity.domain.opaque import Derivation, digest, fresh
from modules.identity.domain.ports import AccessTokens, Addresses, Attempts, Passwords, Turn, Work
from modules.identity.domain.refresh import Verdict, judge
from modules.identity.domain.user import Role
from modules.identity.domain.views import Credential, IdentityQueries, KeySetView, TokensView
from modules.identity.public import TokenReused
from shared.domain.ids import new_id
from shared.domain.work import Transact


class Admitted(msgspec.Struct, frozen=True, kw_only=True):
    """Whom an access token is for."""

    user_id: str
    session_id: str
    roles: frozenset[Role]
    authenticated_at: datetime


class SignIn:
    def __init__(
        self,
        transact: Transact[Work],
        queries: IdentityQueries,
        addresses: Addresses,
        passwords: Passwords,
        attempts: Attempts,
        access_tokens: AccessTokens,
        derivation: Derivation,
    ) -> None:
        self._transact = transact
        self._queries = queries
        self._addresses = addresses
        self._passwords = passwords
        self._attempts = attempts
        self._access_tokens = access_tokens
        self._derivation = derivation

    async def log_in(self, *, email: str, password: str) -> TokensView:
        """A place for hashing is taken before the attempt is counted, so that being busy costs nobody an attempt."""
        address = self._as_stored(email)
        subject = "password:" + digest(address.lower()).hex()
        with self._passwords.turn() as turn:
            await self._attempts.take(subject)
            credential = await self._queries.credential(address)
            known = await turn.matches(password, credential.password_hash if credential else None)
            if credential is None or not known:
                raise BadCredentials("the address and the password do not belong together")
            await self._attempts.forgive(subject)
            if not credential.verified:
                raise AddressUnverified("open the link that was mailed to this address")
            renewed = await self._renewed(turn, password, credential)
        return await self._admit(credential, renewed)

    async def refresh(self, token: str) -> TokensView:
        """The same token within ten seconds gives the same successor; later it is taken for stolen and ends the session."""
        successor = self._derivation.successor(token)

        async def work(w: Work) -> Admitted | None:
            shown = await w.sessions.present(digest(token))
            verdict = Verdict.ENDED if shown is None else judge(shown)
            if shown is None or verdict is Verdict.ENDED:
                return None
            if verdict is Verdict.REUSED:
                version = await w.sessions.revoke(shown.session_id, "token_reused")
                w.record(TokenReused(session_id=shown.session_id, user_id=shown.user_id), version=version)
                return None
            if verdict is Verdict.ROTATE:
                await w.sessions.rotate(digest(token), digest(successor), shown.session_id)
            user = await w.users.lock(shown.user_id)
            return Admitted(user_id=user.id, session_id=shown.session_id, roles=user.roles, authenticated_at=shown.authenticated_at)

        admitted = await self._transact(work)
        if admitted is None:
            raise RefreshRefused("log in again")
        return self._tokens(admitted, successor)

    async def log_out(self, token: str) -> None:
        """End the session of a refresh token; an unknown one is as good as ended."""

        async def work(w: Work) -> None:
            shown = await w.sessions.present(digest(token))
            if shown is not None and not shown.revoked:
                await w.sessions.revoke(shown.session_id, "logged_out")

        await self._transact(work)

    def key_set(self) -> KeySetView:
        return KeySetView(keys=self._access_tokens.keys())

    def _as_stored(self, email: str) -> str:
        """How the address would be stored if somebody had it; what is no address is nobody's."""
        try:
            return self._addresses.normalised(email)
        except InvalidAddress:
            return email

    async def _renewed(self, turn: Turn, password: str, credential: Credential) -> str:
        """The hash to keep: made anew when the present one is of yesterday's strength."""
        if self._passwords.outdated(credential.password_hash):
            return await turn.hash(password)
        return credential.password_hash

    async def _admit(self, credential: Credential, password_hash: str) -> TokensView:
        session_id, refresh_token = new_id("ses"), fresh()

        async def work(w: Work) -> Admitted:
            user = await w.users.lock(credential.user_id)
            if user.password_hash != credential.password_hash:
                raise BadCredentials("the password has just been changed")
            if password_hash != credential.password_hash:
                user.password_hash = password_hash
                await w.users.save(user)
            started_at = await w.sessions.begin(session_id, user.id, digest(refresh_token))
            return Admitted(user_id=user.id, session_id=session_id, roles=user.roles, authenticated_at=started_at)

        return self._tokens(await self._transact(work), refresh_token)

    def _tokens(self, admitted: Admitted, refresh_token: str) -> TokensView:
        access = self._access_tokens.issue(admitted.user_id, admitted.session_id, admitted.roles, admitted.authenticated_at)
        return TokensView(access_token=access, refresh_token=refresh_token, expires_in=self._access_tokens.lifetime_s)
