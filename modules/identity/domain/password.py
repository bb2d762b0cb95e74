"""Which passwords are good enough: long, and not what a guesser tries first. Nothing is asked of their composition."""

import re
from collections.abc import Iterable, Iterator
from typing import Final
from unicodedata import normalize

from modules.identity.domain.common_passwords import EXACT, STEMS
from modules.identity.domain.errors import WeakPassword
from modules.identity.domain.user import Role

MIN_CUSTOMER: Final = 12
MIN_STAFF: Final = 15
MAX: Final = 128

_PRODUCT: Final = "tenon"
_SHORTEST_WORD: Final = 4
"""Shorter names and addresses are parts of too many other words to be refused."""

_LONGEST_UNIT: Final = 4
_AROUND = re.compile(r"\A[\W\d_]+|[\W\d_]+\Z")


def canonical(password: str) -> str:
    """The same text however a keyboard composed it (NFKC, as NIST SP 800-63B asks)."""
    return normalize("NFKC", password)


def insist(password: str, *, email: str, name: str, roles: Iterable[Role] = (Role.CUSTOMER,)) -> None:
    """Raises WeakPassword with every reason at once."""
    shortest = MIN_CUSTOMER if set(roles) <= {Role.CUSTOMER} else MIN_STAFF
    if reasons := list(_reasons(canonical(password), email, name, shortest)):
        raise WeakPassword(f"choose another password, of {shortest} to {MAX} characters", reasons=reasons)


def _reasons(password: str, email: str, name: str, shortest: int) -> Iterator[str]:
    folded = password.casefold()
    if len(password) < shortest:
        yield "too_short"
    if len(password) > MAX:
        yield "too_long"
    if _contains(folded, [email.rpartition("@")[0]]):
        yield "contains_address"
    if _contains(folded, [_PRODUCT, *name.split()]):
        yield "contains_context"
    if _repetitive(folded):
        yield "repetitive"
    if folded in EXACT or _AROUND.sub("", folded) in STEMS:
        yield "common"


def _contains(folded: str, words: Iterable[str]) -> bool:
    return any(len(word) >= _SHORTEST_WORD and word in folded for word in (canonical(w).casefold() for w in words))


def _repetitive(folded: str) -> bool:
    """`aaaaaaaaaaaa`, `abcabcabcabc`."""
    return any(folded == (folded[:size] * len(folded))[: len(folded)] for size in range(1, _LONGEST_UNIT + 1)) if folded else False
