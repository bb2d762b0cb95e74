"""An example of any type, put together from the examples that its fields give."""

from enum import Enum
from typing import Any, Final

from msgspec import inspect

_LEAVES: Final[dict[type[inspect.Type], Any]] = {
    inspect.StrType: "text",
    inspect.BoolType: True,
    inspect.FloatType: 0.5,
    inspect.DateTimeType: "2026-01-15T09:30:00Z",
    inspect.DateType: "2026-01-15",
    inspect.TimeType: "09:30:00Z",
    inspect.TimeDeltaType: "PT15M",
    inspect.DecimalType: "0.190",
    inspect.UUIDType: "0199f3a2-7c5e-7d10-b4c8-a1f2e3d4c5b6",
    inspect.BytesType: "",
    inspect.AnyType: None,
    inspect.NoneType: None,
}


def example_of(shape: Any) -> Any:
    """A JSON value that `shape` accepts, provided that every text with a pattern gives an example."""
    return _example(inspect.type_info(shape), ())


def _example(kind: inspect.Type, above: tuple[type, ...]) -> Any:
    if isinstance(kind, inspect.Metadata):
        given = (kind.extra_json_schema or {}).get("examples")
        return given[0] if given else _example(kind.type, above)
    if isinstance(kind, inspect.StructType):
        return _struct(kind, above)
    if isinstance(kind, inspect.UnionType):
        real = [member for member in kind.types if not isinstance(member, inspect.NoneType)]
        return _example(real[0], above)
    if isinstance(kind, (inspect.ListType, inspect.SetType, inspect.FrozenSetType, inspect.VarTupleType)):
        repeats = isinstance(kind.item_type, inspect.StructType) and kind.item_type.cls in above
        return [] if repeats else [_example(kind.item_type, above)]
    if isinstance(kind, inspect.TupleType):
        return [_example(item, above) for item in kind.item_types]
    if isinstance(kind, inspect.DictType):
        return {_example(kind.key_type, above): _example(kind.value_type, above)}
    if isinstance(kind, inspect.LiteralType):
        return kind.values[0]
    if isinstance(kind, inspect.EnumType):
        first: Enum = next(iter(kind.cls))
        return first.value
    if isinstance(kind, inspect.IntType):
        return kind.ge if kind.ge is not None else 1
    return _LEAVES[type(kind)]


def _struct(kind: inspect.StructType, above: tuple[type, ...]) -> Any:
    if kind.cls in above:
        return None
    example = {} if kind.tag_field is None else {kind.tag_field: kind.tag}
    for field in kind.fields:
        example[field.encode_name] = _example(field.type, (*above, kind.cls))
    return example
