"""Identifiers: a type prefix and a UUIDv7 in hexadecimal, such as `ord_0199…` (36 characters; text order is time order)."""

from uuid_utils import uuid7

ID_PATTERN = r"\A[a-z]{2,5}_[0-9a-f]{32}\Z"


def new_id(prefix: str) -> str:
    """A fresh identifier of the type `prefix` (2 to 5 lower-case letters)."""
    return f"{prefix}_{uuid7().hex}"
