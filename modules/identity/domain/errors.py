"""Refusals of identity."""

from shared.domain.errors import Conflict, Forbidden, RuleViolated, Unauthenticated


class InvalidAddress(RuleViolated):
    """This is not an e-mail address that mail could be sent to."""

    code = "invalid_email"
    title = "Not an e-mail address"


class WeakPassword(RuleViolated):
    """The password is too easy to guess. The fact `reasons` lists everything that speaks against it: `too_short`, `too_long`,
    `contains_address` (the part before the @), `contains_context` (your name, or ours), `repetitive`, `common`."""

    code = "weak_password"
    title = "The password is too weak"


class BadCredentials(Unauthenticated):
    """The address and the password do not belong together. Whether the address is known is not said."""

    code = "bad_credentials"
    title = "Wrong address or password"


class AddressUnverified(Forbidden):
    """The password is right, and the address is not confirmed yet: open the link that was mailed to it. To get another
    link, register once more."""

    code = "address_unverified"
    title = "The address is not verified"


class LinkUnusable(RuleViolated):
    """The link is unknown, was used before, or has expired."""

    code = "link_unusable"
    title = "The link does not work any more"


class RefreshRefused(Unauthenticated):
    """The refresh token is unknown, has expired, or its session has ended: log in again."""

    code = "refresh_refused"
    title = "Log in again"


class LastAdmin(Conflict):
    """Somebody has to be able to give roles: make another user an administrator first."""

    code = "last_admin"
    title = "The last administrator"
