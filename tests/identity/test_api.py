"""Identity over HTTP: the story of a user, and who is let in."""

import asyncio
import logging
from collections import Counter
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import structlog
from litestar import Litestar
from litestar.routes import HTTPRoute

from modules.identity.container import IdentityContainer
from modules.identity.domain.user import Role
from shared.api.options import OPT_MODULE, OPT_OPERATION, OPT_RULE
from shared.domain.policy import Rule
from shared.infra.db.connections import Connection
from tests.support.tokens import bearer

EMAIL, PASSWORD = "ada@example.org", "seven oak planks in the rain"
OTHER = "eight oak planks in the snow"
NOBODY = "usr_" + "0" * 32
REGISTRATION = {"email": EMAIL, "password": PASSWORD, "name": "Ada"}
CREDENTIALS = {"email": EMAIL, "password": PASSWORD}


class Wired:
    """What `bearer` asks of a root container."""

    def __init__(self, identity: IdentityContainer) -> None:
        self.shared = identity.shared


async def link_token(identity: IdentityContainer) -> str:
    user_id = await identity.database().fetchval("select id from account")
    link: str = await identity.facade().verification_link(user_id, "task-1")
    return parse_qs(urlsplit(link).query)["token"][0]


async def logged_in(client: httpx.AsyncClient, identity: IdentityContainer) -> dict[str, Any]:
    await client.post("/v1/users", json=REGISTRATION)
    await client.post("/v1/auth/verify", json={"token": await link_token(identity)})
    tokens: dict[str, Any] = (await client.post("/v1/auth/login", json=CREDENTIALS)).json()
    return tokens


async def appointed(identity: IdentityContainer, email: str, *roles: Role) -> tuple[str, dict[str, str]]:
    """A user's id, and the headers that they send."""
    user_id = await identity.administration().appoint(email=email, name="Staff", password=PASSWORD, roles=roles)
    return user_id or "", bearer(Wired(identity), roles, user_id=user_id)


def code(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


async def test_a_user_registers_verifies_logs_in_refreshes_and_leaves(client: httpx.AsyncClient, identity: IdentityContainer) -> None:
    received = await client.post("/v1/users", json=REGISTRATION)
    assert received.status_code == 202
    assert code(await client.post("/v1/auth/login", json=CREDENTIALS)) == (403, "address_unverified")
    verified = await client.post("/v1/auth/verify", json={"token": await link_token(identity)})
    assert (verified.status_code, verified.content) == (204, b"")
    login = await client.post("/v1/auth/login", json=CREDENTIALS)
    assert (login.status_code, login.headers["cache-control"]) == (200, "no-store")
    tokens = login.json()
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 900)
    me = await client.get("/v1/me", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    assert (me.json()["email"], me.json()["roles"], me.headers["cache-control"]) == (EMAIL, ["customer"], "no-store")
    refreshed = await client.post("/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert (refreshed.status_code, refreshed.headers["cache-control"]) == (200, "no-store")
    left = await client.post("/v1/auth/logout", json={"refresh_token": refreshed.json()["refresh_token"]})
    assert left.status_code == 204
    again = await client.post("/v1/auth/refresh", json={"refresh_token": refreshed.json()["refresh_token"]})
    assert code(again) == (401, "refresh_refused")


async def test_known_and_unknown_addresses_get_the_same_answer_to_the_byte(client: httpx.AsyncClient) -> None:
    first, second = [await client.post("/v1/users", json=REGISTRATION) for _ in range(2)]
    hidden = ("trace-id", "ratelimit")
    assert first.content == second.content
    assert [h for h in first.headers.items() if h[0] not in hidden] == [h for h in second.headers.items() if h[0] not in hidden]


async def test_fifty_registrations_of_one_address_are_all_received_and_make_one_user(client: httpx.AsyncClient, admin: Connection) -> None:
    answers = await asyncio.gather(*(client.post("/v1/users", json=REGISTRATION) for _ in range(50)))
    assert Counter(answer.status_code for answer in answers) == {202: 50}
    assert await admin.fetchval("select count(*) from account") == 1


async def test_looking_at_a_link_never_uses_it_up(client: httpx.AsyncClient, identity: IdentityContainer) -> None:
    await client.post("/v1/users", json=REGISTRATION)
    token = await link_token(identity)
    for method in ("GET", "HEAD", "GET", "GET"):
        looked = await client.request(method, "/v1/auth/verify", params={"token": token})
        assert (looked.status_code, looked.headers["cache-control"]) == (200, "no-store")
        assert method == "HEAD" or (looked.json()["state"], "POST" in looked.json()["next"]) == ("open", True)
    answers = await asyncio.gather(*(client.post("/v1/auth/verify", json={"token": token}) for _ in range(50)))
    assert Counter(answer.status_code for answer in answers) == {204: 1, 422: 49}
    used = (await client.get("/v1/auth/verify", params={"token": token})).json()
    assert (used["state"], used["next"]) == ("used", "The address is confirmed: log in.")
    assert code(await client.get("/v1/auth/verify", params={"token": "x" * 43})) == (404, "not_found")


async def test_fifty_refreshes_at_once_get_one_successor(client: httpx.AsyncClient, identity: IdentityContainer) -> None:
    tokens = await logged_in(client, identity)
    body = {"refresh_token": tokens["refresh_token"]}
    answers = await asyncio.gather(*(client.post("/v1/auth/refresh", json=body) for _ in range(50)))
    assert Counter(answer.status_code for answer in answers) == {200: 50}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1


async def test_guessing_is_braked_and_says_for_how_long(client: httpx.AsyncClient, identity: IdentityContainer) -> None:
    await appointed(identity, EMAIL, Role.CUSTOMER)
    wrong = CREDENTIALS | {"password": OTHER}
    answers = [await client.post("/v1/auth/login", json=wrong) for _ in range(6)]
    assert [code(answer) for answer in answers] == [(401, "bad_credentials")] * 5 + [(429, "too_many_attempts")]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 2
    unknown = [await client.post("/v1/auth/login", json=wrong | {"email": "nobody@example.org"}) for _ in range(6)]
    assert [code(answer) for answer in unknown] == [code(answer) for answer in answers]


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (REGISTRATION | {"password": "password12345"}, (422, "weak_password")),
        (REGISTRATION | {"email": "ada@example..org"}, (422, "invalid_email")),
        (REGISTRATION | {"email": "ada"}, (400, "invalid_request")),
        (REGISTRATION | {"name": ""}, (400, "invalid_request")),
        (REGISTRATION | {"name": " "}, (400, "invalid_request")),
        (REGISTRATION | {"name": "Ada\r\nBcc: everybody@example.org"}, (400, "invalid_request")),
        (REGISTRATION | {"locale": "en; drop table account"}, (400, "invalid_request")),
        (REGISTRATION | {"roles": ["admin"]}, (400, "invalid_request")),
        (REGISTRATION | {"password": "x" * 1025}, (400, "invalid_request")),
        (REGISTRATION | {"password": 123456789012}, (400, "invalid_request")),
    ],
)
async def test_what_cannot_be_registered_is_refused(client: httpx.AsyncClient, body: dict[str, Any], answer: tuple[int, str]) -> None:
    refused = await client.post("/v1/users", json=body)
    assert code(refused) == answer
    assert str(body["password"]) not in refused.text


