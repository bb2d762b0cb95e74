"""JSON Schemas of the types on the wire, as components with stable names, in the dialect of OpenAPI 3.1."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
from msgspec import inspect

NO_NUL: Final = r"^[^\x00]*$"
"""What the reader demands of every text; said where texts come in, which are bounded."""

_TEMPLATE = "#/components/schemas/{name}"


class Schemas:
    """`components` holds what is shared by name; `of` answers a reference to it, or the schema itself."""

    def __init__(self, shapes: Iterable[Any]) -> None:
        distinct = list({repr(shape): shape for shape in shapes}.values())
        structs: dict[type, inspect.StructType] = {}
        for kind in inspect.multi_type_info(distinct):
            _collect(kind, structs)
        found, components = msgspec.json.schema_components([*distinct, *structs], ref_template=_TEMPLATE)
        for reference, struct in zip(found[len(distinct) :], structs.values(), strict=True):
            _say_date_times(components[reference["$ref"].rpartition("/")[2]], struct)
        self._by_shape = {repr(shape): _ecma(schema) for shape, schema in zip(distinct, found, strict=False)}
        self.components: dict[str, Any] = {_tidy(name): _ecma(schema) for name, schema in sorted(components.items())}
        self.components["Problem"]["additionalProperties"] = True

    def of(self, shape: Any) -> dict[str, Any]:
        schema: dict[str, Any] = self._by_shape[repr(shape)]
        return schema


def _tidy(name: str) -> str:
    """`Page_ProductView_` as `Page_ProductView`."""
    return name.rstrip("_")


def _collect(kind: inspect.Type, structs: dict[type, inspect.StructType]) -> None:
    """Every Struct that is part of `kind`."""
    if isinstance(kind, inspect.StructType):
        if kind.cls in structs:
            return
        structs[kind.cls] = kind
    for part in _parts(kind):
        _collect(part, structs)


def _parts(kind: inspect.Type) -> Iterator[inspect.Type]:
    match kind:
        case inspect.Metadata(type=inner):
            yield inner
        case inspect.StructType(fields=fields):
            yield from (field.type for field in fields)
        case inspect.UnionType(types=kinds) | inspect.TupleType(item_types=kinds):
            yield from kinds
        case inspect.CollectionType(item_type=item):
            yield item
        case inspect.DictType(key_type=key, value_type=value):
            yield key
            yield value


def _say_date_times(schema: dict[str, Any], struct: inspect.StructType) -> None:
    """msgspec tells of a date's format only where a time zone is demanded; here all of them are told in UTC."""
    for field in struct.fields:
        if any(isinstance(kind, inspect.DateTimeType) for kind in (field.type, *_parts(field.type))):
            described = schema["properties"][field.encode_name]
            for each in described.get("anyOf", [described]):
                if each.get("type") == "string":
                    each["format"] = "date-time"


def ecma_pattern(pattern: str) -> str:
    return pattern.replace(r"\A", "^").replace(r"\Z", "$")


def _ecma(node: Any) -> Any:
    """Patterns in the regular expressions of JavaScript, where `$` is the end of the text and nothing else."""
    if isinstance(node, list):
        return [_ecma(part) for part in node]
    if not isinstance(node, dict):
        return node
    written = {name: _ecma(part) for name, part in node.items()}
    if "default" in written and written["default"] is None:
        del written["default"]  # says no more than that the field is not required, and some readers stumble over it
    if isinstance(pattern := written.get("pattern"), str):
        written["pattern"] = ecma_pattern(pattern)
    elif "maxLength" in written and "enum" not in written:
        written["pattern"] = NO_NUL
    if written.get("type") == "integer":
        written["format"] = "int64"
    if isinstance(reference := written.get("$ref"), str):
        written["$ref"] = _tidy(reference)
    if "enum" in written and "type" not in written and all(isinstance(value, str) for value in written["enum"]):
        written["type"] = "string"
    return _nullable(written)


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """`{"type": ["string", "null"]}` for a simple type that may be null, which more generators understand than a union."""
    members: list[dict[str, Any]] = schema.get("anyOf", [])
    if len(members) != 2 or members[1] != {"type": "null"} or not isinstance(members[0].get("type"), str) or "enum" in members[0]:
        return schema
    others = {name: part for name, part in schema.items() if name != "anyOf"}
    return {**members[0], **others, "type": [members[0]["type"], "null"]}
