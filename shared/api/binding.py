"""From the request to a handler's arguments: strict, and with every fault of body, query, path and headers at once.

Litestar routes; the arguments are bound here, because its own way drops constraints of annotated types, reads "5" as a
number, ignores unknown query parameters, and lets a query parameter stand in for a missing dependency.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl

import msgspec
from litestar import Request
from litestar.di import NamedDependency
from litestar.enums import ParamType
from litestar.exceptions import ImproperlyConfiguredException
from litestar.params import BodyKwarg, ParameterKwarg

from shared.api import headers
from shared.api.faults import NUL, fault_of
from shared.api.options import OPT_SIGNER
from shared.api.paging import Cursor, Limit, Paging
from shared.api.refusals import Fault, InvalidRequest
from shared.api.strict_json import StrictBody
from shared.domain.page import DEFAULT_LIMIT

MAX_QUERY_FIELDS: Final = 100
_DEPENDENCY: Final = type(get_args(NamedDependency[int])[1])
_DATE: Final = re.compile(r"[0-9]{4}-")
"""A bare number would be read as seconds since 1970."""

_PAGING_FIELDS: Final = ("limit", "cursor", "sort")

Place = Literal["path", "query", "header"]


@dataclass(frozen=True)
class Parameter:
    """One parameter of query, path or header. `shape` keeps its constraints; `name` is the one on the wire."""

    field: str
    name: str
    place: Place
    shape: Any
    required: bool
    default: Any
    sequence: bool
    instant: bool = False
    description: str | None = None


@dataclass
class Binding:
    """What a handler wants to be called with."""

    parameters: list[Parameter] = field(default_factory=list)
    dependencies: list[str] = field(default_factory=list)
    body: StrictBody | None = None
    paging: str | None = None
    request: str | None = None
    sort: Sequence[str] = ()

    def __post_init__(self) -> None:
        self._query = {p.name: p for p in self.parameters if p.place == "query"}
        self._headers = {p.name.lower().encode(): p for p in self.parameters if p.place == "header"}
        fields = [_struct_field(p) for p in self.parameters]
        self._shape = msgspec.defstruct("Parameters", fields, kw_only=True) if fields else None

    async def arguments(self, request: Request[Any, Any, Any], use_cases: Mapping[str, object]) -> dict[str, Any]:
        """Raises InvalidRequest with every fault, MalformedJson, UnsupportedMediaType."""
        values, faults = self._read(request)
        body = await request.body() if self.body else b""
        arguments: dict[str, Any] = {}
        try:
            if self.body:
                arguments["data"] = self.body.decode(body, headers.value(request, b"content-type"))
            if self._shape is not None:
                arguments |= msgspec.structs.asdict(msgspec.convert(values, self._shape, strict=False))
        except msgspec.ValidationError as error:
            raise InvalidRequest([*faults, *self._all_faults(values, body)]) from error
        if faults:
            raise InvalidRequest(faults)
        if self.paging:
            limit, cursor, sort = (arguments.pop(name, "") for name in _PAGING_FIELDS)
            query = {p.name: values[p.field] for p in self._query.values() if p.field in values}
            arguments[self.paging] = Paging(request.scope["path"], query, limit, sort, cursor, request.route_handler.opt[OPT_SIGNER])
        for name in self.dependencies:
            arguments[name] = use_cases[name]
        if self.request:
            arguments[self.request] = request
        return arguments

    def _read(self, request: Request[Any, Any, Any]) -> tuple[dict[str, Any], list[Fault]]:
        scope = request.scope
        values: dict[str, Any] = dict(scope["path_params"])
        faults: list[Fault] = []
        if scope["query_string"]:
            self._read_query(scope["query_string"], values, faults)
        for name, parameter in self._headers.items():
            if (sent := headers.values(request, name)) and len(sent) == 1:
                values[parameter.field] = sent[0]
            elif sent:
                faults.append(Fault(code="repeated", detail="sent more than once", parameter=parameter.name))
        return values, faults

    def _read_query(self, query: bytes, values: dict[str, Any], faults: list[Fault]) -> None:
        try:
            pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_FIELDS)
        except ValueError:
            detail = f"not UTF-8, or more than {MAX_QUERY_FIELDS} parameters"
            faults.append(Fault(code="malformed", detail=detail, parameter="query string"))
            return
        for name, value in pairs:
            parameter = self._query.get(name)
            if parameter is None:
                faults.append(Fault(code="unknown_parameter", detail="no such query parameter", parameter=name[:64]))
            elif "\0" in value:
                faults.append(Fault(code="nul_character", detail=NUL, parameter=name))
            elif parameter.instant and not _DATE.match(value):
                faults.append(Fault(code="wrong_format", detail="send a date and time as of RFC 3339", parameter=name))
            elif parameter.sequence:
                values.setdefault(parameter.field, []).append(value)
            elif parameter.field in values:
                faults.append(Fault(code="repeated", detail="sent more than once", parameter=name))
            else:
                values[parameter.field] = value

    def _all_faults(self, values: Mapping[str, Any], body: bytes) -> Iterator[Fault]:
        for parameter in self.parameters:
            if parameter.field not in values:
                if parameter.required:
                    yield Fault(code="required", detail=f"this {parameter.place} parameter is required", parameter=parameter.name)
                continue
            try:
                msgspec.convert(values[parameter.field], parameter.shape, strict=False)
            except msgspec.ValidationError as error:
                code, detail, _ = fault_of(error)
                yield Fault(code=code, detail=detail, parameter=parameter.name)
        if self.body:
            yield from self.body.faults(body)


def bind(function: Callable[..., Any], sort: Sequence[str]) -> Binding:
    """Read a handler's signature, in the style of Litestar 3: every parameter says where it comes from."""
    hints = get_type_hints(function, include_extras=True)
    parsed: dict[str, Any] = {"parameters": [], "dependencies": [], "sort": tuple(sort)}
    for name, parameter in inspect.signature(function).parameters.items():
        if name == "self":
            continue
        if name not in hints:
            raise ImproperlyConfiguredException(f"{function.__qualname__}: {name} has no type")
        _bind_one(parsed, function.__qualname__, name, hints[name], parameter.default)
    if parsed.get("paging"):
        parsed["parameters"] += _paging_parameters(sort)
    elif sort:
        raise ImproperlyConfiguredException(f"{function.__qualname__}: sort needs a parameter of type Paging")
    return Binding(**parsed)


