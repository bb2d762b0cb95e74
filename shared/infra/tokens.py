"""Access tokens (RFC 9068, ES256): issued with one key, and read more strictly than the library under it reads them."""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import sha256, sha512
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from msgspec import Meta

from shared.domain.clock import Clock
from shared.domain.context import Principal
from shared.domain.errors import Unauthenticated

ALGORITHM: Final = "ES256"
"""Ours to choose; what a token asks for is only compared with it."""

TYPE: Final = "at+jwt"
LIFETIME_S: Final = 900
MAX_CHARACTERS: Final = 4096
CLOCK_SKEW_S: Final = 30
"""How far ahead another process's clock may be when it issues."""

REMEMBERED_S: Final = 60
REMEMBERED_TOKENS: Final = 10_000

S = TypeVar("S", bound=msgspec.Struct)

_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")
_ORDER_OF_P256: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_Text = Annotated[str, Meta(min_length=1, max_length=512)]
_Seconds = Annotated[int, Meta(ge=0, le=2**40)]


class Jwk(msgspec.Struct, frozen=True, kw_only=True):
    """The public half of a signing key, as RFC 7517 writes it."""

    kty: Literal["EC"] = "EC"
    crv: Literal["P-256"] = "P-256"
    x: str
    y: str
    kid: str
    alg: Literal["ES256"] = "ES256"
    use: Literal["sig"] = "sig"


