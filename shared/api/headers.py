"""Request headers straight from the ASGI scope: building the framework's mapping costs more than the rest of a small read."""

from typing import Any

from litestar import Request


def values(request: Request[Any, Any, Any], name: bytes) -> list[str]:
    """Every value of the header `name` (in lower case), in the order sent."""
    return [value.decode("latin-1") for sent, value in request.scope["headers"] if sent == name]


def value(request: Request[Any, Any, Any], name: bytes) -> str | None:
    """The first value of the header `name` (in lower case), None when it was not sent."""
    for sent, text in request.scope["headers"]:
        if sent == name:
            return text.decode("latin-1")
    return None
