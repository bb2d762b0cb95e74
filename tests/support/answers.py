"""Which refusals the tests of a run were answered with, and which of the documented ones nobody has seen."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import httpx
import msgspec

from shared.api.problems import MEDIA_TYPE

ID: Final = re.compile(r"\b[a-z]{3}_[0-9a-f]{32}\b")

Answer = tuple[str, str, str]
"""The method, the path with its ids left out, and the code of the problem."""
Refusal = tuple[str, str]
"""The id of the operation, and the code that its documentation names."""

ANSWERS: Final[set[Answer]] = set()

WITHOUT_USE_CASE: Final = {
    (operation, code)
    for operation in ("getKeySet", "readLiveness", "readReadiness", "readStartup")
    for code in ("busy", "deadline_exceeded", "internal_error", "overloaded", "rate_limited", "unavailable")
}
"""They answer out of the process's memory, so that a test cannot bring these about from outside; the edge around them may."""


async def remember(response: httpx.Response) -> None:
    """A hook for clients: what a problem says, and who said it."""
    if response.headers.get("content-type") == MEDIA_TYPE:
        await response.aread()
        ANSWERS.add((response.request.method.lower(), ID.sub("id", response.request.url.path), response.json()["code"]))


def unseen(document: bytes, answers: Iterable[Answer]) -> list[str]:
    """What the documentation promises and no answer has kept: a line for each code, with the operations."""
    paths: Mapping[str, Any] = msgspec.json.decode(document)["paths"]
    seen = {(name, code) for method, path, code in answers for name in _asked(paths, method, path)}
    missing: dict[str, list[str]] = {}
    for name, code in sorted({*promised(paths)} - seen - WITHOUT_USE_CASE):
        missing.setdefault(code, []).append(name)
    return [f"{code} of {', '.join(names)}" for code, names in sorted(missing.items())]


def promised(paths: Mapping[str, Any]) -> Iterator[Refusal]:
    for item in paths.values():
        for operation in item.values():
            for status, response in operation["responses"].items():
                if status != "default":
                    for code in response.get("content", {}).get(MEDIA_TYPE, {}).get("examples", ()):
                        yield operation["operationId"], code


def _asked(paths: Mapping[str, Any], method: str, path: str) -> Iterator[str]:
    """The operation that a path leads to: a template's own words go before its parameters."""
    steps = path.split("/")
    found = [template for template in paths if method in paths[template] and _leads(template.split("/"), steps)]
    for template in sorted(found, key=lambda template: template.count("{"))[:1]:
        yield paths[template][method]["operationId"]


def _leads(template: list[str], steps: list[str]) -> bool:
    return len(template) == len(steps) and all(own == step or own.startswith("{") for own, step in zip(template, steps, strict=True))