class Claims(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that a token says, and nothing that it may say besides. `scope` holds the roles, separated by spaces."""

    iss: _Text
    aud: _Text
    sub: _Text
    exp: _Seconds
    iat: _Seconds
    jti: _Text
    sid: _Text
    scope: Annotated[str, Meta(max_length=512)]
    acr: Literal["aal1", "aal2"]
    amr: tuple[_Text, ...]
    auth_time: _Seconds


class _Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whatever would let a token choose its own key or rules (crit, b64, jku, jwk, x5u …) is an unknown field here."""

    alg: str
    typ: str
    kid: str


class PublicKey:
    """Verifies signatures. `kid` is the key's own fingerprint (RFC 7638), so that no two keys can share one."""

    def __init__(self, key: ec.EllipticCurvePublicKey) -> None:
        if key.curve.name != ec.SECP256R1.name:
            raise ValueError(f"an ES256 key lies on P-256, not on {key.curve.name}")
        self._key = ECKey.import_key(key)
        self.kid = self._key.thumbprint()

    def jwk(self) -> Jwk:
        members = self._key.as_dict(private=False)
        return Jwk(x=str(members["x"]), y=str(members["y"]), kid=self.kid)

    def signed(self, token: str) -> bool:
        """Whether this key made the signature of a compact JWS with ES256."""
        try:
            jws.deserialize_compact(token, self._key, algorithms=[ALGORITHM])
        except (JoseError, ValueError, TypeError, RecursionError):
            return False
        return True


class SigningKey:
    """Makes signatures."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self.public = PublicKey(key.public_key())
        self._key = ECKey.import_key(key)

    @classmethod
    def derived(cls, seed: bytes) -> "SigningKey":
        """The key that belongs to `seed`, stretched to 64 bytes so that the modulo's bias is below 2^-128 (FIPS 186-5, A.2.1)."""
        if len(seed) < 32:
            raise ValueError("a signing key is derived from at least 32 bytes")
        scalar = int.from_bytes(sha512(seed).digest(), "big") % (_ORDER_OF_P256 - 1) + 1
        return cls(ec.derive_private_key(scalar, ec.SECP256R1()))

    @classmethod
    def from_pem(cls, pem: str) -> "SigningKey":
        match load_pem_private_key(pem.encode(), password=None):
            case ec.EllipticCurvePrivateKey() as key:
                return cls(key)
            case _:
                raise ValueError("an ES256 key is an elliptic-curve private key")

    def sign(self, payload: bytes) -> str:
        header = {"alg": ALGORITHM, "typ": TYPE, "kid": self.public.kid}
        return jws.serialize_compact(header, payload, self._key, algorithms=[ALGORITHM])


class TokenIssuer:
    def __init__(
        self,
        key: SigningKey,
        *,
        issuer: str,
        audience: str,
        clock: Clock,
        lifetime_s: int = LIFETIME_S,
    ) -> None:
        self._key = key
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self.lifetime_s = lifetime_s

    def issue(
        self,
        *,
        subject: str,
        session: str,
        token_id: str,
        roles: Iterable[str],
        authenticated_at: datetime,
        methods: Sequence[str],
    ) -> str:
        """A token for `subject`; `session` names what it can be revoked by, `methods` how they proved who they are (RFC 8176)."""
        now = int(self._clock.now().timestamp())
        claims = Claims(
            iss=self._issuer,
            aud=self._audience,
            sub=subject,
            exp=now + self.lifetime_s,
            iat=now,
            jti=token_id,
            sid=session,
            scope=" ".join(sorted(roles)),
            acr="aal1",
            amr=tuple(methods),
            auth_time=int(authenticated_at.timestamp()),
        )
        return self._key.sign(msgspec.json.encode(claims))


class TokenVerifier:
    """Says for whom a token stands. A good signature is remembered for a minute at most, by the token's SHA-256."""

    def __init__(
        self,
        keys: Sequence[PublicKey],
        *,
        issuer: str,
        audience: str,
        clock: Clock,
        lifetime_s: int = LIFETIME_S,
        remembered_tokens: int = REMEMBERED_TOKENS,
    ) -> None:
        self._keys = {key.kid: key for key in keys}
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self._lifetime_s = lifetime_s
        self._capacity = remembered_tokens
        self._remembered: dict[bytes, tuple[Principal, float]] = {}

    async def authenticate(self, bearer: str) -> Principal:
        """The principal of an access token; raises Unauthenticated."""
        if len(bearer) > MAX_CHARACTERS or not bearer.isascii():
            raise _refused()
        digest = sha256(bearer.encode()).digest()
        now = self._clock.now().timestamp()
        remembered = self._remembered.get(digest)
        if remembered is not None and now < remembered[1]:
            return remembered[0]
        claims = self.verify(bearer)
        principal = Principal(
            kind="user",
            id=claims.sub,
            roles=frozenset(claims.scope.split()),
            verified=True,
        )
        self._remember(digest, principal, min(float(claims.exp), now + REMEMBERED_S))
        return principal

    def verify(self, token: str) -> Claims:
        """The claims of a genuine token that is valid now; raises Unauthenticated without saying what was wrong."""
        if len(token) > MAX_CHARACTERS:
            raise _refused()
        header, payload, _signature = _segments(token)
        head = _strict(header, _Header)
        key = self._keys.get(head.kid)
        if head.alg != ALGORITHM or head.typ != TYPE or key is None or not key.signed(token):
            raise _refused()
        claims = _strict(payload, Claims)
        if claims.iss != self._issuer or claims.aud != self._audience or not self._timely(claims):
            raise _refused()
        return claims

    def jwks(self) -> list[Jwk]:
        """Every key that is accepted: the present one, and those being rotated out."""
        return [key.jwk() for key in self._keys.values()]

    def _timely(self, claims: Claims) -> bool:
        now = self._clock.now().timestamp()
        return claims.iat < claims.exp <= claims.iat + self._lifetime_s and claims.iat <= now + CLOCK_SKEW_S and now < claims.exp

    def _remember(self, digest: bytes, principal: Principal, until: float) -> None:
        self._remembered.pop(digest, None)
        if len(self._remembered) >= self._capacity:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[digest] = (principal, until)


def _refused() -> Unauthenticated:
    return Unauthenticated("the access token is not valid")


def _segments(token: str) -> list[bytes]:
    """The three decoded parts; only the one canonical base64url spelling of each is accepted."""
    parts = token.split(".")
    if len(parts) != 3:
        raise _refused()
    return [_decoded(part) for part in parts]


def _decoded(part: str) -> bytes:
    if not _SEGMENT.fullmatch(part):
        raise _refused()
    try:
        raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error:
        raise _refused() from None
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != part:
        raise _refused()
    return raw


def _strict(raw: bytes, shape: type[S]) -> S:
    """Decode exactly `shape`. The shapes are flat, so what msgspec has accepted is safe to parse once more for repeated names."""
    try:
        decoded = msgspec.json.decode(raw, type=shape, strict=True)
        json.loads(raw, object_pairs_hook=_unique)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise _refused() from None
    return decoded


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise ValueError("a name occurs twice")
    return names
