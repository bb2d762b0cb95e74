"""JSON Schemas of the types on the wire, as components with stable names, in the dialect of OpenAPI 3.1."""

from collections.abc import Iterable
from typing import Any

import msgspec

_TEMPLATE = "#/components/schemas/{name}"


class Schemas:
    """`components` holds what is shared by name; `of` answers a reference to it, or the schema itself."""

    def __init__(self, shapes: Iterable[Any]) -> None:
        distinct = list({repr(shape): shape for shape in shapes}.values())
        found, components = msgspec.json.schema_components(distinct, ref_template=_TEMPLATE)
        self._by_shape = {repr(shape): _ecma(schema) for shape, schema in zip(distinct, found, strict=True)}
        self.components: dict[str, Any] = {_tidy(name): _ecma(schema) for name, schema in sorted(components.items())}
        self.components["Problem"]["additionalProperties"] = True

    def of(self, shape: Any) -> dict[str, Any]:
        schema: dict[str, Any] = self._by_shape[repr(shape)]
        return schema


def _tidy(name: str) -> str:
    """`Page_ProductView_` as `Page_ProductView`."""
    return name.rstrip("_")


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
        written["pattern"] = pattern.replace(r"\A", "^").replace(r"\Z", "$")
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
