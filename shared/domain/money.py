"""Money: integer minor units of an ISO 4217 currency. Rounding is half-even, once, where a rate is applied."""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated

import msgspec

from shared.domain.errors import RuleViolated

MAX_AMOUNT = 2**63 - 1

EXPONENTS = {
    "AUD": 2, "BHD": 3, "BRL": 2, "CAD": 2, "CHF": 2, "CLP": 0, "CNY": 2, "CZK": 2, "DKK": 2, "EUR": 2, "GBP": 2,
    "HKD": 2, "HUF": 2, "IDR": 2, "ILS": 2, "INR": 2, "ISK": 0, "JOD": 3, "JPY": 0, "KRW": 0, "KWD": 3, "MXN": 2,
    "MYR": 2, "NOK": 2, "NZD": 2, "OMR": 3, "PHP": 2, "PLN": 2, "RON": 2, "SAR": 2, "SEK": 2, "SGD": 2, "THB": 2,
    "TND": 3, "TRY": 2, "TWD": 2, "USD": 2, "VND": 0, "ZAR": 2,
}  # fmt: skip
"""Decimal places of each currency that Tenon trades in (ISO 4217, column "minor unit")."""

Currency = Annotated[str, msgspec.Meta(pattern=r"\A[A-Z]{3}\Z", description="ISO 4217 code", examples=["USD"])]


class CurrencyMismatch(RuleViolated):
    """Amounts of two currencies were mixed; Tenon never exchanges implicitly."""

    code = "currency_mismatch"
    title = "Currencies do not match"


class UnknownCurrency(RuleViolated):
    """The currency is not one that Tenon trades in."""

    code = "unknown_currency"
    title = "Unknown currency"


class AmountTooLarge(RuleViolated):
    """The amount leaves the range of 64-bit minor units."""

    code = "amount_too_large"
    title = "The amount is too large"


class Money(msgspec.Struct, frozen=True, order=False, forbid_unknown_fields=True):
    """`amount` counts minor units (1099 USD is $10.99); both operands of an operation have one currency."""

    amount: Annotated[int, msgspec.Meta(ge=-MAX_AMOUNT, le=MAX_AMOUNT, description="minor units", examples=[1099])]
    currency: Currency

    @property
    def exponent(self) -> int:
        return exponent(self.currency)

    def __add__(self, other: "Money") -> "Money":
        return self._with(self.amount + self._same(other).amount)

    def __sub__(self, other: "Money") -> "Money":
        return self._with(self.amount - self._same(other).amount)

    def __mul__(self, count: int) -> "Money":
        return self._with(self.amount * count)

    def __lt__(self, other: "Money") -> bool:
        return self.amount < self._same(other).amount

    def __str__(self) -> str:
        return f"{Decimal(self.amount).scaleb(-self.exponent):,} {self.currency}"

    def share(self, rate: Decimal) -> "Money":
        """`rate` of this amount, rounded half-even to the minor unit."""
        return self._with(int((Decimal(self.amount) * rate).quantize(Decimal(1), rounding=ROUND_HALF_EVEN)))

    def split(self, weights: Sequence[int]) -> list["Money"]:
        """Spread by largest remainder over non-negative weights: the parts sum to the whole, to the last unit."""
        total = sum(weights)
        if total <= 0 or min(weights) < 0:
            raise ValueError("weights must be non-negative and not all zero")
        sign, whole = (-1, -self.amount) if self.amount < 0 else (1, self.amount)
        parts = [whole * weight // total for weight in weights]
        by_remainder = sorted(range(len(weights)), key=lambda i: (-(whole * weights[i] % total), i))
        for i in by_remainder[: whole - sum(parts)]:
            parts[i] += 1
        return [self._with(sign * part) for part in parts]

    def _same(self, other: "Money") -> "Money":
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} cannot be mixed")
        return other

    def _with(self, amount: int) -> "Money":
        if abs(amount) > MAX_AMOUNT:
            raise AmountTooLarge("the amount leaves the range of 64-bit minor units")
        return Money(amount, self.currency)


def exponent(currency: str) -> int:
    """Decimal places of `currency` (JPY 0, USD 2, KWD 3); raises UnknownCurrency."""
    try:
        return EXPONENTS[currency]
    except KeyError:
        raise UnknownCurrency(f"{currency} is not a currency that is traded here") from None


def zero(currency: str) -> Money:
    exponent(currency)
    return Money(0, currency)


def total(parts: Sequence[Money], currency: str) -> Money:
    """The sum of rounded parts; zero of `currency` when there is none."""
    return sum(parts, start=zero(currency))
