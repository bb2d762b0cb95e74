"""What is not declared does not start."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import pytest
from litestar import Controller
from litestar import get as litestar_get
from litestar.di import NamedDependency
from litestar.exceptions import ImproperlyConfiguredException
from litestar.params import FromPath, FromQuery, QueryParameter

from shared.api.answers import Reply, ok
from shared.api.paging import Paging
from shared.api.routes import get, post
from shared.api.wiring import build_app
from shared.domain.policy import Policy, public
from shared.infra.limits.limits import LocalLimits
from shared.infra.signing import Signer
from tests.chassis.api.tiny import PUBLIC_URL, TinyModule, TokensByName, tiny


class View(msgspec.Struct):
    a: int


def build(*controllers: type[Controller], policy: Policy | None = None, use_cases: Sequence[str] = ()) -> None:
    module = TinyModule("m", controllers, dict.fromkeys(use_cases, object()), policy if policy is not None else {"readThing": public()})
    build_app([module], authenticator=TokensByName(), limits=LocalLimits(), signer=Signer(b"k" * 32), public_url=PUBLIC_URL)


class Thing(Controller):
    path = "/v1/thing"

    @get(operation="readThing")
    async def read(self) -> Reply[View]:
        """Read it."""
        return ok(View(1))


class SameOperation(Controller):
    path = "/v1/other"

    @get(operation="readThing")
    async def read(self) -> Reply[View]:
        """Read it."""
        return ok(View(1))


class Unbound(Controller):
    path = "/v1/thing/{thing_id:str}"

    @get(operation="readThing")
    async def read(self) -> Reply[View]:
        """Read it."""
        return ok(View(1))


class Plain(Controller):
    path = "/v1/plain"

    @litestar_get()
    async def read(self) -> dict[str, int]:
        return {}


class Needy(Controller):
    path = "/v1/needy"

    @get(operation="readThing")
    async def read(self, things: NamedDependency[Any]) -> Reply[View]:
        """Read it."""
        return ok(View(1))


def test_a_route_without_a_rule_in_the_policy_fails_the_build() -> None:
    with pytest.raises(ImproperlyConfiguredException, match="readThing has no rule"):
        build(Thing, policy={})


def test_a_rule_for_no_route_fails_the_build() -> None:
    with pytest.raises(ImproperlyConfiguredException, match="rules for no route: readNothing"):
        build(Thing, policy={"readThing": public(), "readNothing": public()})


def test_two_routes_of_one_operation_fail_the_build() -> None:
    with pytest.raises(ImproperlyConfiguredException, match="two routes are called readThing"):
        build(Thing, SameOperation)


def test_a_route_made_past_the_chassis_fails_the_build() -> None:
    with pytest.raises(ImproperlyConfiguredException, match="make it with shared"):
        build(Plain, policy={})


def test_a_path_parameter_that_nobody_reads_fails_the_build() -> None:
    with pytest.raises(ImproperlyConfiguredException, match="disagree about thing_id"):
        build(Unbound)


def test_a_use_case_that_the_module_has_not_fails_the_build() -> None:
    with pytest.raises(ImproperlyConfiguredException, match="no use case named things"):
        build(Needy)
    build(Needy, use_cases=["things"])


async def refuse_everybody(*_: object) -> None:
    raise PermissionError


@pytest.mark.parametrize("around", ["guards", "before_request", "after_request", "after_response", "dependencies", "middleware"])
def test_what_litestar_would_do_around_an_operation_fails_the_build_because_it_is_not_called(around: str) -> None:
    value = {"guards": [refuse_everybody], "dependencies": {"a": refuse_everybody}, "middleware": [lambda app: app]}.get(
        around, refuse_everybody
    )
    with pytest.raises(ImproperlyConfiguredException, match=f"Litestar's {around} are not called"):
        build(type("Guarded", (Thing,), {around: value}))


async def no_docstring() -> Reply[View]:
    return ok(View(1))


async def no_view() -> View:
    """Read it."""
    return View(1)


async def unplaced(limit: int) -> Reply[View]:
    """Read it."""
    return ok(View(limit))


async def constrained(limit: Annotated[int, QueryParameter(ge=1)]) -> Reply[View]:
    """Read it."""
    return ok(View(limit))


async def two_views() -> Reply[View | msgspec.Raw]:
    """Read it."""
    return ok(View(1))


async def fine(limit: FromQuery[int], thing_id: FromPath[str]) -> Reply[View]:
    """Read it."""
    return ok(View(limit))


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (no_docstring, "docstring"),
        (no_view, "Reply"),
        (unplaced, "say where limit comes from"),
        (constrained, "constraints of limit belong into its type"),
        (two_views, "name in `answers`"),
    ],
)
def test_a_handler_that_says_too_little_is_refused_when_it_is_imported(handler: Any, message: str) -> None:
    with pytest.raises(ImproperlyConfiguredException, match=message):
        get(operation="readThing")(handler)


@pytest.mark.parametrize("operation", ["read", "read_thing", "ReadThing", "read thing", ""])
def test_an_operation_is_named_verb_and_noun(operation: str) -> None:
    with pytest.raises(ImproperlyConfiguredException, match="verbNoun"):
        get(operation=operation)(fine)


def test_an_order_needs_a_list() -> None:
    with pytest.raises(ImproperlyConfiguredException, match="Paging"):
        get(operation="listThings", sort=("a",))(fine)


async def test_an_answer_that_is_not_documented_is_a_defect(lines) -> None:
    class Wrong(Controller):
        path = "/v1/wrong"

        @post(operation="makeThing", status=201)
        async def make(self) -> Reply[View]:
            """Make it."""
            return ok(View(1))

    async with tiny(more=[TinyModule("wrong", [Wrong], {}, {"makeThing": public()})]) as app:
        assert (await app.client.post("/v1/wrong")).status_code == 500
    assert any("not documented" in repr(line.get("exc_info")) for line in lines)


async def test_handlers_get_the_very_use_cases_of_their_module() -> None:
    async with tiny() as app:
        handlers = [handler for route in app.app.routes for handler in getattr(route, "route_handlers", [])]
        carried = [handler.opt["use_cases"] for handler in handlers if "use_cases" in handler.opt]
        assert any(use_cases.get("shelves") is app.shelves for use_cases in carried)


def test_paging_is_a_parameter_like_any_other() -> None:
    async def listed(paging: Paging) -> Reply[View]:
        """List them."""
        return ok(View(paging.request.limit))

    operation = get(operation="listThings", sort=("a", "-a"))(listed).opt["operation"]
    assert [parameter.name for parameter in operation.binding.parameters] == ["limit", "cursor", "sort"]


def test_a_signing_key_has_at_least_thirty_two_bytes() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Signer(b"short")
