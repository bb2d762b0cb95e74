"""The OpenAPI 3.1 document, made of the very records by which the routes work, and encoded once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from shared.api import versioning
from shared.api.auth import CART_TOKEN
from shared.api.binding import Parameter
from shared.api.conditional import IF_MATCH, IF_NONE_MATCH, MAX_IF_NONE_MATCH
from shared.api.examples import example_of
from shared.api.idempotency import HEADER as IDEMPOTENCY_KEY
from shared.api.operation import Operation, by_status
from shared.api.paging import Cursor
from shared.api.problems import MEDIA_TYPE, Problem
from shared.api.ratelimit import FIELDS
from shared.api.schemas import Schemas, ecma_pattern
from shared.domain.errors import DomainError
from shared.domain.policy import Rule

_SUCCESSES: Final = {200: "The resource", 201: "Created", 202: "Accepted; the work goes on", 204: "Done"}


@dataclass(frozen=True)
class Mounted:
    """An operation where it was put: its path, and who may call it."""

    operation: Operation
    path: str
    tags: tuple[str, ...]
    rule: Rule


def describe(mounted: Sequence[Mounted], public_url: str, contact: str) -> bytes:
    """The whole document as JSON."""
    schemas = Schemas(_types(mounted))
    paths: dict[str, dict[str, Any]] = {}
    for each in sorted(mounted, key=lambda each: (each.path, each.operation.method)):
        paths.setdefault(each.path, {})[each.operation.method.lower()] = _operation(each, schemas, public_url)
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Tenon",
            "version": versioning.CURRENT,
            "summary": "A commerce backend",
            "description": _INTRODUCTION,
            "contact": {"name": "The operators of this server", "url": public_url, "email": contact},
            "license": {"name": "Proprietary", "url": public_url},
        },
        "servers": [{"url": public_url.rstrip("/"), "x-internal": False}],
        "tags": [{"name": tag, "description": f"Operations of {tag}"} for tag in sorted({tag for each in mounted for tag in each.tags})],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "securitySchemes": _SECURITY_SCHEMES,
            "headers": _HEADERS,
            "parameters": _PARAMETERS,
        },
    }
    return msgspec.json.encode(document)


_INTRODUCTION: Final = (
    "Money is integer minor units with a currency. Ids carry a type prefix. Times are RFC 3339 in UTC. Errors are problem documents "
    "(RFC 9457), each type with a page. Lists are walked by cursor. What may change carries an ETag, and changing it needs If-Match."
)

_SECURITY_SCHEMES: Final = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "An access token from logging in: ES256 alone, issuer, audience and type are checked (RFC8725)",
    },
    "cartToken": {"type": "apiKey", "in": "header", "name": CART_TOKEN, "description": "The token of a guest's cart"},
}


def _header(description: str, example: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}, "example": example}


_HEADERS: Final = {
    "ETag": _header("The version of what was read or written", '"3"'),
    "Location": _header("Where the result is found", "/v1/products/prd_0199f3a27c5e7d10b4c8a1f2e3d4c5b6"),
    "Link": _header("The next page, as rel=next", '</v1/products?limit=20&cursor=WzE3XQ.c2ln>; rel="next"'),
    "Retry-After": {
        "description": "Seconds to wait before the next try",
        "schema": {"type": "integer", "format": "int64", "minimum": 0, "maximum": 86400},
        "example": 1,
    },
    "RateLimit": _header("What is left of the quota, and in how many seconds it is whole again", '"read";r=1199;t=1'),
    "RateLimit-Policy": _header("The quota: so many requests at once, coming back evenly over so many seconds", '"read";q=1200;w=60'),
    "Trace-Id": _header("The id to quote when asking about this request", "0af7651916cd43dd8448eb211c80319c"),
    "Api-Version": _header("The version of the API that answered", versioning.CURRENT),
    "Idempotent-Replayed": {
        "description": "Present when the answer is that of an earlier request with this key",
        "schema": {"type": "boolean"},
        "example": True,
    },
    "WWW-Authenticate": _header("How to authenticate", 'Bearer realm="tenon"'),
}

_PARAMETERS: Final = {
    "ApiVersion": {
        "name": "Api-Version",
        "in": "header",
        "required": False,
        "description": "The published version that the client was written against",
        "schema": {"type": "string", "enum": sorted(versioning.PUBLISHED)},
        "example": versioning.CURRENT,
    },
    "IfNoneMatch": {
        "name": "If-None-Match",
        "in": "header",
        "required": False,
        "description": "The ETag that is already known: 304 if it is still the current one",
        "schema": {"type": "string", "maxLength": MAX_IF_NONE_MATCH, "pattern": ecma_pattern(IF_NONE_MATCH)},
        "example": '"3"',
    },
}


def _types(mounted: Sequence[Mounted]) -> Iterator[Any]:
    yield Problem
    for operation in (each.operation for each in mounted):
        if operation.binding.body:
            yield operation.binding.body.shape
        yield from (view for view in operation.answers.values() if view is not None)
        yield from (parameter.shape for parameter in operation.binding.parameters)


def _operation(mounted: Mounted, schemas: Schemas, public_url: str) -> dict[str, Any]:
    operation = mounted.operation
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "description": operation.description or f"{operation.summary}.",
        "tags": list(mounted.tags),
        "security": _security(mounted.rule),
        "parameters": [*(_parameter(each, schemas) for each in operation.binding.parameters), *_header_parameters(operation)],
        "responses": {
            **{str(status): _success(operation, status, view, schemas) for status, view in sorted(operation.answers.items())},
            **_not_modified(operation),
            **{
                str(status): _problem(operation, status, kinds, public_url)
                for status, kinds in by_status(operation.problems(mounted.rule)).items()
            },
            "default": _problem(operation, 500, [DomainError], public_url),
        },
    }
    if operation.binding.body:
        shape = operation.binding.body.shape
        content = {"application/json": {"schema": schemas.of(shape), "example": example_of(shape)}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _security(rule: Rule) -> list[dict[str, list[str]]]:
    if rule.roles is None:
        return [{}, {"bearer": []}]
    return [{"bearer": []}, {"cartToken": []}] if rule.guests else [{"bearer": []}]


def _parameter(parameter: Parameter, schemas: Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.required,
        "description": parameter.description or _described(schemas.of(parameter.shape), parameter.name),
        "schema": schemas.of(parameter.shape),
    }
    if parameter.shape is not Cursor:  # only the server can make one
        described["example"] = example_of(parameter.shape)
    if not parameter.required and parameter.default is not None:
        described["schema"] = {**described["schema"], "default": msgspec.to_builtins(parameter.default)}
    return described


def _described(schema: Mapping[str, Any], name: str) -> str:
    """What the type says of itself, at any place of a union; else the name, in words."""
    found = (each.get("description") for each in (schema, *schema.get("anyOf", ())))
    return next((description for description in found if description), name.replace("_", " ").capitalize())


def _header_parameters(operation: Operation) -> Iterator[dict[str, Any]]:
    yield {"$ref": "#/components/parameters/ApiVersion"}
    if operation.idempotent != "never":
        yield {
            "name": IDEMPOTENCY_KEY,
            "in": "header",
            "required": operation.idempotent == "required",
            "description": "Repeating the request with the same key has one effect and the same answer",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x21-\\x7e]+$"},
            "example": "5f1c7a52-1b0e-4a4e-9f0c-6d2b7a1d9a55",
        }
    if operation.if_match != "never":
        yield {
            "name": "If-Match",
            "in": "header",
            "required": operation.if_match == "required",
            "description": "The ETag of what was read; 412 if it has changed since",
            "schema": {"type": "string", "maxLength": 64, "pattern": ecma_pattern(IF_MATCH)},
            "example": '"3"',
        }
    if operation.revalidates:
        yield {"$ref": "#/components/parameters/IfNoneMatch"}


def _success(operation: Operation, status: int, view: Any, schemas: Schemas) -> dict[str, Any]:
    names = ["Trace-Id", "Api-Version", *_limits(operation)]
    if operation.carries_version(view):
        names.append("ETag")
    if status in (201, 202):
        names.append("Location")
    if operation.binding.paging:
        names.append("Link")
    if operation.idempotent != "never":
        names.append("Idempotent-Replayed")
    described: dict[str, Any] = {"description": _SUCCESSES.get(status, "Success"), "headers": _references(names)}
    if view is not None:
        described["content"] = {"application/json": {"schema": schemas.of(view), "example": example_of(view)}}
    return described


def _not_modified(operation: Operation) -> Mapping[str, Any]:
    if not operation.revalidates:
        return {}
    names = ["ETag", "Trace-Id", "Api-Version", *_limits(operation)]
    return {"304": {"description": "Not modified", "headers": _references(names)}}


def _limits(operation: Operation) -> Sequence[str]:
    return FIELDS if operation.rate is not None else ()


def _problem(operation: Operation, status: int, kinds: Sequence[type[DomainError]], public_url: str) -> dict[str, Any]:
    names = ["Trace-Id", "Api-Version", *_limits(operation)]
    if status in (429, 503) or any(kind.retryable for kind in kinds):
        names.append("Retry-After")
    if status == 401:
        names.append("WWW-Authenticate")
    examples = {kind.code: {"summary": kind.title, "value": _problem_example(status, kind, public_url)} for kind in kinds}
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}}
    return {"description": " · ".join(kind.title for kind in kinds), "headers": _references(names), "content": content}


def _problem_example(status: int, kind: type[DomainError], public_url: str) -> dict[str, Any]:
    return {
        "type": f"{public_url.rstrip('/')}/problems/{kind.code}",
        "title": kind.title,
        "status": status,
        "detail": kind.title,
        "instance": "/v1/…",
        "code": kind.code,
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "retryable": kind.retryable,
    }


def _references(names: Sequence[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
