"""Every fault of a decoded value against a type. msgspec stops at the first, so this walks, and only after it has failed."""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec

from shared.api.refusals import Fault

MAX_FAULTS: Final = 100
NUL: Final = "the character U+0000 is not accepted"
NOT_ALLOWED: Final = "this value is not one of those that are allowed"

_LOCATED = re.compile(r"\A(?P<detail>.*?)(?: - at `(?P<path>[^`]*)`)?\Z", re.DOTALL)
_QUOTES_A_VALUE = re.compile(r"Invalid (enum )?value ")
_PATH_PART = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
_CODES: Final = (
    ("Object missing required field", "required"),
    ("required", "required"),
    ("Object contains unknown field", "unknown_field"),
    ("length >=", "too_short"),
    ("length <=", "too_long"),
    ("matching regex", "wrong_format"),
    (" >= ", "too_small"),
    (" > ", "too_small"),
    (" <= ", "too_large"),
    (" < ", "too_large"),
    ("out of range", "too_large"),
    ("Invalid", "wrong_format"),
    ("timezone", "wrong_format"),
    ("U+0000", "nul_character"),
    (", got ", "wrong_type"),
)


def faults_in(value: Any, shape: Any) -> Iterator[Fault]:
    """At most a hundred faults of `value`, which came out of JSON; their pointers begin at `value`."""
    return islice(_walk(value, shape, ""), MAX_FAULTS)


def fault_of(error: Exception) -> tuple[str, str, str]:
    """Code, detail and JSON pointer of what msgspec said."""
    match = _LOCATED.match(str(error))
    detail, path = (match["detail"], match["path"] or "") if match else (str(error), "")
    pointer = "".join("/" + _escape(name or index) for name, index in _PATH_PART.findall(path))
    if _QUOTES_A_VALUE.match(detail):
        return "not_allowed", NOT_ALLOWED, pointer
    code = next((code for words, code in _CODES if words in detail), "invalid")
    return code, detail, pointer


def _walk(value: Any, shape: Any, pointer: str) -> Iterator[Fault]:
    kind = _without_metadata(shape)
    origin = get_origin(kind) or kind
    found = False
    for fault in _parts(value, kind, origin, pointer):
        found = True
        yield fault
    if found:
        return
    if isinstance(value, str) and "\0" in value:
        yield Fault(code="nul_character", detail=NUL, pointer=pointer)
        return
    try:
        msgspec.convert(value, shape, str_keys=True)
    except msgspec.ValidationError as error:
        code, detail, below = fault_of(error)
        yield Fault(code=code, detail=detail, pointer=pointer + below)


def _parts(value: Any, kind: Any, origin: Any, pointer: str) -> Iterator[Fault]:
    if origin is Union or isinstance(kind, UnionType):
        member = _member(value, get_args(kind))
        if member is not None:
            yield from _walk(value, member, pointer)
    elif isinstance(value, dict) and isinstance(origin, type) and issubclass(origin, msgspec.Struct):
        yield from _struct(value, origin, pointer)
    elif isinstance(value, dict) and isinstance(origin, type) and issubclass(origin, Mapping):
        _, item = get_args(kind) or (str, Any)
        for key, part in value.items():
            if "\0" in key:
                yield Fault(code="nul_character", detail=NUL, pointer=pointer)
            yield from _walk(part, item, f"{pointer}/{_escape(key)}")
    elif isinstance(value, list) and origin is not Literal:
        item = (get_args(kind) or (Any,))[0]
        for index, part in enumerate(value):
            yield from _walk(part, item, f"{pointer}/{index}")


def _struct(value: dict[str, Any], struct: type[msgspec.Struct], pointer: str) -> Iterator[Fault]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    config = struct.__struct_config__
    for name, field in fields.items():
        if name in value:
            yield from _walk(value[name], field.type, f"{pointer}/{_escape(name)}")
        elif field.required:
            yield Fault(code="required", detail="this field is required", pointer=f"{pointer}/{_escape(name)}")
    if config.forbid_unknown_fields:
        for name in value.keys() - fields.keys() - {config.tag_field}:
            yield Fault(code="unknown_field", detail="no such field", pointer=f"{pointer}/{_escape(name[:64])}")


def _member(value: Any, members: tuple[Any, ...]) -> Any:
    """The member of a union that `value` is meant to be, when there is no doubt."""
    if value is None and type(None) in members:
        return None
    real = [member for member in members if member not in (type(None), msgspec.UnsetType)]
    if len(real) == 1:
        return real[0]
    for member in real:
        config = getattr(_without_metadata(member), "__struct_config__", None)
        if config and config.tag_field and isinstance(value, dict) and value.get(config.tag_field) == config.tag:
            return member
    return None


def _without_metadata(shape: Any) -> Any:
    while get_origin(shape) is Annotated:
        shape = get_args(shape)[0]
    return shape


def _escape(name: str) -> str:
    """One step of a JSON pointer; half a surrogate pair cannot be sent back."""
    return name.encode(errors="replace").decode().replace("~", "~0").replace("/", "~1")
