"""The bodies that identity accepts."""

from typing import Annotated

from msgspec import Meta, Struct

from modules.identity.domain.user import Role
from shared.api.types import Email, Locale, Name, Token

Password = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=1024,
        description="12 to 128 characters of any script; how good it is, is decided by the rule that weak_password describes",
        examples=["seven oak planks in the rain"],
        extra_json_schema={"format": "password"},
    ),
]
Roles = Annotated[list[Role], Meta(min_length=1, max_length=len(Role), examples=[["customer", "support"]])]


class RegisterUser(Struct, forbid_unknown_fields=True, kw_only=True):
    email: Email
    password: Password
    name: Name
    locale: Locale = "en"


class VerifyAddress(Struct, forbid_unknown_fields=True, kw_only=True):
    """The token of a mailed link."""

    token: Token


class LogIn(Struct, forbid_unknown_fields=True, kw_only=True):
    email: Email
    password: Password


class RefreshToken(Struct, forbid_unknown_fields=True, kw_only=True):
    refresh_token: Token


class SetRoles(Struct, forbid_unknown_fields=True, kw_only=True):
    """All the roles that the user shall have."""

    roles: Roles
