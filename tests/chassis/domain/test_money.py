"""Money is whole minor units: nothing is lost or made by adding, splitting or taking a share."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.money import MAX_AMOUNT, AmountTooLarge, CurrencyMismatch, Money, UnknownCurrency, exponent, total, zero

CURRENCIES = st.sampled_from(["JPY", "USD", "KWD"])
AMOUNTS = st.integers(-(10**12), 10**12)
WEIGHTS = st.lists(st.integers(0, 10**9), min_size=1, max_size=50).filter(any)


@pytest.mark.parametrize(("currency", "places"), [("JPY", 0), ("USD", 2), ("KWD", 3)])
def test_a_currency_has_its_own_minor_unit(currency: str, places: int) -> None:
    assert exponent(currency) == places


@pytest.mark.parametrize(
    ("money", "shown"), [(Money(1099, "JPY"), "1,099 JPY"), (Money(1099, "USD"), "10.99 USD"), (Money(1099, "KWD"), "1.099 KWD")]
)
def test_money_is_shown_with_its_currency_s_places(money: Money, shown: str) -> None:
    assert str(money) == shown


@given(AMOUNTS, AMOUNTS, CURRENCIES)
def test_what_is_added_can_be_taken_away(a: int, b: int, currency: str) -> None:
    assert Money(a, currency) + Money(b, currency) - Money(b, currency) == Money(a, currency)


@given(AMOUNTS, WEIGHTS, CURRENCIES)
def test_the_parts_of_a_split_sum_to_the_whole(amount: int, weights: list[int], currency: str) -> None:
    parts = Money(amount, currency).split(weights)
    assert total(parts, currency) == Money(amount, currency)
    assert len(parts) == len(weights)


@given(AMOUNTS, WEIGHTS, CURRENCIES)
def test_no_part_of_a_split_is_a_whole_unit_off_its_share(amount: int, weights: list[int], currency: str) -> None:
    for weight, part in zip(weights, Money(amount, currency).split(weights), strict=True):
        assert abs(part.amount - Decimal(amount) * weight / sum(weights)) < 1


@given(AMOUNTS, st.decimals(0, 1, places=4), CURRENCIES)
def test_a_share_is_rounded_to_the_nearest_unit(amount: int, rate: Decimal, currency: str) -> None:
    assert abs(Money(amount, currency).share(rate).amount - amount * rate) <= Decimal("0.5")


def test_a_half_is_rounded_to_the_even_neighbour() -> None:
    assert Money(5, "USD").share(Decimal("0.5")) == Money(2, "USD")
    assert Money(7, "USD").share(Decimal("0.5")) == Money(4, "USD")


def test_currencies_are_never_mixed() -> None:
    with pytest.raises(CurrencyMismatch):
        Money(1, "USD") + Money(1, "EUR")
    with pytest.raises(CurrencyMismatch):
        _ = Money(1, "USD") < Money(1, "EUR")
    with pytest.raises(CurrencyMismatch):
        total([Money(1, "USD")], "EUR")


def test_amounts_beyond_64_bits_are_refused() -> None:
    with pytest.raises(AmountTooLarge):
        Money(MAX_AMOUNT, "USD") + Money(1, "USD")


def test_a_currency_that_is_not_traded_is_refused() -> None:
    with pytest.raises(UnknownCurrency):
        zero("XXX")


def test_weights_must_say_something() -> None:
    for weights in ([], [0, 0], [1, -1]):
        with pytest.raises(ValueError, match="weights"):
            Money(1, "USD").split(weights)


@pytest.mark.parametrize(
    "body", [b'{"amount": 10.5, "currency": "USD"}', b'{"amount": "10", "currency": "USD"}', b'{"amount": 1, "currency": "usd"}']
)
def test_a_float_a_text_and_a_misspelt_currency_are_refused_at_the_boundary(body: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=Money)
