"""The rules of identity, without a database."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.identity.domain import opaque
from modules.identity.domain.errors import WeakPassword
from modules.identity.domain.password import canonical, insist
from modules.identity.domain.policy import POLICY
from modules.identity.domain.refresh import ABSOLUTE, GRACE, IDLE, Presented, Verdict, judge
from modules.identity.domain.user import Role, User
from shared.domain.context import ANONYMOUS, Principal
from shared.domain.errors import Forbidden, StaleVersion, Unauthenticated
from shared.domain.policy import Rule

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
GOOD = "seven oak planks in the rain"


def user(*roles: Role, verified: bool = True) -> User:
    return User("usr_1", "ada@example.org", "Ada", "en", "1:old", frozenset(roles or {Role.CUSTOMER}), verified, NOW, 3)


def shown(**changes: Any) -> Presented:
    facts: dict[str, Any] = {
        "session_id": "ses_1",
        "user_id": "usr_1",
        "session_version": 1,
        "authenticated_at": NOW - timedelta(hours=1),
        "session_expires_at": NOW + ABSOLUTE,
        "revoked": False,
        "expires_at": NOW + IDLE,
        "used_at": None,
        "now": NOW,
    }
    return Presented(**facts | changes)


def reasons(password: str, *, email: str = "ada.lovelace@example.org", name: str = "Ada Byron", roles: Any = (Role.CUSTOMER,)) -> Any:
    with pytest.raises(WeakPassword) as refused:
        insist(password, email=email, name=name, roles=roles)
    return refused.value.facts["reasons"]


@pytest.mark.parametrize(
    "password", [GOOD, "x" * 4 + "correct-Horse", "пароль из шести слов", "木の板が雨に濡れている庭です", "a" * 100 + "bcdefgh"]
)
def test_long_passwords_of_any_script_are_good(password: str) -> None:
    insist(password, email="ada@example.org", name="Ada")


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("eleven char", "too_short"),
        ("ab" * 65, "too_long"),
        ("my ada.lovelace secret", "contains_address"),
        ("ADA.LOVELACE-and-more", "contains_address"),
        ("lord Byron's daughter", "contains_context"),
        ("i love TENON joints", "contains_context"),
        ("abcabcabcabc", "repetitive"),
        ("aaaaaaaaaaaa", "repetitive"),
        ("1234567890123", "common"),
        ("Password12345!", "common"),
        ("!!Welcome2024!!", "common"),
        ("qwertyuiopasdf", "common"),
    ],
)
def test_what_a_guesser_tries_first_is_refused(password: str, reason: str) -> None:
    assert reason in reasons(password)


def test_every_reason_is_told_at_once() -> None:
    assert reasons("tenon") == ["too_short", "contains_context"]
    assert reasons("") == ["too_short"]


def test_a_short_local_part_forbids_nothing() -> None:
    insist(GOOD, email="oak@example.org", name="Rob")


def test_staff_need_longer_passwords() -> None:
    assert reasons("fourteen chars", roles=(Role.SUPPORT,)) == ["too_short"]
    insist("fourteen chars", email="ada@example.org", name="Ada")


def test_a_password_is_the_same_however_a_keyboard_composes_it() -> None:
    assert canonical("cafe\u0301") == canonical("caf\u00e9")


@given(st.text(max_size=200))
def test_any_text_is_judged_and_never_breaks_the_judge(password: str) -> None:
    with suppress(WeakPassword):
        insist(password, email="ada@example.org", name="Ada")


def test_confirming_keeps_the_password_of_the_confirmed_registration_and_works_once() -> None:
    ada = user(verified=False)
    assert ada.confirm("1:mine")
    assert (ada.verified, ada.password_hash, ada.version) == (True, "1:mine", 4)
    assert not ada.confirm("1:somebody else's")
    assert (ada.password_hash, ada.version) == ("1:mine", 4)


def test_only_a_change_of_roles_makes_a_new_version() -> None:
    ada = user(Role.CUSTOMER)
    assert not ada.assign([Role.CUSTOMER])
    assert ada.version == 3
    assert ada.assign([Role.ADMIN, Role.CUSTOMER])
    assert (ada.roles, ada.version) == (frozenset({Role.ADMIN, Role.CUSTOMER}), 4)


def test_an_old_version_is_stale() -> None:
    user().expect_version(3)
    user().expect_version(None)
    with pytest.raises(StaleVersion):
        user().expect_version(2)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, Verdict.ROTATE),
        ({"expires_at": NOW}, Verdict.ENDED),
        ({"session_expires_at": NOW}, Verdict.ENDED),
        ({"revoked": True}, Verdict.ENDED),
        ({"used_at": NOW}, Verdict.REPEAT),
        ({"used_at": NOW + timedelta(milliseconds=5)}, Verdict.REPEAT),
        ({"used_at": NOW - GRACE + timedelta(microseconds=1)}, Verdict.REPEAT),
        ({"used_at": NOW - GRACE}, Verdict.REUSED),
        ({"used_at": NOW - IDLE, "expires_at": NOW - timedelta(hours=1)}, Verdict.REUSED),
        ({"used_at": NOW - GRACE, "revoked": True}, Verdict.ENDED),
        ({"used_at": NOW, "revoked": True}, Verdict.ENDED),
        ({"used_at": NOW - GRACE, "session_expires_at": NOW}, Verdict.ENDED),
    ],
)
def test_a_refresh_token_is_judged_by_what_is_stored_of_it(changes: dict[str, Any], verdict: Verdict) -> None:
    assert judge(shown(**changes)) is verdict


def test_derived_secrets_repeat_for_the_same_words_and_differ_for_any_other() -> None:
    one, other = opaque.Derivation(b"k" * 32), opaque.Derivation(b"l" * 32)
    assert one.successor("token") == one.successor("token")
    made = {
        one.successor("token"),
        one.successor("Token"),
        other.successor("token"),
        one.link("p", "usr_1", "ada@example.org", "key"),
        one.link("p", "usr_1", "ada@example.org", "key2"),
        one.link("p", "usr_1", "ada@example.com", "key"),
        one.link("p", "usr_2", "ada@example.org", "key"),
        one.link("q", "usr_1", "ada@example.org", "key"),
        one.link("pusr_1", "", "ada@example.org", "key"),
    }
    assert len(made) == 9
    assert {len(token) for token in made} == {43}, "256 bits each"


def test_fresh_secrets_have_256_bits_and_never_repeat() -> None:
    assert len({opaque.fresh() for _ in range(1000)}) == 1000
    assert len(opaque.fresh()) == 43


CALLERS: dict[str, Principal] = {
    "anonymous": ANONYMOUS,
    "guest": Principal(kind="cart", id="hash"),
    **{role: Principal(kind="user", id="usr_1", roles=frozenset({role}), verified=True) for role in Role},
}
EVERYBODY = frozenset(CALLERS)
ALLOWED: dict[str, frozenset[str]] = {
    "registerUser": EVERYBODY,
    "logIn": EVERYBODY,
    "refreshTokens": EVERYBODY,
    "logOut": EVERYBODY,
    "lookAtLink": EVERYBODY,
    "verifyAddress": EVERYBODY,
    "getKeySet": EVERYBODY,
    "getMe": frozenset(Role),
    "listUsers": frozenset({Role.SUPPORT, Role.MANAGER, Role.ADMIN}),
    "getUser": frozenset({Role.SUPPORT, Role.MANAGER, Role.ADMIN}),
    "setUserRoles": frozenset({Role.ADMIN}),
}


def test_the_matrix_below_names_every_operation() -> None:
    assert ALLOWED.keys() == POLICY.keys()


@pytest.mark.parametrize(("operation", "rule"), POLICY.items())
@pytest.mark.parametrize("caller", CALLERS)
def test_every_caller_may_do_what_the_matrix_says_and_nothing_else(operation: str, rule: Rule, caller: str) -> None:
    if caller in ALLOWED[operation]:
        rule.check(CALLERS[caller])
    else:
        with pytest.raises((Unauthenticated, Forbidden)):
            rule.check(CALLERS[caller])
