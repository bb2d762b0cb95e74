"""Identity on Postgres: what holds when many do the same thing at the same time, and what is at rest."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import msgspec
import pytest

from modules.identity.container import IdentityContainer
from modules.identity.domain.errors import BadCredentials, InvalidAddress, LastAdmin, LinkUnusable, RefreshRefused
from modules.identity.domain.refresh import ABSOLUTE, IDLE
from modules.identity.domain.user import Role
from modules.identity.domain.views import TokensView
from modules.identity.infra.addresses import EmailAddresses
from modules.identity.infra.attempts import SqlAttempts
from shared.domain.errors import Forbidden, TooManyAttempts
from shared.domain.ids import new_id
from shared.domain.page import PageRequest
from shared.infra.db.connections import Connection
from shared.infra.db.retention import CHUNK, forget

EMAIL, PASSWORD = "ada@example.org", "seven oak planks in the rain"
OTHER = "eight oak planks in the snow"
CROWD = 50


async def together(*work: Awaitable[Any]) -> list[Any]:
    return await asyncio.gather(*work, return_exceptions=True)


def kinds(results: Sequence[object]) -> Counter[type]:
    return Counter(type(result) for result in results)


async def register(identity: IdentityContainer, email: str = EMAIL, password: str = PASSWORD) -> None:
    await identity.accounts().register(email=email, name="Ada", locale="en", password=password)


async def link_token(identity: IdentityContainer, key: str = "task-1") -> str:
    user_id = await identity.database().fetchval("select id from account")
    link: str = await identity.facade().verification_link(user_id, key)
    return parse_qs(urlsplit(link).query)["token"][0]


async def appointed(identity: IdentityContainer, email: str = EMAIL, *roles: Role) -> str:
    user_id = await identity.administration().appoint(email=email, name="Ada", password=PASSWORD, roles=roles or [Role.CUSTOMER])
    assert user_id is not None
    return user_id


async def logged_in(identity: IdentityContainer) -> TokensView:
    await appointed(identity)
    tokens: TokensView = await identity.sign_in().log_in(email=EMAIL, password=PASSWORD)
    return tokens


async def events(admin: Connection) -> list[tuple[str, int]]:
    return [(row[0], row[1]) for row in await admin.fetch("select type, aggregate_version from event order by id")]


async def test_fifty_registrations_of_one_address_make_one_user(identity: IdentityContainer, admin: Connection) -> None:
    emails = [EMAIL if n % 2 else "ADA@Example.org" for n in range(CROWD)]
    assert len(kinds(await together(*(register(identity, email) for email in emails)))) == 1
    assert await admin.fetchval("select count(*) from account") == 1
    told = await events(admin)
    assert Counter(name for name, _ in told) == {"identity.user_registered": 1, "identity.registration_repeated": CROWD - 1}
    assert [version for _, version in told] == list(range(1, CROWD + 1)), "every change is told, in order"


async def test_registering_a_verified_address_changes_nothing(identity: IdentityContainer, admin: Connection) -> None:
    await logged_in(identity)
    before = await admin.fetchrow("select * from account")
    assert before is not None
    await register(identity)
    assert await admin.fetchrow("select * from account") == before
    assert (await events(admin))[-1] == ("identity.registration_repeated", before["version"])


async def test_fifty_uses_of_one_link_verify_once(identity: IdentityContainer, admin: Connection) -> None:
    await register(identity)
    token = await link_token(identity)
    results = await together(*(identity.accounts().verify(token) for _ in range(CROWD)))
    assert kinds(results) == {type(None): 1, LinkUnusable: CROWD - 1}
    assert [name for name, _ in await events(admin)].count("identity.user_verified") == 1


async def test_fifty_wishes_for_a_link_with_one_key_get_one_link(identity: IdentityContainer, admin: Connection) -> None:
    await register(identity)
    assert len(set(await together(*(link_token(identity) for _ in range(CROWD))))) == 1
    assert await admin.fetchval("select count(*) from mailed_link") == 1


async def test_fifty_refreshes_give_one_successor(identity: IdentityContainer, admin: Connection) -> None:
    tokens = await logged_in(identity)
    results = await together(*(identity.sign_in().refresh(tokens.refresh_token) for _ in range(CROWD)))
    assert kinds(results) == {TokensView: CROWD}
    assert len({result.refresh_token for result in results}) == 1
    assert len({result.access_token for result in results}) == CROWD
    assert await admin.fetchval("select count(*) from refresh_token") == 2


async def test_a_token_that_comes_back_late_ends_its_session_once(identity: IdentityContainer, admin: Connection) -> None:
    first = await logged_in(identity)
    second = await identity.sign_in().refresh(first.refresh_token)
    await admin.execute("update refresh_token set used_at = used_at - interval '10 seconds' where used_at is not null")
    results = await together(*(identity.sign_in().refresh(first.refresh_token) for _ in range(CROWD)))
    assert kinds(results) == {RefreshRefused: CROWD}
    with pytest.raises(RefreshRefused):
        await identity.sign_in().refresh(second.refresh_token)
    assert [event for event in await events(admin) if "reused" in event[0]] == [("identity.token_reused", 2)]
    assert await admin.fetchval("select revoked_because from session") == "token_reused"


async def test_sessions_of_other_devices_survive(identity: IdentityContainer, admin: Connection) -> None:
    first = await logged_in(identity)
    other = await identity.sign_in().log_in(email=EMAIL, password=PASSWORD)
    await identity.sign_in().log_out(first.refresh_token)
    with pytest.raises(RefreshRefused):
        await identity.sign_in().refresh(first.refresh_token)
    assert (await identity.sign_in().refresh(other.refresh_token)).refresh_token != other.refresh_token


async def test_a_refresh_token_idles_for_seven_days_and_never_outlives_its_session(identity: IdentityContainer, admin: Connection) -> None:
    tokens = await logged_in(identity)
    (lives,) = await admin.fetch(
        "select t.expires_at - t.issued_at, s.expires_at - s.started_at from refresh_token t join session s on s.id = t.session_id"
    )
    assert tuple(lives) == (IDLE, ABSOLUTE)
    await admin.execute("update session set expires_at = now() + interval '1 day'")
    await identity.sign_in().refresh(tokens.refresh_token)
    assert await admin.fetchval("select max(t.expires_at) = max(s.expires_at) from refresh_token t, session s where t.used_at is null")
    await admin.execute("update refresh_token set used_at = null, expires_at = now()")
    with pytest.raises(RefreshRefused):
        await identity.sign_in().refresh(tokens.refresh_token)


async def test_five_attempts_are_free_and_of_fifty_at_once_no_more(identity: IdentityContainer) -> None:
    attempts = SqlAttempts(identity.database(), first_wait_s=600)
    results = await together(*(attempts.take("somebody") for _ in range(CROWD)))
    assert kinds(results) == {type(None): 5, TooManyAttempts: CROWD - 5}
    assert all(1 <= result.facts["retry_after"] <= 600 for result in results if result)


async def test_each_further_attempt_waits_twice_as_long_up_to_a_quarter_of_an_hour(identity: IdentityContainer, admin: Connection) -> None:
    attempts, waits = identity.attempts(), []
    for _ in range(15):
        await attempts.take("somebody")
        waits.append(await admin.fetchval("select greatest(0, round(extract(epoch from free_at - clock_timestamp())))::int from attempt"))
        await admin.execute("update attempt set free_at = clock_timestamp() where free_at > clock_timestamp()")
    assert waits == [0, 0, 0, 0, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]


async def test_attempts_are_forgotten_after_a_quiet_quarter_of_an_hour_and_forgiven_to_the_right_person(
    identity: IdentityContainer, admin: Connection
) -> None:
    attempts = identity.attempts()
    for _ in range(5):
        await attempts.take("somebody")
    with pytest.raises(TooManyAttempts):
        await attempts.take("somebody")
    await attempts.take("somebody else")
    await admin.execute("update attempt set free_at = free_at - interval '15 minutes 3 seconds'")
    for _ in range(5):
        await attempts.take("somebody")
    await attempts.forgive("somebody")
    for _ in range(5):
        await attempts.take("somebody")


async def test_a_login_forgives_and_counts_nobody_elses(identity: IdentityContainer) -> None:
    await appointed(identity)
    for _ in range(3):
        for _ in range(4):
            with pytest.raises(BadCredentials):
                await identity.sign_in().log_in(email=EMAIL, password=OTHER)
        await identity.sign_in().log_in(email="Ada@EXAMPLE.org", password=PASSWORD)


async def test_unknown_addresses_are_braked_like_known_ones(identity: IdentityContainer) -> None:
    results = [await together(identity.sign_in().log_in(email="nobody@example.org", password=OTHER)) for _ in range(6)]
    assert kinds([result for (result,) in results]) == {BadCredentials: 5, TooManyAttempts: 1}


async def test_two_administrators_cannot_depose_each_other(identity: IdentityContainer, admin: Connection) -> None:
    administration = identity.administration()
    for _ in range(10):
        await admin.execute("truncate account cascade")
        one, two = [await appointed(identity, f"{name}@example.org", Role.ADMIN) for name in ("one", "two")]
        results = await together(
            administration.set_roles(one, two, [Role.CUSTOMER], None),
            administration.set_roles(two, one, [Role.CUSTOMER], None),
            administration.set_roles(one, one, [Role.CUSTOMER], None),
            administration.set_roles(two, two, [Role.CUSTOMER], None),
        )
        assert {Forbidden, LastAdmin} & set(kinds(results))
        assert await admin.fetchval("select count(*) from account where 'admin' = any(roles)") == 1


async def test_an_address_is_one_however_it_is_written(identity: IdentityContainer, admin: Connection) -> None:
    await appointed(identity, "Ada@Example.ORG")
    again = await identity.administration().appoint(email="aDA@example.org", name="Ada", password=PASSWORD, roles=[Role.ADMIN])
    assert again is None
    with pytest.raises(asyncpg.UniqueViolationError, match="account_email_key"):
        await admin.execute("insert into account select 'usr_x', upper(email), name, locale, password_hash, roles from account")


async def test_no_secret_is_at_rest(identity: IdentityContainer, admin: Connection) -> None:
    await register(identity)
    link = await link_token(identity)
    await identity.accounts().verify(link)
    tokens = await identity.sign_in().log_in(email=EMAIL, password=PASSWORD)
    with pytest.raises(BadCredentials):
        await identity.sign_in().log_in(email=EMAIL, password=OTHER)
    refreshed = await identity.sign_in().refresh(tokens.refresh_token)
    tables = [row[0] for row in await admin.fetch("select tablename from pg_tables where schemaname = 'identity'")]
    stored = "".join([str(await admin.fetch(f"select t::text from {table} t")) for table in tables])
    assert "ada@example.org" in stored
    for secret in (link, PASSWORD, OTHER, tokens.refresh_token, tokens.access_token, refreshed.refresh_token, refreshed.access_token):
        assert secret not in stored
        assert secret.encode().hex() not in stored


async def test_events_carry_no_name_and_no_address(identity: IdentityContainer, admin: Connection) -> None:
    await register(identity)
    await register(identity)
    await identity.accounts().verify(await link_token(identity))
    assert EMAIL not in str(await admin.fetch("select payload, headers from event"))


async def test_contacts_come_in_one_batch_without_the_unknown(identity: IdentityContainer) -> None:
    ids = [await appointed(identity, f"user{n}@example.org") for n in range(3)]
    contacts = await identity.facade().contacts([*ids, "usr_none"])
    assert sorted(contact.email for contact in contacts) == [f"user{n}@example.org" for n in range(3)]


async def test_users_are_walked_by_keyset_in_the_order_of_registration(identity: IdentityContainer) -> None:
    ids = [await appointed(identity, f"user{n}@example.org", Role.SUPPORT) for n in range(5)]
    seen: list[str] = []
    page = PageRequest(limit=2)
    while True:
        slice_ = await identity.administration().list_users(ids[0], page)
        seen += [user.id for user in slice_.items]
        if slice_.next is None:
            break
        page = PageRequest(limit=2, after=slice_.next)
    assert seen == ids


async def test_what_is_asked_often_is_found_by_an_index(identity: IdentityContainer, admin: Connection) -> None:
    await admin.execute("""
        insert into account (id, email, name, locale, password_hash, roles)
        select 'usr_' || lpad(n::text, 32, '0'), n || '@example.org', 'n', 'en', '1:x', '{customer}' from generate_series(1, 20000) n
    """)
    await admin.execute("analyze account")
    for index, statement in {
        "account_email_key": "select id from account where lower(email) = lower('7@example.org')",
        "account_admins": "select id from account where roles @> '{admin}' order by id for no key update",
    }.items():
        assert index in str(await admin.fetch(f"explain {statement}"))


async def test_the_runtime_role_cannot_delete_people(identity: IdentityContainer) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await identity.database().fetch("delete from account")


async def test_what_has_lost_its_meaning_is_forgotten_and_the_rest_is_kept(identity: IdentityContainer, admin: Connection) -> None:
    await register(identity)
    await link_token(identity, "old")
    await admin.execute("update mailed_link set expires_at = now() - interval '8 days'")
    await link_token(identity, "new")
    await admin.execute("update account set verified_at = now()")
    await identity.sign_in().log_in(email=EMAIL, password=PASSWORD)
    await admin.execute(f"""
        insert into session (id, user_id, expires_at)
            select 'old' || n, a.id, now() - interval '8 days' from account a, generate_series(1, {CHUNK + 1}) n;
        insert into refresh_token (token_hash, session_id, expires_at) select id::bytea, id, now() from session where id like 'old%';
        insert into attempt (subject, free_at) values ('old', now() - interval '2 days'), ('new', now())
    """)
    for retention in identity.module().retentions:
        await forget(identity.database(), retention)
    counts = {
        table: await admin.fetchval(f"select count(*) from {table}") for table in ("mailed_link", "session", "refresh_token", "attempt")
    }
    assert counts == {"mailed_link": 1, "session": 1, "refresh_token": 1, "attempt": 1}


@pytest.mark.parametrize(
    "text", ["ada", "ada@", "@example.org", "a b@example.org", "ada@example..org", "ada@exa mple.org", "ada@-x.org", ""]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidAddress):
        EmailAddresses().normalised(text)


def test_an_address_has_one_spelling() -> None:
    normalised = EmailAddresses().normalised
    assert normalised("Ada@EXAMPLE.Org") == "Ada@example.org"
    assert normalised("ada@bu\u0308cher.example") == normalised("ada@b\u00fccher.example")


async def test_an_access_token_says_who_logged_in_when_and_how(identity: IdentityContainer, admin: Connection) -> None:
    tokens = await logged_in(identity)
    claims = identity.shared.verifier().verify(tokens.access_token)
    ((user_id, session_id, started),) = await admin.fetch("select user_id, id, started_at from session")
    assert (claims.sub, claims.sid, claims.scope, claims.amr) == (user_id, session_id, "customer", ("pwd",))
    assert claims.auth_time == int(started.timestamp())
    assert timedelta(seconds=tokens.expires_in) == timedelta(minutes=15)
    assert new_id("jti")[:4] == claims.jti[:4]
    keys = msgspec.to_builtins(identity.sign_in().key_set())["keys"]
    assert [sorted(key) for key in keys] == [["alg", "crv", "kid", "kty", "use", "x", "y"]]
