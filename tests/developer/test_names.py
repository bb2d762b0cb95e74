"""A new module's names: every form of a good one, and a clear refusal of a bad one."""

import re

import pytest

from entrypoints.commands.scaffold.names import CHASSIS, Names, Refused, choose, plural, singular
from entrypoints.development.home import ROOT
from shared.infra.schema import chassis, chassis_v1, chassis_v2


@pytest.mark.parametrize(
    ("name", "thing", "things"),
    [("loyalty", "loyalty", "loyalties"), ("coupons", "coupon", "coupons"), ("gift_cards", "gift_card", "gift_cards"),
     ("tax", "tax", "taxes"), ("returns", "return", "returns"), ("analysis", "analysis", "analysises"), ("surveys", "survey", "surveys")],
)  # fmt: skip
def test_the_first_aggregate_is_what_the_module_is_the_plural_of(name: str, thing: str, things: str):
    assert (singular(name), plural(thing)) == (thing, things)


def test_every_form_is_made_of_two_names():
    assert choose("loyalty", "loyalty_account", ROOT) == Names("loyalty", "loyalty_account", "loyalty_accounts", "loy")
    assert Names("loyalty", "loyalty_account", "loyalty_accounts", "loy").forms() == {
        "module": "loyalty",
        "Module": "Loyalty",
        "thing": "loyalty_account",
        "Thing": "LoyaltyAccount",
        "things": "loyalty_accounts",
        "Things": "LoyaltyAccounts",
        "words": "loyalty account",
        "prefix": "loy",
    }


def test_ids_begin_differently_from_those_of_other_aggregates():
    assert choose("credits", "product_credit", ROOT).prefix == "pro"
    assert choose("credits", "ordination", ROOT).prefix == "ordi"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Loyalty", "is not a name"),
        ("loyal-ty", "is not a name"),
        ("2fa", "is not a name"),
        ("loyal__ty", "is not a name"),
        ("../loyalty", "is not a name"),
        ("loyalty\n", "is not a name"),
        ("x", "has 1 characters"),
        ("a_very_long_name_of_a_module", "has 28 characters"),
        ("import", "is a word of Python"),
        ("match", "is a word of Python"),
        ("user", "is a reserved word of SQL"),
        ("order", "is a reserved word of SQL"),
        ("shared", "has another meaning here"),
        ("public", "is a schema of Postgres"),
        ("pg_loyalty", "is a schema of Postgres"),
        ("orders", "modules/orders exists already"),
        ("chassis", "tests/chassis exists already"),
    ],
)
def test_a_bad_name_is_refused(name: str, why: str):
    with pytest.raises(Refused, match=why):
        choose(name, "account", ROOT)


@pytest.mark.parametrize(
    ("thing", "why"), [("task", "is a table of the chassis"), ("table", "reserved word of SQL"), ("work", "another meaning")]
)
def test_a_bad_name_of_its_aggregate_is_refused(thing: str, why: str):
    with pytest.raises(Refused, match=why):
        choose("loyalty", thing, ROOT)


def test_every_table_of_the_chassis_is_known():
    statements: list[str] = []
    chassis.up(statements.append, "loyalty", chassis_v1, chassis_v2)
    made = re.findall(r"^create table (\w+)", "\n".join(statements), flags=re.MULTILINE)
    assert set(made) - {"event_default"} | {"alembic_version"} == CHASSIS
