"""Access tokens: what is believed, and the many ways of being refused."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.context import Principal
from shared.domain.errors import Unauthenticated
from shared.infra.tokens import PublicKey, SigningKey, TokenIssuer, TokenVerifier

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
ISSUER, AUDIENCE = "https://shop.example", "tenon"
PRIVATE = ec.derive_private_key(0x5EED, ec.SECP256R1())
KEY = SigningKey(PRIVATE)
VECTORS = json.loads((Path(__file__).parent / "wycheproof" / "es256.json").read_text())


class Clock:
    def __init__(self) -> None:
        self.time = START

    def now(self) -> datetime:
        return self.time


class CountedKey(PublicKey):
    def __init__(self) -> None:
        super().__init__(PRIVATE.public_key())
        self.checked = 0

    def signed(self, token: str) -> bool:
        self.checked += 1
        return super().signed(token)


def verifier(clock: Clock | None = None, *keys: PublicKey, remembered_tokens: int = 100) -> TokenVerifier:
    return TokenVerifier(
        keys or [KEY.public], issuer=ISSUER, audience=AUDIENCE, clock=clock or Clock(), remembered_tokens=remembered_tokens
    )


def issued(clock: Clock | None = None, **changes: Any) -> str:
    said: dict[str, Any] = {
        "subject": "usr_1",
        "session": "ses_1",
        "token_id": "jti_1",
        "roles": ["support", "customer"],
        "authenticated_at": START,
        "methods": ("pwd",),
    }
    return TokenIssuer(KEY, issuer=ISSUER, audience=AUDIENCE, clock=clock or Clock()).issue(**said | changes)


HEADER = {"alg": "ES256", "typ": "at+jwt", "kid": KEY.public.kid}
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "sub": "usr_1",
    "exp": int(START.timestamp()) + 900,
    "iat": int(START.timestamp()),
    "jti": "jti_1",
    "sid": "ses_1",
    "scope": "customer",
    "acr": "aal1",
    "amr": ["pwd"],
    "auth_time": int(START.timestamp()),
}


def forged(header: Any = HEADER, claims: Any = CLAIMS, key: ec.EllipticCurvePrivateKey = PRIVATE) -> str:
    """A token signed with the right key over whatever one likes."""
    head, body = (b64(part if isinstance(part, bytes) else json.dumps(part).encode()) for part in (header, claims))
    r, s = decode_dss_signature(key.sign(f"{head}.{body}".encode(), ec.ECDSA(SHA256())))
    return f"{head}.{body}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def without(name: str, of: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in of.items() if key != name}


def doubled(of: dict[str, Any], name: str, value: str) -> bytes:
    return json.dumps(of).replace("{", f'{{"{name}": {value}, ', 1).encode()


def hmac_with_the_public_key() -> str:
    """The confusion of algorithms: a MAC under what everybody knows."""
    head = b64(json.dumps(HEADER | {"alg": "HS256"}).encode())
    mac = HMAC(json.dumps(KEY.public.jwk().x).encode(), SHA256())
    mac.update(f"{head}.{b64(json.dumps(CLAIMS).encode())}".encode())
    return f"{head}.{b64(json.dumps(CLAIMS).encode())}.{b64(mac.finalize())}"


def with_signature(signature: str) -> str:
    return forged().rpartition(".")[0] + "." + signature


OTHER = ec.derive_private_key(0xBAD, ec.SECP256R1())
GOOD = forged()
NOW = int(START.timestamp())

WRONG: dict[str, str] = {
    "nothing": "",
    "one part": "abc",
    "two parts": GOOD.rpartition(".")[0],
    "four parts": GOOD + ".AAAA",
    "five parts, as encrypted ones have": "a.b.c.d.e",
    "three empty parts": "..",
    "not base64": "§.§.§",
    "spaces": f" {GOOD}",
    "a newline at the end": GOOD + "\n",
    "padding": GOOD + "=",
    "the other alphabet": with_signature("+" * 86),
    "an impossible length": with_signature("A" * 85),
    "another spelling of the same bytes": GOOD[:-1] + chr(ord(GOOD[-1]) + 1),
    "too long": forged(claims=CLAIMS | {"scope": "x" * 4096}),
    "deep nesting in the header": b64(b"[" * 2000) + ".AAAA.AAAA",
    "deep nesting in a claim": forged(claims=(json.dumps(CLAIMS)[:-1] + ', "x": ' + "[" * 900 + "]" * 900 + "}").encode()),
    "a header that is no JSON": forged(header=b"{"),
    "a header that is no object": forged(header=[]),
    "claims that are no JSON": forged(claims=b"\xff\xfe"),
    "claims that are no object": forged(claims=b"3"),
    "no signature": with_signature(""),
    "alg none": ".".join([b64(json.dumps(HEADER | {"alg": "none"}).encode()), GOOD.split(".")[1], ""]),
    "alg None, signed": forged(header=HEADER | {"alg": "None"}),
    "alg HS256, keyed with the public key": hmac_with_the_public_key(),
    "alg ES384 with our signature": forged(header=HEADER | {"alg": "ES384"}),
    "alg es256": forged(header=HEADER | {"alg": "es256"}),
    "no alg": forged(header=without("alg", HEADER)),
    "typ JWT": forged(header=HEADER | {"typ": "JWT"}),
    "typ AT+JWT": forged(header=HEADER | {"typ": "AT+JWT"}),
    "no typ": forged(header=without("typ", HEADER)),
    "no kid": forged(header=without("kid", HEADER)),
    "an unknown kid": forged(header=HEADER | {"kid": "../../etc/passwd"}),
    "a kid that is no text": forged(header=HEADER | {"kid": 1}),
    "another key under our kid": forged(key=OTHER),
    "crit": forged(header=HEADER | {"crit": ["exp"]}),
    "an empty crit": forged(header=HEADER | {"crit": []}),
    "b64 false": forged(header=HEADER | {"b64": False, "crit": ["b64"]}),
    "jku": forged(header=HEADER | {"jku": "https://evil.example/jwks.json"}),
    "jwk": forged(header=HEADER | {"jwk": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}}, key=OTHER),
    "x5u": forged(header=HEADER | {"x5u": "https://evil.example/cert"}),
    "x5c": forged(header=HEADER | {"x5c": ["AA"]}),
    "zip": forged(header=HEADER | {"zip": "DEF"}),
    "a header name twice": forged(header=doubled(HEADER, "alg", '"none"')),
    "a claim twice": forged(claims=doubled(CLAIMS, "sub", '"usr_admin"')),
    "another issuer": forged(claims=CLAIMS | {"iss": "https://evil.example"}),
    "the issuer with a slash": forged(claims=CLAIMS | {"iss": ISSUER + "/"}),
    "another audience": forged(claims=CLAIMS | {"aud": "other"}),
    "two audiences": forged(claims=CLAIMS | {"aud": [AUDIENCE, "other"]}),
    "an audience in a list": forged(claims=CLAIMS | {"aud": [AUDIENCE]}),
    "expired": forged(claims=CLAIMS | {"exp": NOW, "iat": NOW - 900}),
    "valid for longer than we ever issue": forged(claims=CLAIMS | {"exp": NOW + 901}),
    "far in the future": forged(claims=CLAIMS | {"exp": NOW + 10**9, "iat": NOW + 10**9 - 900}),
    "issued in the future": forged(claims=CLAIMS | {"exp": NOW + 931, "iat": NOW + 31}),
    "expiring before it was issued": forged(claims=CLAIMS | {"exp": NOW + 5, "iat": NOW + 10}),
    "a negative time": forged(claims=CLAIMS | {"iat": -1}),
    "a time as text": forged(claims=CLAIMS | {"exp": str(NOW + 900)}),
    "a fraction of a second": forged(claims=CLAIMS | {"exp": NOW + 899.5}),
    "an endless number": forged(claims=json.dumps(CLAIMS).replace(str(NOW + 900), "9" * 1000).encode()),
    "infinity": forged(claims=json.dumps(CLAIMS).replace(str(NOW + 900), "Infinity").encode()),
    "an unknown claim": forged(claims=CLAIMS | {"admin": True}),
    "nbf": forged(claims=CLAIMS | {"nbf": 0}),
    "an empty subject": forged(claims=CLAIMS | {"sub": ""}),
    "a level that there is not": forged(claims=CLAIMS | {"acr": "aal9"}),
    **{f"no {name}": forged(claims=without(name, CLAIMS)) for name in CLAIMS},
    **{f"signature of Wycheproof {t['tcId']}": with_signature(t["jws"].split(".")[2]) for t in VECTORS["groups"][1]["tests"]},
}


async def test_what_we_issue_is_believed() -> None:
    principal = await verifier().authenticate(issued())
    assert principal == Principal(kind="user", id="usr_1", roles=frozenset({"customer", "support"}), verified=True)
    claims = verifier().verify(issued())
    assert (claims.exp - claims.iat, claims.acr, claims.amr, claims.sid, claims.jti) == (900, "aal1", ("pwd",), "ses_1", "jti_1")
    assert claims.auth_time == START.timestamp()


async def test_the_forger_makes_good_tokens_when_nothing_is_changed() -> None:
    assert (await verifier().authenticate(GOOD)).id == "usr_1"


@pytest.mark.parametrize("family", WRONG)
async def test_every_family_of_wrong_tokens_is_refused(family: str) -> None:
    with pytest.raises(Unauthenticated):
        await verifier().authenticate(WRONG[family])


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda raw: raw.decode("latin-1")))
def test_any_text_is_refused_and_nothing_else_happens(text: str) -> None:
    with pytest.raises(Unauthenticated):
        verifier().verify(text)


@given(st.integers(0, len(GOOD) - 1), st.characters(max_codepoint=127))
def test_a_token_with_one_other_character_is_refused(place: int, character: str) -> None:
    changed = GOOD[:place] + character + GOOD[place + 1 :]
    if changed != GOOD:
        with pytest.raises(Unauthenticated):
            verifier().verify(changed)


@pytest.mark.parametrize("test", [t for group in VECTORS["groups"] for t in group["tests"]], ids=lambda t: f"{t['tcId']} {t['comment']}")
def test_signatures_are_judged_as_wycheproof_says(test: dict[str, Any]) -> None:
    public = VECTORS["groups"][0]["public"]
    x, y = (int.from_bytes(urlsafe_b64decode(public[name] + "=")) for name in "xy")
    key = PublicKey(ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key())
    assert key.signed(test["jws"]) is (test["result"] == "valid")


async def test_a_token_is_believed_until_the_second_it_expires() -> None:
    clock = Clock()
    token, judge = issued(clock), verifier(clock)
    for seconds in (0, 1, 59, 60, 61, 899):
        clock.time = START + timedelta(seconds=seconds)
        assert (await judge.authenticate(token)).id == "usr_1"
    clock.time = START + timedelta(seconds=900)
    with pytest.raises(Unauthenticated):
        await judge.authenticate(token)


async def test_a_signature_is_checked_once_a_minute() -> None:
    clock, key = Clock(), CountedKey()
    token, judge = issued(clock), verifier(clock, key)
    for seconds, checked in ((0, 1), (30, 1), (59.9, 1), (60, 2), (100, 2), (120, 3)):
        clock.time = START + timedelta(seconds=seconds)
        await judge.authenticate(token)
        assert key.checked == checked


async def test_what_is_remembered_is_bounded_and_never_a_refusal() -> None:
    key = CountedKey()
    judge = verifier(None, key, remembered_tokens=3)
    tokens = [issued(token_id=f"jti_{n}") for n in range(5)]
    for token in tokens:
        await judge.authenticate(token)
    assert len(judge._remembered) == 3
    assert sha256(tokens[4].encode()).digest() in judge._remembered
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            await judge.authenticate(WRONG["another key under our kid"])
    assert key.checked == 7
    assert len(judge._remembered) == 3


async def test_keys_rotate_with_overlap() -> None:
    old, new = issued(), SigningKey(OTHER)
    both, only_new = verifier(None, new.public, KEY.public), verifier(None, new.public)
    assert (await both.authenticate(old)).id == "usr_1"
    with pytest.raises(Unauthenticated):
        await only_new.authenticate(old)
    assert [key.kid for key in both.jwks()] == [new.public.kid, KEY.public.kid]


def test_the_key_id_is_the_thumbprint_of_rfc_7638_and_the_private_half_stays_here() -> None:
    jwk = KEY.public.jwk()
    canonical = f'{{"crv":"P-256","kty":"EC","x":"{jwk.x}","y":"{jwk.y}"}}'
    assert jwk.kid == b64(sha256(canonical.encode()).digest())
    assert set(jwk.__struct_fields__) == {"kty", "crv", "x", "y", "kid", "alg", "use"}


def test_a_derived_key_is_always_the_same_and_needs_a_real_seed() -> None:
    assert SigningKey.derived(b"s" * 32).public.kid == SigningKey.derived(b"s" * 32).public.kid
    assert SigningKey.derived(b"s" * 32).public.kid != SigningKey.derived(b"t" * 32).public.kid
    with pytest.raises(ValueError, match="32 bytes"):
        SigningKey.derived(b"short")


def test_a_key_may_be_given_as_pem_if_it_is_one_of_p256() -> None:
    assert SigningKey.from_pem(pem(PRIVATE)).public.kid == KEY.public.kid
    with pytest.raises(ValueError, match="P-256"):
        SigningKey.from_pem(pem(ec.generate_private_key(ec.SECP384R1())))
    with pytest.raises(ValueError, match="elliptic-curve"):
        SigningKey.from_pem(pem(rsa.generate_private_key(65537, 2048)))


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
