"""Requests made out of the documentation, well and badly formed, and what of their answers is not as documented."""

import tomllib
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import schemathesis
from litestar import Litestar
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.engine import events, from_schema
from schemathesis.openapi.checks import IgnoredAuth, RejectedPositiveData
from schemathesis.python.asgi import shutdown_lifespans

CART_TOKEN: Final[dict[str, list[str]]] = {"cartToken": []}
"""Who does not hold the token of a cart finds no cart, like who asks for one that there is not."""
NOT_TO_BE_MADE_UP: Final = {"cursor", "If-Match", "If-None-Match"}
"""A cursor is signed by the server; and where an entity tag has its quotation marks, Schemathesis's bounds of a text have none."""
NO_INTEGER: Final = "Expected `int`, got `float`"
"""Of 1.0, which JSON Schema takes for an integer. Here it is refused: an amount that was a float on its way may have been rounded."""
SETTINGS: Final = tomllib.loads(Path(__file__).with_name("schemathesis.toml").read_text(encoding="utf-8"))


def findings(app: Litestar, document: dict[str, Any], headers: Mapping[str, str], **settings: Any) -> list[str]:
    """Ask `app` in a thread's own loop, by all phases that `settings` leave on; one line for each kind of finding."""
    document = deepcopy(document)
    bound_addresses_once(document)
    take_nothing_for_documented(document)
    config = schemathesis.Config.from_dict({**SETTINGS, "headers": dict(headers), **settings})
    schema = schemathesis.openapi.from_dict(document, config=config)
    schema.app = app
    schema.hook("filter_failure")(matters)
    found: dict[str, str] = {}
    silent = {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}
    try:
        for event in from_schema(schema).execute():
            if isinstance(event, events.ScenarioFinished) and event.recorder.interactions:
                silent.discard(event.recorder.label)
            for kind, example in told(event):
                found.setdefault(kind, example)
    finally:
        shutdown_lifespans()
    return [f"{kind}: {example}" for kind, example in found.items()] + [f"{label} was never asked" for label in sorted(silent)]


def told(event: events.EngineEvent) -> Iterator[tuple[str, str]]:
    if isinstance(event, events.NonFatalError | events.FatalError):
        yield "the run itself", repr(event)
    elif isinstance(event, events.ScenarioFinished):
        for case_id, checks in event.recorder.checks.items():
            answer = event.recorder.find_response(case_id=case_id)
            for check in checks:
                if check.failure_info is not None:
                    failure, sample = check.failure_info.failure, check.failure_info.code_sample
                    yield f"{failure.operation}: {check.name}", f"{failure.message}\n    {sample}\n    {answer and answer.text}"


def matters(_: schemathesis.HookContext, failure: Failure, case: schemathesis.Case[Any], response: schemathesis.Response) -> bool:
    """Whether a finding is one: not where the documentation cannot say more than it does."""
    if isinstance(failure, IgnoredAuth) and "404 Not Found" in failure.message:
        return CART_TOKEN not in case.operation.definition.raw["security"]
    if isinstance(failure, RejectedPositiveData) and response.status_code == 400:
        faults = response.json()["errors"]
        return not all(fault.get("parameter") in NOT_TO_BE_MADE_UP or fault["detail"] == NO_INTEGER for fault in faults)
    if isinstance(failure, AcceptedNegativeData) and response.status_code == 422:
        return bool(response.json()["code"] != "invalid_email")  # of the right form, and no address: a rule, not the form
    return True


def bound_addresses_once(node: Any) -> None:
    """The pattern of an e-mail address bounds its length already; drawing one that meets both bounds takes a minute."""
    if isinstance(node, dict):
        if node.get("format") == "email":
            node.pop("maxLength", None)
        for part in node.values():
            bound_addresses_once(part)
    elif isinstance(node, list):
        for part in node:
            bound_addresses_once(part)


def take_nothing_for_documented(document: dict[str, Any]) -> None:
    """What is named by its status is true or not; under `default` everything would be."""
    for item in document["paths"].values():
        for operation in item.values():
            del operation["responses"]["default"]
