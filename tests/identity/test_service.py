"""The use cases of identity, on a store in memory."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from modules.identity.domain.accounts import LINK_LIFE, Accounts
from modules.identity.domain.administration import Administration
from modules.identity.domain.errors import AddressUnverified, BadCredentials, LastAdmin, LinkUnusable, RefreshRefused, WeakPassword
from modules.identity.domain.opaque import Derivation
from modules.identity.domain.refresh import ABSOLUTE, GRACE, IDLE
from modules.identity.domain.sign_in import SignIn
from modules.identity.domain.user import Role
from modules.identity.domain.views import RegistrationReceived, TokensView
from modules.identity.public import AlreadyVerified, RegistrationRepeated, RolesChanged, TokenReused, UserRegistered, UserVerified
from shared.domain.errors import Busy, Forbidden, NotFound, StaleVersion, TooManyAttempts, Unauthenticated
from shared.domain.events import Event
from shared.domain.page import PageRequest
from tests.identity.fakes import FakeAccessTokens, FakeAddresses, FakeAttempts, FakePasswords, FakeQueries, Store

EMAIL, PASSWORD = "ada@example.org", "seven oak planks in the rain"
OTHER = "eight oak planks in the snow"


class Identity:
    """The whole module in memory."""

    def __init__(self) -> None:
        self.store = Store()
        self.diary: list[str] = []
        self.passwords, self.attempts = FakePasswords(self.diary), FakeAttempts(self.diary)
        queries, addresses, derivation = FakeQueries(self.store), FakeAddresses(), Derivation(b"k" * 32)
        transact = self.store.transact
        self.accounts = Accounts(transact, queries, addresses, self.passwords, derivation, "https://shop.example/")
        self.sign_in = SignIn(transact, queries, addresses, self.passwords, self.attempts, FakeAccessTokens(), derivation)
        self.administration = Administration(transact, queries, addresses, self.passwords)

    async def register(self, email: str = EMAIL, password: str = PASSWORD) -> RegistrationReceived:
        return await self.accounts.register(email=email, name="Ada", locale="en", password=password)

    async def link_token(self, key: str = "task-1") -> str:
        user = self.store.rows.of(EMAIL)
        assert user is not None
        return token_of(await self.accounts.verification_link(user.id, key))

    async def logged_in(self) -> TokensView:
        await self.register()
        await self.accounts.verify(await self.link_token())
        return await self.sign_in.log_in(email=EMAIL, password=PASSWORD)

    async def appointed(self, email: str, *roles: Role) -> str:
        user_id = await self.administration.appoint(email=email, name="Staff", password=PASSWORD, roles=roles)
        assert user_id is not None
        return user_id

    def events(self) -> list[Event]:
        return [event for event, _ in self.store.rows.events]


def token_of(link: str) -> str:
    return parse_qs(urlsplit(link).query)["token"][0]


@pytest.fixture
def identity() -> Identity:
    return Identity()


async def test_known_and_unknown_addresses_get_the_same_answer_at_the_same_cost(identity: Identity) -> None:
    first = await identity.register()
    cost = identity.diary.copy(), identity.store.transactions
    identity.diary.clear()
    second = await identity.register("ADA@example.org")
    assert first == second
    assert (identity.diary, identity.store.transactions - cost[1]) == cost
    (user,) = identity.store.rows.users.values()
    assert identity.store.rows.events == [
        (UserRegistered(user_id=user.id), 1),
        (RegistrationRepeated(user_id=user.id, verified=False), 2),
    ]


async def test_a_weak_password_is_refused_before_anything_is_spent(identity: Identity) -> None:
    with pytest.raises(WeakPassword):
        await identity.register(password="password12345")
    assert (identity.diary, identity.store.transactions) == ([], 0)


async def test_a_full_queue_refuses_registration(identity: Identity) -> None:
    identity.passwords.full = True
    with pytest.raises(Busy):
        await identity.register()


async def test_a_link_comes_from_the_settings_and_is_the_same_for_the_same_key(identity: Identity) -> None:
    await identity.register()
    (user_id,) = identity.store.rows.users
    link = await identity.accounts.verification_link(user_id, "task-1")
    assert link.startswith("https://shop.example/v1/auth/verify?token=")
    assert await identity.accounts.verification_link(user_id, "task-1") == link
    assert await identity.accounts.verification_link(user_id, "task-2") != link
    assert len(identity.store.rows.links) == 2
    assert token_of(link).encode() not in b"".join(identity.store.rows.links), "only its hash is kept"


async def test_a_link_verifies_once_and_looking_does_not_use_it_up(identity: Identity) -> None:
    await identity.register()
    token = await identity.link_token()
    assert (await identity.accounts.look_at_link(token)).state == "open"
    assert (await identity.accounts.look_at_link(token)).state == "open"
    await identity.accounts.verify(token)
    assert (await identity.accounts.look_at_link(token)).state == "used"
    with pytest.raises(LinkUnusable):
        await identity.accounts.verify(token)
    assert [type(event) for event in identity.events()] == [UserRegistered, UserVerified]


async def test_a_link_expires(identity: Identity) -> None:
    await identity.register()
    token = await identity.link_token()
    identity.store.now += LINK_LIFE
    with pytest.raises(LinkUnusable):
        await identity.accounts.verify(token)


async def test_unknown_links_and_users_are_said_to_be_unknown(identity: Identity) -> None:
    with pytest.raises(LinkUnusable):
        await identity.accounts.verify("nobody-has-this-token")
    with pytest.raises(NotFound):
        await identity.accounts.look_at_link("nobody-has-this-token")
    with pytest.raises(NotFound):
        await identity.accounts.verification_link("usr_none", "task-1")
    with pytest.raises(Unauthenticated):
        await identity.accounts.me("usr_none")


async def test_the_link_decides_whose_registration_holds(identity: Identity) -> None:
    """Somebody registers the address of another in advance, or again right after them: the password is not theirs to set."""
    await identity.register(password=PASSWORD)
    mine = await identity.link_token("task-1")
    await identity.register(password=OTHER)
    await identity.accounts.verify(mine)
    await identity.sign_in.log_in(email=EMAIL, password=PASSWORD)
    with pytest.raises(BadCredentials):
        await identity.sign_in.log_in(email=EMAIL, password=OTHER)


async def test_registering_a_verified_address_changes_nothing_but_is_told_to_its_owner(identity: Identity) -> None:
    await identity.logged_in()
    (user,) = identity.store.rows.users.values()
    user_id, version = user.id, user.version
    await identity.register(password=OTHER)
    with pytest.raises(BadCredentials):
        await identity.sign_in.log_in(email=EMAIL, password=OTHER)
    assert identity.store.rows.users[user_id].version == version, "so that nobody else's change of it is refused"
    assert identity.events()[-1] == RegistrationRepeated(user_id=user_id, verified=True)
    with pytest.raises(AlreadyVerified):
        await identity.accounts.verification_link(user_id, "task-2")
    assert await identity.accounts.verification_link(user_id, "task-1"), "a mail that is sent again still finds its link"


async def test_an_unverified_user_is_told_so_only_with_the_right_password(identity: Identity) -> None:
    await identity.register()
    with pytest.raises(BadCredentials):
        await identity.sign_in.log_in(email=EMAIL, password=OTHER)
    with pytest.raises(AddressUnverified):
        await identity.sign_in.log_in(email=EMAIL, password=PASSWORD)


async def test_unknown_users_cost_what_known_ones_cost(identity: Identity) -> None:
    await identity.register()
    costs = []
    for email in (EMAIL, "nobody@example.org"):
        identity.diary.clear()
        with pytest.raises(BadCredentials) as refused:
            await identity.sign_in.log_in(email=email, password=OTHER)
        costs.append((identity.diary.copy(), str(refused.value)))
    assert costs[0] == costs[1] == (["turn", "take", "match"], costs[0][1])


async def test_an_attempt_is_counted_before_the_password_is_looked_at(identity: Identity) -> None:
    await identity.register()
    identity.attempts.left = 0
    identity.diary.clear()
    with pytest.raises(TooManyAttempts):
        await identity.sign_in.log_in(email=EMAIL, password=PASSWORD)
    assert identity.diary == ["turn", "take"]


async def test_being_busy_costs_nobody_an_attempt(identity: Identity) -> None:
    await identity.logged_in()
    identity.passwords.full = True
    with pytest.raises(Busy):
        await identity.sign_in.log_in(email=EMAIL, password=PASSWORD)
    assert identity.attempts.left == 5


async def test_attempts_are_counted_by_address_however_it_is_written_and_without_naming_it(identity: Identity) -> None:
    for email in (EMAIL, "ADA@example.org"):
        with pytest.raises(BadCredentials):
            await identity.sign_in.log_in(email=email, password=OTHER)
    (subject,) = identity.attempts.subjects
    assert "ada" not in subject


async def test_a_login_renews_a_hash_of_yesterdays_strength(identity: Identity) -> None:
    await identity.logged_in()
    identity.passwords.generation = 2
    await identity.sign_in.log_in(email=EMAIL, password=PASSWORD)
    (user,) = identity.store.rows.users.values()
    assert user.password_hash.startswith("2:")
    assert user.version == 2, "which is nobody's business"


async def test_refreshing_gives_one_successor_within_the_grace_and_ends_the_session_after_it(identity: Identity) -> None:
    first = await identity.logged_in()
    second = await identity.sign_in.refresh(first.refresh_token)
    assert second.refresh_token != first.refresh_token
    identity.store.now += GRACE - timedelta(seconds=1)
    assert (await identity.sign_in.refresh(first.refresh_token)).refresh_token == second.refresh_token
    identity.store.now += timedelta(seconds=1)
    with pytest.raises(RefreshRefused):
        await identity.sign_in.refresh(first.refresh_token)
    with pytest.raises(RefreshRefused):
        await identity.sign_in.refresh(second.refresh_token)
    reuses = [event for event in identity.events() if isinstance(event, TokenReused)]
    assert len(reuses) == 1, "told once, and committed although the request was refused"


async def test_a_session_ends_when_it_idles_and_at_the_latest_after_thirty_days(identity: Identity) -> None:
    tokens = await identity.logged_in()
    start = identity.store.now
    while identity.store.now + IDLE - timedelta(hours=1) < start + ABSOLUTE:
        identity.store.now += IDLE - timedelta(hours=1)
        tokens = await identity.sign_in.refresh(tokens.refresh_token)
    identity.store.now = start + ABSOLUTE
    with pytest.raises(RefreshRefused):
        await identity.sign_in.refresh(tokens.refresh_token)
    idle = await identity.sign_in.log_in(email=EMAIL, password=PASSWORD)
    identity.store.now += IDLE
    with pytest.raises(RefreshRefused):
        await identity.sign_in.refresh(idle.refresh_token)


async def test_logging_out_ends_the_session_and_forgives_unknown_tokens(identity: Identity) -> None:
    tokens = await identity.logged_in()
    await identity.sign_in.log_out(tokens.refresh_token)
    await identity.sign_in.log_out(tokens.refresh_token)
    await identity.sign_in.log_out("nobody-has-this-token")
    with pytest.raises(RefreshRefused):
        await identity.sign_in.refresh(tokens.refresh_token)


async def test_a_refresh_carries_the_roles_of_this_moment_and_the_time_of_the_log_in(identity: Identity) -> None:
    tokens = await identity.logged_in()
    admin = await identity.appointed("root@example.org", Role.ADMIN)
    (ada, _) = identity.store.rows.users
    await identity.administration.set_roles(admin, ada, [Role.CUSTOMER, Role.SUPPORT], None)
    identity.store.now += timedelta(hours=1)
    renewed = await identity.sign_in.refresh(tokens.refresh_token)
    assert renewed.access_token.endswith("customer,support 12:00")


async def test_an_administrator_gives_roles_and_the_change_is_told(identity: Identity) -> None:
    admin = await identity.appointed("root@example.org", Role.ADMIN)
    clerk = await identity.appointed("clerk@example.org", Role.SUPPORT)
    view = await identity.administration.set_roles(admin, clerk, [Role.SUPPORT, Role.MANAGER], 1)
    assert (view.roles, view.version) == ([Role.MANAGER, Role.SUPPORT], 2)
    told = RolesChanged(user_id=clerk, actor_id=admin, roles=["manager", "support"])
    assert identity.store.rows.events[-1] == (told, 2)
    with pytest.raises(StaleVersion):
        await identity.administration.set_roles(admin, clerk, [Role.SUPPORT], 1)
    await identity.administration.set_roles(admin, clerk, [Role.SUPPORT, Role.MANAGER], 2)
    assert len([event for event in identity.events() if isinstance(event, RolesChanged)]) == 1, "no change, no event"


async def test_the_last_administrator_stays_one(identity: Identity) -> None:
    admin = await identity.appointed("root@example.org", Role.ADMIN)
    with pytest.raises(LastAdmin):
        await identity.administration.set_roles(admin, admin, [Role.CUSTOMER], None)
    other = await identity.appointed("second@example.org", Role.ADMIN)
    await identity.administration.set_roles(admin, admin, [Role.CUSTOMER], None)
    with pytest.raises(Forbidden, match="not an administrator any more"):
        await identity.administration.set_roles(admin, other, [Role.CUSTOMER], None)


async def test_staff_routes_believe_the_store_and_not_the_token(identity: Identity) -> None:
    customer = await identity.appointed("ada@example.org", Role.CUSTOMER)
    with pytest.raises(Forbidden):
        await identity.administration.list_users(customer, PageRequest())
    with pytest.raises(Forbidden):
        await identity.administration.get_user(customer, customer)
    clerk = await identity.appointed("clerk@example.org", Role.SUPPORT)
    assert len((await identity.administration.list_users(clerk, PageRequest())).items) == 2
    with pytest.raises(NotFound):
        await identity.administration.get_user(clerk, "usr_none")


async def test_appointing_leaves_an_existing_account_alone(identity: Identity) -> None:
    await identity.register()
    assert await identity.administration.appoint(email=EMAIL, name="Ada", password=OTHER, roles=[Role.ADMIN]) is None
    (user,) = identity.store.rows.users.values()
    assert (user.roles, user.verified) == (frozenset({Role.CUSTOMER}), False)


async def test_a_link_is_of_no_use_once_the_account_has_another_address(identity: Identity) -> None:
    await identity.register()
    token = await identity.link_token()
    (user,) = identity.store.rows.users.values()
    user.email = "ada@elsewhere.example"
    with pytest.raises(LinkUnusable):
        await identity.accounts.verify(token)
    assert not user.verified


async def test_what_is_no_address_is_refused_like_one_that_nobody_has(identity: Identity) -> None:
    with pytest.raises(BadCredentials):
        await identity.sign_in.log_in(email="no address", password=PASSWORD)
    assert identity.diary == ["turn", "take", "match"]


async def test_a_password_that_is_changed_while_it_is_checked_lets_nobody_in(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    await identity.logged_in()
    (user,) = identity.store.rows.users.values()

    async def matches(password: str, stored: str | None) -> bool:
        user.password_hash = "1:changed in the meantime"
        return True

    monkeypatch.setattr(identity.passwords, "matches", matches)
    with pytest.raises(BadCredentials):
        await identity.sign_in.log_in(email=EMAIL, password=PASSWORD)
