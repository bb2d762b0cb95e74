"""What API and events documents promise of every route of a kind holds for every route, also for the next one."""

from collections.abc import Iterator
from typing import Any, Final

import pytest
from litestar.routes import HTTPRoute

from entrypoints.commands.docs import NOWHERE
from entrypoints.container import compose
from entrypoints.http import create_app
from shared.api.operation import Operation
from shared.api.options import OPT_OPERATION, OPT_RULE
from shared.domain.policy import Rule
from shared.infra.config import load
from tests.architecture.tree import ROOT
from tests.support.lists import of_modules

CREDENTIALS: Final = {"logIn", "refreshTokens", "createCart"}
"""They answer with one, and so take no key: nothing that opens a door is kept."""

NAMELESS: Final = {"registerUser", "verifyAddress", "logOut", "receiveTestProviderWebhook", "completeTestProviderChallenge"}
"""Their callers have no name that a key could belong to. A repeat is harmless: each is idempotent by what it carries."""

KEY_REQUIRED: Final = {"completeCart", "capturePaymentIntent", "createRefund", "createStockMovement"}
MONEY: Final = KEY_REQUIRED | {"createPaymentIntent", "confirmPaymentIntent", "cancelPaymentIntent", "cancelOrder"}
IN_A_CART: Final = {"updateCartItem", "removeCartItem"}
WHOLE: Final = {"listLedgerAccounts"}
"""Short by nature: the chart of accounts."""


def _mounted() -> Iterator[tuple[Operation, str, Rule]]:
    for route in create_app(compose(load(NOWHERE))).routes:
        for handler in route.route_handlers if isinstance(route, HTTPRoute) else ():
            if (operation := handler.opt.get(OPT_OPERATION)) is not None:
                yield operation, route.path, handler.opt[OPT_RULE]


MOUNTED: Final = sorted(_mounted(), key=lambda mounted: mounted[0].id)
EVERY: Final = {operation.id: operation for operation, _, _ in MOUNTED}


def those(*methods: str) -> list[Any]:
    return [pytest.param(operation, id=operation.id) for operation in EVERY.values() if operation.method in methods]


def test_the_lists_below_name_routes_that_there_are():
    assert (CREDENTIALS | NAMELESS | MONEY | IN_A_CART | WHOLE) - EVERY.keys() == set()


@pytest.mark.parametrize("operation", those("POST"))
def test_a_post_takes_a_key_unless_it_answers_with_a_credential_or_nobody_in_particular_calls(operation: Operation):
    assert (operation.idempotent == "never") == (operation.id in CREDENTIALS | NAMELESS)
    assert (operation.idempotent == "required") == (operation.id in KEY_REQUIRED)
    assert operation.keep_days == (30 if operation.id in MONEY else 1)


def test_whoever_has_no_name_needs_none():
    open_to_all = {operation.id for operation, _, rule in MOUNTED if rule.roles is None}
    assert open_to_all >= NAMELESS | CREDENTIALS


@pytest.mark.parametrize("operation", those("PUT", "PATCH", "DELETE"))
def test_a_change_needs_the_version_that_was_read_except_in_a_cart(operation: Operation):
    assert operation.if_match == ("optional" if operation.id in IN_A_CART else "required")


@pytest.mark.parametrize("operation", those("POST"))
def test_an_action_may_name_the_version_that_was_read(operation: Operation):
    assert operation.if_match in ("never", "optional")


@pytest.mark.parametrize("operation", those("GET"))
def test_a_list_is_walked_by_pages(operation: Operation):
    is_list = operation.id.startswith(("list", "search"))
    assert (operation.binding.paging is not None) == (is_list and operation.id not in WHOLE)


def test_the_lists_of_every_module_are_tried_on_large_tables():
    """Each of these files compares what it knows with what its module has: see tests/support/lists.py."""
    with_lists = of_modules()
    assert sum(map(len, with_lists.values())) > 10
    assert [module for module in with_lists if not (ROOT / "tests" / module / "test_lists.py").exists()] == []


@pytest.mark.parametrize(("operation", "path"), [pytest.param(each, path, id=each.id) for each, path, _ in MOUNTED])
def test_a_path_has_its_version_unless_every_version_shares_it(operation: Operation, path: str):
    assert path.startswith(("/v1/", "/health/", "/.well-known/")), operation.id
