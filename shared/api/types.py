"""Bounded types for request bodies and parameters, each with an example. NUL is refused in every text by the binding itself."""

from typing import Annotated, Final

from msgspec import Meta

from shared.domain.ids import ID_PATTERN
from shared.domain.money import Currency, Money

__all__ = [
    "Amount",
    "Country",
    "Currency",
    "Email",
    "Id",
    "Line",
    "Locale",
    "Money",
    "Name",
    "Prose",
    "Quantity",
    "Search",
    "Sku",
    "Slug",
    "Title",
    "Token",
    "Version",
]

Id = Annotated[
    str,
    Meta(pattern=ID_PATTERN, max_length=40, description="A type prefix and a UUIDv7", examples=["prd_0199f3a27c5e7d10b4c8a1f2e3d4c5b6"]),
]

ONE_LINE: Final = r"\A[^\s\x00-\x1f\x7f-\x9f\u2028\u2029][^\x00-\x1f\x7f-\x9f\u2028\u2029]*\Z"
"""Begins with something visible, and has no character that ends a line or controls a terminal: it may stand in a mail's header."""

PLAIN: Final = r"\A[^\x00-\x1f\x7f-\x9f\u2028\u2029]*\Z"
"""The same, and may be empty or begin with a space."""

Name = Annotated[str, Meta(pattern=ONE_LINE, min_length=1, max_length=120, description="In one line", examples=["Ada Lovelace"])]
Title = Annotated[str, Meta(pattern=ONE_LINE, min_length=1, max_length=200, description="In one line", examples=["Oak stool"])]
Line = Annotated[str, Meta(pattern=ONE_LINE, min_length=1, max_length=500, description="In one line", examples=["Damaged in transit"])]
Prose = Annotated[str, Meta(max_length=10_000, examples=["Turned from one piece of oak."])]
Search = Annotated[str, Meta(pattern=PLAIN, min_length=1, max_length=200, examples=["oak stool"])]

Slug = Annotated[
    str,
    Meta(pattern=r"\A[a-z0-9]+(?:-[a-z0-9]+)*\Z", max_length=100, description="Lower-case words joined by hyphens", examples=["oak-stool"]),
]
Sku = Annotated[
    str, Meta(pattern=r"\A[A-Z0-9][A-Z0-9._-]{0,63}\Z", max_length=64, description="Stock keeping unit", examples=["STOOL-OAK-45"])
]
Email = Annotated[
    str,
    Meta(
        pattern=r"\A[^@\s]{1,64}@[^@\s]{1,189}\Z",
        min_length=3,
        max_length=254,
        examples=["ada@example.org"],
        extra_json_schema={"format": "email"},
    ),
]
Locale = Annotated[str, Meta(pattern=r"\A[a-z]{2}(?:-[A-Z]{2})?\Z", max_length=5, description="Language and region", examples=["en-GB"])]
Country = Annotated[str, Meta(pattern=r"\A[A-Z]{2}\Z", max_length=2, description="ISO 3166-1 alpha-2 code", examples=["DE"])]
Token = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_.~-]+\Z", min_length=16, max_length=4096, examples=["Zm9vYmFyYmF6cXV4cXV1eA"])]

Quantity = Annotated[int, Meta(ge=1, le=10_000, examples=[2])]
Amount = Annotated[int, Meta(ge=0, le=2**63 - 1, description="Minor units of the currency", examples=[1099])]
Version = Annotated[int, Meta(ge=1, le=2**63 - 1, examples=[3])]
