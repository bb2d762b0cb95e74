"""Access tokens as identity gives them out, on the chassis' issuer."""

from datetime import datetime

import msgspec

from modules.identity.domain.ports import AccessTokens
from modules.identity.domain.user import Role
from modules.identity.domain.views import KeyView
from shared.domain.ids import new_id
from shared.infra.tokens import TokenIssuer, TokenVerifier


class IssuedAccessTokens(AccessTokens):
    def __init__(self, issuer: TokenIssuer, verifier: TokenVerifier) -> None:
        self._issuer = issuer
        self._verifier = verifier

    @property
    def lifetime_s(self) -> int:
        return self._issuer.lifetime_s

    def issue(self, user_id: str, session_id: str, roles: frozenset[Role], authenticated_at: datetime) -> str:
        return self._issuer.issue(
            subject=user_id, session=session_id, token_id=new_id("jti"), roles=roles, authenticated_at=authenticated_at, methods=("pwd",)
        )

    def keys(self) -> list[KeyView]:
        return [msgspec.convert(key, KeyView, from_attributes=True) for key in self._verifier.jwks()]