async def test_an_administrator_changes_roles_with_if_match(client: httpx.AsyncClient, identity: IdentityContainer) -> None:
    root, as_root = await appointed(identity, "root@example.org", Role.ADMIN)
    clerk, _ = await appointed(identity, "clerk@example.org", Role.SUPPORT)
    path, wanted = f"/v1/users/{clerk}", {"roles": ["manager", "customer"]}
    tag = (await client.get(path, headers=as_root)).headers["etag"]
    assert (await client.get(path, headers=as_root | {"If-None-Match": tag})).status_code == 304
    assert code(await client.put(f"{path}/roles", json=wanted, headers=as_root)) == (428, "precondition_required")
    assert code(await client.put(f"{path}/roles", json=wanted, headers=as_root | {"If-Match": '"99"'})) == (412, "stale_version")
    changed = await client.put(f"{path}/roles", json=wanted, headers=as_root | {"If-Match": tag})
    assert (changed.status_code, changed.json()["roles"], changed.headers["etag"]) == (200, ["customer", "manager"], '"2"')
    anything = {"If-Match": "*"}
    last = await client.put(f"/v1/users/{root}/roles", json={"roles": ["customer"]}, headers=as_root | anything)
    assert code(last) == (409, "last_admin")
    assert code(await client.put(f"/v1/users/{NOBODY}/roles", json=wanted, headers=as_root | anything)) == (404, "not_found")
    assert code(await client.put(f"{path}/roles", json={"roles": []}, headers=as_root | anything)) == (400, "invalid_request")
    assert code(await client.put(f"{path}/roles", json={"roles": ["god"]}, headers=as_root | anything)) == (400, "invalid_request")


async def test_a_token_that_outlives_its_role_gives_no_roles_and_shows_no_users(
    client: httpx.AsyncClient, identity: IdentityContainer
) -> None:
    """The token still says so for up to 15 minutes; the source does not."""
    clerk, _ = await appointed(identity, "clerk@example.org", Role.CUSTOMER)
    stale = bearer(Wired(identity), ["admin"], user_id=clerk)
    path = f"/v1/users/{clerk}"
    attempts = [
        await client.put(f"{path}/roles", json={"roles": ["admin"]}, headers=stale | {"If-Match": "*"}),
        await client.get("/v1/users", headers=stale),
        await client.get(path, headers=stale),
    ]
    assert [code(attempt) for attempt in attempts] == [(403, "forbidden")] * 3
    assert code(await client.get("/v1/me", headers=bearer(Wired(identity), user_id=NOBODY))) == (401, "unauthenticated")