def _bind_one(parsed: dict[str, Any], function: str, name: str, hint: Any, default: Any) -> None:
    kind, *metadata = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    marker: Any = next((m for m in metadata if isinstance(m, (ParameterKwarg, BodyKwarg, _DEPENDENCY))), None)
    shape = _annotated(kind, [m for m in metadata if m is not marker])
    if (get_origin(kind) or kind) is Request:
        parsed["request"] = name
    elif kind is Paging:
        parsed["paging"] = name
    elif isinstance(marker, _DEPENDENCY):
        parsed["dependencies"].append(name)
    elif name == "data":
        parsed["body"] = StrictBody(shape)
    elif isinstance(marker, ParameterKwarg):
        parsed["parameters"].append(_parameter(function, name, shape, marker, default))
    else:
        raise ImproperlyConfiguredException(
            f"{function}: say where {name} comes from: FromPath, FromQuery, FromHeader, NamedDependency, data, Request or Paging"
        )


def _parameter(function: str, name: str, shape: Any, marker: ParameterKwarg, default: Any) -> Parameter:
    if marker.is_constrained:
        raise ImproperlyConfiguredException(f"{function}: constraints of {name} belong into its type, as msgspec.Meta")
    places: dict[ParamType, Place] = {ParamType.PATH: "path", ParamType.QUERY: "query", ParamType.HEADER: "header"}
    required = default is inspect.Parameter.empty
    return Parameter(
        field=name,
        name=marker.name or name,
        place=places[marker.param_type],
        shape=_without_null(shape),
        required=required,
        default=None if required else default,
        sequence=_mentions(shape, list),
        instant=_mentions(shape, datetime),
        description=marker.description,
    )


def _paging_parameters(sort: Sequence[str]) -> Iterator[Parameter]:
    yield Parameter("limit", "limit", "query", Limit, False, DEFAULT_LIMIT, False)
    yield Parameter("cursor", "cursor", "query", Cursor, False, None, False)
    if sort:
        order = Annotated[Literal[tuple(sort)], msgspec.Meta(description="A leading minus sorts descending")]  # type: ignore[valid-type]  # the allow-list is data
        yield Parameter("sort", "sort", "query", order, False, sort[0], False)


def _struct_field(parameter: Parameter) -> tuple[str, Any] | tuple[str, Any, Any]:
    if parameter.required:
        return parameter.field, parameter.shape
    return parameter.field, parameter.shape, parameter.default


def _annotated(kind: Any, metadata: list[Any]) -> Any:
    return Annotated[(kind, *metadata)] if metadata else kind


def _mentions(shape: Any, kind: type) -> bool:
    """Whether `shape` is a `kind`, under metadata or as a member of a union."""
    if get_origin(shape) is Annotated:
        return _mentions(get_args(shape)[0], kind)
    if get_origin(shape) in (Union, UnionType):
        return any(_mentions(member, kind) for member in get_args(shape))
    return (get_origin(shape) or shape) is kind


def _without_null(shape: Any) -> Any:
    """A URL has no null: `?parent=null` would be read as if it had not been sent."""
    if get_origin(shape) is Annotated:
        inner, *metadata = get_args(shape)
        return _annotated(_without_null(inner), metadata)
    if get_origin(shape) in (Union, UnionType):
        return Union[tuple(member for member in get_args(shape) if member is not NoneType)]  # noqa: UP007 - the members are data
    return shape