async def test_staff_walk_the_list_of_users(client: httpx.AsyncClient, identity: IdentityContainer) -> None:
    users = [await appointed(identity, f"clerk{n}@example.org", Role.SUPPORT) for n in range(5)]
    seen, url = [], "/v1/users?limit=2"
    while url:
        page = (await client.get(url, headers=users[0][1])).json()
        seen += [user["id"] for user in page["data"]]
        url = f"/v1/users?limit=2&cursor={page['next_cursor']}" if page["has_more"] else ""
    assert seen == [user_id for user_id, _ in users]


async def test_anybody_can_fetch_the_keys_and_they_verify_our_tokens(client: httpx.AsyncClient, identity: IdentityContainer) -> None:
    answer = await client.get("/.well-known/jwks.json")
    assert answer.headers["cache-control"] == "public, max-age=300"
    (key,) = answer.json()["keys"]
    assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("EC", "P-256", "ES256", "sig")
    assert key["kid"] == identity.shared.signing_key().public.kid
    assert "d" not in key


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Bearer a.b.c", "Basic YTpi", "Bearer " + "a" * 5000, "Bearer a b", "bearer ...", "Bearer \xff", ""]
)
async def test_a_credential_that_is_none_is_refused_everywhere(client: httpx.AsyncClient, header: str) -> None:
    for method, path in (("GET", "/v1/me"), ("GET", "/.well-known/jwks.json"), ("POST", "/v1/users")):
        refused = await client.request(method, path, headers=[(b"authorization", header.encode("latin-1"))])
        assert code(refused) == (401, "unauthenticated")
        assert "www-authenticate" in refused.headers


async def test_a_token_of_another_key_or_of_yesterday_is_refused(client: httpx.AsyncClient, identity: IdentityContainer) -> None:
    good = bearer(Wired(identity))["Authorization"]
    other = good[:-4] + ("AAAA" if not good.endswith("AAAA") else "BBBB")
    for token in (other, good.replace(".", "..", 1), good + "."):
        assert code(await client.get("/v1/me", headers={"Authorization": token})) == (401, "unauthenticated")


async def test_no_secret_is_logged(client: httpx.AsyncClient, identity: IdentityContainer, caplog: pytest.LogCaptureFixture) -> None:
    with structlog.testing.capture_logs() as lines, caplog.at_level(logging.DEBUG):
        tokens = await logged_in(client, identity)
        link = await link_token(identity)
        await client.get("/v1/auth/verify", params={"token": link})
        await client.post("/v1/auth/login", json=CREDENTIALS | {"password": OTHER})
        await client.post("/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
        await client.get("/v1/me", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    written = str(lines) + "".join(record.getMessage() for record in caplog.records if record.name != "httpx")
    assert "/v1/auth/login" in written
    for secret in (PASSWORD, OTHER, EMAIL, link, tokens["access_token"], tokens["refresh_token"]):
        assert secret not in written


REQUESTS: dict[str, tuple[str, str, Any]] = {
    "registerUser": ("POST", "/v1/users", REGISTRATION),
    "logIn": ("POST", "/v1/auth/login", CREDENTIALS),
    "refreshTokens": ("POST", "/v1/auth/refresh", {"refresh_token": "x" * 43}),
    "logOut": ("POST", "/v1/auth/logout", {"refresh_token": "x" * 43}),
    "lookAtLink": ("GET", f"/v1/auth/verify?token={'x' * 43}", None),
    "verifyAddress": ("POST", "/v1/auth/verify", {"token": "x" * 43}),
    "getKeySet": ("GET", "/.well-known/jwks.json", None),
    "getMe": ("GET", "/v1/me", None),
    "listUsers": ("GET", "/v1/users", None),
    "getUser": ("GET", f"/v1/users/{NOBODY}", None),
    "setUserRoles": ("PUT", f"/v1/users/{NOBODY}/roles", {"roles": ["customer"]}),
}
CALLERS = ("anonymous", "guest", *Role)


def rules(app: Litestar) -> dict[str, Rule]:
    return {
        handler.opt[OPT_OPERATION].id: handler.opt[OPT_RULE]
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if handler.opt.get(OPT_MODULE) == "identity" and OPT_OPERATION in handler.opt
    }


def test_the_requests_below_reach_every_operation(app: Litestar) -> None:
    assert rules(app).keys() == REQUESTS.keys()


@pytest.mark.parametrize("operation", REQUESTS)
async def test_each_operation_admits_whom_its_rule_names_and_nobody_else(
    client: httpx.AsyncClient, app: Litestar, identity: IdentityContainer, operation: str
) -> None:
    rule = rules(app)[operation]
    method, path, body = REQUESTS[operation]
    for caller in CALLERS:
        headers = {"Cart-Token": "g" * 43} if caller == "guest" else {}
        if caller in set(Role):
            _, headers = await appointed(identity, f"{caller}@example.org", Role(caller))
        answer = await client.request(method, path, json=body, headers=headers | {"If-Match": "*"})
        assert answer.status_code < 500
        refused = answer.status_code in (401, 403) and answer.json()["code"] in ("unauthenticated", "forbidden")
        admitted = rule.roles is None or caller in rule.roles
        assert refused is not admitted, (caller, answer.text)
        if refused:
            assert answer.status_code == (403 if caller in set(Role) else 401)
